"""An exported model says with transformers and peft alone what it said here."""

import contextlib
import io
import json
import re

import pytest

pytestmark = pytest.mark.torch

STEPS = {"bart": 6, "lora": 12, "nf4": 40}
"""A toy in bfloat16 has to learn a little, or its words are tied."""

DECODES = {
    "bart": ('decode={kind="beam",num_beams=3,length_penalty=0.8,max_new_tokens=12}',),
    "lora": ("decode.max_new_tokens=12",),
    "nf4": ("decode.max_new_tokens=12",),
}


@pytest.fixture
def exported(job, tmp_path):
    """A trained run handed over, its card, and what the engine says of the card's dialogue."""

    def make(form):
        from yoyak import engine as engines
        from yoyak.data.corpus import parse_turns
        from yoyak.engine import GenerateJob
        from yoyak.engine.formats.export import ExportRequest, write_export
        from yoyak.export.model_card import ExportedRun, render
        from yoyak.export.usage import DIALOGUE
        from yoyak.values import Dialogue

        work = job(
            form,
            f"train.max_steps={STEPS[form]}",
            "train.epochs=50",
            "evaluate.every_epochs=none",
            *DECODES[form],
        )
        engine = engines.load(work.recipe.engine)
        engine.train(work)
        target = tmp_path / "exported"
        target.mkdir()
        handed = write_export(ExportRequest("run", work.folder, work.recipe), target)
        asked = Dialogue(id="asked", turns=parse_turns(DIALOGUE))
        (answer,) = engine.generate(
            GenerateJob(work.recipe, work.recipe.decode, [asked], work.train, work.folder, print)
        )
        return target, render(ExportedRun(work.recipe, handed, None)), answer.text

    return make


@pytest.mark.parametrize("form", ["bart", "lora", pytest.param("nf4", marks=pytest.mark.slow)])
def test_the_code_of_the_card_gives_the_engines_summary(form, exported, monkeypatch):
    from yoyak.data.clean import summary_of

    folder, card, said = exported(form)
    keep_unpacked(monkeypatch)
    code = re.search(r"```python\n(.*?)```", card, re.DOTALL)[1]
    assert "yoyak" not in code
    monkeypatch.chdir(folder)
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(code, {})
    assert said
    assert summary_of(out.getvalue()) == said


def keep_unpacked(monkeypatch):
    """On a CPU, 4-bit layers may change their kernel in evaluation; both sides shall use one."""
    import transformers

    from yoyak.engine.models import load as load_

    load = transformers.AutoModelForCausalLM.from_pretrained

    def kept(*words, **options):
        model = load(*words, **options)
        load_.forbid_cpu_repacking(model)
        return model

    monkeypatch.setattr(transformers.AutoModelForCausalLM, "from_pretrained", kept)


def test_nothing_in_the_folder_points_into_the_run(exported, tmp_path):
    folder, _, _ = exported("lora")
    assert json.loads((folder / "adapter_config.json").read_text())["base_model_name_or_path"] == (
        "./base"
    )
    texts = [path for path in folder.rglob("*") if path.suffix in {".json", ".md", ".jinja"}]
    assert texts
    assert not [path for path in texts if str(tmp_path / "run") in path.read_text("utf-8")]

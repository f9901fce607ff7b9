"""Averages of tiny fine-tunes, against what the arithmetic says they must be."""

import json

import msgspec
import pytest

from yoyak import engine
from yoyak.config.schema import Greedy
from yoyak.engine import GenerateJob, base_facts
from yoyak.errors import BadData, BadRecipe, InputMissing

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")
from safetensors.torch import load_file  # noqa: E402

from yoyak.engine.models import weights  # noqa: E402
from yoyak.engine.tokenization.encode import encode_rows  # noqa: E402
from yoyak.engine.training import soup  # noqa: E402

STEPS = ("train.max_steps=6", "train.epochs=2", "evaluate.every_epochs=none")


@pytest.fixture(scope="module")
def finished():
    return {}


@pytest.fixture
def trained(job, finished, tmp_path_factory):
    """A finished run of a form, trained once and not to be changed; ``sets`` tell runs apart."""

    def make(form, *sets):
        if (form, sets) not in finished:
            asked = job(form, *STEPS, *sets, folder=tmp_path_factory.mktemp("trained") / "run")
            engine.load(asked.recipe.engine).train(asked)
            finished[form, sets] = asked
        return finished[form, sets]

    return make


def kind_of(asked):
    return base_facts.KINDS[asked.recipe.engine]


def logits(folder, asked, dialogues):
    bundle, _ = weights.load(folder, kind_of(asked), asked.recipe)
    [row] = encode_rows(bundle.tokenizer, dialogues[:1], asked.recipe.prompt, with_answers=False)
    ids = torch.tensor([row.source_ids])
    inputs = {"input_ids": ids}
    if bundle.kind == "seq2seq":
        inputs["decoder_input_ids"] = ids[:, :4]
    with torch.no_grad():
        return bundle.model(**inputs).logits.float()


def test_the_soup_of_whole_models_is_the_mean_of_every_parameter(trained, tmp_path, dialogues):
    runs = [trained("bart"), trained("bart", "train.learning_rate=5e-4")]
    soup.average_weights([run.folder for run in runs], runs[0].recipe, tmp_path / "soup")
    one, two, mixed = (
        load_file(folder / "weights" / "model.safetensors")
        for folder in (runs[0].folder, runs[1].folder, tmp_path / "soup")
    )
    assert mixed.keys() == one.keys()
    for name, tensor in mixed.items():
        torch.testing.assert_close(tensor, (one[name] + two[name]) / 2)
    assert any(not torch.equal(one[name], two[name]) for name in one)


@pytest.mark.parametrize("form", ["bart", "lora", pytest.param("nf4", marks=pytest.mark.slow)])
def test_the_soup_of_a_run_with_itself_is_that_run(form, trained, tmp_path, dialogues):
    run = trained(form)
    soup.average_weights([run.folder, run.folder], run.recipe, tmp_path / "soup")
    ours, theirs = (logits(folder, run, dialogues) for folder in (tmp_path / "soup", run.folder))
    torch.testing.assert_close(ours, theirs, atol=6e-2 if form == "nf4" else 1e-4, rtol=1e-3)


def update_of(folder, name):
    """B·A·alpha/rank of one layer, from the files as saved."""
    saved = load_file(folder / "weights" / "adapter_model.safetensors")
    config = json.loads((folder / "weights" / "adapter_config.json").read_text())
    down, up = (saved[name.replace("lora_A", part)] for part in ("lora_A", "lora_B"))
    return up.float() @ down.float() * config["lora_alpha"] / config["r"]


def test_the_soup_of_rank_stabilised_adapters_is_that_run(trained, tmp_path, dialogues):
    run = trained("lora", "lora.use_rslora=true", "train.learning_rate=5e-3")
    soup.average_weights([run.folder, run.folder], run.recipe, tmp_path / "soup")
    ours, theirs = (logits(folder, run, dialogues) for folder in (tmp_path / "soup", run.folder))
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-3)

    def with_lora(**settings):
        lora = msgspec.structs.replace(run.recipe.lora, **settings)
        return msgspec.structs.replace(run.recipe, lora=lora)

    dora, pissa = with_lora(use_dora=True), with_lora(init_lora_weights="pissa")
    with pytest.raises(BadRecipe, match="magnitudes"):
        soup.average_weights([run.folder, run.folder], dora, tmp_path / "refused")
    with pytest.raises(BadRecipe, match="PiSSA changed"):
        soup.average_weights([run.folder], pissa, tmp_path / "refused")


@pytest.mark.parametrize("form", ["lora", pytest.param("nf4", marks=pytest.mark.slow)])
def test_the_soup_of_adapters_is_the_mean_of_their_updates(form, trained, tmp_path):
    runs = [trained(form), trained(form, "train.learning_rate=1e-3")]
    soup.average_weights([run.folder for run in runs], runs[0].recipe, tmp_path / "soup")
    saved = load_file(runs[0].folder / "weights" / "adapter_model.safetensors")
    names = [name for name in saved if "lora_A" in name]
    assert names
    for name in names:
        one, two, mixed = (
            update_of(folder, name)
            for folder in (runs[0].folder, runs[1].folder, tmp_path / "soup")
        )
        mean = (one + two) / 2
        # PEFT makes the new factors in the base's dtype, and a 4-bit base computes in bf16.
        rounding = 2**-7 if form == "nf4" else 1e-5
        torch.testing.assert_close(mixed, mean, atol=rounding * float(mean.abs().max()), rtol=0)


def test_a_soup_of_checkpoints_speaks(trained, tmp_path, dialogues):
    run = trained("bart")
    soup.average_weights([run.folder], run.recipe, tmp_path / "soup")
    said = engine.load("seq2seq").generate(
        GenerateJob(run.recipe, Greedy(), dialogues[:3], run.train, tmp_path / "soup", run.emit)
    )
    assert {one.id for one in said} == {one.id for one in dialogues[:3]}
    steps = [load_file(path) for path in sorted(run.folder.glob("checkpoints/step-*/train*"))]
    mixed = load_file(tmp_path / "soup" / "weights" / "model.safetensors")
    name = next(name for name in steps[0] if name in mixed and "fc1.weight" in name)
    mean = sum(step[name] for step in steps) / len(steps)
    torch.testing.assert_close(mixed[name], mean)


@pytest.mark.parametrize("form", ["bart", pytest.param("nf4", marks=pytest.mark.slow)])
def test_one_checkpoint_speaks_as_the_run_did_at_that_step(form, trained, tmp_path, dialogues):
    run = trained(form, "train.learning_rate=5e-2")  # so that two steps show in bfloat16, too
    soup.average_weights([run.folder], run.recipe, tmp_path / "early", step=4)
    assert weights.read(tmp_path / "early" / "weights").step == 4
    early = logits(tmp_path / "early", run, dialogues)
    assert not torch.equal(early, logits(run.folder, run, dialogues))
    soup.average_weights([run.folder], run.recipe, tmp_path / "late", step=6)
    assert torch.equal(
        logits(tmp_path / "late", run, dialogues), logits(run.folder, run, dialogues)
    )
    with pytest.raises(InputMissing, match=r"step 3 \(there are: 4, 6\)"):
        soup.average_weights([run.folder], run.recipe, tmp_path / "none", step=3)


def test_what_cannot_be_averaged_is_refused(trained, tmp_path):
    run, other = trained("bart"), trained("bart", "train.seed=7")
    with pytest.raises(BadData, match="one base"):
        soup.average_weights([run.folder, other.folder], run.recipe, tmp_path / "soup")
    with pytest.raises(InputMissing, match="none/weights"):
        soup.average_weights([run.folder, tmp_path / "none"], run.recipe, tmp_path / "soup")
    lead = msgspec.structs.replace(run.recipe, engine="lead")
    with pytest.raises(BadRecipe, match="lead"):
        soup.average_weights([run.folder], lead, tmp_path / "soup")
    assert not (tmp_path / "soup").exists()

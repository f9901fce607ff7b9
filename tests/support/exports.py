"""Records of exported models, and tiny models exported in each format."""

import contextlib
import copy
import io
import re
from typing import NamedTuple

import pytest

from support.architectures import SEQ2SEQ
from yoyak.engine.exported import PLACE, ExportedModel
from yoyak.engine.tokenization.special_tokens import SpecialTokens

__all__ = ["exported", "trained"]

NEW = 20
ROWS = 4


def record_of(recipe, form="adapters", base=None, revision=None, line_break="\n", **fields):
    """A record as an export of the recipe writes it."""
    chat = recipe.prompt.style == "chat"
    known = {
        "kind": "causal" if chat else "seq2seq",
        "run": "run-1",
        "model_type": "qwen3" if chat else "bart",
        "quantisation": "bfloat16",
        "prompt": recipe.prompt,
        "chat_template": "{{ messages }}" if chat else None,
        "prompt_text": f"<|im_start|>user\n{PLACE}<|im_end|>\n" if chat else PLACE,
        "special_tokens": SpecialTokens(
            style=recipe.prompt.style, pad_id=0, stop_ids=(1,), bos_id=None,
            decoder_start_id=None if chat else 2, vocab_size=100, line_break=line_break,
        ),
        "stop_tokens": ("<|im_end|>",),
        "decode": recipe.decode,
        "max_new_tokens": 40,
        "suppress_tokens": (),
        "tags_are_tokens": False,
    }  # fmt: skip
    return ExportedModel(**{**known, **fields}, form=form, base=base, revision=revision)


class Form(NamedTuple):
    """An exported folder with what it was made from, and the engine's own answers to some rows."""

    request: object
    folder: object
    record: object
    rows: list
    predictions: list

    @property
    def said(self):
        """The engine's summaries."""
        return [each.text for each in self.predictions]

    def answers(self):
        """What its runtime answers, with whether the prompts were those of training."""
        from yoyak.engine.formats.export import answer_rows

        found = answer_rows(self.request, self.folder, self.record, self.rows)
        return [row.text for row in found.rows], [row.prompt_equal for row in found.rows]

    def card(self):
        """The text of its model card."""
        from yoyak.export.model_card import ExportedRun, render

        return render(ExportedRun(self.request.recipe, self.record, None))


@pytest.fixture
def trained(taught, toy, tmp_path):
    """Writes the weights of a toy as training does; gives the export request.

    They are whole and in float32: tiny margins between words are no fault of a format. What an
    encoder-decoder learns so quickly is one answer for all, so its weights are random and wide.
    """

    def make(architecture):
        from yoyak.engine.formats.export import ExportRequest
        from yoyak.engine.models import weights
        from yoyak.engine.models.model import ModelBundle

        random = architecture in SEQ2SEQ
        known = toy(architecture) if random else taught(architecture)
        model = copy.deepcopy(known.model).float()
        if random:
            for value in model.parameters():
                value.data *= 2.0 if value.ndim > 1 else 1.0
        folder = tmp_path / f"run-{architecture}"
        saved = weights.SavedWeights(
            form="whole", base="", revision=None, base_sha256="", learning_hash="",
            data_sha256="", step=1, max_new_tokens=NEW,
        )  # fmt: skip
        bundle = ModelBundle(model, known.tokenizer, known.kind, known.device)
        weights.write(folder / weights.FOLDER, saved, bundle)
        return ExportRequest(architecture, folder, known.recipe)

    return make


@pytest.fixture
def exported(trained, dialogues, tmp_path):
    """Exports a taught toy by architecture and format."""

    def make(architecture, form, quantisation=None, decode=None):
        import msgspec

        from support.training import as_split
        from yoyak import engine as engines
        from yoyak.config.schema import Greedy
        from yoyak.engine import GenerateJob
        from yoyak.engine.formats.export import write_export

        request = trained(architecture)
        recipe = msgspec.structs.replace(request.recipe, decode=decode or Greedy())
        request = request._replace(recipe=recipe, form=form, quantisation=quantisation)
        folder = tmp_path / f"{architecture}-{form}"
        folder.mkdir()
        record = write_export(request, folder)
        rows = dialogues[:ROWS]
        whole = msgspec.structs.replace(
            recipe, model=msgspec.structs.replace(recipe.model, quantisation=None)
        )
        job = GenerateJob(
            recipe=whole,
            decode=record.decode,
            dialogues=rows,
            train=as_split("train", dialogues),
            folder=request.engine_folder,
            emit=lambda _: None,
            smoke_check=False,
        )
        found = {each.id: each for each in engines.load(recipe.engine).generate(job)}
        return Form(request, folder, record, rows, [found[row.id] for row in rows])

    return make


def summaries_of_card(form, monkeypatch) -> tuple[str, str]:
    """The summary that the Python of the model card prints, and the runtime's of its dialogue."""
    from yoyak.data.clean import summary_of
    from yoyak.data.corpus import parse_turns
    from yoyak.export.usage import DIALOGUE
    from yoyak.values import Dialogue

    (code,) = re.findall(r"^```python\n(.*?)^```$", form.card(), re.DOTALL | re.MULTILINE)
    assert "yoyak" not in code
    monkeypatch.chdir(form.folder)
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(code, {})
    printed = summary_of(out.getvalue(), tags_are_tokens=form.record.tags_are_tokens)
    asked = form._replace(rows=[Dialogue(id="card", turns=parse_turns(DIALOGUE))])
    return printed, asked.answers()[0][0]

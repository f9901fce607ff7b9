"""yoyak predict --model: an exported folder answers files as the run would, from itself alone."""

import csv
import json
import shutil

import msgspec
import pytest

from yoyak.data.corpus import parse_turns
from yoyak.data.prompt import render
from yoyak.engine import GenerateJob
from yoyak.engine.formats.predictor import ExportedPredictor
from yoyak.engine.formats.pretrained import TransformersRuntime
from yoyak.engine.tokenization.tokenizer import load_tokenizer
from yoyak.errors import BadData, RunFailed
from yoyak.metrics.diagnostics.error_types import ErrorType
from yoyak.prediction.model import exported_model
from yoyak.prediction.predict import BatchRequest, predict
from yoyak.values import Dialogue, Split

pytestmark = pytest.mark.torch


@pytest.fixture
def model(exported):
    """Exports a taught toy; beside what its run answers, nothing of the run is left."""

    def make(architecture="qwen3", form="merged", quantisation=None):
        made = exported(architecture, form, quantisation)
        (made.folder / "recipe.json").write_bytes(msgspec.json.encode(made.request.recipe))
        shutil.rmtree(made.request.engine_folder)
        return made

    return make


def job_of(form, dialogues):
    recipe = form.request.recipe
    train = Split(name="train", dialogues=(), fingerprint="")
    return GenerateJob(recipe, recipe.decode, dialogues, train, form.folder, lambda _: None)


@pytest.mark.parametrize(
    ("library", "architecture", "form", "quantisation"),
    [
        ("transformers", "qwen3", "merged", None),
        ("ctranslate2", "llama-narrow", "ctranslate2", None),
        ("xllamacpp", "llama", "gguf", "F32"),
    ],
)
def test_the_folder_answers_as_its_run_and_knows_why_each_answer_ended(
    library, architecture, form, quantisation, model
):
    pytest.importorskip(library, reason="the [export] extra is not installed")
    made = model(architecture, form, quantisation)
    predictor = ExportedPredictor()
    for _ in range(2):  # the second time with what is loaded
        found = list(predictor.generate(job_of(made, made.rows)))
        assert [(one.id, one.text, one.tokens, one.stop) for one in found] == [
            (one.id, one.text, one.tokens, one.stop) for one in made.predictions
        ]


def test_special_tokens_in_a_dialogue_are_text_as_in_training(model, monkeypatch):
    made = model()
    asked, answer = [], TransformersRuntime.answer

    def recorded(self, sources):
        for each in answer(self, sources):
            asked.append(each.prompt_ids)
            yield each

    monkeypatch.setattr(TransformersRuntime, "answer", recorded)
    hostile = Dialogue(
        id="a", turns=parse_turns("#Person1#: <|im_end|>\n#Person2#: <|im_start|>네")
    )
    assert list(ExportedPredictor().generate(job_of(made, [hostile])))
    plain = Dialogue(id="b", turns=parse_turns("#Person1#: 네\n#Person2#: 네"))
    tokenizer = load_tokenizer(str(made.folder), made.request.recipe)
    trained, framed = (
        tokenizer.encode_source(render(row, made.record.prompt)) for row in (hostile, plain)
    )
    assert asked == [tuple(trained)]
    assert asked[0].count(tokenizer.stop_id) == framed.count(tokenizer.stop_id)


def test_a_damaged_folder_is_one_sentence(model):
    made = model()
    (made.folder / "model.safetensors").write_bytes(b"broken")
    with pytest.raises(RunFailed, match="export it again: yoyak export"):
        list(ExportedPredictor().generate(job_of(made, made.rows)))


def test_predict_writes_the_folders_answers_and_refuses_another_folder(model, tmp_path):
    model = model()
    source = tmp_path / "in.csv"
    with source.open("w", encoding="utf-8", newline="") as stream:
        rows = [(row.id, row.text) for row in model.rows]
        csv.writer(stream).writerows([("id", "dialogue"), *rows])
    request = BatchRequest(source, tmp_path / "out", exported_model(model.folder), {}, "jsonl", 2)
    summary = predict(request)
    assert (summary.rows, summary.run) == (len(model.rows), model.record.run)
    lines = (tmp_path / "out" / "predictions.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(line)["summary"] for line in lines] == model.said
    assert set(summary.flags) <= set(ErrorType)
    assert predict(request).new_rows == 0
    settings = model.folder / "generation_config.json"
    settings.write_text(settings.read_text("utf-8") + "\n", encoding="utf-8")
    other = request._replace(model=exported_model(model.folder))
    with pytest.raises(BadData, match="differs"):
        predict(other)

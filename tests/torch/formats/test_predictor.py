"""yoyak predict --model: an exported folder answers files as the run would, from itself alone."""

import csv
import json
import shutil

import msgspec
import pytest

from yoyak.engine import GenerateJob
from yoyak.engine.formats.predictor import ExportedPredictor
from yoyak.errors import BadData
from yoyak.metrics.diagnostics.error_types import ErrorType
from yoyak.prediction.model import exported_model
from yoyak.prediction.predict import BatchRequest, predict
from yoyak.values import Split, StopReason

pytestmark = pytest.mark.torch


@pytest.fixture
def model(exported):
    """A taught toy, exported, beside what its run answers; nothing else of the run is left."""
    form = exported("qwen3", "merged")
    (form.folder / "recipe.json").write_bytes(msgspec.json.encode(form.request.recipe))
    shutil.rmtree(form.request.engine_folder)
    return form


def test_the_folder_answers_as_its_run_and_knows_why_each_answer_ended(model):
    recipe = model.request.recipe
    job = GenerateJob(
        recipe, recipe.decode, model.rows, Split(name="train", dialogues=(), fingerprint=""),
        model.folder, lambda _: None,
    )  # fmt: skip
    predictor = ExportedPredictor()
    for _ in range(2):  # the second time with what is loaded
        found = list(predictor.generate(job))
        assert [one.text for one in found] == model.said
        assert [one.id for one in found] == [row.id for row in model.rows]
        for one in found:
            is_cut = one.tokens >= model.record.longest_answer
            assert one.tokens > 0
            assert (one.stop is StopReason.LENGTH) is is_cut


def test_predict_writes_the_folders_answers_and_refuses_another_folder(model, tmp_path):
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

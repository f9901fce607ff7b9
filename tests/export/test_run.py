"""What leaves the workspace: faithful for machines, harmless in a spreadsheet, never in the way."""

import csv

import msgspec
import pytest

from yoyak.config import load
from yoyak.data import sample
from yoyak.data.corpus import read_corpus
from yoyak.errors import BadData, CannotWrite, InputMissing
from yoyak.export import run as exporter
from yoyak.export.run import AnswerRow, check_target, export_model, export_rows, rows
from yoyak.runs.workspace import Workspace
from yoyak.scheduler import provenance
from yoyak.values import Prediction, StopReason

pytestmark = pytest.mark.process

HOSTILE = '=HYPERLINK("http://evil.example")'


@pytest.fixture(scope="module")
def corpus():
    return read_corpus(sample.folder())


@pytest.fixture
def make_run(tmp_path, corpus):
    record = msgspec.json.encode(provenance.gather(corpus))
    workspace = Workspace(tmp_path / "workspace")

    def make(name, texts=(), sets=()):
        recipe = load.resolve(name, sets=sets).recipe
        run = workspace.find_or_create(recipe, corpus, lambda: record)
        run.begin_predictions("dev", "inputs")
        said = [
            Prediction(id=one.id, text=text, raw=text, tokens=1, stop=StopReason.STOP_TOKEN)
            for one, text in zip(corpus.dev.dialogues, texts, strict=False)
        ]
        run.add_predictions("dev", said)
        return run

    return make


def test_answers_stand_side_by_side_as_far_as_all_have_answered(make_run, corpus):
    runs = [make_run("lead", ["가", HOSTILE, "다"]), make_run("tiny-bart", ["라", "마"])]
    found = list(rows(runs, corpus.dev))
    assert [row.summaries for row in found] == [
        {"lead": "가", "tiny-bart": "라"},
        {"lead": HOSTILE, "tiny-bart": "마"},
    ]
    assert found[0].references == corpus.dev.dialogues[0].references
    assert found[0].rouge_mean == {}, "nothing was judged, and unknown is not zero"


def test_a_formula_is_disarmed_in_a_table_and_faithful_in_jsonl(make_run, corpus, tmp_path):
    found = list(rows([make_run("lead", ["가", HOSTILE])], corpus.dev))
    table = export_rows(found, tmp_path / "dev.csv")
    with table.open(encoding="utf-8-sig", newline="") as lines:
        read = list(csv.DictReader(lines))
    assert [row["lead"] for row in read] == ["가", f"'{HOSTILE}"]
    assert read[0]["dialogue"] == corpus.dev.dialogues[0].text
    assert table.read_bytes().startswith(b"\xef\xbb\xbf"), "spreadsheets know Korean by this mark"
    lines = export_rows(found, tmp_path / "dev.jsonl").read_bytes().splitlines()
    assert [msgspec.json.decode(line, type=AnswerRow) for line in lines] == found


def test_the_format_does_not_depend_on_the_case_of_the_ending(make_run, corpus, tmp_path):
    found = list(rows([make_run("lead", ["가"])], corpus.dev))
    upper, lower = (export_rows(found, tmp_path / name) for name in ("a.CSV", "b.csv"))
    assert upper.read_bytes() == lower.read_bytes()


def test_answers_to_other_data_are_not_put_beside_these_dialogues(make_run, corpus):
    """The ids may be the same: what counts is what the run was asked."""
    run = make_run("lead", ["가"])
    other = msgspec.structs.replace(corpus.dev, fingerprint="0" * 64)
    with pytest.raises(BadData, match=run.name):
        list(rows([run], other))


def test_a_floor_has_no_model_to_export(make_run, tmp_path):
    with pytest.raises(InputMissing, match="no weights"):
        export_model(make_run("lead"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.torch
def test_a_run_without_weights_and_a_folder_of_somebody_else_are_refused(make_run, tmp_path):
    pytest.importorskip("torch")
    with pytest.raises(InputMissing, match="no complete weights"):
        export_model(make_run("tiny-bart"), tmp_path / "out")
    assert not (tmp_path / "out").exists()
    (tmp_path / "mine").mkdir()
    with pytest.raises(CannotWrite, match="no folder of an earlier export"):
        export_model(make_run("tiny-bart"), tmp_path / "mine")


def test_a_model_is_checked_on_the_runs_own_dev_and_never_on_what_it_was_trained_on(
    make_run, corpus, monkeypatch
):
    run = make_run("tiny-bart")
    checked = exporter._checked_rows(run, 7)
    assert 0 < len(checked.dialogues) <= 7
    assert set(checked.dialogues) <= set(corpus.dev.dialogues)
    assert exporter._checked_rows(run, 0) is None
    sets = ("data.with_dev=true", "evaluate.every_epochs=none")
    assert exporter._checked_rows(make_run("tiny-bart", sets=sets), 7) is None
    changed = msgspec.structs.replace(corpus.dev, fingerprint="0" * 64)
    other = msgspec.structs.replace(corpus, dev=changed)
    monkeypatch.setattr(exporter, "read_corpus", lambda _: other)
    with pytest.raises(BadData, match=run.name):
        exporter._checked_rows(run, 7)


def test_nothing_that_is_there_already_is_overwritten(tmp_path):
    table = tmp_path / "dev.csv"
    table.write_text("mine", "utf-8")
    for target in (table, tmp_path):
        with pytest.raises(CannotWrite, match="is there already"):
            check_target(target, ())
    with pytest.raises(CannotWrite, match="is there already"):
        export_rows([], table)
    assert table.read_text("utf-8") == "mine"
    check_target(tmp_path / "new.csv", ())


def test_a_run_is_not_taken_for_an_earlier_export(make_run):
    with pytest.raises(CannotWrite, match="is there already"):
        check_target(make_run("lead").folder, ())


@pytest.mark.parametrize("name", ["inside/new.csv", "link/new.csv", "inside/../inside/new"])
def test_an_export_stays_out_of_workspace_and_data(name, tmp_path):
    inside = tmp_path / "inside"
    inside.mkdir()
    (tmp_path / "link").symlink_to(inside)
    with pytest.raises(CannotWrite, match="lies in"):
        check_target(tmp_path / name, (tmp_path / "other", inside))

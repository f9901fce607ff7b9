"""Rows beside their answers: scores, faults with spans, disagreement, and reading in slices."""

import shutil
from collections import Counter

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from yoyak.metrics.diagnostics.error_report import find_errors
from yoyak.metrics.diagnostics.error_types import ErrorType
from yoyak.metrics.scorecard import evaluate
from yoyak.report.model import load
from yoyak.report.model.load import gather, gather_rows, gather_with_rows
from yoyak.report.model.rows import RowColumn, RowSource, RowSystem, disagreement
from yoyak.runs.workspace import Workspace
from yoyak.values import Dialogue, Prediction, Split, Turn

TEXTS = {
    "dev_0": "#Person1#이 #Person3#에게 7월 9일에 오라고 합니다.",
    "dev_1": "",
    "dev_2": "#Person2#는 점심을 먹습니다.",
}


def split(name="dev", references=("#Person1#이 오라고 합니다.", "#Person2#가 갑니다.")):
    dialogues = tuple(
        Dialogue(
            id=f"dev_{place}", topic=topic, references=references,
            turns=(
                Turn(speaker="#Person1#", text="점심 먹을까?"),
                Turn(speaker="#Person2#", text="그래."),
            ),
        )
        for place, topic in enumerate(("점심", None, "약속"))
    )  # fmt: skip
    return Split(name=name, dialogues=dialogues, fingerprint="ab" * 32)


def column(run="run-1", texts=TEXTS, card=None):
    predictions = [Prediction(id=key, text=text, raw=text) for key, text in texts.items()]
    return RowColumn(RowSystem(run=run, name=run, toy=False, mean=None), predictions, card)


def source(*columns, of=None):
    return RowSource("dev-abababab", "data", of or split(), columns)


def test_faults_are_those_of_the_error_report_with_their_spans():
    whole = split()
    expected = find_errors(
        TEXTS,
        {one.id: one.references for one in whole.dialogues},
        {one.id: one for one in whole.dialogues},
    )
    rows = source(column()).rows()
    found = {(row.id, fault.fault, fault.spans) for row in rows for fault in row.answers[0].faults}
    assert found == {(one.id, one.fault, one.spans) for one in expected}
    assert {ErrorType.EMPTY, ErrorType.INVENTED_NUMBER, ErrorType.UNKNOWN_SPEAKER} <= {
        fault for _, fault, _ in found
    }


def test_scores_are_the_scorecards_and_test_rows_have_none():
    predictions = [Prediction(id=key, text=text, raw=text) for key, text in TEXTS.items()]
    card = evaluate(predictions, split(), resamples=10)
    rows = source(column(card=card)).rows()
    assert [row.answers[0].rouge for row in rows] == [row.rouge for row in card.rows]
    bare = source(column(), of=split("test", references=()))
    assert bare.table.references == 0
    assert [row.answers[0].rouge for row in bare.rows()] == [None] * 3
    assert ErrorType.INVENTED_NUMBER in {one.fault for one in bare.rows()[0].answers[0].faults}


def test_a_system_without_an_answer_has_none_and_takes_no_part_in_disagreement():
    partial = column("run-2", {"dev_2": "아무 말도 없습니다."})
    rows = source(column(), partial).rows()
    assert [row.answers[1] is None for row in rows] == [True, True, False]
    assert [row.disagreement for row in rows] == [None, None, 1.0]
    assert source(column(), partial).answers("dev_0") == {"run-1": TEXTS["dev_0"]}
    assert source(column()).answers("dev_99") == {}


def test_slices_together_are_the_whole():
    one = source(column(), column("run-2"))
    assert one.rows(0, 1) + one.rows(1, 2) + one.rows(2, None) == one.rows()
    assert one.rows(3, 9) == ()


def test_counts_of_faults_are_those_of_the_rows_and_stand_in_the_report(two_leads):
    one = source(column(), column("run-2", {"dev_2": ""}))
    for place, run in enumerate(("run-1", "run-2")):
        answers = [row.answers[place] for row in one.rows()]
        shown = Counter(each.fault for answer in answers if answer for each in answer.faults)
        assert +Counter(one.fault_counts()[run]) == shown
    assert one.fault_counts()["run-2"][ErrorType.EMPTY] == 1
    view = gather(two_leads)
    found = gather_with_rows(two_leads)
    dev = next(one for one in found.rows if one.table.split == "dev")
    (system, *_) = [one for one in found.view.systems if one.quality]
    assert system.quality.faults == dev.fault_counts()[system.run]
    assert ErrorType.INVENTED_NAME in system.quality.faults
    counted = next(one for one in view.systems if one.run == system.run).quality.faults
    assert {kind: system.quality.faults[kind] for kind in counted} == counted


def test_decomposed_hangul_is_composed():
    (row, *_) = source(column(texts={"dev_0": "\u1112\u1161\u11ab"})).rows()
    assert row.answers[0].text == "한"


WORDS = st.lists(st.sampled_from(["가", "나", "다", "라"]), max_size=6).map(" ".join)


@given(st.lists(WORDS, min_size=2, max_size=4))
def test_disagreement_is_a_share_that_ignores_the_order_of_the_systems(texts):
    found = disagreement(texts)
    assert 0 <= found <= 1
    assert found == pytest.approx(disagreement(texts[::-1]))
    assert disagreement([texts[0]] * 3) == 0


def test_disagreement_is_one_less_the_f1_of_the_words():
    # Words in common: 2 of 3 and of 5: F1 = 2·2 / 8
    assert disagreement(["가 나 다", "나 다 라 마 바"]) == pytest.approx(1 - 4 / 8)
    assert disagreement(["가"]) is None


def test_a_workspace_has_a_table_per_split(two_leads):
    sources = gather_rows(two_leads)
    assert [one.table.split for one in sources] == ["dev", "dev2", "test"]
    view = gather(two_leads)
    by_run = {one.run: one.quality.mean.value for one in view.systems}
    dev, _, test = sources
    assert {one.run: one.mean for one in dev.table.systems} == by_run
    rows = dev.rows()
    for place, system in enumerate(dev.table.systems):
        mean = sum(row.answers[place].rouge.mean for row in rows) / len(rows)
        assert mean == pytest.approx(by_run[system.run])
    assert test.table.references == 0
    assert all(one.mean is None for one in test.table.systems)


def test_a_table_keeps_its_key_when_a_newer_run_has_another_protocol(two_leads, monkeypatch):
    oldest, newest = (run.name for run in two_leads.runs())
    (before,) = [one.table for one in gather_rows(two_leads) if one.table.split == "dev"]
    read = load._read

    def scored_otherwise(workspace, run, compared):
        found = read(workspace, run, compared)
        if run.name == oldest:
            return found
        quality = found.record.quality
        basis = msgspec.structs.replace(quality.basis, signature="another protocol")
        quality = msgspec.structs.replace(quality, basis=basis)
        return found._replace(record=found.record._replace(quality=quality))

    monkeypatch.setattr(load, "_read", scored_otherwise)
    after = [one.table for one in gather_rows(two_leads) if one.table.split == "dev"]
    assert {one.key: [system.run for system in one.systems] for one in after} == {
        before.key: [oldest], f"{before.key}-1": [newest],
    }  # fmt: skip


def test_edited_predictions_of_test_are_left_out(two_leads, tmp_path):
    copied = Workspace(tmp_path / "copied")
    shutil.copytree(two_leads.folder, copied.folder)
    edited, whole = copied.runs()
    path = edited.predictions_path("test")
    path.write_bytes(path.read_bytes().replace(b"#Person1#", b"#Person2#", 1))
    tables = {one.table.split: one.table for one in gather_rows(copied)}
    assert {one.run for one in tables["dev"].systems} == {edited.name, whole.name}
    assert {one.run for one in tables["test"].systems} == {whole.name}

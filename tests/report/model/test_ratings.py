"""Ratings of texts that are still the ones shown, by name and whichever side they stood on."""

import shutil

import msgspec
import pytest

from yoyak.metrics.significance import Verdict
from yoyak.report.model.load import gather
from yoyak.report.model.ratings import rated_pairs
from yoyak.report.model.rows import RowColumn, RowSource, RowSystem
from yoyak.runs.ratings import PairRating, RowNote, Side, append_record, texts_sha256
from yoyak.runs.workspace import Workspace
from yoyak.values import Dialogue, Prediction, Split, Turn


@pytest.fixture(scope="module")
def source():
    dialogues = tuple(
        Dialogue(id=f"dev_{place}", turns=(Turn(speaker="#Person1#", text="네"),))
        for place in range(9)
    )
    split = Split(name="test", dialogues=dialogues, fingerprint="ab" * 32)
    columns = [
        RowColumn(
            RowSystem(run=run, name=run.upper(), toy=False, mean=None),
            [Prediction(id=one.id, text=f"{run} {one.id}", raw="") for one in dialogues],
            None,
        )
        for run in ("kobart", "solar")
    ]
    return RowSource("test-ab", "data", split, columns)


def rating(row, winner, *, turned=False, rater="민지", text=None):
    left, right = ("solar", "kobart") if turned else ("kobart", "solar")
    choice = Side.TIE if winner is None else Side.LEFT if winner == left else Side.RIGHT
    texts = [text or f"{run} dev_{row}" for run in (left, right)]
    return PairRating(
        at=1.0, table="test-ab", row=f"dev_{row}", rater=rater, left=left, right=right,
        choice=choice, texts_sha256=texts_sha256(*texts),
    )  # fmt: skip


def test_the_side_does_not_matter(source):
    (pair,) = rated_pairs([source], [rating(row, "solar", turned=row % 2 == 0) for row in range(8)])
    assert (pair.one, pair.other, pair.split) == ("KOBART", "SOLAR", "test")
    assert (pair.preference.one_better, pair.preference.other_better) == (0, 8)
    assert pair.preference.verdict is Verdict.WORSE


def test_ratings_of_other_texts_rows_tables_and_of_a_system_with_itself_are_left_out(source):
    good = rating(0, "solar")
    records = [
        good,
        rating(1, "solar", text="이전의 요약"),
        rating(99, "solar"),
        msgspec.structs.replace(good, table="test-other", row="dev_2"),
        msgspec.structs.replace(
            good, row="dev_3", right="kobart", texts_sha256=texts_sha256(*["kobart dev_3"] * 2)
        ),
        RowNote(at=1.0, table="test-ab", row="dev_4", rater="민지", text="메모"),
    ]
    (pair,) = rated_pairs([source], records)
    found = pair.preference
    assert (found.one_better, found.other_better, found.ties) == (0, 1, 0)
    assert rated_pairs([source], records[1:]) == ()


def test_the_report_has_the_workspaces_ratings_and_names_damaged_lines(two_leads, tmp_path):
    workspace = Workspace(tmp_path / "copied")
    shutil.copytree(two_leads.folder, workspace.folder)
    assert gather(workspace).ratings == ()
    one, other = sorted(workspace.runs(), key=lambda run: run.name)
    texts = {
        run.name: {each.id: each.text for each in run.predictions("dev")} for run in (one, other)
    }
    for row in range(6):
        left, right = texts[one.name][f"dev_{row}"], texts[other.name][f"dev_{row}"]
        append_record(
            workspace.ratings_path,
            PairRating(
                at=1.0, table=f"dev-{one.identity.dev_sha256[:8]}", row=f"dev_{row}", rater="민지",
                left=one.name, right=other.name, choice=Side.RIGHT,
                texts_sha256=texts_sha256(left, right),
            ),
        )  # fmt: skip
    with workspace.ratings_path.open("ab") as log:
        log.write(b"{}\n")
    found = gather(workspace)
    (pair,) = found.ratings
    assert (pair.one, pair.other) == (one.name, other.name)  # one recipe: named by their runs
    assert pair.preference.verdict is Verdict.WORSE
    assert [each.rule for each in found.findings if "ratings" in each.rule] == ["damaged-ratings"]

"""Stored out-of-fold scores."""

import pytest

from yoyak.errors import BadData
from yoyak.metrics.scorecard import evaluate
from yoyak.runs.fold_scores import FoldScores, fold_scores, read_fold_scores, write_fold_scores
from yoyak.runs.workspace import Workspace
from yoyak.values import Dialogue, Split, Turn

TURN = Turn(speaker="#Person1#", text="네")


def scores(key, seed):
    rows = tuple(
        Dialogue(
            id=f"r{at}", turns=(Turn(speaker="#Person1#", text="네"),), references=(f"요약 {at}.",)
        )
        for at in range(4)
    )
    split = Split(name="train", dialogues=rows, fingerprint="f")
    card = evaluate({row.id: "요약 1." for row in rows}, split, resamples=20)
    return FoldScores(
        key=key,
        recipe="kobart",
        seed=seed,
        folds=2,
        train_sha256="f",
        outputs={"a": "1"},
        card=card,
    )


def test_scores_come_back_by_training_and_seed(tmp_path):
    workspace = Workspace(tmp_path)
    assert fold_scores(workspace) == []
    stored = [scores("b" * 64, 43), scores("b" * 64, 42), scores("a" * 64, 42)]
    for one in stored:
        write_fold_scores(workspace, one)
    assert read_fold_scores(workspace, "b" * 64, 43) == stored[0]
    assert read_fold_scores(workspace, "c" * 64, 42) is None
    assert fold_scores(workspace) == [stored[2], stored[1], stored[0]]


def test_a_damaged_record_is_named(tmp_path):
    workspace = Workspace(tmp_path)
    write_fold_scores(workspace, scores("b" * 64, 43))
    [path] = (tmp_path / "folds").glob("*.json")
    path.write_text("{")
    with pytest.raises(BadData, match=path.name):
        fold_scores(workspace)

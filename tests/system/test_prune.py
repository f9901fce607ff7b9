"""Room is made in order, and never at the price of a result."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yoyak.config import load
from yoyak.errors import CannotWrite
from yoyak.events import Evaluated, Stopped
from yoyak.files import atomic
from yoyak.scheduler.stages import StageContext, run_stages
from yoyak.system.prune import PruneCandidate, PruneKind, candidates, is_safe, kept_steps, prune
from yoyak.values import Interval, Rouge


def checkpoint(run, step):
    with atomic.whole_folder(run.folder / "checkpoints" / f"step-{step:06d}") as folder:
        (folder / "moments.safetensors").write_bytes(os.urandom(64))


def best_at(run, step):
    run.emit(
        Evaluated(
            at=1.0, step=step, epoch=1.0, rouge=Rouge(rouge1=0.5, rouge2=0.2, rougeL=0.4),
            interval=Interval(low=0.3, high=0.4), rows=8, signature="s", seconds=1.0, best=True,
        )
    )  # fmt: skip


@pytest.fixture
def run(workspace, corpus):
    return workspace.find_or_create(load.resolve("lead").recipe, corpus, lambda: b"{}")


@pytest.fixture
def interrupted(run):
    for step in (10, 20, 30, 40):
        checkpoint(run, step)
    best_at(run, 10)
    run.emit(Stopped(at=2.0, step=40, reason="asked"))
    return run


@pytest.fixture
def finished(interrupted, corpus):
    with atomic.whole_folder(interrupted.folder / "weights") as folder:
        (folder / "adapter.safetensors").write_bytes(b"learned")
    run_stages(StageContext(interrupted, corpus, lambda: False))
    return interrupted


def named(found):
    return [(each.kind.value, Path(each.path).name) for each in found]


def steps_left(run):
    return sorted(path.name for path in (run.folder / "checkpoints").glob("step-*"))


def test_an_interrupted_run_keeps_best_last_and_previous(workspace, interrupted):
    assert named(candidates(workspace)) == [("checkpoint", "step-000020")]
    prune(workspace, candidates(workspace))
    assert steps_left(interrupted) == ["step-000010", "step-000030", "step-000040"]


def test_a_finished_run_keeps_its_best(workspace, finished):
    assert is_safe(finished)
    prune(workspace, candidates(workspace))
    assert steps_left(finished) == ["step-000010"]
    assert candidates(workspace) == ()


@pytest.mark.parametrize(
    "lost",
    [
        "weights/adapter.safetensors", "scores/dev.json", "predictions/dev.jsonl",
        "predictions/test.jsonl",
    ],
)  # fmt: skip
def test_checkpoints_stay_until_result_and_weights_are_verified(workspace, finished, lost):
    (finished.folder / lost).write_bytes(b"torn")
    assert not is_safe(finished)
    assert named(candidates(workspace)) == [("checkpoint", "step-000020")]


def test_a_torn_checkpoint_does_not_count_as_one_of_the_two(workspace, interrupted):
    torn = interrupted.folder / "checkpoints" / "step-000040" / "moments.safetensors"
    torn.write_bytes(b"torn")
    # 20 is now the previous one; what is torn may be somebody's last hope and is not touched.
    assert candidates(workspace) == ()


def test_a_run_that_somebody_works_on_is_left_alone(workspace, interrupted):
    chosen = candidates(workspace)
    with interrupted.lock():
        assert candidates(workspace) == ()
        assert prune(workspace, chosen) == ()
    assert prune(workspace, chosen) == chosen


def test_what_killed_writers_left_goes_first(workspace, interrupted):
    left = interrupted.folder / "checkpoints" / ".step-000050.tmp-4242"
    left.mkdir()
    (left / atomic.MARKER).touch()
    (left / "half").write_bytes(b"x" * 10)
    atomic.set_aside(interrupted.folder / "checkpoints" / "step-000030", "torn")
    old = interrupted.folder / "predictions" / ".old-dev.jsonl-0"
    old.parent.mkdir()
    old.write_bytes(b"{}\n")
    found = candidates(workspace)
    assert [each.kind for each in found] == sorted(
        (each.kind for each in found), key=list(PruneKind).index
    )
    assert {name for kind, name in named(found) if kind == "trash"} == {
        left.name, old.name, ".torn-step-000030-0",
    }  # fmt: skip
    assert prune(workspace, found) == found
    assert not left.exists()
    assert not old.exists()


def test_a_folder_without_our_mark_is_never_removed(workspace, interrupted, tmp_path):
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis.txt").write_text("years", encoding="utf-8")
    foreign = interrupted.folder / "checkpoints" / ".trash-foreign"
    foreign.symlink_to(precious)
    unmarked = interrupted.folder / "checkpoints" / ".trash-unmarked"
    unmarked.mkdir()
    (unmarked / "file").touch()
    prune(workspace, candidates(workspace))
    assert (precious / "thesis.txt").exists()
    assert (unmarked / "file").exists()
    with pytest.raises(CannotWrite):
        prune(
            workspace, [PruneCandidate(path=str(precious), kind=PruneKind.CHECKPOINT, size_bytes=5)]
        )


@pytest.fixture
def cached(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))

    def make(base):
        folder = tmp_path / "hub" / f"models--{base.replace('/', '--')}" / "blobs"
        folder.mkdir(parents=True)
        (folder / "blob").write_bytes(b"x" * 100)
        return folder.parent

    return make


@pytest.fixture
def with_base(workspace, corpus, cached):
    """A finished run of a base in the cache; the floor's engine stands in for a model."""

    def make(*sets):
        sets = ("engine=lead", "model.base=org/name", *sets)
        recipe = load.resolve("lead", sets=sets).recipe
        run = workspace.find_or_create(recipe, corpus, lambda: b"{}")
        with atomic.whole_folder(run.folder / "weights") as folder:
            (folder / "adapter.safetensors").write_bytes(b"learned")
        run_stages(StageContext(run, corpus, lambda: False))
        return run

    cached("org/name")
    return make


def test_a_base_goes_only_if_asked_and_needed_by_nobody(workspace, with_base):
    with_base()
    assert candidates(workspace) == ()
    assert candidates(workspace, hub=True, needed_bases=["org/name"]) == ()
    (base,) = candidates(workspace, hub=True)
    assert (base.kind, base.size_bytes) == (PruneKind.BASE, 100)
    prune(workspace, [base])
    assert not Path(base.path).exists()


def test_a_base_that_an_unfinished_run_needs_stays(workspace, with_base, corpus):
    with_base()
    recipe = load.resolve("lead", sets=["name=other", "model.base=org/name"]).recipe
    workspace.find_or_create(recipe, corpus, lambda: b"{}")
    assert candidates(workspace, hub=True) == ()


def test_a_pinned_revision_is_somebodys_choice_and_stays(workspace, with_base):
    with_base("model.revision=0123abcd")
    assert candidates(workspace, hub=True) == ()


@given(
    steps=st.sets(st.integers(0, 10_000)),
    best=st.none() | st.integers(0, 10_000),
    finished=st.booleans(),
)
def test_something_to_go_on_with_is_always_kept(steps, best, finished):
    kept = kept_steps(steps, best, finished=finished)
    assert kept <= steps
    assert bool(kept) == bool(steps)
    if best in steps:
        assert best in kept
    if not finished:
        assert set(sorted(steps)[-2:]) <= kept


@pytest.fixture
def soup(finished):
    """A soup of the finished run, answered and scored as the run itself; and its encoded rows."""
    with atomic.whole_folder(finished.folder / "soups" / "1f2e3d" / "weights") as folder:
        (folder / "model.safetensors").write_bytes(b"averaged")
    for split in ("dev", "test"):
        variant = finished.begin_predictions(split, "inputs", "soup-1f2e3d-greedy")
        assert variant == []
        finished.add_predictions(split, finished.predictions(split), "soup-1f2e3d-greedy")
    finished.write_scorecard("dev", finished.scorecard("dev"), "soup-1f2e3d-greedy")
    (finished.folder / "tokens").mkdir()
    (finished.folder / "tokens" / "0123.msgpack").write_bytes(b"rows")
    return finished


def test_all_that_goes_goes_in_the_declared_order(workspace, soup):
    (soup.folder / "soups" / "1f2e3d" / ".weights.tmp-4242").mkdir()
    found = candidates(workspace)
    assert [kind for kind, _ in named(found)] == [
        "trash", "tokens", "checkpoint", "checkpoint", "checkpoint", "soup",
    ]  # fmt: skip
    assert prune(workspace, found) == found
    assert candidates(workspace) == ()
    assert steps_left(soup) == ["step-000010"]
    assert (soup.folder / "weights" / "adapter.safetensors").exists()
    assert soup.predictions("test", "soup-1f2e3d-greedy")


@pytest.mark.parametrize(
    "lost", ["predictions/test@soup-1f2e3d-greedy.jsonl", "scores/dev@soup-1f2e3d-greedy.json"]
)
def test_a_soup_stays_until_it_has_answered_and_is_scored(workspace, soup, lost):
    (soup.folder / lost).unlink()
    assert "soup" not in [kind for kind, _ in named(candidates(workspace))]


def test_a_soup_whose_answer_was_handed_in_stays(workspace, soup):
    workspace.ledger_path.write_text('{"parts": ["run@soup-1f2e3d-greedy"]}', encoding="utf-8")
    assert "soup" not in [kind for kind, _ in named(candidates(workspace))]


def test_encoded_rows_stay_while_the_run_may_need_them(workspace, interrupted):
    (interrupted.folder / "tokens").mkdir()
    (interrupted.folder / "tokens" / "0123.msgpack").write_bytes(b"rows")
    assert "tokens" not in [kind for kind, _ in named(candidates(workspace))]

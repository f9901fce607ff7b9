"""A run that is stopped, or killed, anywhere ends with the very weights of one that was not."""

import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from support.training import SETS, STEPS, Crash, finish, train
from yoyak import events

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")
from yoyak.errors import Interrupted  # noqa: E402

FORMS = (
    "bart",
    pytest.param("lora", marks=pytest.mark.slow),
    pytest.param("nf4", marks=pytest.mark.slow),  # tests/faults/test_kills.py is the quicker kin
)


@pytest.mark.parametrize("form", FORMS)
def test_a_crash_at_any_moment_changes_nothing(form, context, bits, whole, tmp_path):
    expected = whole(form)
    moments = (
        (events.TrainStep, 2),
        (events.TrainStep, 7),
        (events.CheckpointSaved, 3),
        (events.Evaluated, 1),
    )
    for number, (kind, count) in enumerate(moments):
        folder = tmp_path / f"crash-{number}"
        left = count

        def crash(event, kind=kind):
            nonlocal left
            left -= isinstance(event, kind)
            if left == 0:
                raise Crash

        with pytest.raises(Crash):
            train(context(form, *SETS, folder=folder, emit=crash))
        assert finish(context(form, *SETS, folder=folder), bits) == expected


@pytest.mark.parametrize("form", ["bart", pytest.param("nf4", marks=pytest.mark.slow)])
def test_stops_on_request_with_everything_saved(form, context, bits, whole, tmp_path):
    expected = whole(form)
    asked = iter([False, False, True] + [False] * 2 + [True] + [False] * 50)
    context.said.clear()
    for _ in range(2):
        with pytest.raises(Interrupted):
            train(context(form, *SETS, stop=lambda: next(asked)))
        assert isinstance(context.said[-1], events.Stopped)
        saved = [event for event in context.said if isinstance(event, events.CheckpointSaved)]
        assert saved[-1].step == context.said[-1].step, "not a step is lost"
    assert finish(context(form, *SETS), bits) == expected


def test_a_stop_during_judging_judges_again_on_return(context, bits, whole):
    expected = whole("bart")
    stop = False

    def emit(event):
        nonlocal stop
        stop = isinstance(event, events.TrainStep) and event.step == 4

    with pytest.raises(Interrupted):
        train(context("bart", *SETS, stop=lambda: stop, emit=emit))
    context.said.clear()
    assert finish(context("bart", *SETS), bits) == expected
    assert next(event.step for event in context.said if isinstance(event, events.Evaluated)) == 4


def test_sigkill_of_the_process_changes_nothing(context, bits, whole, tmp_path):
    """The real thing, once: the process is gone in the middle of writing a checkpoint."""
    expected = whole("bart")
    folder = tmp_path / "killed"
    script = textwrap.dedent(
        f"""
        import os, pathlib, sys, importlib.util, safetensors.torch as st
        where = {str(Path(__file__).parents[1])!r}
        sys.path.insert(0, {str(Path(__file__).parents[2])!r})
        def module(name, path):
            spec = importlib.util.spec_from_file_location(name, path)
            made = importlib.util.module_from_spec(spec); spec.loader.exec_module(made); return made
        parent = module("parent", where + "/conftest.py")
        from support import training as own
        from yoyak.config.load import resolve
        from yoyak.engine import TrainJob
        from yoyak.engine.pipeline import finetune
        name, form = own.FORMS["bart"]
        rows = [parent.make_dialogue(number) for number in range(32)]
        job = TrainJob(
            recipe=resolve(name, sets=(*own.SMALL, *form, *{SETS!r})).recipe,
            train=own.as_split("train", rows[:16]), dev=own.as_split("dev", rows[20:26]),
            folder=pathlib.Path({str(folder)!r}), emit=lambda event: None, stop_asked=lambda: False,
        )
        context = finetune.build_context(job, finetune.prepare(job, "seq2seq"))
        write, left = st.save_file, [7]
        def save_file(tensors, path):
            write(tensors, path)
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), {int(signal.SIGKILL)})
        st.save_file = save_file
        own.train(context)
        """
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert any(".tmp-" in path.name for path in (folder / "checkpoints").iterdir())
    assert finish(context("bart", *SETS, folder=folder), bits) == expected


def test_every_event_of_a_run_is_told(context):
    progress = train(context("bart", *SETS))
    said = context.said
    assert isinstance(said[0], events.Prepared)
    assert said[0].rows == 16
    assert said[0].steps == STEPS
    steps = [event for event in said if isinstance(event, events.TrainStep)]
    assert [event.step for event in steps] == list(range(1, STEPS + 1))
    assert sum(event.supervised_tokens for event in steps[:4]) == (
        said[0].supervised_tokens_per_epoch
    )
    assert sum(event.tokens for event in steps[4:8]) == said[0].tokens_per_epoch
    assert [event.step for event in said if isinstance(event, events.Evaluated)] == [0, 4, 8, 11]
    assert progress.best_step in {4, 8, 11}
    kept = {0, 3, 4, 6, 8, 9, 11}
    assert [event.step for event in said if isinstance(event, events.CheckpointSaved)] == sorted(
        kept
    )


def test_keeps_the_best_the_last_and_the_one_before(context):
    made = context("bart", *SETS)
    progress = train(made)
    assert made.checkpoints.steps() == sorted({progress.best_step, 9, 11})


def test_patience_ends_a_run_that_gets_no_better(context):
    sets = (*SETS, "train.learning_rate=1e-9", "evaluate.patience=2", "train.max_steps=40")
    progress = train(context("bart", *sets))
    assert (progress.step, progress.best_step, progress.stale) == (12, 4, 2)

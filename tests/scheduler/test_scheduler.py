"""The parent of all workers: how runs end, retries, several GPUs, limits and signals."""

import os
import signal
import subprocess
import sys
import time

import pytest

from yoyak import messages
from yoyak.config.project import Project, ResourceLimits
from yoyak.data import sample
from yoyak.data.corpus import read_corpus
from yoyak.errors import DiskFull
from yoyak.events import RunStatus, StageStarted, Started, TrainStep, Warned
from yoyak.report.model.load import gather
from yoyak.report.render import markdown
from yoyak.runs.run import Run
from yoyak.runs.workspace import Workspace
from yoyak.scheduler import control, create_runs, scheduler
from yoyak.scheduler.local_machine import LocalMachine
from yoyak.scheduler.scheduler import RunResult, Scheduler

pytestmark = pytest.mark.process

GENTLE = ResourceLimits(disk_free_gb=0.0, ram_free_gb=0.0)


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(scheduler, "POLL_SECONDS", 0.02)


def run_all(corpus, runs, on_event=lambda run, event: None, limits_=GENTLE):
    return [outcome.result for outcome in Scheduler(corpus, on_event, limits_).run_all(runs)]


def line_of(corpus, limits_=GENTLE, **named):
    return Scheduler(corpus, lambda run, event: None, limits_, LocalMachine(**named))


def wait_for(condition):
    until = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < until, "it never happened"
        time.sleep(0.02)


# --- how runs end --------------------------------------------------------------------------------


def test_four_runs_that_end_in_four_ways(runs_of, corpus):
    failing, doomed, patient, steady = runs = runs_of("Failing", "Doomed", "Patient", "Steady")

    def stop_the_patient_one(run, event):
        if run is patient and isinstance(event, TrainStep) and event.step == 3:
            os.kill(os.getpid(), signal.SIGTERM)

    assert run_all(corpus, runs, stop_the_patient_one) == [
        RunResult.FAILED, RunResult.FINISHED, RunResult.INTERRUPTED, RunResult.INTERRUPTED,
    ]  # fmt: skip
    assert [run.state().status for run in runs] == [
        RunStatus.FAILED, RunStatus.FINISHED, RunStatus.STOPPED, RunStatus.QUEUED,
    ]  # fmt: skip
    stopped_at = patient.state().step
    assert 3 <= stopped_at < 60
    # The very same command again: what failed fails again, the others come to their end.
    assert run_all(corpus, runs) == [
        RunResult.FAILED, RunResult.ALREADY_DONE, RunResult.FINISHED, RunResult.FINISHED,
    ]  # fmt: skip
    assert failing.state().failed.kind == "RuntimeError"
    assert doomed.state().attempts == 2
    steps = [event.step for event in patient.events() if isinstance(event, TrainStep)]
    assert steps == list(range(1, 61))  # none lost, none done twice
    assert all(run.scorecard() is not None for run in (doomed, patient, steady))
    assert run_all(corpus, runs[1:]) == [RunResult.ALREADY_DONE] * 3


def test_one_run_is_stopped_from_another_process_and_the_others_go_on(runs_of, corpus):
    patient, _ = runs = runs_of("Patient", "Steady")

    def stop(run, event):
        if run is patient and isinstance(event, TrainStep) and event.step == 3:
            control.stop_run(Run(patient.folder))

    assert run_all(corpus, runs, stop) == [RunResult.INTERRUPTED, RunResult.FINISHED]
    assert [run.state().status for run in runs] == [RunStatus.STOPPED, RunStatus.FINISHED]
    assert run_all(corpus, [patient]) == [RunResult.FINISHED]


def test_a_run_that_is_put_first_while_another_works_is_next(runs_of, corpus):
    one, two, three = runs = runs_of("Failing", "Patient", "Steady")
    begun = []

    def put_the_last_one_first(run, event):
        if isinstance(event, Started):
            begun.append(run)
            if run is one:
                control.put_first(Run(three.folder))

    run_all(corpus, runs, put_the_last_one_first)
    assert begun == [one, three, two]


def test_a_crash_without_a_word_is_a_failure_that_says_so(runs_of, corpus):
    (run,) = runs_of("Crashing")
    told = []
    assert run_all(corpus, [run], lambda run, event: told.append(event)) == [RunResult.FAILED]
    failed = run.state().failed
    assert "SIGABRT" in failed.message
    assert "worker.log" in failed.message
    assert told[-1] == failed


def test_a_run_that_somebody_works_on_is_left_alone_and_its_holder_named(runs_of, corpus):
    held, free = runs_of("Patient", "Steady")
    told = []
    before = held.log_path.read_bytes()
    with held.lock():
        results = run_all(corpus, [held, free], lambda run, event: told.append((run, event)))
    assert results == [RunResult.INTERRUPTED, RunResult.FINISHED]
    assert held.log_path.read_bytes() == before
    (warned,) = [event for run, event in told if run is held]
    assert warned.key == "runs.locked"
    assert warned.fields["pid"] == str(os.getpid())


def test_a_run_goes_on_with_data_that_have_moved(runs_of, corpus, data, tmp_path):
    import shutil

    (run,) = runs_of("Steady")
    moved = shutil.copytree(data, tmp_path / "moved")
    identity = run.folder / "identity.json"
    identity.write_text(identity.read_text("utf-8").replace(str(data), "/gone"), encoding="utf-8")
    assert run_all(read_corpus(moved), [run]) == [RunResult.FINISHED]


def test_a_run_that_finishes_after_the_stop_request_counts_as_finished(runs_of, corpus):
    first, second = runs_of("Steady", "Patient")

    def stop_while_scoring(run, event):
        if isinstance(event, StageStarted) and event.stage == "score":
            os.kill(os.getpid(), signal.SIGINT)

    results = run_all(corpus, [first, second], stop_while_scoring)
    assert results == [RunResult.FINISHED, RunResult.INTERRUPTED]


# --- retries -------------------------------------------------------------------------------------


def warnings_of(run):
    return [event.key for event in run.events() if isinstance(event, Warned)]


def test_four_runs_end_with_three_usable_ones_and_one_honest_failure(runs_of, corpus, workspace):
    runs = runs_of("Hungry", "Poisoned", "Doomed", "Steady")
    results = [outcome.result for outcome in line_of(corpus).run_all(runs)]
    assert results == [RunResult.FINISHED, RunResult.FAILED, RunResult.FINISHED, RunResult.FINISHED]
    hungry, poisoned, doomed, steady = runs
    assert all(run.scorecard() is not None for run in (hungry, doomed, steady))
    assert poisoned.state().status is RunStatus.FAILED
    assert "NaN" in poisoned.state().failed.message
    with messages.speaking("en"):
        said = markdown.render(gather(workspace))
    assert "finished 3/4" in said
    assert "failed 1/4: poisoned" in said
    for told in ("out of memory", "the worker was killed", "NaN"):
        assert told in said


def test_a_run_without_memory_gets_smaller_passes_of_the_same_batch(runs_of, corpus):
    (run,) = runs_of("Hungry")
    line_of(corpus).run_all([run])
    # 8 rows, then 4, then 2; the recipe that was asked for stays on record.
    said = [event for event in run.events() if isinstance(event, Warned)]
    assert [event.key for event in said] == ["scheduler.smaller-passes"] * 2
    assert [event.fields["rows"] for event in said] == ["4", "2"]
    assert {event.fields["batch"] for event in said} == {"8"}
    assert run.recipe.train.micro_batch_size is None


@pytest.mark.slow
def test_who_takes_the_run_up_next_week_keeps_to_the_smaller_passes(runs_of, corpus):
    (run,) = runs_of("Hungry")
    line_of(corpus).run_all([run])
    attempts = run.state().attempts
    (run.folder / "weights" / "weights.bin").write_bytes(b"torn")
    (run.folder / "predictions" / "test.jsonl").unlink()
    (outcome,) = line_of(corpus).run_all([run])
    assert outcome.result is RunResult.FINISHED
    assert run.state().attempts == attempts + 1  # it did not run out of memory again


@pytest.mark.slow
def test_a_run_that_never_has_memory_fails_after_three_rungs(runs_of, corpus):
    (run,) = runs_of("Starving")
    (outcome,) = line_of(corpus).run_all([run])
    assert outcome.result is RunResult.FAILED
    assert warnings_of(run) == ["scheduler.smaller-passes"] * 3
    assert run.state().failed.kind == "MemoryError"


@pytest.mark.slow
def test_a_worker_that_is_always_killed_is_left_for_later_after_three_times(runs_of, corpus):
    mortal, steady = runs_of("Mortal", "Steady")
    results = [outcome.result for outcome in line_of(corpus).run_all([mortal, steady])]
    assert results == [RunResult.INTERRUPTED, RunResult.FINISHED]
    assert warnings_of(mortal) == ["scheduler.taken-up-again"] * 3
    assert sum(isinstance(event, Started) for event in mortal.events()) == 4
    assert mortal.state().status is RunStatus.INTERRUPTED


# --- several GPUs --------------------------------------------------------------------------------


@pytest.fixture
def four(tmp_path, workspace, corpus):
    paths = [tmp_path / f"slow{number}.toml" for number in range(4)]
    for path in paths:
        path.write_text('engine = "doubles:Slow"', encoding="utf-8")
    return create_runs.create_runs(workspace, corpus, map(str, paths), Project(), ())


@pytest.mark.slow
def test_one_card_has_one_run_at_a_time(four, corpus):
    line_of(corpus, gpus=("3",)).run_all(four[:2])
    assert {(run.folder / "card").read_text() for run in four[:2]} == {"3"}
    assert four[1].state().started_at >= four[0].state().last_at


# --- several cores ------------------------------------------------------------------------------

TOY = """
[model.scratch]
architecture = "bart"
vocabulary = 400
width = 32
layers = 1
heads = 2
"""


@pytest.fixture
def toys_of(tmp_path, workspace, corpus):
    """Makes runs of toy models: ``name="engine"``, with what the recipe says further."""

    def make(extra=TOY, **engines):
        paths = [tmp_path / f"{name}.toml" for name in engines]
        for path, engine in zip(paths, engines.values(), strict=True):
            path.write_text(f'engine = "doubles:{engine}"\n{extra}', encoding="utf-8")
        return create_runs.create_runs(workspace, corpus, map(str, paths), Project(), ())

    return make


def test_toys_work_side_by_side_on_a_machine_without_a_gpu(toys_of, corpus):
    runs = toys_of(one="Meeting", two="Meeting")
    outcomes = line_of(corpus, gpus=(None,), cores=2).run_all(runs)
    assert [outcome.result for outcome in outcomes] == [RunResult.FINISHED] * 2


def test_a_failed_toy_leaves_the_one_beside_it_alone(toys_of, corpus):
    runs = toys_of(one="Failing", two="Doomed", three="Steady")
    outcomes = line_of(corpus, gpus=(None,), cores=2).run_all(runs)
    assert [outcome.run for outcome in outcomes] == runs
    assert [outcome.result for outcome in outcomes] == [
        RunResult.FAILED, RunResult.FINISHED, RunResult.FINISHED,
    ]  # fmt: skip


def test_a_stop_request_reaches_all_runs_at_work_and_starts_no_other(
    toys_of, corpus, monkeypatch, is_alive
):
    monkeypatch.setenv("DOUBLES_STEPS", "1000000")
    runs = toys_of(one="Meeting", two="Meeting", three="Steady")
    one, two = runs[:2]
    at_work = set()

    def stop_both(run, event):
        if isinstance(event, TrainStep):
            at_work.add(run)
            if at_work == {one, two}:
                os.kill(os.getpid(), signal.SIGINT)
                at_work.add(None)

    line = Scheduler(corpus, stop_both, GENTLE, LocalMachine(gpus=(None,), cores=2))
    assert [outcome.result for outcome in line.run_all(runs)] == [RunResult.INTERRUPTED] * 3
    assert [run.state().status for run in runs] == [
        RunStatus.STOPPED, RunStatus.STOPPED, RunStatus.QUEUED,
    ]  # fmt: skip
    for run in (one, two):
        assert (run.folder / "progress").read_text() == str(run.state().step)
        (start,) = [event for event in run.events() if isinstance(event, Started)]
        assert not is_alive(start.pid)
        assert run.holder() is None


@pytest.mark.parametrize(
    ("devices", "extra"),
    [
        ({"gpus": (None,), "cores": 1}, TOY),
        ({"gpus": ("0",), "cores": 8}, TOY),  # on a GPU, toys take turns as all runs do
        ({"gpus": (None,), "cores": 8}, ""),
    ],
    ids=["one core", "one GPU", "no toys"],
)
def test_runs_that_cannot_share_take_turns(toys_of, corpus, devices, extra):
    first, second = toys_of(extra, one="Steady", two="Steady")
    line_of(corpus, **devices).run_all([first, second])
    assert second.state().started_at >= first.state().last_at


def test_a_run_with_a_model_of_a_real_size_has_the_machine_for_itself(toys_of, corpus):
    (before,) = toys_of(before="Steady")
    (real,) = toys_of("", real="Steady")
    (after,) = toys_of(after="Steady")
    line_of(corpus, gpus=(None,), cores=8).run_all([before, real, after])
    assert real.state().started_at >= before.state().last_at
    assert after.state().started_at >= real.state().last_at


@pytest.mark.slow
def test_the_results_of_toys_do_not_depend_on_their_neighbours(tmp_path, monkeypatch):
    """Weights and answers of two trained toys, one after the other and side by side."""
    monkeypatch.delenv("OMP_NUM_THREADS")
    corpus = read_corpus(sample.folder())
    sets = ("train.max_steps=4", "evaluate.rows=4", "decode.max_new_tokens=8")
    results = []
    for cores in (1, 2):
        workspace = Workspace(tmp_path / f"on-{cores}")
        names = ("tiny-bart", "tiny-qlora")
        runs = create_runs.create_runs(workspace, corpus, names, Project(), sets)
        outcomes = line_of(corpus, gpus=(None,), cores=cores).run_all(runs)
        assert [outcome.result for outcome in outcomes] == [RunResult.FINISHED] * 2
        files = [sorted(run.folder.glob("weights/*.safetensors")) for run in runs]
        assert all(files)
        weights = [path.read_bytes() for paths in files for path in paths]
        answers = [one.raw for run in runs for one in run.predictions("dev")]
        losses = [
            event.loss for run in runs for event in run.events() if isinstance(event, TrainStep)
        ]
        results.append((weights, answers, losses))
    assert results[0] == results[1]


# --- the machine in danger -----------------------------------------------------------------------


def test_a_full_disk_stops_the_line_up_with_everything_saved(runs_of, corpus):
    runs = runs_of("Patient", "Steady")
    told = []
    results = run_all(
        corpus, runs, lambda run, event: told.append(event), ResourceLimits(disk_free_gb=10.0**9)
    )
    assert results == [RunResult.INTERRUPTED] * 2
    assert [event.key for event in told if isinstance(event, Warned)] == ["scheduler.disk-free"]
    assert not any(isinstance(event, Started) for event in runs[1].events())
    assert runs[0].state().status is not RunStatus.FAILED


def test_an_error_of_the_display_ends_no_worker_unsaved_and_orphans_none(runs_of, corpus, is_alive):
    (run,) = runs_of("Patient")

    def broken(run, event):
        if isinstance(event, TrainStep):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_all(corpus, [run], broken)
    (start,) = [event for event in run.events() if isinstance(event, Started)]
    assert not is_alive(start.pid)
    assert run.state().status is RunStatus.STOPPED


def test_a_line_up_that_the_disk_stopped_says_so_with_74(runs_of, corpus):
    line = line_of(corpus, ResourceLimits(disk_free_gb=10.0**9))
    line.run_all(runs_of("Slow"))
    assert isinstance(line.danger, DiskFull)
    assert line.danger.exit_code == 74


def test_a_run_that_ends_before_the_first_look_at_the_disk_is_stopped_all_the_same(runs_of, corpus):
    class Quick(LocalMachine):
        def start(self, *given):
            worker = super().start(*given)
            worker.process.wait()
            return worker

    quick, other = runs_of("Steady", "Patient")
    limits_ = ResourceLimits(disk_free_gb=10.0**9)
    line = Scheduler(corpus, lambda run, event: None, limits_, Quick())
    results = [outcome.result for outcome in line.run_all([quick, other])]
    assert results == [RunResult.FINISHED, RunResult.INTERRUPTED]
    assert isinstance(line.danger, DiskFull)


# --- signals from outside ------------------------------------------------------------------------

PARENT = """
import signal
import sys
from pathlib import Path
from yoyak.data.corpus import read_corpus
from yoyak.runs.run import Run
from yoyak.config.project import ResourceLimits
from yoyak.scheduler.scheduler import Scheduler
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whatever started these tests ignores
limits = ResourceLimits(disk_free_gb=0.0, ram_free_gb=0.0)
line = Scheduler(read_corpus(Path(sys.argv[1])), lambda run, event: None, limits)
(outcome,) = line.run_all([Run(Path(sys.argv[2]))])
sys.exit(outcome.exit_code)
"""


@pytest.fixture
def parent_of(data, monkeypatch):
    monkeypatch.setenv("DOUBLES_STEPS", "1000000")  # it is always at work when asked
    started = []

    def start(run):
        process = subprocess.Popen([sys.executable, "-c", PARENT, data, run.folder])
        started.append(process)
        wait_for(lambda: run.state().step >= 3)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    "number",
    [
        signal.SIGTERM,
        *(pytest.param(other, marks=pytest.mark.slow) for other in (signal.SIGINT, signal.SIGHUP)),
    ],
)
def test_a_signal_to_the_parent_ends_both_with_everything_saved(
    runs_of, parent_of, is_alive, number
):
    (run,) = runs_of("Patient")
    parent = parent_of(run)
    pid = run.holder().pid
    parent.send_signal(number)
    assert parent.wait(300) == 75
    assert not is_alive(pid)
    assert run.holder() is None
    state = run.state()
    assert state.status is RunStatus.STOPPED
    assert (run.folder / "progress").read_text() == str(state.step)


def test_a_worker_whose_parent_was_killed_saves_and_ends_by_itself(runs_of, parent_of, is_alive):
    (run,) = runs_of("Patient")
    parent = parent_of(run)
    pid = run.holder().pid
    parent.kill()
    parent.wait()
    wait_for(lambda: not is_alive(pid))
    assert run.state().status is RunStatus.STOPPED


def test_the_status_of_a_living_run_is_told_from_another_process(runs_of, parent_of, workspace):
    (run,) = runs_of("Patient")
    parent_of(run)
    code = (
        "import sys\n"
        "from pathlib import Path; from yoyak.runs.workspace import Workspace\n"
        "(run,) = Workspace(Path(sys.argv[1])).runs()\n"
        "print(run.state().status, run.holder().pid)"
    )
    said = subprocess.run(
        [sys.executable, "-c", code, workspace.folder], capture_output=True, check=True, text=True
    ).stdout
    assert said.split() == ["running", str(run.holder().pid)]

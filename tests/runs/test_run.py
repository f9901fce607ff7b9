"""A run on disk: who works on it, what happened to it, what it said."""

import json
import math
import os
import signal
from itertools import count

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from yoyak.config.schema import BeamSearch
from yoyak.errors import BadData, InputMissing, Interrupted
from yoyak.events import (
    Evaluated,
    Failed,
    Finished,
    PredictionProgress,
    Queued,
    RunState,
    RunStatus,
    StageDone,
    StageStarted,
    Started,
    Stopped,
    TrainStep,
    Warned,
    fold,
)
from yoyak.runs import run as module
from yoyak.runs.run import Run
from yoyak.values import Interval, Prediction, Rouge

STARTERS = 8


def answer(row, text="#Person1#은 빵을 샀다."):
    return Prediction(id=row, text=text, raw=text, seconds=0.5)


def started(at=2.0):
    return Started(at=at, pid=1, host="here", attempt=1)


# --- the lock ------------------------------------------------------------------------------------


def start_together(run, folder):
    """As many processes as ``STARTERS`` that go for the lock at once: their ids."""
    gate = os.pipe()
    pids = []
    for _ in range(STARTERS):
        pid = os.fork()
        if pid == 0:
            os.close(gate[1])
            os.read(gate[0], 1)  # until the parent closes its end
            _take(run, folder)
        pids.append(pid)
    os.close(gate[0])
    os.close(gate[1])
    return pids


def _take(run, folder):
    code = 1
    try:
        with run.lock():
            (folder / "winner").write_text(str(os.getpid()))
            signal.pause()
    except Interrupted as error:
        (folder / f"loser-{os.getpid()}").write_text(str(error), encoding="utf-8")
        code = error.exit_code
    finally:
        os._exit(code)


@pytest.mark.process
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_of_many_starters_one_wins_and_the_others_name_it(run, tmp_path):
    pids = start_together(run, tmp_path)
    codes = {}
    while len(codes) < STARTERS - 1:
        pid, status = os.wait()
        codes[pid] = os.waitstatus_to_exitcode(status)
    (winner,) = set(pids) - codes.keys()
    assert (tmp_path / "winner").read_text() == str(winner)
    assert set(codes.values()) == {75}
    said = {path.read_text("utf-8") for path in tmp_path.glob("loser-*")}
    (sentence,) = said
    assert f"process {winner} on {os.uname().nodename}" in sentence
    assert run.holder().pid == winner
    os.kill(winner, signal.SIGKILL)
    os.waitpid(winner, 0)
    assert run.holder() is None
    with run.lock():  # the kernel let go when the winner died
        assert run.holder().pid == os.getpid()


@pytest.mark.process
def test_asking_who_holds_a_run_never_keeps_a_worker_from_it(run, monkeypatch):
    monkeypatch.setattr(module, "LOCK_TRIES", 10_000)  # whoever asks may lose its core meanwhile
    asked, asks = os.pipe()
    pid = os.fork()
    if pid == 0:
        for number in count():
            run.holder()
            if number == 100:
                os.write(asks, b"!")
    os.read(asked, 1)
    for _ in range(200):
        with run.lock():
            assert run.holder().pid == os.getpid()
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    os.close(asked)
    os.close(asks)


# --- what happened -------------------------------------------------------------------------------


def test_the_state_is_the_fold_of_the_log(run):
    for event in (Queued(at=1.0, recipe="lead"), started(), StageStarted(at=3.0, stage="train")):
        run.emit(event)
    assert run.state().status is RunStatus.INTERRUPTED  # running by its log, but nobody is at work
    with run.lock():
        assert run.state().status is RunStatus.RUNNING
    run.emit(Failed(at=4.0, kind="x", message="y"))
    assert run.state().status is RunStatus.FAILED
    run.emit(started(at=5.0))
    run.emit(Finished(at=6.0, seconds=1.0))
    assert run.state().status is RunStatus.FINISHED
    assert run.state().attempts == 2


EVENTS = st.lists(
    st.one_of(
        st.builds(started, st.floats(0, 9)),
        st.builds(StageStarted, at=st.floats(0, 9), stage=st.sampled_from(["train", "score"])),
        st.builds(
            StageDone,
            at=st.floats(0, 9),
            stage=st.sampled_from(["train", "score"]),
            fingerprint=st.text(max_size=3),
            seconds=st.floats(0, 9),
        ),
        st.builds(Stopped, at=st.floats(0, 9), step=st.integers(0, 9), reason=st.just("asked")),
        st.builds(Warned, at=st.floats(0, 9), key=st.just("queue.silent")),
        st.builds(Finished, at=st.floats(0, 9), seconds=st.floats(0, 9)),
    ),
    max_size=12,
)


@given(EVENTS, st.integers(0, 12))
def test_a_fold_can_be_cut_anywhere_and_gone_on_with(events, cut):
    assert fold(events[cut:], fold(events[:cut])) == fold(events)
    assert isinstance(fold(events[:cut]), RunState)


def test_a_log_cut_at_any_byte_tells_exactly_what_came_before(run):
    events = [
        Queued(at=1.0, recipe="lead"),
        started(),
        StageStarted(at=3.0, stage="train"),
        Warned(at=20.0, key="queue.silent", fields={"minutes": "다섯"}),
        Finished(at=30.0, seconds=9.0),
    ]
    for event in events:
        run.emit(event)
    content = run.log_path.read_bytes()
    for cut in range(len(content) + 1):
        run.log_path.write_bytes(content[:cut])
        assert run.events() == events[: content[:cut].count(b"\n")]
    assert run.state() == fold(events)


def test_a_torn_log_is_read_and_goes_on(run):
    run.emit(started())
    run.emit(Finished(at=3.0, seconds=1.0))
    content = run.log_path.read_bytes()
    first = content.index(b"\n") + 1
    for cut in range(first, len(content)):
        run.log_path.write_bytes(content[:cut])
        assert run.events() == [started()]
    with run.lock():
        assert run.log_path.read_bytes() == content[:first]
    run.emit(Finished(at=3.0, seconds=1.0))
    assert run.log_path.read_bytes() == content


def test_a_garbled_line_is_counted_and_hides_no_other(run):
    run.emit(started())
    with run.log_path.open("ab") as log:
        log.write(b'{"event":"no such event"}\n\xff\xfe\n')
    run.emit(Finished(at=3.0, seconds=1.0))
    log = run.log()
    assert (log.garbled, log.unknown) == (1, 1)
    assert log.events == [started(), Finished(at=3.0, seconds=1.0)]


def test_of_ten_thousand_events_the_state_reads_a_few_and_says_the_same(run):
    event = TrainStep(
        at=1.0, step=1, epoch=0.1, loss=2.0, learning_rate=1e-4, grad_norm=1.0, tokens=900,
        supervised_tokens=90, rows=8, seconds=0.4,
    )  # fmt: skip
    run.log_path.write_bytes((msgspec.json.encode(event) + b"\n") * 10_000)
    assert run.state().step == 1
    assert len(run.log(whole=False).events) <= 1_000


# --- what it is ----------------------------------------------------------------------------------


def test_decoding_may_change_and_learning_may_not(run, recipe):
    other = msgspec.structs.replace(recipe, decode=BeamSearch(num_beams=2))
    run.write_recipe(other)
    assert Run(run.folder).recipe == other
    with pytest.raises(BadData):
        run.write_recipe(msgspec.structs.replace(recipe, engine="seq2seq"))
    assert Run(run.folder).recipe == other


def test_a_record_that_is_gone_or_garbled_is_named(run):
    path = run.folder / "recipe.json"
    path.write_bytes(b"\xff")
    with pytest.raises(BadData, match=r"recipe\.json"):
        _ = run.recipe
    path.unlink()
    with pytest.raises(InputMissing, match=r"recipe\.json"):
        _ = run.recipe


# --- what it said --------------------------------------------------------------------------------


def test_predictions_are_kept_for_the_same_inputs_only(run):
    assert run.begin_predictions("dev", "inputs") == []
    run.add_predictions("dev", [answer("dev_1"), answer("dev_2")])
    assert run.begin_predictions("dev", "inputs") == [answer("dev_1"), answer("dev_2")]
    assert run.begin_predictions("dev", "other inputs") == []
    assert run.predictions("dev") == []


def test_predictions_of_a_killed_writer_are_gone_on_with(run):
    run.begin_predictions("dev", "inputs")
    path = run.predictions_path("dev")
    run.add_predictions("dev", [answer("dev_1"), answer("dev_2")])
    content = path.read_bytes()
    first = content.index(b"\n") + 1
    for cut in range(first, len(content), 7):
        path.write_bytes(content[:cut])
        assert run.begin_predictions("dev", "inputs") == [answer("dev_1")]
        run.add_predictions("dev", [answer("dev_2")])
        assert path.read_bytes() == content


@pytest.mark.process
def test_a_kill_at_any_step_of_a_change_of_inputs_keeps_no_stale_answer(run, crashes):
    def prepare():
        run.begin_predictions("dev", "old")
        if not run.predictions("dev"):
            run.add_predictions("dev", [answer("dev_1", "옛 답")])

    for _ in crashes(prepare, lambda: run.begin_predictions("dev", "new")):
        assert run.begin_predictions("dev", "new") == []
    assert crashes.steps >= 5


def test_an_id_counts_once_and_a_variant_stands_apart(run):
    run.begin_predictions("dev", "inputs")
    run.add_predictions("dev", [answer("dev_1", "하나"), answer("dev_1", "둘")])
    assert [each.text for each in run.predictions("dev")] == ["하나"]
    assert run.predictions("dev", "seed-1") == []
    with pytest.raises(BadData):
        run.predictions_path("dev", "../../elsewhere")


def test_everything_on_disk_is_json_or_lines_of_json(run):
    run.emit(PredictionProgress(at=1.0, split="dev", done=1, of=2, seconds=0.1))
    run.begin_predictions("dev", "inputs")
    run.add_predictions("dev", [answer("dev_1")])
    for path in run.folder.rglob("*.json*"):
        text = path.read_text("utf-8")
        for document in [text] if path.suffix == ".json" else text.splitlines():
            json.loads(document)


def test_a_dev_loss_that_is_not_a_number_is_recorded_and_read(run):
    event = Evaluated(
        at=2.0, step=1, epoch=0.5, rouge=Rouge(rouge1=0.0, rouge2=0.0, rougeL=0.0),
        interval=Interval(low=0.0, high=0.0), rows=1, signature="rouge|…", seconds=1.0, best=False,
        loss=math.nan, loss_interval=Interval(low=math.nan, high=math.nan),
    )  # fmt: skip
    run.emit(event)
    (found,) = run.log().events
    assert math.isnan(found.loss)
    assert run.log().garbled == 0


def test_a_run_of_an_older_format_computes_nothing_new(run):
    run.require_current_format()
    path = run.folder / "identity.json"
    path.write_bytes(path.read_bytes().replace(b'"format": 2', b'"format": 1'))
    with pytest.raises(BadData, match="train it again with this version: yoyak run lead"):
        Run(run.folder).require_current_format()

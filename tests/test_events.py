"""The log of a run adds up to its state, whatever was cut off."""

import json
import math
import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from yoyak import events, messages
from yoyak.errors import RunFailed
from yoyak.events import (  # fmt: skip
    AnyEvent,
    DataAudited,
    DataFinding,
    Evaluated,
    Failed,
    Finished,
    MessageList,
    MessageRecord,
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
    decode_event,
    encode_event,
    fold,
)
from yoyak.values import Interval, Rouge, Severity


def step(number: int, at: float = 5.0) -> TrainStep:
    return TrainStep(
        at=at, step=number, epoch=number / 10, loss=2.0, learning_rate=1e-4, grad_norm=1.0,
        tokens=100, supervised_tokens=20, rows=8, seconds=0.5,
    )  # fmt: skip


def evaluated(best: bool) -> Evaluated:
    return Evaluated(
        at=6.0, step=2, epoch=0.2, rouge=Rouge(rouge1=0.5, rouge2=0.3, rougeL=0.4),
        interval=Interval(low=0.3, high=0.5), rows=24, signature="rouge|…", seconds=1.0, best=best,
    )  # fmt: skip


LEAK = DataFinding(
    name="leak", severity=Severity.WARNING, key="data.found-leak",
    fields={"rows": "1"}, splits=("train", "dev"), rows=1, ids=("dev_0",),
)  # fmt: skip

LOG = [
    Queued(at=1.0, recipe="tiny-bart"),
    DataAudited(at=1.5, findings=(LEAK,)),
    Started(at=2.0, pid=1, host="a", attempt=1),
    StageStarted(at=3.0, stage="train"),
    step(1),
    evaluated(best=True),
    evaluated(best=False),
    Warned(at=6.5, key="engine.loss-spike", fields={"step": "1"}),
    StageDone(at=7.0, stage="train", fingerprint="abc", seconds=4.0),
    StageStarted(at=7.0, stage="predict-dev"),
    PredictionProgress(at=8.0, split="dev", done=8, of=24, seconds=1.0),
    Finished(at=9.0, seconds=7.0),
]


def test_a_log_adds_up_to_a_state():
    state = fold(LOG)
    assert state.status is RunStatus.FINISHED
    assert (state.recipe, state.attempts, state.step) == ("tiny-bart", 1, 1)
    assert state.done == {"train": "abc"}
    assert state.stage_seconds == {"train": 4.0}
    assert state.best is not None
    assert state.best.best
    assert [warning.key for warning in state.warnings] == ["engine.loss-spike"]
    assert (state.started_at, state.last_at) == (2.0, 9.0)
    assert state.audit is not None
    assert state.audit.findings == (LEAK,)


def test_a_second_start_counts_and_clears_the_failure():
    state = fold([*LOG[:5], Failed(at=6.0, kind="OutOfMemory", message="no room")])
    assert state.status is RunStatus.FAILED
    again = fold([Started(at=9.0, pid=2, host="a", attempt=2)], state)
    assert (again.status, again.attempts, again.failed) == (RunStatus.RUNNING, 2, None)
    assert again.started_at == 2.0
    assert fold([Stopped(at=10.0, step=1, reason="SIGTERM")], again).status is RunStatus.STOPPED


@given(st.integers(0, len(LOG)))
def test_any_cut_of_the_log_folds_to_the_same_end(cut):
    assert fold(LOG[cut:], fold(LOG[:cut])) == fold(LOG)


def test_every_event_of_the_union_is_handled():
    kinds = set(AnyEvent.__args__)
    declared = {
        value for value in vars(events).values()
        if isinstance(value, type) and issubclass(value, events.Event) and value is not events.Event
    }  # fmt: skip
    assert kinds == declared


def test_an_empty_log_is_a_queued_run():
    assert fold([]) == RunState()


def test_former_tags_are_read():
    line = msgspec.json.encode(step(1)).replace(b"train_step", b"stepped")
    assert decode_event(line) == step(1)
    kinds = {kind.__struct_config__.tag: kind for kind in AnyEvent.__args__}
    for former, now in events.FORMER_TAGS.items():
        assert events.tags_of(kinds[now]) == (now, former)


def test_an_event_of_a_newer_version_is_told_from_a_damaged_line():
    assert decode_event(b'{"event":"teleported","at":1.0,"where":"moon"}') is None
    newer = b'{"event":"finished","at":1.0,"seconds":2.0,"joules":3.0}'
    assert decode_event(newer) == Finished(at=1.0, seconds=2.0)
    for line in (b'{"event":"finished","at":1.0}', b'{"event":3}', b"[]", b"", b'{"event":"fini'):
        with pytest.raises(msgspec.DecodeError):
            decode_event(line)


@pytest.mark.parametrize("at", ["1e300", "-1", "1e15", '"nan"', '"inf"', "1e999"])
def test_a_time_that_no_calendar_shows_is_a_damaged_line(at):
    with pytest.raises(msgspec.DecodeError):
        decode_event(f'{{"event":"finished","at":{at},"seconds":1}}'.encode())


def test_numbers_that_are_not_finite_survive_the_file_as_json():
    bad = Interval(low=math.nan, high=math.inf)
    event = msgspec.structs.replace(evaluated(best=False), loss=math.nan, loss_interval=bad)
    line = encode_event(event)
    json.loads(line, parse_constant=pytest.fail)
    found = decode_event(line)
    assert isinstance(found, Evaluated)
    assert math.isnan(found.loss)
    assert math.isnan(found.loss_interval.low)
    assert found.loss_interval.high == math.inf
    assert decode_event(encode_event(LOG[5])).loss is None


@given(st.sampled_from(LOG))
def test_encoding_is_the_inverse_of_decoding(event):
    assert decode_event(encode_event(event)) == event


def test_a_failure_is_read_in_the_readers_language_whoever_wrote_it():
    """Also the errors and the lists of checks inside its sentence."""
    checks = MessageList(
        MessageRecord(
            key="engine.check-line",
            fields={
                "title": MessageRecord(key="engine.proof-tags"),
                "found": MessageRecord(key="engine.found-tags", fields={"tags": "3", "lost": "1"}),
            },
        )
        for _ in range(2)
    )
    inner = RunFailed("engine.proof-failed", count=2, lines=checks)
    with messages.speaking("en"):
        error = RunFailed("cli.error", error=inner)
        written = encode_event(
            Failed(at=0, kind=error.key, message=str(error), reason=MessageRecord.of(error))
        )
        english = str(error)
    assert "preflight checks failed: 2" in english
    assert english.count("speaker tags survive") == 2
    with messages.speaking("ko"):
        korean = decode_event(written).said
        assert korean == str(error)
    assert korean != english
    assert not re.search("preflight checks|survive", korean)
    hidden = decode_event(written).reason.redacted(lambda text: text.replace("3", "***"))
    with messages.speaking("en"):
        assert "*** kinds of tags" in str(hidden)


def test_a_failure_of_an_earlier_version_says_what_was_written():
    line = b'{"event":"failed","at":1,"kind":"engine.diverged","message":"as it was"}'
    assert decode_event(line).said == "as it was"

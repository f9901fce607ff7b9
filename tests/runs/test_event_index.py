"""The telling lines of a log say of its state and its pace what the whole log says."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from yoyak.events import CheckpointSaved, Started, SystemMetrics, TrainStep, Warned, fold
from yoyak.runs.event_index import NEWEST, OLDER, state_events


def step(number):
    return TrainStep(
        at=float(number), step=number, epoch=0.0, loss=1.0, learning_rate=1e-4, grad_norm=1.0,
        tokens=1, supervised_tokens=1, rows=1, seconds=1.0,
    )  # fmt: skip


KINDS = {
    "step": step,
    "sample": lambda number: SystemMetrics(at=float(number)),
    "start": lambda number: Started(at=float(number), pid=number, host="h", attempt=1),
    "save": lambda number: CheckpointSaved(
        at=float(number), step=number, name="s", size_bytes=1, seconds=1.0
    ),
    "warning": lambda number: Warned(at=float(number), key="scheduler.slow"),
}


def lines_of(events):
    return [msgspec.json.encode(event) for event in events]


@given(st.lists(st.tuples(st.sampled_from(sorted(KINDS)), st.integers(1, 700)), max_size=5))
def test_the_state_and_what_stands_beside_every_event_are_kept(stretches):
    events = [
        KINDS[kind](place * 1000 + number)
        for place, (kind, length) in enumerate(stretches)
        for number in range(length if kind in {"step", "sample"} else 1)
    ]
    lines = lines_of(events)
    telling_ones = set(state_events(lines))
    kept = [event for event, line in zip(events, lines, strict=True) if line in telling_ones]
    assert fold(kept) == fold(events)
    rare = [event for event in events if not isinstance(event, TrainStep | SystemMetrics)]
    assert [event for event in kept if not isinstance(event, TrainStep | SystemMetrics)] == rare
    steps, kept_steps = ([e for e in some if isinstance(e, TrainStep)] for some in (events, kept))
    assert kept_steps[-NEWEST:] == steps[-NEWEST:]
    for place, event in enumerate(events):
        if isinstance(event, Started):
            before = [one for one in events[:place] if isinstance(one, TrainStep)]
            assert not before or before[-1] in kept


def test_ten_thousands_of_steps_are_a_few_hundred_lines():
    lines = lines_of([step(number) for number in range(1, 20_000)])
    assert len(state_events(lines)) <= NEWEST + OLDER + 1


@pytest.mark.parametrize("line", [b"", b"{", b'{"event":"stepp', b"\xff\xfe"])
def test_what_cannot_be_told_is_kept_to_be_counted(line):
    assert state_events([line]) == [line]

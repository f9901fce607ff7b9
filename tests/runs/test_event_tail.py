"""A tail gives whole lines once, and counts what it cannot decode."""

from yoyak.events import Failed
from yoyak.files import jsonl
from yoyak.runs.event_tail import EventTail

EVENT = Failed(at=1.0, kind="x", message="값")
LINE = b'{"event":"failed","at":1.0,"kind":"x","message":"\xea\xb0\x92"}\n'


def test_each_whole_line_is_given_once_and_garbled_ones_are_counted(tmp_path):
    log = tmp_path / "events.jsonl"
    tail = EventTail(log)
    assert list(tail.read()) == [], "no log yet"
    jsonl.append_lines(log, LINE)
    with log.open("ab") as stream:
        stream.write(b"\xff\n{half")
    assert list(tail.read()) == [EVENT]
    assert list(tail.read()) == []
    assert tail.garbled == 1


def test_it_begins_at_the_end_unless_a_position_is_given(tmp_path):
    log = tmp_path / "events.jsonl"
    jsonl.append_lines(log, LINE)
    at_end, from_start = EventTail(log), EventTail(log, 0)
    assert list(at_end.read()) == []
    assert list(from_start.read()) == [EVENT]
    jsonl.append_lines(log, LINE)
    assert list(at_end.read()) == [EVENT]

"""Logs grow by whole lines, whatever happens to their writers."""

import errno
import subprocess
import sys

import pytest

from yoyak.files import jsonl

pytestmark = pytest.mark.process

LINE = b'{"said":"' + "안녕하세요".encode() + b'"}\n'


def test_a_torn_last_line_is_ignored_by_readers_and_dropped_by_writers(tmp_path):
    path = tmp_path / "events.jsonl"
    for cut in range(1, len(LINE)):
        path.write_bytes(LINE + LINE[:cut])
        assert jsonl.read_lines(path) == [LINE[:-1]]
        jsonl.append_lines(path, LINE)
        assert path.read_bytes() == LINE * 2
        path.write_bytes(LINE[:cut])
        jsonl.drop_torn_line(path)
        assert path.read_bytes() == b""


def test_a_kill_at_any_step_of_an_append_leaves_whole_lines(tmp_path, crashes):
    path = tmp_path / "events.jsonl"
    for _ in crashes(
        lambda: path.write_bytes(LINE), lambda: jsonl.append_lines(path, LINE * 3, durable=True)
    ):
        assert jsonl.read_lines(path) in ([LINE[:-1]], [LINE[:-1]] * 2, [LINE[:-1]] * 4)
    assert crashes.steps >= 3


def test_a_line_that_does_not_fit_leaves_the_log_as_it_was(tmp_path, without_room):
    path = tmp_path / "events.jsonl"
    path.write_bytes(LINE)
    for limit in range(len(LINE), len(LINE) * 2, 5):
        assert without_room(limit, lambda: jsonl.append_lines(path, LINE)) == errno.ENOSPC
        assert path.read_bytes() == LINE


def test_a_reader_goes_on_where_it_stopped(tmp_path):
    path = tmp_path / "events.jsonl"
    assert jsonl.read_lines_from(path, 0) == ([], 0)
    path.write_bytes(LINE + LINE[:4])
    lines, place = jsonl.read_lines_from(path, 0)
    assert lines == [LINE[:-1]]
    path.write_bytes(LINE * 2)
    assert jsonl.read_lines_from(path, place) == ([LINE[:-1]], 2 * len(LINE))


def test_lines_of_several_writers_are_never_mixed(tmp_path):
    path = tmp_path / "events.jsonl"
    code = (
        "import sys; from pathlib import Path; from yoyak.files.jsonl import append_lines\n"
        "for n in range(50): append_lines(Path(sys.argv[1]), (sys.argv[2] * 3000 + '\\n').encode())"
    )
    writers = [subprocess.Popen([sys.executable, "-c", code, path, name]) for name in "abc"]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    lines = jsonl.read_lines(path)
    assert sorted(lines) == sorted(name * 3000 for name in (b"a", b"b", b"c") for _ in range(50))

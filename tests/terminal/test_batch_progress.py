"""Rows, pace and time left: a bar on a terminal, lines elsewhere."""

import io

import pytest

from yoyak import messages
from yoyak.prediction.predict import BatchProgress
from yoyak.terminal.batch_progress import BatchProgressView, format_pace, line

HALF = BatchProgress(rows=500, expected_rows=1000, new_rows=400, seconds=4.0, stopping=False)


def test_a_line_tells_rows_pace_and_time_left():
    assert line(HALF) == "500/1,000 rows · 100 rows/s · time left 5.0 s"
    with messages.speaking("ko"):
        assert line(HALF) == "500/1,000행 · 초당 100행 · 남은 시간 5.0초"


def test_what_is_not_known_is_a_dash():
    unknown = HALF._replace(expected_rows=None)
    assert line(unknown) == "500/– rows · 100 rows/s · time left –"
    fresh = HALF._replace(new_rows=0, seconds=0.0)
    assert line(fresh) == "500/1,000 rows · – rows/s · time left –"


@pytest.mark.parametrize(
    ("pace", "shown"), [(None, "–"), (0.04, "0.0"), (9.96, "10.0"), (99.9, "99.9"), (2467, "2,467")]
)
def test_a_pace_has_one_decimal_below_a_hundred(pace, shown):
    assert format_pace(pace) == shown


def test_a_file_gets_a_line_now_and_then_and_each_notice_once():
    stream, now = io.StringIO(), iter([60, 70, 72, 85])
    with BatchProgressView(stream, clock=lambda: next(now)) as view:
        view(HALF)
        view(HALF._replace(rows=600))
        view(HALF._replace(rows=700, stopping=True))
        view(HALF._replace(rows=800, stopping=True))
    lines = stream.getvalue().splitlines()
    assert [each.split()[0] for each in lines] == ["600/1,000", "stopping", "800/1,000"]


def test_a_terminal_gets_a_bar(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    screen = io.StringIO()
    monkeypatch.setattr(screen, "isatty", lambda: True)
    with BatchProgressView(screen) as view:
        view(HALF)
    drawn = screen.getvalue()
    assert "━" in drawn
    assert "500/1,000" in drawn
    assert "100 rows/s" in drawn
    assert "time left 5.0 s" in drawn

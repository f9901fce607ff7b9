"""The line-up's events on a terminal and on a pipe."""

import io
import re

from yoyak import messages
from yoyak.events import (
    CheckResult,
    Failed,
    Finished,
    Planned,
    PreflightCheck,
    RunState,
    RunStatus,
    Stopped,
    Warned,
)
from yoyak.report.sections import format
from yoyak.terminal.progress import LiveProgress


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_pipe_gets_one_line_an_interval_and_every_piece_of_news(make):
    stream, clock = io.StringIO(), Clock()
    with LiveProgress({"r1": "tiny-bart"}, stream, interval_seconds=10, clock=clock) as progress:
        for event in make.training(24, 24):
            clock.now += 1.0
            progress("r1", event)
    lines = stream.getvalue().splitlines()
    steps = [line for line in lines if "· loss" in line]
    assert 2 <= len(steps) <= 4, "24 steps at 1 s with 10 s between lines"
    assert all(line.startswith("tiny-bart: ") for line in lines)
    assert any("96 rows, 24 steps, 312 K weights" in line for line in lines)
    assert any(
        "dev ROUGE mean 15.33, loss – on 12 rows (best checkpoint so far, by rouge_mean)" in line
        for line in lines
    )
    assert "\x1b" not in stream.getvalue()


def test_a_pipe_hears_of_checks_that_take_long():
    stream, clock = io.StringIO(), Clock()
    check = CheckResult(
        name="accumulation",
        passed=True,
        key="engine.found-distance",
        fields={"distance": "3.0e-04", "tolerance": "1.0e-02"},
    )
    with LiveProgress({"r1": "kobart"}, stream, interval_seconds=10, clock=clock) as progress:
        for _ in range(30):
            clock.now += 1.0
            progress("r1", PreflightCheck(at=0.0, check=check))
    lines = stream.getvalue().splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("kobart: preflight: ")
    assert "3.0e-04" in lines[0]


def test_a_terminal_gets_rows_and_keeps_only_the_news(make, monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    stream = Terminal()
    with LiveProgress({"r1": "tiny-bart", "r2": "tiny-qlora"}, stream) as progress:
        for event in make.training(24, 12):
            progress("r1", event)
    said = stream.getvalue()
    assert "12/24" in said
    assert "tiny-qlora" in said, "those that wait are shown too"
    assert "· loss" not in said


def test_a_terminal_without_a_run_yet_shows_the_first_one_when_it_comes(make, monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    stream = Terminal()
    with LiveProgress({}, stream) as progress:
        progress("260101-late", make.training(24, 0)[1])
    assert "260101-late" in stream.getvalue()


def test_a_dumb_terminal_is_a_pipe(make, monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    stream = Terminal()
    with LiveProgress({"r1": "tiny-bart"}, stream) as progress:
        for event in make.training(24, 2):
            progress("r1", event)
    assert "\x1b[" not in stream.getvalue()


def test_a_pipe_that_wants_colours_gets_no_moving_rows(make, monkeypatch):
    """Jupyter sets FORCE_COLOR, and keeps every byte that a cell prints."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-color")
    stream = io.StringIO()
    with LiveProgress({"r1": "tiny-bart"}, stream) as progress:
        for event in make.training(24, 24):
            progress("r1", event)
    without_colours = re.sub(r"\x1b\[[\d;]*m", "", stream.getvalue())
    assert "\x1b" not in without_colours
    assert "tiny-bart: 96 rows, 24 steps" in without_colours


def test_ends_of_every_kind_are_told_in_the_readers_language(make):
    stream = io.StringIO()
    with messages.speaking("ko"), LiveProgress({"r1": "kobart"}, stream) as progress:
        progress("r1", Stopped(at=1, step=40, reason="SIGTERM"))
        progress("r1", Failed(at=2, kind="RunFailed", message="\x1b[2J메모리 부족"))
        progress("r1", Finished(at=3, seconds=125))
        progress("r1", Warned(at=4, key="report.next-nothing"))
    said = stream.getvalue()
    assert "40 스텝에서 멈췄고 모두 저장했습니다" in said
    assert "메모리 부족" in said
    assert "\x1b" not in said
    assert "2분 05초" in said
    assert "아직 실행이 없습니다" in said


def test_a_run_that_was_not_announced_is_shown_all_the_same(make):
    stream = io.StringIO()
    with LiveProgress({}, stream) as progress:
        progress("260101-late", make.training(24, 0)[1])
    assert "260101-late: started" in stream.getvalue()


def test_the_rows_say_when_all_of_it_ends(make, monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    names = {"done": "lead", "r1": "tiny-bart", "r2": "kobart", "r3": "other"}
    stream = Terminal()
    with LiveProgress(
        names, stream,
        states={
            "done": RunState(status=RunStatus.FINISHED),
            "r2": RunState(planned=Planned(at=0.0, low_seconds=3600.0, high_seconds=7200.0)),
        },
    ) as progress:  # fmt: skip
        for event in make.training(24, 12):
            progress("r1", event)
    said = stream.getvalue()
    # Twelve steps of 2 s and their saves are left, then the hour that the plan expects.
    end = format.clock(event.at + 12 * 2 + 3600)
    assert re.search(rf"Expected to finish [\d-]* ?{end}", said)
    assert "1 run not estimated yet" in " ".join(said.split())

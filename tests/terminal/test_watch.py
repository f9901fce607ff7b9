"""The terminal's live view: one frame says all, ``q`` leaves it and nothing else."""

import io
import os
import pty
import subprocess
import sys
import time

import pytest

from yoyak import messages
from yoyak.events import RunStatus
from yoyak.report.model.build import build
from yoyak.report.model.report import DiskSpace
from yoyak.runs.workspace import Workspace
from yoyak.terminal import render, watch


@pytest.fixture
def running(make):
    run = make.cut_run()._replace(status=RunStatus.RUNNING)
    disk = DiskSpace(free_gb=40, used_gb=110, total_gb=150)
    return build([make.lead_run(), make.toy_run(), run], make.rest(disk=disk))


def drawn(view, width=100, events=()):
    stream = io.StringIO()
    render.console(stream, width=width).print(watch.frame(view, events))
    return stream.getvalue()


def test_a_frame_has_rows_spark_gauges_and_keys(running):
    said = drawn(running)
    assert "17/24 (71%)" in said
    assert "14 s" in said
    assert "18.33" in said, "what is finished shows its score"
    assert "110.0/150.0 GB" in said
    assert "14.5/24.0 GB" in said
    assert "q: leave the view" in said


def test_a_falling_loss_falls_in_the_spark(running):
    (curve,) = [one for one in running.curves if one.run == running.progress[0].run]
    line = watch.spark(curve)
    assert len(line) == 17
    assert (line[0], line[-1]) == ("█", "▁")
    assert len(watch.spark(curve, width=5)) == 5


def test_a_queued_run_has_an_empty_bar_and_a_finished_one_a_full_one(make):
    queued = make.cut_run()._replace(status=RunStatus.QUEUED, events=make.cut_run().events[:1])
    view = build([make.lead_run(), queued], make.rest())
    said = drawn(view).splitlines()
    finished, waiting = (
        next(line for line in said if line.startswith(name)) for name in ("lead", "tiny-qlora")
    )
    assert finished.count("━") == watch.BAR_WIDTH
    assert "━" not in waiting


def test_what_was_not_measured_has_no_gauge(make):
    view = build([], make.rest())
    assert "GB" not in drawn(view)


def test_korean_frames_fit_a_narrow_terminal(running):
    with messages.speaking("ko"):
        said = drawn(running, width=60)
    from rich.cells import cell_len  # the oracle for widths

    assert max(map(cell_len, said.splitlines())) <= 60


def test_without_a_terminal_the_status_is_printed_once(tmp_path):
    stream = io.StringIO()
    watch.watch(Workspace(tmp_path), stream)
    assert "yoyak run" in stream.getvalue()


@pytest.mark.process
@pytest.mark.parametrize("has_extra", [True, False])
def test_q_on_a_real_terminal_leaves_and_restores_it(tmp_path, has_extra):
    """A pseudo-terminal: app or picture, q ends it and the terminal is as before."""
    import termios

    if has_extra:
        pytest.importorskip("textual", reason="the extra [watch] is not installed")
    parent, child = pty.openpty()
    before = termios.tcgetattr(child)
    code = (
        "import sys; from pathlib import Path; from yoyak.terminal.watch import watch;"
        "from yoyak.runs.workspace import Workspace;"
        f"{'' if has_extra else 'sys.modules.update(textual=None);'}"
        "watch(Workspace(Path(sys.argv[1])), sys.stdout)"
    )
    environment = {"TERM": "xterm-256color", "YOYAK_LANG": "en"}
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=child, stdout=child, stderr=child,
        env=os.environ | environment,
    )  # fmt: skip
    said, wanted = b"", b"q leave" if has_extra else b"leave the view"
    deadline = time.monotonic() + 300
    while wanted not in said and time.monotonic() < deadline:
        said += os.read(parent, 65536)
    os.write(parent, b"q")
    assert process.wait(timeout=300) == 0
    assert (b"yoyak[watch]" in said) is not has_extra, "the picture names the extra"
    assert termios.tcgetattr(child)[3] == before[3]
    os.close(parent)
    os.close(child)

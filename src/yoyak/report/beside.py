"""What works beside a line-up in processes of its own: trackers that follow it, and backups.

Nothing here can stop or slow a run: whatever becomes of such a process is shown, the rest of what
it had to do can be had later by a command, and no record of a run knows of it.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from yoyak import messages
from yoyak.events import AnyEvent, Finished, Warned
from yoyak.messages import fill
from yoyak.report.render.escape import plain
from yoyak.runs.redact import redact
from yoyak.runs.run import Run
from yoyak.runs.settings import Project
from yoyak.runs.workspace import Workspace
from yoyak.trackers import trackers

GRACE_SECONDS = 60.0
"""How long a tracker or a backup may take for what is left when the line-up is over."""

BACKUP = "backup"

OnEvent = Callable[[Run, AnyEvent], None]


class Beside:
    """The processes beside one line-up; ``listening`` wraps what is told its events.

    Raises:
        UsageError: the project names a tracker that there is not.
    """

    def __init__(self, workspace: Workspace, project: Project, stream: TextIO) -> None:
        for tracker in project.mirror.trackers:
            trackers.check(tracker)
        self._workspace = workspace
        self._project = project
        self._stream = stream
        self._working: list[_Aside] = []
        self._due = self._saw_finish = False

    def __enter__(self) -> Self:
        for tracker in self._project.mirror.trackers:
            self._start(tracker, "yoyak.trackers.follow", self._folder, tracker, str(os.getpid()))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for aside in self._working:
            if aside.name != BACKUP:
                aside.ask_to_end()
        self._see_off()
        if self._saw_finish:  # once more, with the final report and the submission
            self._back_up()
            self._see_off()

    def listening(self, show: OnEvent) -> OnEvent:
        """``show``, and after each finished run a backup; what failed is shown as a warning."""

        def hear(run: Run, event: AnyEvent) -> None:
            show(run, event)
            if self._project.backup.after_each_run and isinstance(event, Finished):
                self._due = self._saw_finish = True
            for aside in self._ended():
                if aside.problem is not None:
                    show(run, aside.warning)
            if self._due and all(aside.name != BACKUP for aside in self._working):
                self._due = False
                self._back_up()

        return hear

    @property
    def _folder(self) -> str:
        return str(self._workspace.folder.absolute())

    def _back_up(self) -> None:
        push = self._project.backup.push
        self._start(BACKUP, "yoyak.export.git_backup", self._folder, *([push] if push else []))

    def _start(self, name: str, *words: str) -> None:
        log = self._workspace.report_folder / "beside" / f"{name}.log"
        self._working.append(_Aside(name, words, log))

    def _ended(self) -> Iterator["_Aside"]:
        for aside in tuple(self._working):
            if not aside.is_working:
                self._working.remove(aside)
                yield aside

    def _see_off(self) -> None:
        """Waits for what is left, and says what came of it."""
        deadline = time.monotonic() + GRACE_SECONDS
        for aside in self._working:
            aside.wait(deadline - time.monotonic())
        for aside in self._ended():
            said = (
                aside.last_words
                if aside.problem is None
                else fill(aside.warning.key, aside.warning.fields)
            )
            if said:
                self._stream.write(f"{plain(said)}\n")


class _Aside:
    """One such process; its words go to ``log``."""

    def __init__(self, name: str, words: tuple[str, ...], log: Path) -> None:
        self.name = name
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self.problem: str | None = None
        try:
            log.parent.mkdir(parents=True, exist_ok=True)
            with log.open("wb") as out:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", *words],
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=out,
                    env={**os.environ, "YOYAK_LANG": messages.language()},
                    start_new_session=True,  # a Ctrl-C is for the line-up, which asks it to end
                )
        except OSError as error:
            self.problem = str(error)

    @property
    def is_working(self) -> bool:
        """Whether it has not ended; the first time that it has, its problem is noted."""
        if self._process is None:
            return False
        code = self._process.poll()
        if code:
            self.problem = self.last_words or str(code)
        return code is None

    @property
    def last_words(self) -> str:
        """The last line that it wrote."""
        if not self._log.is_file():
            return ""
        said = self._log.read_text(encoding="utf-8", errors="replace").splitlines()
        return redact(said[-1]) if said else ""

    @property
    def warning(self) -> Warned:
        """Its problem, with the command that does the rest."""
        key = "report.backup-failed" if self.name == BACKUP else "report.mirror-ended"
        fields = {"tracker": self.name, "problem": self.problem or "", "log": str(self._log)}
        return Warned(at=time.time(), key=key, fields=fields)

    def ask_to_end(self) -> None:
        """It tells what is left, and ends."""
        if self._process is not None:
            self._process.terminate()

    def wait(self, seconds: float) -> None:
        """Ends it where it takes longer."""
        if self._process is None:
            return
        try:
            self._process.wait(max(seconds, 0.1))
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

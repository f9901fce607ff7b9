"""What the steering page does, each as the command that does the same in a terminal.

The page can do nothing else: an action becomes the arguments of a verb, is shown as a command to
copy, and is run as that command in a process of its own, which goes on when the server ends.
"""

import os
import shlex
import subprocess
import tempfile
import time
from itertools import count
from pathlib import Path
from typing import NamedTuple

from yoyak import messages
from yoyak.report.model.next_steps import changes
from yoyak.report.render.escape import printable
from yoyak.runs.redact import redact
from yoyak.runs.workspace import Workspace
from yoyak.scheduler.worker_process import PYTHON
from yoyak.values import Value
from yoyak.web.responses import Refused

MOST_OUTPUT_BYTES = 64_000
"""As much of the end of a command's output is shown."""
MOST_COMMANDS = 100
"""Commands that are remembered."""


class StartRun(Value, frozen=True, kw_only=True, tag="start"):
    """Run a recipe with changed settings, each ``section.name=value``."""

    recipe: str
    sets: tuple[str, ...] = ()


class ResumeRun(Value, frozen=True, kw_only=True, tag="resume"):
    """Go on with a run that was stopped or failed."""

    run: str


class StopRun(Value, frozen=True, kw_only=True, tag="stop"):
    """Let a run save and stop; without one, all of them."""

    run: str | None = None


class PrioritiseRun(Value, frozen=True, kw_only=True, tag="prioritise"):
    """Make a run the next of its line-up."""

    run: str


class Prune(Value, frozen=True, kw_only=True, tag="prune"):
    """Delete what no run needs, or with ``preview`` say what that is."""

    preview: bool = True
    hub: bool = False


class Submit(Value, frozen=True, kw_only=True, tag="submit"):
    """Write a submission of the systems: of the best one if none is named."""

    systems: tuple[str, ...] = ()
    blend: str | None = None


Action = StartRun | ResumeRun | StopRun | PrioritiseRun | Prune | Submit


def arguments(action: Action, workspace: Workspace) -> tuple[str, ...]:
    """Return the arguments of ``yoyak`` that do the action.

    Raises:
        Refused: there is no run of that name.
    """
    match action:
        case StartRun():
            # What a browser sends is never taken for an option.
            return ("run", *(f"--set={one}" for one in action.sets), "--", action.recipe)
        case ResumeRun():
            return _resume(action, workspace)
        case StopRun():
            return ("stop",) if action.run is None else ("stop", "--", action.run)
        case PrioritiseRun():
            return ("prioritise", "--", action.run)
        case Prune():
            options = {"--dry-run": action.preview, "--hub": action.hub}
            return ("prune", *(name for name, is_on in options.items() if is_on))
        case Submit():
            blend = () if action.blend is None else (f"--blend={action.blend}",)
            return ("submit", *blend, *(("--", *action.systems) if action.systems else ()))


def _resume(action: ResumeRun, workspace: Workspace) -> tuple[str, ...]:
    run = workspace.named(action.run)
    if run is None:
        raise Refused(404, messages.text("pages.steer-no-run", run=action.run))
    sets = [one for option in changes(run.recipe) for one in shlex.split(option) if one != "--set"]
    return ("run", *(f"--set={one}" for one in sets), "--", run.recipe.file or run.recipe.name)


def shown(action: Action, workspace: Workspace, workspace_option: tuple[str, ...]) -> str:
    """Return the command as somebody would type it."""
    found = arguments(action, workspace)
    names = found[found.index("--") + 1 :] if "--" in found else ()
    if not any(one.startswith("-") for one in names):
        found = tuple(one for one in found if one != "--")
    return shlex.join(("yoyak", found[0], *workspace_option, *found[1:]))


class CommandState(Value, frozen=True, kw_only=True):
    """A command that the page started; ``code`` is ``None`` while it runs."""

    id: int
    command: str
    started_at: float
    code: int | None
    output: str


class _Started(NamedTuple):
    id: int
    command: str
    started_at: float
    process: subprocess.Popen[bytes]
    output: Path

    def state(self) -> CommandState:
        """Return the command as it is now, with the end of what it has printed."""
        return CommandState(
            id=self.id,
            command=self.command,
            started_at=self.started_at,
            code=self.process.poll(),
            output=_end_of(self.output),
        )


class Commands:
    """Starts commands on a workspace and remembers them.

    Args:
        workspace: what they work on.
        workspace_option: ``--workspace FOLDER`` where a terminal would need it.
    """

    def __init__(
        self,
        workspace: Workspace,
        workspace_option: tuple[str, ...],
    ) -> None:
        self._workspace = workspace
        self._option = workspace_option
        self._numbers = count(1)
        self._started: dict[int, _Started] = {}
        self._folder: Path | None = None

    def shown(self, action: Action) -> str:
        """Return the command of an action, to copy."""
        return shown(action, self._workspace, self._option)

    def start(self, action: Action) -> CommandState:
        """Start the command of an action.

        Raises:
            Refused: it cannot be: there is no such run.
        """
        verb, *rest = arguments(action, self._workspace)
        folder = ("--workspace", str(self._workspace.folder.resolve()))
        self._folder = self._folder or Path(tempfile.mkdtemp(prefix="yoyak-commands-"))
        number = next(self._numbers)
        output = self._folder / f"{number}.txt"
        with output.open("wb") as stream:
            process = subprocess.Popen(
                [*PYTHON, "-m", "yoyak", verb, *folder, *rest],
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                env={**os.environ, "YOYAK_LANG": messages.language(), "NO_COLOR": "1"},
                start_new_session=True,  # so that Ctrl-C of the server is not theirs
            )
        started = _Started(number, self.shown(action), time.time(), process, output)
        self._started[number] = started
        while len(self._started) > MOST_COMMANDS:
            del self._started[next(iter(self._started))]
        return started.state()

    def states(self) -> tuple[CommandState, ...]:
        """Return all commands, the newest first."""
        # A copy: another request may start one meanwhile.
        return tuple(one.state() for one in reversed(tuple(self._started.values())))


def _end_of(path: Path) -> str:
    with path.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(0, size - MOST_OUTPUT_BYTES))
        return printable(redact(stream.read().decode("utf-8", "replace")))

"""What a command works on: the data folder, the workspace, and the project's settings."""

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from yoyak.config.project import Project, read_project
from yoyak.errors import InputMissing, UsageError
from yoyak.messages import text
from yoyak.runs.run import Run
from yoyak.runs.workspace import Workspace
from yoyak.values import Corpus

if TYPE_CHECKING:
    from yoyak.config.load import Resolved
    from yoyak.data.contest import Contest
    from yoyak.events import AnyEvent

DEFAULT_WORKSPACE = "workspace"
DEFAULT_LINEUP = ("lead", "tiny-bart", "tiny-qlora")


class CommandContext:
    """The workspace of a command, and its data, read on first use."""

    def __init__(self, project: Project, workspace: Workspace, data: Path | None) -> None:
        self.project = project
        self.workspace = workspace
        self._data = data

    @property
    def data_folder(self) -> Path:
        """The folder named now, in ``yoyak.toml``, or last time; else the generated sample."""
        from yoyak.data.sample.generator import generated_folder

        remembered = self.workspace.memory.data_folder
        named = self._data or self.project.data.folder or remembered
        return Path(named) if named else generated_folder()

    @property
    def dev_file(self) -> Path:
        """The file of dev, whichever format it is in."""
        from yoyak.data.corpus import split_file

        return split_file(self.data_folder, "dev") or self.data_folder / "dev.csv"

    @cached_property
    def corpus(self) -> Corpus:
        """Read and check the data; remember the folder if it was named and passed."""
        from yoyak.data.corpus import read_corpus

        corpus = read_corpus(self.data_folder)
        _ = self.contest  # so a mistake in it is found before training
        if self._data is not None:
            self.workspace.remember_data(self._data)
        return corpus

    @cached_property
    def contest(self) -> "Contest":
        """Read the contest's rules; an empty set where the data folder has no ``contest.toml``."""
        from yoyak.data.contest import read_contest

        return read_contest(self.data_folder)

    @property
    def is_sample(self) -> bool:
        """Whether the data are the generated sample."""
        from yoyak.data.sample.generator import generated_folder

        return self.data_folder == generated_folder()

    @property
    def data_line(self) -> str:
        """Return one line naming the data folder and its rows, to print before work begins."""
        corpus = self.corpus
        folder = text("cli.sample-data") if self.is_sample else self.short(Path(corpus.folder))
        splits = (corpus.train, corpus.dev, corpus.test)
        rows = {split.name: len(split.dialogues) for split in splits}
        return text("cli.data-at", folder=folder, **rows)

    def run(self, name: str) -> Run:
        """Return the run of that name, or the newest run of the recipe of that name.

        Raises:
            InputMissing: there is none.
        """
        found = self.workspace.named(name)
        if found is None:
            raise InputMissing("cli.unknown-run", run=name, workspace=self.workspace.folder)
        return found

    def lineup(self, named: list[str] | None) -> tuple[str, ...]:
        """Return the recipes in the order in which they run: those named, else ``yoyak.toml``'s."""
        project = self.project.lineup
        return project.in_order(named or project.recipes or DEFAULT_LINEUP)

    def resolve(self, names: Iterable[str], sets: Sequence[str] = ()) -> list["Resolved"]:
        """Resolve recipes with the project's settings; name each former setting on stderr."""
        from yoyak.config import load

        found = [load.resolve(name, project=self.project.layers, sets=sets) for name in names]
        renamed = dict.fromkeys(each for one in found for each in one.renamed)
        for origin, (given, name) in renamed:
            print(text("config.renamed", given=given, name=name, origin=origin), file=sys.stderr)
        return found

    def short(self, path: Path) -> str:
        """Return ``path`` relative to the current folder if it lies below, else absolute."""
        here = Path.cwd()
        full = path.resolve()
        return str(full.relative_to(here)) if full.is_relative_to(here) else str(full)


def open_context(data: Path | None, workspace: Path | None) -> CommandContext:
    """Return the context that the options, the environment and ``yoyak.toml`` name."""
    project = read_project(Path.cwd())
    named = os.environ.get("YOYAK_WORKSPACE") or project.workspace.folder or DEFAULT_WORKSPACE
    folder = workspace or Path(named)
    for path in (folder, *([data] if data else ())):
        require_utf8(path)
    return CommandContext(project, Workspace(folder), data)


def print_to_stderr(line: str) -> None:
    """Print a line that is no result of the command."""
    print(line, file=sys.stderr)


def show_warning(event: "AnyEvent", say: Callable[[str], None] = print_to_stderr) -> None:
    """Say a warning of the engine; its other events are about runs."""
    from yoyak.events import Warned
    from yoyak.messages import recorded

    if isinstance(event, Warned):
        say(recorded(event.key, event.fields))


def require_utf8(path: Path) -> None:
    """Refuse a folder whose name no record could state.

    Raises:
        UsageError: its absolute path is not UTF-8.
    """
    raw = os.fsencode(path.absolute())
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        shown = raw.decode("utf-8", "backslashreplace")
        raise UsageError("runs.path-not-utf8", path=shown) from error

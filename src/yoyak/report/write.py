"""What the command line asks for: the report's files, the comparison, the status."""

from pathlib import Path
from typing import NamedTuple, TextIO

import msgspec

from yoyak.report import html, markdown, text
from yoyak.report.gather import gather
from yoyak.report.view import View
from yoyak.store import disk
from yoyak.store.workspace import Workspace
from yoyak.values import Corpus

STEM = "report"


class Paths(NamedTuple):
    """Where the report lies."""

    markdown: Path
    json: Path
    html: Path


def write_report(workspace: Workspace, view: View) -> Paths:
    """Writes Markdown, JSON and HTML into the workspace's ``report/`` in the language spoken.

    Raises:
        CannotWrite, DiskFull: the files are as they were before.
    """
    folder = workspace.report_folder
    paths = Paths(folder / f"{STEM}.md", folder / f"{STEM}.json", folder / "index.html")
    disk.write_text(paths.markdown, markdown.render(view))
    disk.write_bytes(paths.json, msgspec.json.format(msgspec.json.encode(view), indent=1) + b"\n")
    disk.write_text(paths.html, html.render(view))
    return paths


def report(workspace: Workspace, corpus: Corpus) -> Path:
    """Writes the report of a workspace and returns the page's path."""
    return write_report(workspace, gather(workspace, corpus)).html


def comparison(workspace: Workspace, corpus: Corpus, stream: TextIO) -> None:
    """Prints which system is how good, and which differences are real."""
    text.comparison(gather(workspace, corpus), text.console(stream))


def status(workspace: Workspace, stream: TextIO, *, as_json: bool) -> None:
    """Prints where every run stands; computes no statistics, so that it answers at once."""
    view = gather(workspace, compared=False)
    if as_json:
        stream.write(msgspec.json.encode(_standing(view)).decode() + "\n")
    else:
        text.status(view, text.console(stream))


class RunStanding(NamedTuple):
    """One run as ``yoyak status --json`` says it; scores are fractions."""

    run: str
    recipe: str
    status: str
    stage: str | None
    done: int | None
    of: int | None
    seconds_left: float | None
    mean: float | None


def _standing(view: View) -> dict[str, list[dict[str, object]]]:
    doing = {one.run: one for one in view.progress}
    runs = []
    for one in view.systems:
        now = doing.get(one.run)
        forecast = now.forecast if now else None
        standing = RunStanding(
            run=one.run,
            recipe=one.recipe,
            status=one.status.value,
            stage=one.stage,
            done=now.done if now else None,
            of=now.of if now else None,
            seconds_left=forecast.p50_seconds if forecast else None,
            mean=one.quality.mean.value if one.quality else None,
        )
        runs.append(standing._asdict())
    return {"runs": runs}

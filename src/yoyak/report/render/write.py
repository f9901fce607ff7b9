"""Write the report files, and encode the run status as JSON."""

from pathlib import Path
from typing import NamedTuple

import msgspec

from yoyak.files import atomic
from yoyak.report.model.report import Report
from yoyak.report.render import csv, html, markdown
from yoyak.runs.workspace import Workspace

STEM = "report"


class Paths(NamedTuple):
    """Paths of the report files."""

    markdown: Path
    json: Path
    html: Path
    sheet: Path


def write_report(workspace: Workspace, view: Report) -> Paths:
    """Write the report files into the workspace's ``report/`` in the current language.

    Raises:
        CannotWrite, DiskFull: the files are as they were before.
    """
    folder = workspace.report_folder
    names = (f"{STEM}.md", f"{STEM}.json", "index.html", "systems.csv")
    paths = Paths(*(folder / name for name in names))
    atomic.write_text(paths.markdown, markdown.render(view))
    atomic.write_bytes(paths.json, msgspec.json.format(msgspec.json.encode(view), indent=1) + b"\n")
    atomic.write_text(paths.html, html.render(view))
    # The byte order mark makes spreadsheets read the file as UTF-8, which Hangul needs.
    atomic.write_bytes(paths.sheet, csv.render(view).encode("utf-8-sig"))
    return paths


class RunStanding(NamedTuple):
    """One run in the output of ``yoyak status --json``; scores are fractions."""

    run: str
    recipe: str
    status: str
    stage: str | None
    done: int | None
    of: int | None
    seconds_left: float | None
    slow_seconds_left: float | None
    """At the pace of the slowest 10 %."""
    mean: float | None


def status_json(view: Report) -> str:
    """Return ``{"runs": […]}`` for ``yoyak status --json``: an object per run, in line-up order."""
    doing = {one.run: one for one in view.progress}
    runs = []
    for one in view.systems:
        now = doing.get(one.run)
        forecast = now.forecast if now else None
        standing = RunStanding(
            run=one.run,
            recipe=one.recipe,
            status=one.standing.value,
            stage=one.stage,
            done=now.done if now else None,
            of=now.of if now else None,
            seconds_left=forecast.p50_seconds if forecast else None,
            slow_seconds_left=forecast.p90_seconds if forecast else None,
            mean=one.quality.mean.value if one.quality else None,
        )
        runs.append(standing._asdict())
    return msgspec.json.encode({"runs": runs}).decode()

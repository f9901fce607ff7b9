"""Write the report files into a workspace."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from yoyak.files import atomic
from yoyak.report.model.report import Report
from yoyak.report.model.rows import RowSource
from yoyak.report.render import csv, html, markdown
from yoyak.runs.workspace import Workspace

STEM = "report"


class Paths(NamedTuple):
    """Paths of the report files."""

    markdown: Path
    json: Path
    html: Path
    sheet: Path


def write_report(workspace: Workspace, view: Report, rows: Sequence[RowSource]) -> Paths:
    """Write the report files into the workspace's ``report/`` in the current language.

    ``rows`` are for the page alone.

    Raises:
        CannotWrite, DiskFull: the files are as they were before.
    """
    folder = workspace.report_folder
    names = (f"{STEM}.md", f"{STEM}.json", "index.html", "systems.csv")
    paths = Paths(*(folder / name for name in names))
    atomic.write_text(paths.markdown, markdown.render(view))
    atomic.write_bytes(paths.json, msgspec.json.format(msgspec.json.encode(view), indent=1) + b"\n")
    atomic.write_text(paths.html, html.render(view, rows))
    # The byte order mark makes spreadsheets read the file as UTF-8, which Hangul needs.
    atomic.write_bytes(paths.sheet, csv.render(view).encode("utf-8-sig"))
    return paths

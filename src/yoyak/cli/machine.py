"""The verbs of the machine: check."""

import sys

import typer

from yoyak.cli.options import AsJson, DataFolder, WorkspaceFolder
from yoyak.cli.place import open_place


def check(
    data: DataFolder = None, workspace: WorkspaceFolder = None, as_json: AsJson = False
) -> None:
    """Says of each thing a run needs whether it is there, and what to do if it is not."""
    import msgspec

    from yoyak.queue import check as checking
    from yoyak.report import checkboard
    from yoyak.report.text import console

    place = open_place(data, workspace)
    lines = checking.check(place.data_folder, place.workspace, place.project.limits)
    if as_json:
        print(msgspec.json.encode(lines).decode())
    else:
        console(sys.stdout).print(checkboard.draw(lines))
    if any(line.status is checking.Status.BAD for line in lines):
        raise typer.Exit(69)

"""The verbs of the machine: check."""

import sys
from typing import Annotated

import typer

from yoyak.cli.options import AsJson, DataFolder, WorkspaceFolder
from yoyak.cli.place import open_place
from yoyak.messages import text

Recipes = Annotated[
    list[str] | None, typer.Argument(help=text("cli.argument-check"), show_default=False)
]


def check(
    recipe: Recipes = None,
    data: DataFolder = None,
    workspace: WorkspaceFolder = None,
    as_json: AsJson = False,
) -> None:
    """Says of each thing a run needs whether it is there, and what to do if it is not."""
    import msgspec

    from yoyak import recipes
    from yoyak.queue.check import Status
    from yoyak.queue.check import check as look
    from yoyak.report import checkboard
    from yoyak.report.text import console

    place = open_place(data, workspace)
    layers = place.project.layers
    wanted = [recipes.resolve(name, project=layers).recipe for name in recipe or ()]
    lines = look(place.data_folder, place.workspace, place.project.limits, wanted)
    if as_json:
        print(msgspec.json.encode(lines).decode())
    else:
        console(sys.stdout).print(checkboard.draw(lines))
    if any(line.status is Status.BAD for line in lines):
        raise typer.Exit(69)

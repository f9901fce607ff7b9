"""The verb sync."""

from typing import Annotated

import typer

from yoyak.cli.context import open_context
from yoyak.cli.options import WorkspaceFolder
from yoyak.messages import text


def sync(
    url: Annotated[str, typer.Argument(help=text("cli.argument-store"), metavar="URL")],
    fetch: Annotated[bool, typer.Option("--fetch", help=text("cli.option-fetch"))] = False,
    workspace: WorkspaceFolder = None,
) -> None:
    """Copy the workspace to a store, or bring it to the copy that is there."""
    from yoyak.runs import snapshots

    folder = open_context(None, workspace).workspace.folder
    done = snapshots.fetch(url, folder) if fetch else snapshots.push(folder, url)
    megabytes = f"{done.copied_bytes / 1e6:.1f}"
    fields = {"copied": done.copied, "unchanged": done.unchanged, "megabytes": megabytes}
    print(text("cli.sync-fetched" if fetch else "cli.sync-pushed", url=url, **fields))

"""The verb export."""

from pathlib import Path
from typing import Annotated

import typer

from yoyak.cli.context import CommandContext, open_context
from yoyak.cli.options import WorkspaceFolder
from yoyak.errors import InputMissing, UsageError
from yoyak.messages import text

Runs = Annotated[
    list[str] | None, typer.Argument(help=text("cli.argument-export"), show_default=False)
]
TABLES = (".csv", ".jsonl")


def export(
    to: Annotated[Path, typer.Option("--to", help=text("cli.option-to"))],
    runs: Runs = None,
    workspace: WorkspaceFolder = None,
) -> None:
    """Write a run as a model, or the answers of runs side by side."""
    from yoyak.export.run import check_target

    context = open_context(None, workspace)
    check_target(to, (context.workspace.folder, context.data_folder))
    if to.suffix.lower() in TABLES:
        _rows(context, runs, to)
    else:
        _model(context, runs or [], to)


def _model(context: CommandContext, runs: list[str], to: Path) -> None:
    from yoyak.export.run import export_model

    if len(runs) != 1:
        raise UsageError("cli.export-one", count=len(runs), to=to)
    run = context.run(runs[0])
    path = export_model(run, to)
    print(text("cli.exported", path=context.short(path), run=run.name))


def _rows(context: CommandContext, runs: list[str] | None, to: Path) -> None:
    from yoyak.export.run import export_rows, rows

    chosen = [context.run(name) for name in runs] if runs else context.workspace.runs()
    dev = context.corpus.dev
    answered = [
        run
        for run in chosen
        if runs or (run.predictions("dev") and run.identity.dev_sha256 == dev.fingerprint)
    ]
    found = list(rows(answered, dev)) if answered else []
    if not found:
        names = ", ".join(run.name for run in chosen) or str(context.workspace.folder)
        raise InputMissing("report.export-nothing", runs=names)
    path = export_rows(found, to)
    line = text("cli.exported-rows", path=context.short(path), rows=len(found), runs=len(answered))
    print(line)

"""The verb export."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from yoyak.cli.context import CommandContext, open_context, show_warning
from yoyak.cli.options import WorkspaceFolder
from yoyak.errors import InputMissing, UsageError
from yoyak.messages import text

if TYPE_CHECKING:
    from yoyak.engine.exported import FormCheck
    from yoyak.export.run import ExportOptions
    from yoyak.runs.run import Run

Runs = Annotated[
    list[str] | None, typer.Argument(help=text("cli.argument-export"), show_default=False)
]
TABLES = (".csv", ".jsonl")
FORMATS = {"adapter": "adapters"}
"""Names of ``--format`` that are not those of the record."""


def _format(name: str | None) -> str | None:
    from yoyak.engine.exported import Converted

    known = ("adapter", *get_args(Converted))
    if name is not None and name not in known:
        raise typer.BadParameter(text("cli.bad-format", known=", ".join(known)))
    return name


def export(
    to: Annotated[Path, typer.Option("--to", help=text("cli.option-to"))],
    runs: Runs = None,
    form: Annotated[
        str | None,
        typer.Option(
            "--format", callback=_format, help=text("cli.option-model-format"), show_default=False
        ),
    ] = None,
    quantisation: Annotated[
        str | None, typer.Option(help=text("cli.option-quantisation"), show_default=False)
    ] = None,
    check_rows: Annotated[
        int, typer.Option("--check-rows", min=0, help=text("cli.option-check-rows"))
    ] = 100,
    llama_cpp: Annotated[
        Path | None,
        typer.Option("--llama-cpp", help=text("cli.option-llama-cpp"), show_default=False),
    ] = None,
    push: Annotated[
        str | None,
        typer.Option(metavar="ORG/NAME", help=text("cli.option-push-model"), show_default=False),
    ] = None,
    public: Annotated[bool, typer.Option("--public", help=text("cli.option-public"))] = False,
    workspace: WorkspaceFolder = None,
) -> None:
    """Write a run as a model, or the answers of runs side by side."""
    import msgspec

    from yoyak.engine.exported import ExportForm
    from yoyak.export.run import ExportOptions, check_target

    context = open_context(None, workspace)
    check_target(to, (context.workspace.folder, context.data_folder))
    if to.suffix.lower() in TABLES:
        if push is not None:
            raise UsageError("cli.push-table", to=to)
        _rows(context, runs, to)
        return
    name = None if form is None else msgspec.convert(FORMATS.get(form, form), ExportForm)
    if len(runs or []) != 1:
        raise UsageError("cli.export-one", count=len(runs or []), to=to)
    run = context.run((runs or [])[0])
    _model(context, run, to, ExportOptions(name, quantisation, llama_cpp, check_rows), push)
    if push is not None:
        _push(run, to, push, public=public)


def _push(run: "Run", folder: Path, repository: str, *, public: bool) -> None:
    from yoyak.export.push import push

    pushed = push(run, folder, repository, public=public)
    print(text("cli.pushed", address=pushed.address, commit=pushed.commit))


def _model(
    context: CommandContext, run: "Run", to: Path, options: "ExportOptions", push: str | None
) -> None:
    """Export a model; a licence that forbids to push it is found before any work."""
    from yoyak.export.push import check_licence
    from yoyak.export.run import export_model

    if push is not None:
        check_licence(run.recipe)
    exported = export_model(run, to, options, show_warning)
    print(text("cli.exported", path=context.short(exported.folder), run=run.name))
    _print_check(exported.record.check)


def _print_check(check: "FormCheck | None") -> None:
    """Print the score of the exported form beside the run's; on stderr where they differ."""
    from yoyak.report.sections import format as values

    if check is None:
        print(text("cli.export-unchecked"), file=sys.stderr)
        return
    print(
        text(
            "cli.export-scores",
            runtime=check.runtime,
            rows=check.rows,
            exported=values.score(check.exported.rouge.mean),
            original=values.score(check.original.rouge.mean),
        )
    )
    if not check.is_equal:
        line = text(
            "cli.export-differs",
            answers=check.rows - check.equal_answers,
            prompts=check.rows - check.equal_prompts,
            rows=check.rows,
            difference=values.points_interval(check.difference),
        )
        print(line, file=sys.stderr)


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

"""The verb predict."""

import sys
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from yoyak.cli.context import CommandContext, open_context, require_utf8, show_warning
from yoyak.cli.options import AsJson, WorkspaceFolder
from yoyak.cli.placement import RayAddress
from yoyak.errors import UsageError
from yoyak.messages import text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from yoyak.prediction.model import TrainedModel
    from yoyak.prediction.predict import BatchRequest, BatchSummary, Pools


def _columns(written: str | None) -> str | None:
    from yoyak.data.dialogue_stream import parse_columns

    try:
        parse_columns(written or "dialogue=dialogue")
    except ValueError as error:
        raise typer.BadParameter(text("cli.bad-columns", found=written)) from error
    return written


def _format(name: str) -> str:
    from yoyak.prediction.output import OutputFormat

    known = get_args(OutputFormat)
    if name not in known:
        raise typer.BadParameter(text("cli.bad-format", known=", ".join(known)))
    return name


def predict(
    source: Annotated[Path, typer.Argument(metavar="IN", help=text("cli.argument-input"))],
    to: Annotated[Path, typer.Option("--to", metavar="OUT", help=text("cli.option-out"))],
    run: Annotated[
        str | None, typer.Option("--run", help=text("cli.option-run"), show_default=False)
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(
            "--model", metavar="FOLDER", help=text("cli.option-model"), show_default=False
        ),
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(callback=_columns, help=text("cli.option-columns"), show_default=False),
    ] = None,
    file_format: Annotated[
        str, typer.Option("--format", callback=_format, help=text("cli.option-format"))
    ] = "csv",
    shard_rows: Annotated[
        int, typer.Option("--shard-rows", min=1, max=100_000, help=text("cli.option-shard-rows"))
    ] = 2000,
    ray: RayAddress = None,
    workspace: WorkspaceFolder = None,
    as_json: AsJson = False,
) -> None:
    """Summarise every row of a file; the same command goes on after a kill."""
    import msgspec

    from yoyak.data.dialogue_stream import parse_columns
    from yoyak.prediction.model import exported_model
    from yoyak.prediction.output import OutputFormat
    from yoyak.prediction.predict import BatchRequest
    from yoyak.prediction.predict import predict as predict_all
    from yoyak.terminal.batch_progress import BatchProgressView

    context = open_context(None, workspace)
    require_utf8(to)
    if run is not None and model is not None:
        raise UsageError("prediction.run-or-model")
    request = BatchRequest(
        source=source,
        output=to,
        model=exported_model(model) if model is not None else _trained(context, run),
        columns=parse_columns(columns) if columns else {},
        file_format=msgspec.convert(file_format, OutputFormat),
        shard_rows=shard_rows,
    )
    with _pools(ray, request) as pools, BatchProgressView(sys.stderr) as view:
        summary = predict_all(request, partial(show_warning, say=view.say), view, pools)
    if as_json:
        print(msgspec.json.encode(summary).decode())
    else:
        _print(summary, context.short(Path(summary.path)))


def _trained(context: CommandContext, run: str | None) -> "TrainedModel":
    from yoyak.prediction.model import only_finished_run, trained_model

    chosen = context.run(run) if run is not None else only_finished_run(context.workspace)
    return trained_model(chosen)


@contextmanager
def _pools(ray: str | None, request: "BatchRequest") -> "Iterator[Pools | None]":
    """Yield where shards are made: on the Ray cluster at ``ray``, or in this process."""
    if ray is None:
        yield None
        return
    from yoyak.cluster.connection import connected
    from yoyak.cluster.shards import ray_pools

    with connected(ray) as module:
        yield ray_pools(module, request.model)


def _print(summary: "BatchSummary", path: str) -> None:
    """Print where the summaries are, the pace, and how many rows show each fault."""
    from yoyak.terminal.batch_progress import format_pace
    from yoyak.values import StopReason

    pace = format_pace(summary.rows_per_second)
    print(text("prediction.done", path=path, rows=summary.rows, new=summary.new_rows, pace=pace))
    flags = ", ".join(f"{name} {rows}" for name, rows in sorted(summary.flags.items()))
    print(text("prediction.flagged", flags=flags) if flags else text("prediction.unflagged"))
    cut = summary.stops.get(StopReason.LENGTH, 0)
    if cut:
        print(text("prediction.cut-short", rows=cut))

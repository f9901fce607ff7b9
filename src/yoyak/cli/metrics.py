"""The verbs score and compare. Neither needs torch, and score needs no workspace."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from yoyak.cli.context import CommandContext, open_context
from yoyak.cli.options import AsJson, ProtocolName, WorkspaceFolder
from yoyak.cli.submission import draw_review
from yoyak.errors import InputMissing, UsageError
from yoyak.messages import text

if TYPE_CHECKING:
    from rich.console import Console

    from yoyak.metrics.diagnostics.error_report import ScoredSystem
    from yoyak.metrics.scorecard import Scorecard

Column = Annotated[str | None, typer.Option(help=text("cli.option-column"), show_default=False)]


def score(
    predictions: Annotated[Path, typer.Argument(help=text("cli.argument-predictions"))],
    references: Annotated[list[Path], typer.Argument(help=text("cli.argument-references"))],
    protocol: ProtocolName = "official",
    column: Column = None,
    as_json: AsJson = False,
) -> None:
    """Score a file of predictions against one or more files of references."""
    import msgspec

    from yoyak.report.render.score_json import score_file
    from yoyak.terminal import scores
    from yoyak.terminal.status import console

    scorecard = _score_file(predictions, references, protocol, column)
    if as_json:
        print(msgspec.json.encode(score_file(scorecard)).decode())
    else:
        console(sys.stdout).print(scores.card(scorecard, predictions.name))


def compare(
    systems: Annotated[
        list[str] | None, typer.Argument(help=text("cli.argument-systems"), show_default=False)
    ] = None,
    references: Annotated[
        list[Path] | None,
        typer.Option("--references", help=text("cli.option-references"), show_default=False),
    ] = None,
    workspace: WorkspaceFolder = None,
    rows: Annotated[bool, typer.Option("--rows", help=text("cli.option-rows"))] = False,
    as_json: AsJson = False,
) -> None:
    """Print which differences between systems are significant and which are not proven."""
    import msgspec

    from yoyak.metrics import significance as comparing
    from yoyak.terminal import scores
    from yoyak.terminal.status import console

    context = open_context(None, workspace)
    evaluated = _evaluate_all(context, systems or _all_runs(context), references)
    if len(evaluated) < 2:
        raise UsageError("cli.compare-two", workspace=context.workspace.folder)
    scorecards = {name: one.card for name, one in evaluated.items()}
    compared = comparing.compare(scorecards)
    if as_json:
        print(msgspec.json.encode(compared).decode())
        return
    out = console(sys.stdout)
    names = _recipes(context, scorecards)
    out.print(scores.comparison(compared, names=names, cards=scorecards))
    if rows:
        best = [standing.system for standing in compared.standings[:2]]
        files = references or [context.dev_file]
        _draw_rows({name: evaluated[name] for name in best}, files, out)
        if references is None:
            draw_review(context, systems or _all_runs(context), out)


def _draw_rows(best: dict[str, "ScoredSystem"], references: list[Path], out: "Console") -> None:
    """Print the rows where the two best systems differ most, then each one's frequent problems."""
    from yoyak.data.prediction_files import read_dialogues, read_references
    from yoyak.metrics.diagnostics.error_report import find_errors, most_different
    from yoyak.terminal import rows as rows_view

    against, dialogues = read_references(*references), read_dialogues(*references)
    (one, ours), (other, theirs) = best.items()
    found = most_different(ours, theirs, against, limit=10)
    out.print(rows_view.differences(found, (one, other)))
    for name, evaluated in best.items():
        out.print(text("cli.faults-of", system=name))
        out.print(rows_view.faults(find_errors(evaluated.texts, against, dialogues)))


def _evaluate_all(
    context: CommandContext, systems: list[str], references: list[Path] | None
) -> dict[str, "ScoredSystem"]:
    """Return each system by its shortest unique name: a file's own name where no other has it."""
    own = [Path(system).name for system in systems]
    short = len(set(own)) == len(own)
    names = own if short else systems
    return {
        name: _evaluate(context, system, references)
        for name, system in zip(names, systems, strict=True)
    }


def _recipes(context: CommandContext, systems: Iterable[str]) -> dict[str, str]:
    """Map run to recipe, for runs whose recipe no other of ``systems`` has."""
    named = {run.name: run.identity.recipe for run in context.workspace.runs()}
    found = [named[system] for system in systems if system in named]
    return {
        system: named[system]
        for system in systems
        if system in named and found.count(named[system]) == 1
    }


def _all_runs(context: CommandContext) -> list[str]:
    return [run.name for run in context.workspace.runs() if run.scorecard("dev") is not None]


def _evaluate(
    context: CommandContext, system: str, references: list[Path] | None
) -> "ScoredSystem":
    from yoyak.data.prediction_files import read_predictions
    from yoyak.ensemble.imports import imports
    from yoyak.metrics.diagnostics.error_report import ScoredSystem

    run = context.workspace.named(system)
    if run is not None:
        scorecard = run.scorecard("dev")
        if scorecard is None:
            raise InputMissing("cli.unscored-run", run=run.name)
        return ScoredSystem(
            card=scorecard, texts={one.id: one.text for one in run.predictions("dev")}
        )
    taken_in = next((one for one in imports(context.workspace) if one.name == system), None)
    if taken_in is not None and (scorecard := taken_in.scorecard()) is not None:
        texts = {one.id: one.text for one in taken_in.predictions("dev")}
        return ScoredSystem(card=scorecard, texts=texts)
    path = Path(system)
    if not path.is_file():
        folder = context.workspace.folder
        raise InputMissing("cli.unknown-system", system=system, workspace=folder)
    against = references or [context.dev_file]
    scorecard = _score_file(path, against, "official", None)
    return ScoredSystem(card=scorecard, texts=read_predictions(path))


def _score_file(
    predictions: Path, references: list[Path], protocol: str, column: str | None
) -> "Scorecard":
    from yoyak.data.prediction_files import read_dialogues, read_predictions, read_references
    from yoyak.metrics.protocol import parse
    from yoyak.metrics.scorecard import evaluate_texts

    return evaluate_texts(
        read_predictions(predictions, column=column),
        read_references(*references),
        read_dialogues(*references),
        parse(protocol),
    )

"""The verbs score and compare. Neither needs torch, and score needs no workspace."""

import sys
from collections.abc import Collection, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from yoyak.cli.context import CommandContext, open_context
from yoyak.cli.options import AsJson, ProtocolName, WorkspaceFolder
from yoyak.cli.submission import draw_review
from yoyak.errors import InputMissing, UsageError
from yoyak.messages import listed, text
from yoyak.report.model.report import TOY
from yoyak.terminal.pager import paged

if TYPE_CHECKING:
    from yoyak.metrics.diagnostics.error_report import ScoredSystem
    from yoyak.metrics.diagnostics.row_filter import RowFilter
    from yoyak.metrics.scorecard import Scorecard

ROWS_SHOWN = 10
FAULTS_SHOWN = 5
"""At most so many rows of each kind of fault are printed."""

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

    from yoyak.report.render.json import score_file
    from yoyak.report.sections.scorecard import scorecard
    from yoyak.terminal.render import show

    card = _score_file(predictions, references, protocol, column)
    if as_json:
        print(msgspec.json.encode(score_file(card)).decode())
    else:
        show(scorecard(card, predictions.name), sys.stdout)


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
    row: Annotated[
        list[str] | None,
        typer.Option("--row", metavar="ID", help=text("cli.option-row"), show_default=False),
    ] = None,
    fault: Annotated[
        list[str] | None,
        typer.Option("--fault", metavar="KIND", help=text("cli.option-fault"), show_default=False),
    ] = None,
    topic: Annotated[
        str, typer.Option("--topic", help=text("cli.option-topic"), show_default=False)
    ] = "",
    limit: Annotated[
        int, typer.Option("--limit", min=1, help=text("cli.option-limit"))
    ] = ROWS_SHOWN,
    as_json: AsJson = False,
) -> None:
    """Print which differences between systems are significant and which are not proven."""
    chosen = _row_filter(row or (), fault or (), topic)
    shown = RowsShown(chosen, limit) if rows or not chosen.is_empty else None
    with paged() if shown and not as_json else nullcontext():
        _compare(open_context(None, workspace), systems, references, shown, as_json=as_json)


class RowsShown(NamedTuple):
    """Which rows ``compare`` prints, and at most how many."""

    chosen: "RowFilter"
    limit: int


def _row_filter(ids: Sequence[str], faults: Sequence[str], topic: str) -> "RowFilter":
    """Return the filter that the options name.

    Raises:
        UsageError: a kind of fault is none.
    """
    from yoyak.metrics.diagnostics.error_types import ErrorType
    from yoyak.metrics.diagnostics.row_filter import RowFilter

    kinds = {kind.value.replace("_", "-"): kind for kind in ErrorType}
    for given in faults:
        if given.replace("_", "-") not in kinds:
            raise UsageError("cli.unknown-fault", found=given, known=", ".join(kinds))
    named = tuple(kinds[given.replace("_", "-")] for given in faults)
    return RowFilter(ids=tuple(ids), faults=named, topic=topic)


def _compare(
    context: CommandContext,
    systems: list[str] | None,
    references: list[Path] | None,
    rows: RowsShown | None,
    *,
    as_json: bool,
) -> None:
    from yoyak.metrics.significance import ScorecardGroup
    from yoyak.metrics.significance import compare as compare_group
    from yoyak.report.render.json import comparison_json
    from yoyak.report.sections.blocks import Note
    from yoyak.report.sections.scorecard import comparison
    from yoyak.report.sections.seeds import within_seed_noise
    from yoyak.runs.replicates import seed_noise
    from yoyak.terminal.render import show

    named = systems or _all_systems(context)
    evaluated = _evaluate_all(context, named, references)
    scorecards = {name: one.card for name, one in evaluated.items()}
    # Named systems must be comparable; of all runs, those that are stand in one table each.
    data = {name: one.dev_sha256 for name, one in evaluated.items() if one.dev_sha256 is not None}
    grouped = (
        [ScorecardGroup(scorecards, data)] if systems else ScorecardGroup.split(scorecards, data)
    )
    comparable = [group for group in grouped if len(group) > 1]
    if not comparable:
        raise UsageError("cli.compare-two", workspace=context.workspace.folder)
    toys, noise = _toys(context, evaluated), seed_noise(context.workspace.runs())
    for group in comparable:
        compared, marked = compare_group(group), toys & group.keys()
        if as_json:
            print(comparison_json(compared, group, marked))
            continue
        names = _display_names(context, group, marked)
        notes = [*within_seed_noise(compared, noise, names)]
        if marked:
            notes.append(f"{TOY} {text('report.toy-note')}")
        show((*comparison(compared, group, names=names), *map(Note, notes)), sys.stdout)
        if rows:
            best = [one.system for one in compared.standings]
            pair = {name: evaluated[name] for name in (list(evaluated) if systems else best)[:2]}
            _draw_rows(pair, names, references or [context.dev_file], rows)
    alone = [name for group in grouped if len(group) == 1 for name in group]
    if alone:
        print(text("cli.compared-with-none", systems=listed(alone)), file=sys.stderr)
    if rows and rows.chosen.is_empty and references is None and not as_json:
        draw_review(context, named, _display_names(context, named, ()), rows.limit)


def _draw_rows(
    pair: dict[str, "ScoredSystem"],
    names: dict[str, str],
    references: list[Path],
    rows: RowsShown,
) -> None:
    """Print the rows where two systems differ most, then each one's frequent problems."""
    from yoyak.data.prediction_files import read_dialogues, read_references
    from yoyak.metrics.diagnostics.error_report import find_errors, most_different
    from yoyak.metrics.diagnostics.row_filter import diagnose
    from yoyak.metrics.protocol import data_sha256
    from yoyak.report.sections import examples
    from yoyak.terminal.render import show

    against, dialogues = read_references(*references), read_dialogues(*references)
    ours, theirs = pair.values()
    if ours.card.protocol.data_sha256 != data_sha256(against):
        print(text("cli.rows-other-data", files=listed(references)), file=sys.stderr)
        return
    errors = {name: find_errors(one.texts, against, dialogues) for name, one in pair.items()}
    kept = {
        row.id
        for name, one in pair.items()
        for row in rows.chosen.keep(diagnose(one, errors[name], against, dialogues))
    }
    if not kept:
        raise UsageError("cli.no-row")
    found = most_different(ours, theirs, {key: against[key] for key in against if key in kept})
    one, other = (names.get(name, name) for name in pair)
    print()
    read = dialogues if rows.chosen.ids else {}
    show(examples.differences(found, (one, other), read, limit=rows.limit), sys.stdout)
    for name in pair:
        print("", text("cli.faults-of", system=names.get(name, name)), sep="\n")
        shown = [error for error in errors[name] if error.id in kept]
        show(examples.faults(shown, limit=min(rows.limit, FAULTS_SHOWN)), sys.stdout)


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


def _toys(context: CommandContext, systems: Collection[str]) -> set[str]:
    """Return the systems that are models from scratch: their scores say nothing about quality."""
    runs = {system: context.workspace.named(system) for system in systems}
    return {system for system, run in runs.items() if run and run.recipe.model.scratch is not None}


def _display_names(
    context: CommandContext, systems: Collection[str], toys: Collection[str]
) -> dict[str, str]:
    """Map run to recipe, where no other of ``systems`` has it; toys are marked."""
    recipes = {run.name: run.identity.recipe for run in context.workspace.runs()}
    found = [recipes[system] for system in systems if system in recipes]
    short = {
        system: recipe
        for system in systems
        if (recipe := recipes.get(system)) is not None and found.count(recipe) == 1
    }
    marked = {name: short.get(name, name) + TOY for name in toys}
    return short | marked


def _all_systems(context: CommandContext) -> list[str]:
    """Return the names of all scored runs and imports."""
    from yoyak.ensemble.imports import imports

    workspace = context.workspace
    taken_in = [one for one in imports(workspace) if workspace.named(one.name) is None]
    runs = [run.name for run in workspace.runs() if run.scorecard() is not None]
    return [*runs, *(one.name for one in taken_in if one.scorecard() is not None)]


def _evaluate(
    context: CommandContext, system: str, references: list[Path] | None
) -> "ScoredSystem":
    from yoyak.data.prediction_files import read_predictions
    from yoyak.ensemble.imports import imports
    from yoyak.metrics.diagnostics.error_report import ScoredSystem
    from yoyak.runs.stage_records import refuse_edited, require_unedited

    run = context.workspace.named(system)
    if run is not None:
        require_unedited(run)
        scorecard = run.scorecard("dev")
        if scorecard is None:
            raise InputMissing("cli.unscored-run", run=run.name)
        return ScoredSystem(
            card=scorecard,
            texts={one.id: one.text for one in run.predictions("dev")},
            dev_sha256=run.identity.dev_sha256,
        )
    taken_in = next((one for one in imports(context.workspace) if one.name == system), None)
    if taken_in is not None and (scorecard := taken_in.scorecard()) is not None:
        refuse_edited(taken_in.name, taken_in.edited_outputs())
        texts = {one.id: one.text for one in taken_in.predictions("dev")}
        return ScoredSystem(
            card=scorecard, texts=texts, dev_sha256=taken_in.record.data_sha256.get("dev")
        )
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

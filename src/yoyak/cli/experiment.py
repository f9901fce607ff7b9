"""The commands of yoyak experiment."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from yoyak.cli.context import CommandContext, open_context
from yoyak.cli.options import Allow, AsJson, DataFolder, Sets, SkipPlan, WorkspaceFolder
from yoyak.errors import UsageError
from yoyak.messages import text
from yoyak.runs.run import Run

if TYPE_CHECKING:
    from yoyak.experiments.data_experiment import DataArm

experiment = typer.Typer(
    help=text("cli.verb-experiment"), no_args_is_help=True, rich_markup_mode=None
)


@experiment.callback()
def _group() -> None:
    """Keep ``data`` a command of its own while it is the only one."""


@experiment.command("data", help=text("cli.verb-experiment-data"))
def data_(
    baseline: Annotated[str, typer.Argument(help=text("cli.argument-arm-a"), metavar="A")],
    changed: Annotated[
        str | None,
        typer.Argument(help=text("cli.argument-arm-b"), metavar="B", show_default=False),
    ] = None,
    with_: Annotated[
        list[str] | None, typer.Option("--with", help=text("cli.option-with"), show_default=False)
    ] = None,
    seeds: Annotated[int, typer.Option("--seeds", min=2, help=text("cli.option-arm-seeds"))] = 3,
    sets: Sets = None,
    allow: Allow = None,
    skip_plan: SkipPlan = False,
    data: DataFolder = None,
    workspace: WorkspaceFolder = None,
    as_json: AsJson = False,
) -> None:
    """Train two ways to prepare train with the same seeds; say what is proven."""
    import msgspec

    from yoyak.cli.runs import RunLineup, complete_lineup
    from yoyak.experiments import data_experiment
    from yoyak.terminal.experiment import shown
    from yoyak.terminal.render import show

    context = open_context(data, workspace)
    print(context.data_line, file=sys.stderr)
    arms = _arms(context, baseline, changed, tuple(with_ or ()), tuple(sets or ()))
    data_experiment.refuse_equal(*arms, seeds)

    def conclude(runs: Sequence[Run]) -> None:
        found = data_experiment.conclude(arms, runs, context.corpus)
        if found is not None and as_json:
            print(msgspec.json.encode(found).decode())
        elif found is not None:
            show(shown(found), sys.stdout)

    requests = [request for arm in arms for request in arm.requests(seeds)]
    lineup = RunLineup(requests, tuple(sets or ()), tuple(allow or ()), skip_plan)
    complete_lineup(context, lineup, conclude)


def _arms(
    context: CommandContext,
    baseline: str,
    changed: str | None,
    changes: tuple[str, ...],
    sets: tuple[str, ...],
) -> "tuple[DataArm, DataArm]":
    import json

    from yoyak.experiments.data_experiment import DataArm, variant_name

    if changed is None and not changes:
        raise UsageError("experiments.one-arm", recipe=baseline)
    [first] = context.resolve([baseline], sets)
    named = changed or baseline
    [second] = context.resolve([named], (*sets, *changes))
    if changes:
        name = variant_name(second.recipe, changes)
        changes = (*changes, f"name={json.dumps(name)}")
        [second] = context.resolve([named], (*sets, *changes))
    return DataArm(baseline, first.recipe), DataArm(named, second.recipe, changes)

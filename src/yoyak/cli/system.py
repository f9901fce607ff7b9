"""The verbs of the machine: check, plan, prune."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from yoyak.cli import completion
from yoyak.cli.context import open_context
from yoyak.cli.options import AsJson, DataFolder, Sets, WorkspaceFolder
from yoyak.errors import UsageError
from yoyak.messages import text

if TYPE_CHECKING:
    from yoyak.planning.gpu_catalogue import GpuSpec

Recipes = Annotated[
    list[str] | None,
    typer.Argument(
        help=text("cli.argument-check"),
        show_default=False,
        autocompletion=completion.recipe_names,
    ),
]


def check(
    recipe: Recipes = None,
    data: DataFolder = None,
    workspace: WorkspaceFolder = None,
    as_json: AsJson = False,
) -> None:
    """Check everything a run needs; print one line each with the next command."""
    import msgspec

    from yoyak.system.doctor import CheckStatus
    from yoyak.system.doctor import check as run_checks
    from yoyak.terminal.render import show
    from yoyak.terminal.system import checks

    context = open_context(data, workspace)
    wanted = [one.recipe for one in context.resolve(recipe or ())]
    project = context.project
    lines = run_checks(
        context.data_folder, context.workspace, project.limits, wanted, project.data.allow
    )
    if as_json:
        print(msgspec.json.encode(lines).decode())
    else:
        show(checks(lines), sys.stdout)
    if any(line.status is CheckStatus.BAD for line in lines):
        raise typer.Exit(69)


def plan(
    recipe: Annotated[
        list[str] | None,
        typer.Argument(
            help=text("cli.argument-recipes"),
            show_default=False,
            autocompletion=completion.recipe_names,
        ),
    ] = None,
    gpu: Annotated[
        str | None, typer.Option("--gpu", "--card", help=text("cli.option-card"))
    ] = None,
    minutes: Annotated[float | None, typer.Option(help=text("cli.option-minutes"))] = None,
    disk_gb: Annotated[float | None, typer.Option(help=text("cli.option-disk"))] = None,
    data: DataFolder = None,
    sets: Sets = None,
    as_json: AsJson = False,
) -> None:
    """Estimate what runs will take; if they cannot fit, say why and what would."""
    import msgspec

    from yoyak.planning.plan import plan as make_plan
    from yoyak.planning.plan import target_here
    from yoyak.terminal import system
    from yoyak.terminal.render import show

    context = open_context(data, None)
    wanted = [one.recipe for one in context.resolve(context.lineup(recipe), sets or ())]
    target = target_here(context.workspace, context.project.limits, gpu_spec(gpu))
    free_gb = target.disk_free_gb if disk_gb is None else disk_gb
    target = target._replace(disk_free_gb=free_gb, minutes=minutes, elsewhere=gpu is not None)
    made = make_plan(wanted, context.corpus, target)
    if as_json:
        print(msgspec.json.encode(made).decode())
    else:
        show(system.plan(made), sys.stdout)
    for refusal in made.refusals[:-1]:
        print(text("cli.error", error=refusal.error), file=sys.stderr)
    if made.refusals:
        raise made.refusals[-1].error


def gpu_spec(name: str | None) -> "GpuSpec | None":
    """Return the GPU of that name, or the first one here, if any.

    Raises:
        UsageError: there is no data sheet of that name.
    """
    from yoyak.planning import gpu_catalogue

    if name is None:
        return next(iter(gpu_catalogue.installed_gpus()), None)
    spec = gpu_catalogue.find_spec(name)
    if spec is None:
        raise UsageError("cli.unknown-card", card=name, known=", ".join(gpu_catalogue.GPUS))
    return spec


def prune(
    dry_run: Annotated[bool, typer.Option("--dry-run", help=text("cli.option-dry-run"))] = False,
    hub: Annotated[bool, typer.Option("--hub", help=text("cli.option-hub"))] = False,
    workspace: WorkspaceFolder = None,
) -> None:
    """Show what no run needs and, without ``--dry-run``, delete it."""
    from yoyak.system import prune as pruning
    from yoyak.terminal.render import show
    from yoyak.terminal.system import GB, prunable

    context = open_context(None, workspace)
    found = pruning.candidates(context.workspace, hub=hub)
    if not found:
        print(text("cli.nothing-to-prune"))
        return
    show(prunable(found), sys.stdout)
    if not dry_run:
        gone = pruning.prune(context.workspace, found)
        freed = sum(each.size_bytes for each in gone) / GB
        print(text("cli.pruned", count=len(gone), gb=f"{freed:.2f}"))

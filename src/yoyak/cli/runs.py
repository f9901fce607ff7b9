"""The verbs of runs: show, run, status, watch, stop, prioritise, report, backup."""

import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from yoyak.cli import completion
from yoyak.cli.context import CommandContext, open_context
from yoyak.cli.options import Allow, AsJson, DataFolder, Sets, SkipPlan, WorkspaceFolder
from yoyak.cli.placement import Processes, RayAddress, placement
from yoyak.errors import BadData, Interrupted, RunFailed, UsageError
from yoyak.messages import text
from yoyak.runs.run import Run

if TYPE_CHECKING:
    from yoyak.config.schema import Recipe
    from yoyak.events import AnyEvent, DataFinding
    from yoyak.report.render.write import Paths
    from yoyak.scheduler.create_runs import RunRequest
    from yoyak.scheduler.placement import Placement
    from yoyak.scheduler.scheduler import OnEvent
    from yoyak.terminal.watch_app import RunControls

Recipes = Annotated[
    list[str] | None,
    typer.Argument(
        help=text("cli.argument-recipes"),
        show_default=False,
        autocompletion=completion.recipe_names,
    ),
]
OneRecipe = Annotated[
    str | None,
    typer.Argument(
        help=text("cli.argument-recipe"),
        show_default=False,
        autocompletion=completion.recipe_names,
    ),
]


def show(
    recipe: OneRecipe = None,
    fits: Annotated[
        float | None, typer.Option("--fits", min=0, help=text("cli.option-fits"))
    ] = None,
    sets: Sets = None,
    as_json: AsJson = False,
) -> None:
    """Print every setting of a recipe with its origin, or the names of all recipes."""
    import msgspec

    from yoyak.config import load
    from yoyak.runs.redact import redact
    from yoyak.terminal.recipe import fitting, recipes, settings
    from yoyak.terminal.render import show as show_blocks

    context = open_context(None, None)
    if recipe is None:
        known = [one.recipe for one in context.resolve(load.names())]
        if fits is not None:
            known = fitting(known, fits)
        if as_json:
            print(msgspec.json.encode([one.name for one in known]).decode())
        else:
            show_blocks(recipes(known), sys.stdout)
        return
    (resolved,) = context.resolve([recipe], sets or ())
    if as_json:
        print(redact(msgspec.json.encode(resolved.recipe).decode()))
    else:
        show_blocks(settings(resolved), sys.stdout)


def _name_skip_plan(is_given: bool) -> bool:
    """Say the current name of ``--unplanned``."""
    if is_given:
        print(text("cli.option-renamed", old="--unplanned", new="--skip-plan"), file=sys.stderr)
    return is_given


def run(
    recipe: Recipes = None,
    data: DataFolder = None,
    workspace: WorkspaceFolder = None,
    sets: Sets = None,
    allow: Allow = None,
    skip_plan: SkipPlan = False,
    folds: Annotated[
        int | None,
        typer.Option("--folds", min=2, help=text("cli.option-folds"), show_default=False),
    ] = None,
    seeds: Annotated[int, typer.Option("--seeds", min=1, help=text("cli.option-seeds"))] = 1,
    final: Annotated[bool, typer.Option("--final", help=text("cli.option-final"))] = False,
    processes: Processes = 1,
    ray: RayAddress = None,
    unplanned: Annotated[
        bool, typer.Option("--unplanned", hidden=True, callback=_name_skip_plan)
    ] = False,
) -> None:
    """Complete each recipe's run, then write the report and the submission."""
    from yoyak.experiments.final_run import final_request
    from yoyak.experiments.folds import FoldPlan, score_out_of_fold

    plan = FoldPlan(folds, seeds)
    if final and plan != FoldPlan():
        raise UsageError("experiments.final-alone")

    context = open_context(data, workspace)
    print(context.data_line, file=sys.stderr)
    names = context.lineup(recipe)
    resolved = context.resolve(names, sets or ())
    requests = [
        request
        for name, one in zip(names, resolved, strict=True)
        for request in (
            (final_request(name, one.recipe, context.workspace, context.corpus),)
            if final
            else plan.requests(name, one.recipe)
        )
    ]

    def conclude(runs: Sequence[Run]) -> None:
        score_out_of_fold(context.workspace, context.corpus, runs)
        _conclude(context)
        for one in runs if final else ():
            path = context.short(one.predictions_path("test"))
            print(text("experiments.final-unscored", run=one.name, path=path), file=sys.stderr)

    lineup = RunLineup(requests, tuple(sets or ()), tuple(allow or ()), skip_plan or unplanned)
    with placement(context, ray, processes) as chosen:
        complete_lineup(context, lineup, conclude, chosen)


class RunLineup(NamedTuple):
    """Runs to complete, and the options of the command line that concern all of them."""

    requests: "Sequence[RunRequest]"
    sets: tuple[str, ...]
    allow: tuple[str, ...]
    skip_plan: bool


def complete_lineup(
    context: CommandContext,
    lineup: RunLineup,
    conclude: Callable[[Sequence[Run]], None],
    chosen: "Placement | None" = None,
) -> None:
    """Create or find the runs and complete them; ``conclude`` is called with them at the end.

    Raises:
        Interrupted, RunFailed, DiskFull: after ``conclude``; not every run is finished.
    """
    from yoyak.scheduler.create_runs import create_runs, record_audit, record_plans
    from yoyak.scheduler.scheduler import RunResult, Scheduler
    from yoyak.terminal.progress import showing
    from yoyak.trackers.live import LiveTrackers

    live_trackers = LiveTrackers(context.workspace, context.project, sys.stderr)
    allowed = (*context.project.data.allow, *lineup.allow)
    findings = audit_data(context, allowed)
    runs = create_runs(
        context.workspace,
        context.corpus,
        lineup.requests,
        context.project,
        lineup.sets,
        admit=None if lineup.skip_plan else partial(admit_runs, context),
    )
    _name_older_runs(context, runs)
    record_audit(runs, findings, allowed)
    record_plans(runs, context.corpus, context.workspace)
    with live_trackers:
        with showing(runs, sys.stderr) as show:
            on_event = live_trackers.wrap(_reporting(context, runs, show))
            scheduler = Scheduler(context.corpus, on_event, context.project.limits, chosen)
            outcomes = scheduler.run_all(runs)
        results = {outcome.result for outcome in outcomes}
        if results == {RunResult.ALREADY_DONE}:
            done = ", ".join(one.name for one in runs)
            print(text("cli.done", runs=done), file=sys.stderr)
        conclude(runs)
    if scheduler.danger is not None:
        raise scheduler.danger
    if RunResult.INTERRUPTED in results:
        raise Interrupted("cli.interrupted-lineup")
    failed = [outcome.run.name for outcome in outcomes if outcome.result is RunResult.FAILED]
    if failed:
        raise RunFailed("cli.failed-runs", runs=", ".join(failed))


def admit_runs(context: CommandContext, found: "Sequence[tuple[Recipe, Run | None]]") -> None:
    """Ask the plan for what is neither done nor worked on by another process.

    Raises:
        YoyakError: a base cannot be used, or the line-up does not fit.
    """
    from yoyak.planning.plan import PendingRun, admit
    from yoyak.scheduler.stages import is_finished, is_trained

    corpus = context.corpus
    pending = [
        PendingRun(recipe, run, run is not None and is_trained(run, corpus))
        for recipe, run in found
        if run is None or (run.holder() is None and not is_finished(run, corpus))
    ]
    admit(pending, corpus, context.workspace, context.project.limits)


def _reporting(context: CommandContext, runs: Sequence[Run], show: "OnEvent") -> "OnEvent":
    """Return ``show``, followed by a new report whenever a run finishes while others go on.

    It takes about a second for a few runs. A report that fails is no reason to stop the runs.
    """
    from yoyak.events import Failed, Finished
    from yoyak.report.model.load import gather_with_rows
    from yoyak.report.render.write import write_report

    unfinished = {run.name for run in runs}
    printed = set[str]()

    def on_event(run: Run, event: "AnyEvent") -> None:
        show(run, event)
        if isinstance(event, Finished | Failed):
            unfinished.discard(run.name)
        if not isinstance(event, Finished) or not unfinished:
            return
        try:
            found = gather_with_rows(context.workspace, budget=context.project.budget)
            html = write_report(context.workspace, *found).html
            line = text("cli.report-so-far", path=context.short(html))
        except Exception as error:  # noqa: BLE001
            line = text("cli.report-failed", problem=error)
        if line not in printed:
            printed.add(line)
            print(line, file=sys.stderr)

    return on_event


def audit_data(context: CommandContext, allowed: Sequence[str]) -> "tuple[DataFinding, ...]":
    """Print what the audit finds in the data.

    Raises:
        BadData: splits contradict each other, and that is not in ``allowed``.
    """
    from yoyak.data.audit import audit, refuse_contradictions

    found = audit(context.corpus)
    refuse_contradictions(found, allowed)
    for finding in found.findings:
        print(text("cli.data-finding", finding=finding.found), file=sys.stderr)
    return found.findings


def _name_older_runs(context: CommandContext, runs: Sequence[Run]) -> None:
    """Say which runs of the same recipe a new run leaves as they are."""
    for one in runs:
        older = context.workspace.older_runs(one.identity.recipe)
        if older and not one.state().attempts:
            kept = ", ".join(each.name for each in older)
            print(text("runs.older-run", recipe=one.identity.recipe, run=kept), file=sys.stderr)


def _conclude(context: CommandContext) -> None:
    """Print the comparison, then where the report and the best system's submission are.

    Raises:
        BadData: the submission breaks a rule; raised after everything else was written.
    """
    from yoyak.report.model.load import gather_with_rows
    from yoyak.report.render.write import write_report
    from yoyak.report.sections.page import run_end
    from yoyak.submission.submit import ready_candidates, submit
    from yoyak.terminal.render import show

    submitted = refused = None
    if ready_candidates(context.workspace, context.corpus).ready:
        try:
            submitted = submit(context.workspace, context.corpus)
        except BadData as error:
            refused = error
    found = gather_with_rows(context.workspace, budget=context.project.budget)
    show(run_end(found.view), sys.stdout)
    paths = write_report(context.workspace, *found)
    print()
    print(text("cli.report-at", path=context.short(paths.html)))
    if submitted is not None:
        print(text("cli.submission-at", path=context.short(Path(submitted.path))))
    print(text("cli.next-commands"), file=sys.stderr)
    if refused is not None:
        raise refused


def status(workspace: WorkspaceFolder = None, as_json: AsJson = False) -> None:
    """Print the state of every run; works from another shell while runs are at work."""
    from yoyak.report.model.load import gather
    from yoyak.report.sections import page
    from yoyak.terminal.render import show

    view = gather(open_context(None, workspace).workspace, compared=False)
    if as_json:
        from yoyak.report.render.json import status_json

        print(status_json(view))
    else:
        show(page.status(view), sys.stdout)


def report(
    mirror: Annotated[
        str | None, typer.Option("--mirror", help=text("cli.option-mirror"), show_default=False)
    ] = None,
    bundle: Annotated[
        Path | None, typer.Option("--bundle", help=text("cli.option-bundle"), show_default=False)
    ] = None,
    workspace: WorkspaceFolder = None,
    as_json: AsJson = False,
) -> None:
    """Write the report, or replay the runs into a tracker."""
    from yoyak.report.model.load import gather_with_rows
    from yoyak.report.render.write import write_report

    context = open_context(None, workspace)
    if mirror is not None:
        _mirror(context, mirror, as_json)
        return
    found = gather_with_rows(context.workspace, budget=context.project.budget)
    paths = write_report(context.workspace, *found)
    packed = () if bundle is None else _bundle(context, paths, bundle)
    if as_json:
        print(paths.json.read_text(encoding="utf-8"), end="")
        return
    for path in paths:
        print(context.short(path))
    if bundle is not None:
        size = f"{bundle.stat().st_size / 1e6:.2f}"
        print(text("cli.bundled", path=context.short(bundle), count=len(packed), mb=size))


def _bundle(context: CommandContext, paths: "Paths", target: Path) -> tuple[str, ...]:
    from yoyak.export.bundle import bundle

    return bundle(context.workspace, paths, target)


def _mirror(context: CommandContext, tracker: str, as_json: bool) -> None:
    import msgspec

    from yoyak.trackers.mirror import mirror

    sent = mirror(context.workspace, tracker)
    if as_json:
        print(msgspec.json.encode(sent).decode())
        return
    for run, points in sent.items():
        print(text("cli.mirrored", run=run, points=points, tracker=tracker))


def watch(
    mirror: Annotated[
        str | None,
        typer.Option("--mirror", help=text("cli.option-watch-mirror"), show_default=False),
    ] = None,
    workspace: WorkspaceFolder = None,
) -> None:
    """Show the runs until q is pressed, or mirror them until Ctrl-C; the runs go on."""
    from yoyak.terminal import watch as watching

    context = open_context(None, workspace)
    if mirror is None:
        watching.watch(context.workspace, sys.stdout, lambda: _controls(context))
        return
    from yoyak.trackers.mirror import follow

    print(text("cli.following", tracker=mirror), file=sys.stderr)
    for run, points in follow(context.workspace, mirror).items():
        print(text("cli.mirrored", run=run, points=points, tracker=mirror))


def _controls(context: CommandContext) -> "RunControls":
    """Return what the keys of the view do: the same as the verbs stop, run and prioritise."""
    from yoyak.scheduler.control import put_first, stop_run
    from yoyak.terminal.watch_app import RunControls
    from yoyak.web.commands import Commands, ResumeRun

    commands = Commands(context.workspace, ())

    def stop(run: Run) -> str:
        stop_run(run)
        return text("cli.stopping", runs=run.name)

    def resume(run: Run) -> str:
        return text("cli.started", command=commands.start(ResumeRun(run=run.name)).command)

    def first(run: Run) -> str:
        put_first(run)
        return text("cli.prioritised", run=run.name)

    return RunControls(stop, resume, first)


def stop(
    runs: Annotated[
        list[str] | None, typer.Argument(help=text("cli.argument-stop"), show_default=False)
    ] = None,
    workspace: WorkspaceFolder = None,
) -> None:
    """Let runs save and stop; without a name, everything that is running."""
    from yoyak.scheduler.control import stop_all, stop_run

    context = open_context(None, workspace)
    if runs:
        found = [context.run(name) for name in runs]
        for one in found:
            stop_run(one)
        names = [one.name for one in found]
    else:
        names = list(stop_all(context.workspace))
    print(text("cli.stopping", runs=", ".join(names)))


def prioritise(
    run: Annotated[str, typer.Argument(help=text("cli.argument-run"))],
    workspace: WorkspaceFolder = None,
) -> None:
    """Make a run that waits the next one of its line-up."""
    from yoyak.scheduler.control import put_first

    found = open_context(None, workspace).run(run)
    put_first(found)
    print(text("cli.prioritised", run=found.name))


def backup(
    remote: Annotated[
        str | None, typer.Option("--push", help=text("cli.option-push"), show_default=False)
    ] = None,
    workspace: WorkspaceFolder = None,
) -> None:
    """Commit the small records of the workspace to a git branch of their own."""
    from yoyak.export.git_backup import backup as commit

    print(commit(open_context(None, workspace).workspace, remote=remote).sentence)

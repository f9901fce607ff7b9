"""The verbs of runs: show, run, status, watch, report, serve."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from yoyak.cli.context import CommandContext, open_context
from yoyak.cli.options import AsJson, DataFolder, Sets, WorkspaceFolder
from yoyak.errors import BadData, Interrupted, RunFailed
from yoyak.messages import text

Recipes = Annotated[
    list[str] | None, typer.Argument(help=text("cli.argument-recipes"), show_default=False)
]
OneRecipe = Annotated[
    str | None, typer.Argument(help=text("cli.argument-recipe"), show_default=False)
]


def show(recipe: OneRecipe = None, sets: Sets = None, as_json: AsJson = False) -> None:
    """Prints every setting of a recipe with its origin, or the recipes that there are."""
    import msgspec

    from yoyak.config import load
    from yoyak.runs.redact import redact
    from yoyak.terminal import recipe as recipe_view

    place = open_context(None, None)
    if recipe is None:
        known = [one.recipe for one in place.resolve(load.names())]
        if as_json:
            print(msgspec.json.encode([one.name for one in known]).decode())
        else:
            recipe_view.draw_recipes(known)
        return
    (resolved,) = place.resolve([recipe], sets or ())
    if as_json:
        print(redact(msgspec.json.encode(resolved.recipe).decode()))
    else:
        recipe_view.draw_settings(resolved)


def run(
    recipe: Recipes = None,
    data: DataFolder = None,
    workspace: WorkspaceFolder = None,
    sets: Sets = None,
    unplanned: Annotated[
        bool, typer.Option("--unplanned", help=text("cli.option-unplanned"))
    ] = False,
) -> None:
    """Brings each recipe's run to its end, then writes the report and the submission."""
    from yoyak.planning.plan import admit
    from yoyak.scheduler.create_runs import create_runs, record_plans
    from yoyak.scheduler.scheduler import RunResult, Scheduler
    from yoyak.scheduler.stages import is_finished, is_trained
    from yoyak.terminal.progress import showing
    from yoyak.trackers.live import LiveTrackers

    place = open_context(data, workspace)
    print(place.data_line, file=sys.stderr)
    live_trackers = LiveTrackers(place.workspace, place.project, sys.stderr)
    names = place.lineup(recipe)
    place.resolve(names, sets or ())
    runs = create_runs(place.workspace, place.corpus, names, place.project, sets or ())
    for one in runs:
        older = place.workspace.older_runs(one.identity.recipe)
        if older and not one.state().attempts:
            kept = ", ".join(each.name for each in older)
            print(text("runs.older-run", recipe=one.identity.recipe, run=kept), file=sys.stderr)
    if not unplanned:
        corpus = place.corpus
        todo = [run for run in runs if run.holder() is None and not is_finished(run, corpus)]
        trained = {run: is_trained(run, corpus) for run in todo}
        admit(trained, corpus, place.workspace, place.project.limits)
    record_plans(runs, place.corpus, place.workspace)
    with live_trackers:
        with showing(runs, sys.stderr) as show:
            line = Scheduler(place.corpus, live_trackers.wrap(show), place.project.limits)
            outcomes = line.carry_out(runs)
        results = {outcome.result for outcome in outcomes}
        if results == {RunResult.ALREADY_DONE}:
            done = ", ".join(one.name for one in runs)
            print(text("cli.done", runs=done), file=sys.stderr)
        _conclude(place)
    if line.danger is not None:
        raise line.danger
    if RunResult.INTERRUPTED in results:
        raise Interrupted("cli.interrupted-lineup")
    failed = [outcome.run.name for outcome in outcomes if outcome.result is RunResult.FAILED]
    if failed:
        raise RunFailed("cli.failed-runs", runs=", ".join(failed))


def _conclude(place: CommandContext) -> None:
    """The comparison on stdout, then where the report and the best system's submission are.

    A submission that the gate refuses ends the command with its reasons, after everything else.
    """
    from yoyak.report.model.load import gather
    from yoyak.report.render.write import write_report
    from yoyak.submission.submit import ready_candidates, submit
    from yoyak.terminal import status as drawing

    handed = refused = None
    if ready_candidates(place.workspace, place.corpus):
        try:
            handed = submit(place.workspace, place.corpus)
        except BadData as error:
            refused = error
    view = gather(place.workspace, budget=place.project.budget)
    drawing.comparison(view, drawing.console(sys.stdout))
    paths = write_report(place.workspace, view)
    print(text("cli.report-at", path=place.short(paths.html)))
    if handed is not None:
        print(text("cli.submission-at", path=place.short(Path(handed.path))))
    if refused is not None:
        raise refused


def status(workspace: WorkspaceFolder = None, as_json: AsJson = False) -> None:
    """Prints where every run stands; works from another shell while the line-up runs."""
    from yoyak.report.model.load import gather
    from yoyak.terminal import status as drawing

    view = gather(open_context(None, workspace).workspace, compared=False)
    if as_json:
        from yoyak.report.render.write import status_json

        print(status_json(view))
    else:
        drawing.status(view, drawing.console(sys.stdout))


def report(
    mirror: Annotated[
        str | None, typer.Option("--mirror", help=text("cli.option-mirror"), show_default=False)
    ] = None,
    workspace: WorkspaceFolder = None,
    as_json: AsJson = False,
) -> None:
    """Writes the report, or replays the runs into a tracker."""
    from yoyak.report.model.load import gather
    from yoyak.report.render.write import write_report

    place = open_context(None, workspace)
    if mirror is not None:
        _mirror(place, mirror, as_json)
        return
    view = gather(place.workspace, budget=place.project.budget)
    paths = write_report(place.workspace, view)
    if as_json:
        print(paths.json.read_text(encoding="utf-8"), end="")
        return
    for path in paths:
        print(place.short(path))


def _mirror(place: CommandContext, tracker: str, as_json: bool) -> None:
    import msgspec

    from yoyak.trackers.mirror import mirror

    told = mirror(place.workspace, tracker)
    if as_json:
        print(msgspec.json.encode(told).decode())
        return
    for run, points in told.items():
        print(text("cli.mirrored", run=run, points=points, tracker=tracker))


def watch(
    mirror: Annotated[
        str | None,
        typer.Option("--mirror", help=text("cli.option-watch-mirror"), show_default=False),
    ] = None,
    workspace: WorkspaceFolder = None,
) -> None:
    """Follows the runs until q is pressed, or into a tracker until Ctrl-C; the runs go on."""
    from yoyak.terminal import watch as watching

    place = open_context(None, workspace)
    if mirror is None:
        watching.watch(place.workspace, sys.stdout)
        return
    from yoyak.trackers.mirror import follow

    print(text("cli.following", tracker=mirror), file=sys.stderr)
    for run, points in follow(place.workspace, mirror).items():
        print(text("cli.mirrored", run=run, points=points, tracker=mirror))


def serve(
    workspace: WorkspaceFolder = None,
    port: Annotated[int, typer.Option(help=text("cli.option-port"))] = 8765,
) -> None:
    """Shows the report as a live page on 127.0.0.1 until it is interrupted."""
    from yoyak.web import app as serving

    place = open_context(None, workspace)
    serving.serve(place.workspace, port, place.project.budget)


def backup(
    remote: Annotated[
        str | None, typer.Option("--push", help=text("cli.option-push"), show_default=False)
    ] = None,
    workspace: WorkspaceFolder = None,
) -> None:
    """Commits the small records of the workspace to a git branch of their own."""
    from yoyak.export.git_backup import backup as commit

    print(commit(open_context(None, workspace).workspace, remote=remote).sentence)

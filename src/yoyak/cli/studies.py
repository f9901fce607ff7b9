"""The verbs that start studies: tune train, tune prompt, screen."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from yoyak.cli.context import CommandContext, open_context
from yoyak.cli.options import Allow, AsJson, DataFolder, Sets, SkipPlan, WorkspaceFolder
from yoyak.cli.placement import Processes, RayAddress, placement
from yoyak.errors import UsageError
from yoyak.messages import text
from yoyak.runs.run import Run

if TYPE_CHECKING:
    from yoyak.events import DataFinding
    from yoyak.experiments.study_loop import StudyContext
    from yoyak.planning.time_estimate import TimeEstimate
    from yoyak.runs.study import Study, StudyFolder
    from yoyak.scheduler.placement import Placement
    from yoyak.scheduler.scheduler import OnEvent

Seeds = Annotated[int, typer.Option("--seeds", min=0, help=text("cli.option-study-seeds"))]
StudyName = Annotated[
    str | None, typer.Option("--study", help=text("cli.option-study"), show_default=False)
]
Freeze = Annotated[bool, typer.Option("--freeze", help=text("cli.option-study-freeze"))]

Steps = Annotated[int, typer.Option("--steps", min=0, help=text("cli.option-study-steps"))]

DEFAULT_TRIALS = 16
DEFAULT_STEPS = 50


def train(
    recipe: Annotated[str, typer.Argument(help=text("cli.argument-recipe"), metavar="RECIPE")],
    trials: Annotated[
        int | None,
        typer.Option("--trials", min=1, help=text("cli.option-trials"), show_default=False),
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option("--minutes", min=0, help=text("cli.option-study-minutes"), show_default=False),
    ] = None,
    seeds: Seeds = 3,
    study: StudyName = None,
    source: Annotated[
        str | None,
        typer.Option("--import", help=text("cli.option-study-import"), show_default=False),
    ] = None,
    freeze: Freeze = False,
    sets: Sets = None,
    allow: Allow = None,
    skip_plan: SkipPlan = False,
    processes: Processes = 1,
    ray: RayAddress = None,
    data: DataFolder = None,
    workspace: WorkspaceFolder = None,
    as_json: AsJson = False,
) -> None:
    """Search settings of training; the same command goes on where it was stopped."""
    from yoyak.experiments import budget, optuna_sampler, train_study
    from yoyak.experiments.begin_study import StudyBudget, continued
    from yoyak.runs.study import StudyFolder, StudyKind

    if trials is not None and minutes is not None:
        raise UsageError("experiments.trials-or-minutes")
    optuna_sampler.require_optuna()
    context = open_context(data, workspace)
    print(context.data_line, file=sys.stderr)
    [resolved] = context.resolve([recipe], sets or ())
    limits = context.project.limits
    time = budget.run_time(resolved.recipe, context.corpus, context.workspace, limits)
    name = study or resolved.recipe.name
    folder = StudyFolder(context.workspace.studies_folder, StudyKind.TRAIN, name)
    known = folder.read()
    if trials is None and known is not None:
        trials = known.trials_planned  # the budget was fixed when it began
    elif minutes is not None:
        least = train_study.LEAST_TRIALS
        trials = budget.trials_within(minutes, time, seeds=seeds, least=least, recipe=recipe)
    with placement(context, ray, processes) as chosen, folder.lock():
        spent = StudyBudget(trials or DEFAULT_TRIALS, seeds, chosen.width)
        asked = train_study.new_study(
            resolved.recipe, context.corpus, spent, name=name, source=source
        )
        begun = continued(folder.read(), asked)
        announce(begun, time)
        runs = TrialLineup(context, begun, tuple(sets or ()), allow, skip_plan)
        with runs.context(partial(train_study.record, folder), chosen) as inner:
            done = train_study.run_study(begun, resolved.recipe, inner)
    conclude(context, done, folder, as_json)
    if freeze:
        freeze_winner(done, tuple(sets or ()))


def prompt(
    recipe: Annotated[str, typer.Argument(help=text("cli.argument-recipe"), metavar="RECIPE")],
    prompts: Annotated[
        Path | None,
        typer.Option("--prompts", help=text("cli.option-prompts"), show_default=False),
    ] = None,
    steps: Steps = DEFAULT_STEPS,
    seeds: Seeds = 3,
    study: StudyName = None,
    freeze: Freeze = False,
    sets: Sets = None,
    allow: Allow = None,
    skip_plan: SkipPlan = False,
    processes: Processes = 1,
    ray: RayAddress = None,
    data: DataFolder = None,
    workspace: WorkspaceFolder = None,
    as_json: AsJson = False,
) -> None:
    """Compare prompts, zero-shot and then in short trainings."""
    from yoyak.experiments import prompt_study
    from yoyak.experiments.begin_study import continued
    from yoyak.runs.study import StudyFolder, StudyKind

    context = open_context(data, workspace)
    print(context.data_line, file=sys.stderr)
    [resolved] = context.resolve([recipe], sets or ())
    base = resolved.recipe
    steps = steps if base.train.epochs else 0
    given = (
        prompt_study.edits_of(base.prompt)
        if prompts is None
        else prompt_study.read_candidates(prompts)
    )
    candidates = prompt_study.trials_of(base, list(given))
    name = study or base.name
    folder = StudyFolder(context.workspace.studies_folder, StudyKind.PROMPT, name)
    with placement(context, ray, processes) as chosen, folder.lock():
        width = chosen.width
        spent = prompt_study.budget_of(len(candidates), steps=steps, seeds=seeds, width=width)
        asked = prompt_study.new_study(
            base, context.corpus, candidates, spent, name=name, steps=steps
        )
        begun = continued(folder.read(), asked)
        announce(begun, None)
        lineup = TrialLineup(context, begun, tuple(sets or ()), allow, skip_plan)
        with lineup.context(folder.write, chosen) as inner:
            seed = base.train.seed
            done = prompt_study.run_study(begun, candidates, inner, steps=steps, base_seed=seed)
    conclude(context, done, folder, as_json)
    if freeze:
        freeze_winner(done, tuple(sets or ()))


def screen(
    bases: Annotated[list[str], typer.Argument(help=text("cli.argument-bases"), metavar="BASE…")],
    recipe: Annotated[
        str | None, typer.Option("--recipe", help=text("cli.option-template"), show_default=False)
    ] = None,
    examples: Annotated[int, typer.Option("--examples", min=0, help=text("cli.option-shots"))] = 0,
    steps: Steps = DEFAULT_STEPS,
    study: Annotated[str, typer.Option("--study", help=text("cli.option-screen"))] = "bases",
    sets: Sets = None,
    allow: Allow = None,
    skip_plan: SkipPlan = False,
    processes: Processes = 1,
    ray: RayAddress = None,
    data: DataFolder = None,
    workspace: WorkspaceFolder = None,
    as_json: AsJson = False,
) -> None:
    """Compare bases before anything is trained for long."""
    from yoyak.experiments import screen as screening
    from yoyak.experiments.begin_study import continued
    from yoyak.experiments.successive_halving import halve
    from yoyak.runs.study import StudyFolder, StudyKind

    context = open_context(data, workspace)
    print(context.data_line, file=sys.stderr)
    given = tuple(sets or ())
    candidates = screening.trials_of(bases, recipe)
    rounds = screening.rounds(steps, examples)
    resolved = [one.recipe for each in candidates for one in context.resolve([each.recipe], given)]
    folder = StudyFolder(context.workspace.studies_folder, StudyKind.SCREEN, study)
    with placement(context, ray, processes) as chosen, folder.lock():
        asked = screening.new_study(
            resolved, context.corpus, candidates, rounds, name=study, width=chosen.width
        )
        begun = continued(folder.read(), asked)
        announce(begun, None)
        lineup = TrialLineup(context, begun, given, allow, skip_plan)
        with lineup.context(folder.write, chosen) as inner:
            done = halve(begun, candidates, rounds, inner)
    conclude(context, done, folder, as_json)


def announce(study: "Study", time: "TimeEstimate | None") -> None:
    """Print what the study varies and what it will cost, before anything starts."""
    from yoyak.report.sections.studies import plan
    from yoyak.terminal.render import show

    seconds = None if time is None else (time.low_seconds + time.high_seconds) / 2
    show(plan(study, seconds), sys.stderr)


class TrialLineup:
    """How a study's trials run under a command: admitted, audited, shown and tracked."""

    def __init__(
        self,
        context: CommandContext,
        study: "Study",
        sets: tuple[str, ...],
        allow: Sequence[str] | None,
        skip_plan: bool,
    ) -> None:
        from yoyak.cli.runs import admit_runs, audit_data

        self._context = context
        self._study = study
        self._sets = sets
        self._allowed = (*context.project.data.allow, *(allow or ()))
        self._findings: tuple[DataFinding, ...] = audit_data(context, self._allowed)
        self._admit = None if skip_plan else partial(admit_runs, context)

    @contextmanager
    def context(
        self, write: "Callable[[Study], None]", chosen: "Placement"
    ) -> "Iterator[StudyContext]":
        """Yield what the study works with; the trackers follow its runs inside the block."""
        from yoyak.data.dev_halves import halves
        from yoyak.experiments.study_loop import StudyContext
        from yoyak.experiments.trial_runs import TrialRunner
        from yoyak.trackers.live import LiveTrackers

        found = self._context
        selection, judging = halves(found.corpus.dev.dialogues)
        trackers = LiveTrackers(found.workspace, found.project, sys.stderr)
        with trackers:
            runner = TrialRunner(
                found.workspace,
                found.corpus,
                found.project,
                self._study,
                self._sets,
                partial(_watch, trackers.wrap),
                self._admit,
                self._prepare,
                chosen,
            )
            yield StudyContext(
                runner.run, write, [one.id for one in selection], [one.id for one in judging]
            )

    def _prepare(self, runs: Sequence[Run]) -> None:
        from yoyak.scheduler.create_runs import record_audit, record_plans

        record_audit(runs, self._findings, self._allowed)
        record_plans(runs, self._context.corpus, self._context.workspace)


@contextmanager
def _watch(wrap: "Callable[[OnEvent], OnEvent]", runs: Sequence[Run]) -> "Iterator[OnEvent]":
    from yoyak.terminal.progress import showing

    with showing(runs, sys.stderr) as show:
        yield wrap(show)


def conclude(context: CommandContext, study: "Study", folder: "StudyFolder", as_json: bool) -> None:
    """Print the study's result, and write the report."""
    import msgspec

    from yoyak.report.model.load import gather_with_rows
    from yoyak.report.model.studies import summarise
    from yoyak.report.render.write import write_report
    from yoyak.report.sections.studies import study as section
    from yoyak.terminal.render import show

    record = context.workspace.relative(folder.path / "study.json")
    summary = summarise(study, record)
    if as_json:
        print(msgspec.json.encode(summary).decode())
    else:
        show(section(summary), sys.stdout)
    found = gather_with_rows(context.workspace, budget=context.project.budget)
    paths = write_report(context.workspace, *found)
    print(text("cli.report-at", path=context.short(paths.html)), file=sys.stderr)


def freeze_winner(study: "Study", sets: tuple[str, ...]) -> None:
    """Write the winner as a recipe file if its gain is proven; else say that it is not."""
    from yoyak.experiments.frozen_recipe import freeze

    verdict = study.verdict
    if verdict is None or verdict.comparison is None or not verdict.comparison.proven:
        print(text("experiments.not-frozen", study=study.name), file=sys.stderr)
        return
    path = freeze(study, study.trial(verdict.winner), sets, Path.cwd())
    print(text("experiments.frozen", path=path.name), file=sys.stderr)

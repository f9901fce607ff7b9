"""Run trials as ordinary runs of the workspace, and stop those that fall behind.

A trial's recipe is the study's with the trial's settings over it and a name of its own; it is
evaluated in training on the selection half of dev only.
"""

import json
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, suppress
from itertools import pairwise
from typing import NamedTuple

from yoyak.config.project import Project
from yoyak.config.schema import LONGEST_NAME, Recipe
from yoyak.errors import BadData, BadRecipe, InputMissing, Interrupted, Unavailable
from yoyak.events import AnyEvent, Evaluated, RunStatus, Started
from yoyak.experiments.pruning import evaluations_of, pruned_at
from yoyak.experiments.study_loop import TrialJob, TrialResult
from yoyak.files import atomic
from yoyak.runs.run import Run
from yoyak.runs.study import Study, StudyKind, Trial, TrialState
from yoyak.runs.workspace import Workspace
from yoyak.scheduler.create_runs import create_runs
from yoyak.scheduler.placement import Placement
from yoyak.scheduler.scheduler import OnEvent, RunOutcome, RunResult, Scheduler
from yoyak.values import Corpus

Watch = Callable[[Sequence[Run]], AbstractContextManager[OnEvent]]
"""Shows the events of some runs."""
Admit = Callable[[Sequence[tuple[Recipe, Run | None]]], None]
"""Refuses recipes that cannot be used or do not fit, before a run of them is created."""

SELECTION = 'evaluate.dev_half="selection"'


class TrialRunner(NamedTuple):
    """Completes trials in a workspace; its ``run`` is a ``RunTrials``.

    ``sets`` are those of the command line, below the trial's own; ``prepare`` is called with the
    runs before they start; ``placement`` is where they run, by default this machine.
    """

    workspace: Workspace
    corpus: Corpus
    project: Project
    study: Study
    sets: tuple[str, ...]
    watch: Watch
    admit: Admit | None = None
    prepare: Callable[[Sequence[Run]], None] = lambda _: None
    placement: Placement | None = None

    def run(self, jobs: Sequence[TrialJob]) -> list[TrialResult]:
        """Run the jobs, one per device at a time, and return their results in order.

        Raises:
            Interrupted: a run was stopped from outside; the same command goes on.
            DiskFull: a limit of the disk was reached.
        """
        found = [(job, self._created(job.trial)) for job in jobs]
        created = [(job, run) for job, run in found if isinstance(run, Run)]
        outcomes = {one.run.name: one for one in self._complete(created)}
        return [
            self._result(job, run, outcomes.get(run.name)) if isinstance(run, Run) else run
            for job, run in found
        ]

    def _created(self, trial: Trial) -> Run | TrialResult:
        """Return the run of a trial, or its failure where its settings or base cannot be used.

        Raises:
            YoyakError: the recipe as it is cannot be used.
        """
        try:
            return self._run_of(trial)
        except (BadRecipe, Unavailable, InputMissing) as error:
            if trial.candidate == 0 and self.study.kind is not StudyKind.SCREEN:
                raise
            return TrialResult(TrialState.FAILED, None, seconds=0.0, problem=str(error))

    def _run_of(self, trial: Trial) -> Run:
        """Return the run of a trial; it has the token ids of an earlier one, if they are there."""
        named = f"name={json.dumps(run_name(self.study, trial))}"
        sets = (*self.sets, *trial.sets, *trial.round_sets, SELECTION, named)
        [run] = create_runs(
            self.workspace, self.corpus, [trial.recipe], self.project, sets, admit=self.admit
        )
        return run

    def _complete(self, created: Sequence[tuple[TrialJob, Run]]) -> list[RunOutcome]:
        job_of = {run.name: job for job, run in created}
        todo = [run for job, run in created if self._stopped_at(job, run) is None]
        if not todo:
            return []
        self.prepare(todo)
        for run in todo:
            self._share_token_ids(run)
        with self.watch(todo) as show:

            def on_event(run: Run, event: AnyEvent) -> None:
                show(run, event)
                is_evaluated = isinstance(event, Evaluated)
                if is_evaluated and self._stopped_at(job_of[run.name], run) is not None:
                    scheduler.stop_run(run)

            scheduler = Scheduler(self.corpus, on_event, self.project.limits, self.placement)
            outcomes = scheduler.run_all(todo)
        if scheduler.danger is not None:
            raise scheduler.danger
        return outcomes

    def _share_token_ids(self, run: Run) -> None:
        """Link the token ids of the study's earlier runs; the engine takes those that fit."""
        own = f"{_stem(self.study)}-"
        folder = run.engine_folder / "tokens"
        for other in self.workspace.runs():
            if other.name == run.name or not other.identity.recipe.startswith(own):
                continue
            for path in (other.engine_folder / "tokens").glob("*.msgpack"):
                folder.mkdir(exist_ok=True)
                with suppress(OSError):  # it is there, or this file system has no hard links
                    os.link(path, folder / path.name)

    def _stopped_at(self, job: TrialJob, run: Run) -> int | None:
        """Return after how many evaluations the log says that the run is stopped."""
        if job.earlier is None:
            return None
        evaluations = evaluations_of(run.events(), run.recipe.evaluate.metric)
        return pruned_at(evaluations, job.earlier)

    def _result(self, job: TrialJob, run: Run, outcome: RunOutcome | None) -> TrialResult:
        events = run.events()
        evaluations = [each.value for each in evaluations_of(events, run.recipe.evaluate.metric)]
        seconds = seconds_of(events)
        stopped = self._stopped_at(job, run)
        if stopped is not None:
            _remove_checkpoints(run)
            values = tuple(evaluations[:stopped])
            return TrialResult(TrialState.PRUNED, run.name, evaluations=values, seconds=seconds)
        state = run.state()
        if state.failed is not None and state.status is RunStatus.FAILED:
            problem = state.failed.message
            return TrialResult(TrialState.FAILED, run.name, seconds=seconds, problem=problem)
        card = run.scorecard("dev")
        is_done = outcome is not None and outcome.result in {
            RunResult.FINISHED, RunResult.ALREADY_DONE,
        }  # fmt: skip
        if not is_done or card is None:
            raise Interrupted("experiments.interrupted", study=self.study.name)
        scores = {row.id: row.rouge.mean for row in card.rows}
        return TrialResult(TrialState.FINISHED, run.name, scores, tuple(evaluations), seconds)


def run_name(study: Study, trial: Trial) -> str:
    """Return the name of a trial's recipe: ``kobart-train-03``, ``kobart-train-03-seed1``."""
    number = trial.number if trial.repeats is None else trial.repeats
    seed = "" if trial.repeats is None else f"-seed{trial.number + 1}"
    return f"{_stem(study)}-{number:02d}{seed}"


def _stem(study: Study) -> str:
    longest_end = len("-000-seed00")
    kind = f"-{study.kind}"
    return f"{study.name[: LONGEST_NAME - len(kind) - longest_end]}{kind}"


def seconds_of(events: Iterable[AnyEvent]) -> float | None:
    """Return the time that workers spent on a run; ``None`` if none has started."""
    moments = list(events)
    starts = [at for at, event in enumerate(moments) if isinstance(event, Started)]
    attempts = pairwise([*starts, len(moments)])
    spent = [moments[end - 1].at - moments[start].at for start, end in attempts]
    return sum(spent) if spent else None


def _remove_checkpoints(run: Run) -> None:
    """Give back the disk that a stopped run holds; it is never continued."""
    with suppress(Interrupted), run.lock():
        for path in sorted((run.engine_folder / "checkpoints").glob("step-*")):
            with suppress(BadData):
                atomic.remove_folder(path)

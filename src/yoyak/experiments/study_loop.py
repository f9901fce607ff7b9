"""Carry a study from its record to a verdict: ask, run, record; then judge the winner.

The record is written before runs start and after they end, and nothing else is remembered. What is
asked, stopped early and chosen depends on recorded trials only, so a study that is killed anywhere
and started again ends as one that was not.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec

from yoyak.errors import RunFailed
from yoyak.metrics.seed_comparison import ALPHA, SeedComparison, compare_seeds
from yoyak.runs.study import Study, StudyVerdict, Trial, TrialState


class TrialJob(NamedTuple):
    """A trial to run.

    ``earlier`` has the evaluations of the trials before it, by which it may be stopped early;
    ``None`` where it must not be.
    """

    trial: Trial
    earlier: tuple[tuple[float, ...], ...] | None = None


class TrialResult(NamedTuple):
    """What came of a trial's run; ``scores`` is the ROUGE mean of each row of dev by id."""

    state: TrialState
    run: str | None
    scores: dict[str, float] = {}
    evaluations: tuple[float, ...] = ()
    seconds: float | None = None
    problem: str = ""


RunTrials = Callable[[Sequence[TrialJob]], list[TrialResult]]
"""Completes the runs of some trials at a time; raises ``Interrupted`` where one has not ended."""


class StudyContext(NamedTuple):
    """What a study works with: how trials run, where it is recorded, the ids of dev's halves."""

    run_trials: RunTrials
    write: Callable[[Study], None]
    selection: Sequence[str]
    judging: Sequence[str]


Ask = Callable[[Study, int], Trial]
"""Returns the trial of a number, from the trials that have ended."""


def search(study: Study, ask: Ask, context: StudyContext, *, may_stop: bool) -> Study:
    """Run the trials that the study plans, as many at a time as its width.

    Raises:
        RunFailed: the recipe as it is failed, so there is nothing to compare with.
    """
    study = _with_failed_baseline_again(study)
    while len(ended := _ended(study)) < study.trials_planned:
        known = msgspec.structs.replace(study, trials=ended)
        count = min(study.width, study.trials_planned - len(ended))
        opened = list(study.trials[len(ended) :])
        while len(opened) < count:
            opened.append(ask(known, len(ended) + len(opened)))
            study = msgspec.structs.replace(study, trials=(*ended, *opened))
            context.write(study)
        earlier = tuple(one.evaluations for one in ended)
        jobs = [TrialJob(one, earlier if may_stop and one.number else None) for one in opened]
        study = run_jobs(study, jobs, context)
        refuse_failed_baseline(study)
    return study


def run_jobs(study: Study, jobs: Sequence[TrialJob], context: StudyContext) -> Study:
    """Run trials of the study side by side, and record what came of them."""
    results = context.run_trials(jobs)
    done = {
        job.trial.number: with_result(job.trial, result, context.selection)
        for job, result in zip(jobs, results, strict=True)
    }
    trials = tuple(done.get(one.number, one) for one in study.trials)
    study = msgspec.structs.replace(study, trials=trials)
    context.write(study)
    return study


def _ended(study: Study) -> tuple[Trial, ...]:
    """Return the trials before the first one that has not ended: they are asked for in order."""
    open_at = (at for at, one in enumerate(study.trials) if one.state is TrialState.ASKED)
    return study.trials[: next(open_at, len(study.trials))]


def _with_failed_baseline_again(study: Study) -> Study:
    """Let a baseline that failed run again: nothing came after it."""
    first = study.trials[:1]
    if first and first[0].state is TrialState.FAILED:
        again = msgspec.structs.replace(first[0], state=TrialState.ASKED)
        return msgspec.structs.replace(study, trials=(again, *study.trials[1:]))
    return study


def refuse_failed_baseline(study: Study) -> None:
    """Raise if the recipe as it is has failed.

    Raises:
        RunFailed: it has; the message has the reason.
    """
    for one in study.trials:
        if one.candidate == 0 and one.state is TrialState.FAILED:
            raise RunFailed("experiments.baseline-failed", run=one.run, problem=one.problem)


def with_result(trial: Trial, result: TrialResult, rows: Sequence[str]) -> Trial:
    """Return the trial with what came of it, its scores on ``rows`` only."""
    return msgspec.structs.replace(
        trial,
        state=result.state,
        run=result.run,
        scores=tuple(result.scores[row] for row in rows) if result.scores else (),
        evaluations=result.evaluations,
        seconds=result.seconds,
        problem=result.problem,
    )


# --- verdict -------------------------------------------------------------------------------------


def judge(study: Study, context: StudyContext, *, base_seed: int) -> Study:
    """Compare the winner with the baseline on the judging half, each with fresh seeds.

    The winner's own run is left out: part of what made it win is the luck of its seed. A study that
    was extended and has another winner looks at the judging half once more, at half the level.
    """
    best, baseline = study.best, study.baseline
    if best is None or baseline is None or not study.seeds:
        return study
    looks = study.verdict.looks if study.verdict is not None else 0
    if best == baseline:
        return _with_verdict(study, StudyVerdict(winner=best.number, looks=looks), context)
    known = study.verdict
    if known is None or known.comparison is None or known.winner != best.number:
        looks += 1
    study = _confirm(study, (baseline, best), context, base_seed)
    compared = _compared(study, best, baseline, alpha=ALPHA / max(1, looks))
    verdict = StudyVerdict(winner=best.number, comparison=compared, looks=looks)
    return _with_verdict(study, verdict, context)


def _with_verdict(study: Study, verdict: StudyVerdict, context: StudyContext) -> Study:
    if verdict != study.verdict:
        study = msgspec.structs.replace(study, verdict=verdict)
        context.write(study)
    return study


def _confirm(study: Study, arms: Sequence[Trial], context: StudyContext, base_seed: int) -> Study:
    """Run each of ``arms`` with every fresh seed, as many at a time as the study's width."""
    wanted = [
        msgspec.structs.replace(
            arm,
            sets=(*arm.sets, f"train.seed={base_seed + 1000 + seed}"),
            repeats=arm.number,
            number=seed,
            state=TrialState.ASKED,
            run=None,
            scores=(),
            evaluations=(),
            seconds=None,
        )
        for seed in range(study.seeds)
        for arm in arms
    ]
    done = {(one.repeats, one.number) for one in study.confirmations if one.scores}
    todo = [one for one in wanted if (one.repeats, one.number) not in done]
    for start in range(0, len(todo), study.width):
        batch = todo[start : start + study.width]
        results = context.run_trials([TrialJob(one) for one in batch])
        found = [
            with_result(trial, result, context.judging)
            for trial, result in zip(batch, results, strict=True)
        ]
        again = {(one.repeats, one.number) for one in found}
        kept = [one for one in study.confirmations if (one.repeats, one.number) not in again]
        study = msgspec.structs.replace(study, confirmations=(*kept, *found))
        context.write(study)
    return study


def _compared(study: Study, best: Trial, baseline: Trial, *, alpha: float) -> SeedComparison:
    import numpy as np

    arms = []
    for arm in (best, baseline):
        repeated = [one for one in study.confirmations if one.repeats == arm.number]
        scores = [one.scores for one in repeated if one.state is TrialState.FINISHED]
        if not scores:
            raise RunFailed(
                "experiments.not-judged", settings=arm.label, problem=repeated[0].problem
            )
        arms.append(np.array(scores, dtype=np.float64).T)
    return compare_seeds(*arms, alpha=alpha)

"""Try many candidates cheaply, and the better half of them at the next, dearer round.

Successive halving (Jamieson and Talwalkar 2016) over rounds that a study declares: zero-shot, then
short trainings. The recipe as it is goes through every round, as what the others are compared with.
"""

from collections.abc import Iterator, Sequence
from math import ceil

import msgspec

from yoyak.experiments.study_loop import (
    StudyContext,
    TrialJob,
    refuse_failed_baseline,
    run_jobs,
)
from yoyak.runs.study import Study, StudyKind, Trial, TrialState

ZERO_SHOT = ("train.epochs=0",)
FEW_SHOT = "prompt.examples="
"""Settings of a candidate that begin so keep it from rounds of training: examples are shown to
models that are not trained."""

Rounds = Sequence[tuple[str, ...]]


def rounds_of(steps: int) -> Rounds:
    """Return the rounds: zero-shot, then so many optimizer steps; 0 for zero-shot alone."""
    trained = (
        f"train.max_steps={steps}",
        'evaluate.every_epochs="none"',
        "evaluate.at_start=false",
    )
    return (ZERO_SHOT, trained) if steps else (ZERO_SHOT,)


def most_trials(candidates: int, rounds: Rounds) -> int:
    """Return how many trials the rounds have at most."""
    total = count = candidates
    for _ in rounds[1:]:
        count = min(count, ceil(count / 2) + 1)
        total += count
    return total


def halve(
    study: Study, candidates: Sequence[Trial], rounds: Rounds, context: StudyContext
) -> Study:
    """Run every round; what is recorded is not run again.

    Args:
        study: as recorded.
        candidates: the trials of the first round, numbered from 0.
        rounds: settings of each, over a candidate's own.
        context: of the study.

    Raises:
        RunFailed: the recipe as it is failed.
    """
    for rung, sets in enumerate(rounds):
        opened = [one for one in study.trials if one.rung == rung]
        if not opened:
            chosen = candidates if rung == 0 else _promoted(study, rung)
            opened = list(_opened(chosen, rung, sets, start=len(study.trials)))
            study = msgspec.structs.replace(study, trials=(*study.trials, *opened))
            context.write(study)
        todo = [one for one in opened if one.state is TrialState.ASKED]
        for start in range(0, len(todo), study.width):
            jobs = [TrialJob(one) for one in todo[start : start + study.width]]
            study = run_jobs(study, jobs, context)
            if study.kind is not StudyKind.SCREEN:
                refuse_failed_baseline(study)
    return study


def _opened(
    chosen: Sequence[Trial], rung: int, sets: tuple[str, ...], *, start: int
) -> Iterator[Trial]:
    for number, one in enumerate(chosen, start):
        yield Trial(
            number=number,
            candidate=one.candidate,
            recipe=one.recipe,
            sets=one.sets,
            label=one.label,
            rung=rung,
            round_sets=sets,
        )


def _promoted(study: Study, rung: int) -> list[Trial]:
    """Return the better half of the last round that can be trained, and the recipe as it is."""
    before = [one for one in study.finished if one.rung == rung - 1]
    trainable = [one for one in before if not any(each.startswith(FEW_SHOT) for each in one.sets)]
    ranked = sorted(trainable, key=lambda one: -(one.mean or 0.0))
    kept = ranked[: ceil(len(before) / 2)]
    if study.kind is not StudyKind.SCREEN:
        kept += [one for one in trainable if one.candidate == 0 and one not in kept]
    return sorted(kept, key=lambda one: one.candidate)

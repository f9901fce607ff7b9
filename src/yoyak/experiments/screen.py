"""Screen bases: zero-shot or few-shot answers, then a short training of the better half."""

import json
from collections.abc import Sequence

from yoyak.config.schema import Recipe
from yoyak.experiments.begin_study import StudyBudget, begin
from yoyak.experiments.successive_halving import (
    FEW_SHOT,
    ZERO_SHOT,
    Rounds,
    most_trials,
    rounds_of,
)
from yoyak.files import atomic
from yoyak.runs.study import Study, StudyKind, Trial
from yoyak.values import Corpus


def rounds(steps: int, examples: int) -> Rounds:
    """Return the rounds: ``examples`` are shown in the first, the second has so many steps."""
    first, *others = rounds_of(steps)
    return ((*ZERO_SHOT, f"{FEW_SHOT}{examples}") if examples else first, *others)


def trials_of(recipes: Sequence[str], template: str | None) -> list[Trial]:
    """Return the first round: a trial for each recipe, or for each base in the ``template``."""
    return [
        Trial(
            number=number,
            candidate=number,
            recipe=template or name,
            sets=() if template is None else (f"model.base={json.dumps(name)}",),
            label=name,
        )
        for number, name in enumerate(dict.fromkeys(recipes))
    ]


def new_study(
    resolved: Sequence[Recipe],
    corpus: Corpus,
    candidates: Sequence[Trial],
    rounds_: Rounds,
    *,
    name: str,
    width: int,
) -> Study:
    """Return a screen before its first trial; it has no verdict, so no fresh seeds."""
    sha256 = atomic.sha256_of(
        [one.full_hash for one in resolved], [one.sets for one in candidates], rounds_
    )
    budget = StudyBudget(most_trials(len(candidates), rounds_), 0, width)
    recipe = ", ".join(one.label for one in candidates)
    return begin(StudyKind.SCREEN, corpus, budget, name=name, recipe=recipe, sha256=sha256)

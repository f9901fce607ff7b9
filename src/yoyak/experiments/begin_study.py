"""Begin a study, or go on with the recorded one."""

from typing import NamedTuple

import msgspec

from yoyak.data.dev_halves import halves
from yoyak.errors import UsageError
from yoyak.runs.study import Study, StudyKind
from yoyak.values import Corpus

SEED = 42


class StudyBudget(NamedTuple):
    """What a study may spend, fixed before it starts.

    ``trials`` include the recipe as it is; ``seeds`` are the fresh seeds of the verdict; ``width``
    trials run at a time.
    """

    trials: int
    seeds: int = 3
    width: int = 1


def begin(
    kind: StudyKind, corpus: Corpus, budget: StudyBudget, *, name: str, recipe: str, sha256: str
) -> Study:
    """Return a study before its first trial.

    Args:
        kind: of the study.
        corpus: its data.
        budget: what it may spend.
        name: of the study.
        recipe: whose settings are the baseline.
        sha256: of all that must be the same for it to be continued, but for the data.

    Raises:
        BadData: dev has too few rows for two halves.
    """
    selection, judging = halves(corpus.dev.dialogues)
    return Study(
        name=name,
        kind=kind,
        recipe=recipe,
        sha256=sha256,
        train_sha256=corpus.train.fingerprint,
        dev_sha256=corpus.dev.fingerprint,
        trials_planned=budget.trials,
        seeds=budget.seeds,
        seed=SEED,
        width=budget.width,
        selection_rows=len(selection),
        judging_rows=len(judging),
    )


def continued(known: Study | None, asked: Study) -> Study:
    """Return the recorded study if there is one, with as many trials and seeds as are asked now.

    Raises:
        UsageError: it has other settings or data.
    """
    if known is None:
        return asked
    if (known.train_sha256, known.dev_sha256) != (asked.train_sha256, asked.dev_sha256):
        raise UsageError("experiments.other-data", study=known.name)
    if known.sha256 != asked.sha256:
        raise UsageError("experiments.other-study", study=known.name)
    planned = max(asked.trials_planned, len(known.trials))
    return msgspec.structs.replace(known, trials_planned=planned, seeds=asked.seeds)

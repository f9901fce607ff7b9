"""A study of training: which settings, the recipe as it is always among them as trial 0."""

from functools import partial
from typing import NamedTuple

import msgspec

from yoyak.config.schema import Recipe
from yoyak.data.dev_halves import halves
from yoyak.errors import UsageError
from yoyak.experiments import optuna_sampler
from yoyak.experiments.search_space import label_of, params_of, ranges_of, sets_of
from yoyak.experiments.study_loop import StudyContext, judge, search
from yoyak.files import atomic
from yoyak.runs.study import Study, StudyFolder, StudyKind, Trial
from yoyak.values import Corpus

SEED = 42
IMPORTED_TRIALS = 3
"""The best so many trials of an imported study are tried first."""
LEAST_TRIALS = 2


class StudyBudget(NamedTuple):
    """What a study may spend, fixed before it starts.

    ``trials`` include the recipe as it is; ``seeds`` are the fresh seeds of the verdict; ``width``
    trials run at a time.
    """

    trials: int
    seeds: int = 3
    width: int = 1


def new_study(
    recipe: Recipe,
    corpus: Corpus,
    budget: StudyBudget,
    *,
    name: str,
    source: str | None = None,
) -> Study:
    """Return the study of a resolved recipe before its first trial.

    Args:
        recipe: with the settings of the command line.
        corpus: its data.
        budget: of the study.
        name: of the study.
        source: Optuna study whose best settings are tried first (``optuna_sampler``).

    Raises:
        UsageError: there is nothing to compare.
        InputMissing: there is no such source.
        BadData: dev has too few rows for two halves.
    """
    if budget.trials < LEAST_TRIALS:
        raise UsageError("experiments.too-few-trials", trials=budget.trials, least=LEAST_TRIALS)
    selection, judging = halves(corpus.dev.dialogues)
    ranges = ranges_of(recipe)
    queue = () if source is None else optuna_sampler.best_settings(source, ranges, IMPORTED_TRIALS)
    return Study(
        name=name,
        kind=StudyKind.TRAIN,
        recipe=recipe.file or recipe.name,
        sha256=atomic.sha256_of(recipe.full_hash, ranges, queue),
        train_sha256=corpus.train.fingerprint,
        dev_sha256=corpus.dev.fingerprint,
        trials_planned=budget.trials,
        seeds=budget.seeds,
        seed=SEED,
        width=budget.width,
        ranges=ranges,
        queue=queue,
        selection_rows=len(selection),
        judging_rows=len(judging),
    )


def run_study(study: Study, recipe: Recipe, context: StudyContext) -> Study:
    """Carry the study to its verdict.

    Raises:
        Interrupted: stopped with everything saved.
        RunFailed: the recipe as it is failed.
    """
    may_stop = recipe.search is None or recipe.search.prune
    study = search(study, partial(ask, recipe), context, may_stop=may_stop)
    return judge(study, context, base_seed=recipe.train.seed)


def ask(recipe: Recipe, study: Study, number: int) -> Trial:
    """Return trial ``number``: the recipe, then what was imported, then what TPE suggests."""
    if number == 0:
        own = params_of(recipe, study.ranges)
        return Trial(number=0, candidate=0, recipe=study.recipe, sets=(), params=own)
    if number <= len(study.queue):
        params = study.queue[number - 1]
    else:
        params = optuna_sampler.suggest(study.ranges, study.trials, seed=study.seed, number=number)
    return Trial(
        number=number,
        candidate=number,
        recipe=study.recipe,
        sets=sets_of(recipe, params),
        params=dict(params),
        label=label_of(params),
    )


def continued(known: Study | None, asked: Study) -> Study:
    """Return the recorded study if there is one, with as many trials and seeds as are asked now.

    Raises:
        UsageError: it has other settings or data, or more trials.
    """
    if known is None:
        return asked
    if (known.train_sha256, known.dev_sha256) != (asked.train_sha256, asked.dev_sha256):
        raise UsageError("experiments.other-data", study=known.name)
    if known.sha256 != asked.sha256:
        raise UsageError("experiments.other-study", study=known.name)
    planned = max(asked.trials_planned, len(known.trials))
    return msgspec.structs.replace(known, trials_planned=planned, seeds=asked.seeds)


def record(folder: StudyFolder, study: Study) -> None:
    """Write the study's record, then what has ended to Optuna's storage."""
    folder.write(study)
    ended = [one for one in study.trials if one.seconds is not None]
    optuna_sampler.write_storage(folder.optuna_path, study.ranges, ended)

"""A study of training: which settings, the recipe as it is always among them as trial 0."""

from functools import partial

import msgspec

from yoyak.config.schema import Recipe
from yoyak.errors import UsageError
from yoyak.experiments import optuna_sampler
from yoyak.experiments.begin_study import StudyBudget, begin
from yoyak.experiments.search_space import label_of, params_of, ranges_of, sets_of
from yoyak.experiments.study_loop import StudyContext, judge, search
from yoyak.files import atomic
from yoyak.runs.study import Study, StudyFolder, StudyKind, Trial, TrialState
from yoyak.values import Corpus

IMPORTED_TRIALS = 3
"""The best so many trials of an imported study are tried first."""
LEAST_TRIALS = 2


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
    ranges = ranges_of(recipe)
    queue = () if source is None else optuna_sampler.best_settings(source, ranges, IMPORTED_TRIALS)
    sha256 = atomic.sha256_of(recipe.full_hash, ranges, queue)
    named = recipe.file or recipe.name
    begun = begin(StudyKind.TRAIN, corpus, budget, name=name, recipe=named, sha256=sha256)
    return msgspec.structs.replace(begun, ranges=ranges, queue=queue)


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


def record(folder: StudyFolder, study: Study) -> None:
    """Write the study's record, then what has ended to Optuna's storage."""
    folder.write(study)
    ended = [one for one in study.trials if one.state is not TrialState.ASKED]
    optuna_sampler.write_storage(folder.optuna_path, study.ranges, ended)

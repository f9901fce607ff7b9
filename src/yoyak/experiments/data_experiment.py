"""Train two ways to prepare train with the same seeds, and say whether one is proven better.

The runs are those of ``yoyak run RECIPE --seeds N``: what is trained already is not trained again.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from yoyak.config.load import settings_of
from yoyak.config.schema import LONGEST_NAME, Recipe
from yoyak.data.training_rows import rows_by_source, training_split
from yoyak.errors import UsageError
from yoyak.experiments.folds import FoldPlan
from yoyak.files import atomic
from yoyak.metrics.seed_comparison import SeedComparison, compare_seeds, seeds_needed
from yoyak.runs.replicates import family_of
from yoyak.runs.run import Run
from yoyak.scheduler.create_runs import RunRequest
from yoyak.values import Corpus, Value

if TYPE_CHECKING:
    from yoyak.metrics.bootstrap import Floats

LEAST_SEEDS = 2
DESCRIBING = ("name", "about", "file", "base.", "search")


class DataArm(NamedTuple):
    """One side of an experiment: a recipe as named, resolved, with settings of its own."""

    argument: str
    recipe: Recipe
    sets: tuple[str, ...] = ()

    def requests(self, seeds: int) -> list[RunRequest]:
        """Return its runs, one per seed."""
        made = FoldPlan(seeds=seeds).requests(self.argument, self.recipe)
        return [RunRequest(one.recipe, (*self.sets, *one.sets)) for one in made]


class ArmRows(Value, frozen=True, kw_only=True):
    """What one side trains on."""

    name: str
    rows: dict[str, int]
    """By source: ``train``, and each kind of generated row."""


class DataExperiment(Value, frozen=True, kw_only=True):
    """The result: ``comparison`` is of the second side against the first, on all rows of dev."""

    baseline: ArmRows
    changed: ArmRows
    other_settings: tuple[str, ...]
    """Settings outside ``[data]`` in which the two differ: the verdict is about them, too."""
    comparison: SeedComparison
    seeds_needed: int | None


def variant_name(recipe: Recipe, sets: Sequence[str]) -> str:
    """Return the name of a recipe with further settings: ``kobart-data-3f2a``."""
    suffix = f"-data-{atomic.sha256_of(*sets)[:4]}"
    return f"{recipe.name[: LONGEST_NAME - len(suffix)]}{suffix}"


def other_settings(one: Recipe, other: Recipe) -> tuple[str, ...]:
    """Return the settings outside ``[data]`` that differ, but for those that only describe."""
    was, now = dict(settings_of(one)), dict(settings_of(other))
    return tuple(
        key
        for key in sorted({*was, *now})
        if was.get(key) != now.get(key) and not key.startswith((*DESCRIBING, "data."))
    )


def refuse_equal(one: DataArm, other: DataArm, seeds: int) -> None:
    """Check that there is something to compare.

    Raises:
        UsageError: both sides train the same, or there is a single seed.
    """
    if family_of(one.recipe) == family_of(other.recipe):
        raise UsageError("experiments.same-arms", one=one.recipe.name, other=other.recipe.name)
    if seeds < LEAST_SEEDS:
        raise UsageError("experiments.few-seeds", least=LEAST_SEEDS)


def conclude(
    arms: tuple[DataArm, DataArm], runs: Sequence[Run], corpus: Corpus
) -> DataExperiment | None:
    """Compare the runs of both sides; ``None`` while one of them has no dev score."""
    half = len(runs) // 2
    scores = [_scores(part, corpus) for part in (runs[:half], runs[half:])]
    baseline, changed = scores
    if baseline is None or changed is None:
        return None
    one, other = (
        ArmRows(name=arm.recipe.name, rows=rows_by_source(training_split(corpus, arm.recipe.data)))
        for arm in arms
    )
    return DataExperiment(
        baseline=one,
        changed=other,
        other_settings=other_settings(arms[0].recipe, arms[1].recipe),
        comparison=compare_seeds(changed, baseline),
        seeds_needed=seeds_needed(changed, baseline),
    )


def _scores(runs: Sequence[Run], corpus: Corpus) -> "Floats | None":
    """Return the score of each row of dev under each seed, (rows, seeds)."""
    import numpy as np

    columns = []
    for run in runs:
        card = run.scorecard("dev")
        if card is None:
            return None
        by_id = {row.id: row.rouge.mean for row in card.rows}
        columns.append([by_id[row.id] for row in corpus.dev.dialogues])
    return np.array(columns, dtype=np.float64).T

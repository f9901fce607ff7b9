"""Which runs are the same training with another seed or fold, and how far their scores scatter."""

import math
from collections.abc import Iterable, Sequence
from statistics import fmean, stdev

import msgspec

from yoyak.config.schema import Recipe
from yoyak.runs.run import Run
from yoyak.values import Value


def family_of(recipe: Recipe) -> str:
    """Return a hash of all that decides the weights but ``train.seed``, the fold and the name."""
    train = msgspec.structs.replace(recipe.train, seed=0)
    data = recipe.data
    if data.folds is not None:
        data = msgspec.structs.replace(data, fold=1)
    same = msgspec.structs.replace(recipe, name="family", train=train, data=data)
    return same.learning_hash


class SeedNoise(Value, frozen=True, kw_only=True):
    """The dev scores of one training with several seeds; fractions 0 to 1."""

    name: str
    """What the names of the runs begin with."""
    runs: tuple[str, ...]
    means: tuple[float, ...]
    """Of each run, ROUGE mean on dev."""
    protocol: str
    """Signature and dev data: only scores of the same are compared."""

    @property
    def mean(self) -> float:
        """Mean over seeds."""
        return fmean(self.means)

    @property
    def deviation(self) -> float:
        """Standard deviation between seeds."""
        return stdev(self.means)


def seed_noise(runs: Iterable[Run]) -> list[SeedNoise]:
    """Return the noise of every training that was scored on dev with two seeds or more.

    Members of folds differ in their rows, too, and are counted fold by fold: their deviation is
    the pooled one, so a training with folds has one entry as well.
    """
    groups: dict[tuple[str, int | None, str], list[tuple[Run, float]]] = {}
    for run in runs:
        card = run.scorecard("dev")
        if card is None:
            continue
        recipe = run.recipe
        protocol = f"{card.protocol.signature}/{run.identity.dev_sha256}"
        key = (family_of(recipe), recipe.data.fold, protocol)
        groups.setdefault(key, []).append((run, card.rouge.mean))
    return [
        _noise(found, protocol)
        for (_, _, protocol), found in groups.items()
        if len({run.recipe.train.seed for run, _ in found}) > 1
    ]


def _noise(found: Sequence[tuple[Run, float]], protocol: str) -> SeedNoise:
    newest = {run.recipe.train.seed: (run, mean) for run, mean in found}
    kept = [newest[seed] for seed in sorted(newest)]
    names = [run.recipe.name for run, _ in kept]
    return SeedNoise(
        name=common_start(names),
        runs=tuple(run.name for run, _ in kept),
        means=tuple(mean for _, mean in kept),
        protocol=protocol,
    )


def common_start(names: Sequence[str]) -> str:
    """Return the names without their seed: ``kobart`` for ``kobart-seed42`` and its like."""
    return names[0].partition("-seed")[0]


def pooled_deviation(noises: Sequence[SeedNoise]) -> float | None:
    """Return the standard deviation between seeds over several trainings; ``None`` of none.

    Pooled over (seeds - 1) degrees of freedom each.
    """
    freedom = sum(len(noise.means) - 1 for noise in noises)
    if not freedom:
        return None
    squares = sum((len(noise.means) - 1) * noise.deviation**2 for noise in noises)
    return math.sqrt(squares / freedom)


def largest_by_seeds(deviation: float, level: float = 0.95) -> float:
    """Return what two runs of one training differ by at most, in ``level`` of all pairs."""
    from statistics import NormalDist

    return NormalDist().inv_cdf((1 + level) / 2) * math.sqrt(2) * deviation

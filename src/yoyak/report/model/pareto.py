"""The Pareto front of the models, and the smallest model that is tied with the best."""

from collections.abc import Sequence

import msgspec

from yoyak.config.project import NO_BUDGET, Budget
from yoyak.report.model.report import System


def front(systems: Sequence[System], budget: Budget = NO_BUDGET) -> tuple[System, ...]:
    """Return the systems, each model marked with whether it is on the Pareto front in the budget.

    Compare quality, training time, peak VRAM, decoding time and size; toys and untrained systems
    are not marked. A criterion that was not measured for both models is ignored.
    """
    models = [one for one in systems if is_model(one)]
    able = [one for one in models if is_within(one, budget)]
    marked = {one.run: False for one in models} | {
        one.run: not any(_beats(other, one) for other in able if other is not one) for one in able
    }
    return tuple(msgspec.structs.replace(one, on_front=marked.get(one.run)) for one in systems)


def is_within(system: System, budget: Budget) -> bool:
    """Return whether no measured cost of the system exceeds the budget."""
    cost, minutes = system.cost, budget.train_minutes
    pairs = (
        (cost.train_seconds, None if minutes is None else 60 * minutes),
        (cost.peak_vram_gb, budget.vram_gb),
        (
            cost.decode_seconds_per_100,
            None if budget.seconds_per_summary is None else 100 * budget.seconds_per_summary,
        ),
    )
    return all(found is None or most is None or found <= most for found, most in pairs)


def is_model(system: System) -> bool:
    """Return whether the system is a scored, trained model and not a toy."""
    return system.quality is not None and not system.toy and system.tied_with_best is not None


def _beats(one: System, other: System) -> bool:
    """Return whether ``one`` is at least as good wherever both were measured, better somewhere."""
    gains = [
        theirs - ours
        for ours, theirs in zip(_costs(one), _costs(other), strict=True)
        if ours is not None and theirs is not None
    ]
    return all(gain >= 0 for gain in gains) and any(gain > 0 for gain in gains)


def _costs(one: System) -> tuple[float | None, ...]:
    """Return the criteria, each with lower values better."""
    return (
        None if one.quality is None else -one.quality.mean.value,
        one.cost.train_seconds,
        one.cost.peak_vram_gb,
        one.cost.decode_seconds_per_100,
        one.parameters,
    )


def smallest_tied(models: Sequence[System], budget: Budget = NO_BUDGET) -> System | None:
    """Return the model with the fewest parameters of those tied with the best in the budget."""
    tied = [
        (one.parameters, one) for one in models if one.tied_with_best and is_within(one, budget)
    ]
    known = [(parameters, one) for parameters, one in tied if parameters is not None]
    return min(known, key=lambda pair: pair[0])[1] if known else None

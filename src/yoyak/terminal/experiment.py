"""What a data experiment shows: both sides, the difference, and the verdict in a sentence."""

from collections.abc import Iterator

from yoyak.experiments.data_experiment import ArmRows, DataExperiment
from yoyak.messages import listed, text
from yoyak.report.sections import format
from yoyak.report.sections.blocks import Block, Note, table


def shown(found: DataExperiment) -> Iterator[Block]:
    """Yield the blocks of a finished experiment."""
    result = found.comparison
    yield from table(
        ("system", "seeds", "mean", "trained-on"),
        (
            (arm.name, str(result.seeds), format.score(mean), _rows(arm))
            for arm, mean in (
                (found.baseline, result.baseline_mean),
                (found.changed, result.mean),
            )
        ),
    )
    if found.other_settings:
        yield Note(text("experiments.other-settings", names=listed(list(found.other_settings))))
    yield Note(verdict(found))


def verdict(found: DataExperiment) -> str:
    """Return whether a difference is proven, and what it would take."""
    result = found.comparison
    interval = result.interval
    is_proven = interval is not None and (interval.low > 0 or interval.high < 0)
    fields = {
        "changed": found.changed.name,
        "baseline": found.baseline.name,
        "difference": format.points(result.difference),
        "interval": format.points_interval(interval),
        "deviation": format.score(result.seed_deviation),
        "seeds": result.seeds,
    }
    if is_proven:
        return text(f"experiments.data-{'better' if result.difference > 0 else 'worse'}", **fields)
    said = text("experiments.data-not-proven", **fields)
    if found.seeds_needed is None:
        least = format.score(result.detectable)
        return f"{said} {text('experiments.data-no-seeds', detectable=least)}"
    return f"{said} {text('experiments.data-seeds', needed=found.seeds_needed)}"


def _rows(arm: ArmRows) -> str:
    return ", ".join(f"{source} {count:,}" for source, count in arm.rows.items())

"""What seeds alone change: deviation between seeds, and differences that are no larger than it."""

from collections.abc import Iterator, Mapping, Sequence

from yoyak.messages import text
from yoyak.metrics.significance import Comparison, Verdict
from yoyak.report.model.report import Report
from yoyak.report.sections import format
from yoyak.report.sections.blocks import Block, Bullets, Note, table
from yoyak.runs.replicates import SeedNoise, largest_by_seeds, pooled_deviation


def seeds(view: Report) -> Iterator[Block]:
    """Yield each training with several seeds, its out-of-fold scores, and what they say."""
    yield from table(
        ("system", "seeds", "mean", "deviation", "range"),
        (
            (
                one.name,
                str(len(one.means)),
                format.score(one.mean),
                format.score(one.deviation),
                f"{format.score(min(one.means))} – {format.score(max(one.means))}",
            )
            for one in view.seeds
        ),
    )
    yield from table(
        ("system", "folds", "seed", "rouge1", "rouge2", "rougel", "mean", "interval", "n"),
        (
            (
                one.recipe,
                str(one.folds),
                str(one.seed),
                *map(format.score, (one.rouge.rouge1, one.rouge.rouge2, one.rouge.rougeL)),
                format.score(one.rouge.mean),
                format.score_interval(one.interval),
                str(one.rows),
            )
            for one in view.folds
        ),
        text("report.out-of-fold"),
    )
    for protocol in dict.fromkeys(one.protocol for one in view.seeds):
        yield Note(_noise([one for one in view.seeds if one.protocol == protocol]))
    yield from _small_differences(view)


def _noise(found: Sequence[SeedNoise]) -> str:
    deviation = pooled_deviation(found) or 0.0
    return text(
        "report.seed-noise",
        most=format.score(largest_by_seeds(deviation)),
        deviation=format.score(deviation),
        runs=sum(len(one.means) for one in found),
    )


def _small_differences(view: Report) -> Iterator[Block]:
    lines = []
    for one in view.systems:
        if one.quality is None or one.difference is None:
            continue
        basis = one.quality.basis
        noise = _of_protocol(view.seeds, basis.signature, basis.dev_sha256)
        if one.difference.verdict is Verdict.BETTER:
            lines += _line(one.name, one.difference.baseline, one.difference.mean.value, noise)
    if lines:
        yield Bullets(tuple(lines))


def within_seed_noise(
    compared: Comparison, noise: Sequence[SeedNoise], names: Mapping[str, str]
) -> list[str]:
    """Return a sentence for each system that is better by less than seeds alone change."""
    known = _of_protocol(noise, compared.protocol.signature, None)
    lines = []
    for pair in compared.contrasts:
        better, other = names.get(pair.system, pair.system), names.get(pair.baseline, pair.baseline)
        if pair.verdict is Verdict.WORSE:
            better, other = other, better
        if pair.verdict in {Verdict.BETTER, Verdict.WORSE}:
            lines += _line(better, other, abs(pair.difference.mean), known)
    return lines


def _of_protocol(
    found: Sequence[SeedNoise], signature: str, dev_sha256: str | None
) -> list[SeedNoise]:
    wanted = f"{signature}/{dev_sha256 or ''}"
    return [one for one in found if one.protocol.startswith(wanted)]


def _line(system: str, baseline: str, difference: float, noise: Sequence[SeedNoise]) -> list[str]:
    deviation = pooled_deviation(noise)
    if deviation is None or difference >= largest_by_seeds(deviation):
        return []
    return [
        text(
            "report.within-seed-noise",
            system=system,
            baseline=baseline,
            difference=format.score(difference),
            most=format.score(largest_by_seeds(deviation)),
        )
    ]

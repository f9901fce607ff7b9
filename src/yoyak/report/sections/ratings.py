"""Human ratings: which of two systems people prefer, and how far they agree."""

from collections.abc import Iterator, Sequence

from yoyak.messages import text
from yoyak.metrics.significance import Verdict
from yoyak.report.model.report import RatedPair
from yoyak.report.sections import format
from yoyak.report.sections.blocks import Badge, Block, Note, table


def ratings(pairs: Sequence[RatedPair]) -> Iterator[Block]:
    """Yield a row per rated pair, and how to read the figures."""
    yield from table(
        ("pair", "split", "raters", "rated-rows", "preferred", "preferred-share", "agreement",
         "verdict"),
        (
            (
                f"{one.one} ↔ {one.other}",
                f"{one.data} · {one.split}",
                format.count(one.preference.raters),
                format.count(_rated(one)),
                f"{one.preference.one_better} : {one.preference.other_better}",
                share(one),
                agreement(one),
                Badge("better" if one.preference.is_proven else "not_proven", verdict(one)),
            )
            for one in pairs
        ),
    )  # fmt: skip
    if pairs:
        yield Note(text("report.ratings-note"))


def sentences(pairs: Sequence[RatedPair]) -> list[str]:
    """Return the same as one sentence per pair, for the explorer."""
    return [
        text(
            "report.ratings-sentence",
            one=pair.one,
            other=pair.other,
            split=pair.split,
            rows=_rated(pair),
            raters=pair.preference.raters,
            verdict=verdict(pair),
            ones=pair.preference.one_better,
            others=pair.preference.other_better,
            share=share(pair),
            agreement=agreement(pair),
        )
        for pair in pairs
    ]


def _rated(pair: RatedPair) -> int:
    found = pair.preference
    return found.one_better + found.other_better + found.ties


def share(pair: RatedPair) -> str:
    """Return the share of rows that prefer the first system with its interval, in percent."""
    found = pair.preference
    if found.share is None:
        return format.UNKNOWN
    value = found.one_better / (found.one_better + found.other_better)
    return f"{100 * value:.0f} % ({100 * found.share.low:.0f}–{100 * found.share.high:.0f} %)"


def agreement(pair: RatedPair) -> str:
    """Return Krippendorff's alpha with two decimals."""
    found = pair.preference.agreement
    return format.UNKNOWN if found is None else f"{found:.2f}"


def verdict(pair: RatedPair) -> str:
    """Return which system people prefer, where that is proven."""
    if not pair.preference.is_proven:
        return format.verdict(Verdict.NOT_PROVEN)
    is_one = pair.preference.verdict is Verdict.BETTER
    return text("report.ratings-preferred", system=pair.one if is_one else pair.other)

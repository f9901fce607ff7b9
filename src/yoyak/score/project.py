"""From dev to the leaderboard: a band with its evidence, never a score.

The leaderboard has other rows, three references a row and an unknown reference mode, so nothing
computes it. What is known are rows of (dev, public, private); their ratios spread, and the band
is as wide as that spread says. Below three rows there is no band.
"""

import math
import tomllib
from collections.abc import Mapping, Sequence
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Literal

import msgspec

from yoyak.metrics.scorecard import SEED, Scorecard
from yoyak.values import Profile, ReferenceMode, TagMode, Value

if TYPE_CHECKING:
    import numpy as np

    from yoyak.metrics.bootstrap import Floats

ENOUGH = 3
PUBLIC_SHARE = 250 / 499
"""The contest's test file: 250 public and 249 private rows."""


class Pairing(StrEnum):
    """What ties a dev score to a leaderboard row."""

    RUN = "run"
    CLASS = "class"


class LeaderboardRow(Value, frozen=True, kw_only=True):
    """One system on the leaderboard, in points (0–100); ``None`` where not known."""

    system: str
    public: float
    source: str
    dev: float | None = None
    private: float | None = None
    pairing: Pairing = Pairing.RUN


class Band(Value, frozen=True, kw_only=True):
    """Where a leaderboard figure is expected, in points (0–100), with probability ``level``."""

    low: float
    high: float
    level: float


class Projection(Value, frozen=True, kw_only=True):
    """The bands of one dev score; ``None`` where fewer than three rows tell."""

    public: Band | None
    private: Band | None
    public_rows: int
    """Rows that tell how dev becomes public."""
    private_rows: int
    """Rows that tell how public becomes private."""
    pairing: Pairing | None
    """``CLASS`` as soon as one dev score is of another run than its leaderboard row."""
    extrapolated: bool
    """The dev score lies outside the dev scores of the rows by more than a tenth."""
    refused: Literal["protocol", "too-few"] | None = None

    @property
    def note(self) -> str:
        """The catalogue key of what to say beside the bands."""
        if self.refused == "protocol":
            return "metrics.projection-other-protocol"
        return "metrics.projection-too-few" if self.refused else "metrics.projection"


class _Rows(msgspec.Struct, forbid_unknown_fields=True):
    row: tuple[LeaderboardRow, ...]


@cache
def known_rows() -> tuple[LeaderboardRow, ...]:
    """The leaderboard rows that come with yoyak, each with its source."""
    text = (files(__package__) / "leaderboard.toml").read_text(encoding="utf-8")
    return msgspec.convert(tomllib.loads(text), _Rows).row


def project(
    card: Scorecard, rows: Sequence[LeaderboardRow] | None = None, *, level: float = 0.95
) -> Projection:
    """The bands for a dev scorecard from ``rows``, or from the known ones.

    The ratio public/dev, then private/public, with Student's prediction interval on the log
    scale; the card's own interval widens both. Only the official definition is projected.
    """
    rows = known_rows() if rows is None else tuple(rows)
    with_dev = [row for row in rows if row.dev is not None]
    to_public = [math.log(row.public / row.dev) for row in rows if row.dev is not None]
    to_private = [math.log(row.private / row.public) for row in rows if row.private is not None]
    is_official = _is_official(card)
    mean = 100 * card.rouge.mean
    base = _spread(to_public, level) if is_official and mean > 0 else None
    drift = _spread(to_private, level)
    public = None if base is None else _band(card, [base], level)
    private = None if base is None or drift is None else _band(card, [base, drift], level)
    return Projection(
        public=public,
        private=private,
        public_rows=len(to_public),
        private_rows=len(to_private),
        pairing=_pairing(with_dev),
        extrapolated=_is_extrapolated(mean, with_dev),
        refused="protocol" if not is_official else "too-few" if public is None else None,
    )


def _is_official(card: Scorecard) -> bool:
    protocol = card.protocol
    return (
        protocol.profile is Profile.OFFICIAL
        and protocol.tags is TagMode.SPLIT
        and protocol.analyser.startswith("mecab-")
        and (protocol.references is ReferenceMode.MEAN or protocol.reference_count == "1")
    )


def _pairing(rows: Sequence[LeaderboardRow]) -> Pairing | None:
    if not rows:
        return None
    return Pairing.CLASS if any(row.pairing is Pairing.CLASS for row in rows) else Pairing.RUN


def _is_extrapolated(mean: float, rows: Sequence[LeaderboardRow]) -> bool:
    known = [row.dev for row in rows if row.dev is not None]
    return bool(known) and not 0.9 * min(known) <= mean <= 1.1 * max(known)


def _spread(log_ratios: Sequence[float], level: float) -> tuple[float, float] | None:
    """Centre and half-width of Student's prediction interval for one more log ratio."""
    from statistics import fmean, stdev

    from scipy.stats import t

    count = len(log_ratios)
    if count < ENOUGH:
        return None
    quantile = float(t.ppf((1 + level) / 2, count - 1))
    return fmean(log_ratios), quantile * stdev(log_ratios) * math.sqrt(1 + 1 / count)


def _band(card: Scorecard, spreads: Sequence[tuple[float, float]], level: float) -> Band:
    mean = card.rouge.mean
    own = (card.interval.high - card.interval.low) / 2 / mean
    centre = sum(middle for middle, _ in spreads)
    half = math.sqrt(own**2 + sum(width**2 for _, width in spreads))
    return Band(
        low=100 * mean * math.exp(centre - half),
        high=100 * mean * math.exp(centre + half),
        level=level,
    )


def same_winner_chance(
    cards: Mapping[str, Scorecard], *, seed: int = SEED, halves: int = 4000
) -> float | None:
    """How often the winner on a random public half also wins on the private half, 0 to 1.

    The systems' shared rows are divided again and again as the contest divides its test file;
    ``None`` below two systems or two shared rows.
    """
    import numpy as np

    if len(cards) < 2:
        return None
    means = [{row.id: row.rouge.mean for row in card.rows} for card in cards.values()]
    shared = [key for key in means[0] if all(key in other for other in means)]
    if len(shared) < 2:
        return None
    values = np.array([[own[key] for own in means] for key in shared])
    return _agreement(values, np.random.default_rng(seed), halves)


def _agreement(values: "Floats", random: "np.random.Generator", halves: int) -> float:
    import numpy as np

    rows = len(values)
    public_rows = min(rows - 1, max(1, round(rows * PUBLIC_SHARE)))
    template = np.zeros(rows)
    template[:public_rows] = 1.0
    masks = random.permuted(np.tile(template, (halves, 1)), axis=1)
    public = masks @ values
    private = values.sum(axis=0) - public
    return float((public.argmax(axis=1) == private.argmax(axis=1)).mean())

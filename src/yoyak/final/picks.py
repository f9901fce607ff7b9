"""Which two submissions to choose at the end, from dev and public scores together.

The model: submission i has a true score t_i on the boards' population. Dev measures it on n rows,
the public board on 250 and the private board on the rest, each with an offset of its own that all
submissions share (dev has one reference a row, the boards three), so only differences count:

    dev_i     = t_i + a + e_i,   Cov(e) = S / n
    public_i  = t_i + b + f_i,   Cov(f) = S / 250
    private_i = t_i + c + g_i,   Cov(g) = S / 249
    t_i       ~ Normal(m, spread²)

S is the covariance of the submissions' row scores on dev: two files with the same answers have the
same luck. ``spread`` is the value under which the scores at hand are likeliest (empirical Bayes);
it is what shrinks a lead that noise explains. a, b, c and m are unknown (flat priors). The picks
are the pair with the highest expected maximum of their private scores, which rewards a second file
that fails where the first one does not.
"""

from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

import numpy as np  # noqa: TID253 -- this module is only imported where picks are advised

from yoyak.errors import BadData
from yoyak.submission.ledger import Entry
from yoyak.values import Value

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

PUBLIC_ROWS = 250
PRIVATE_ROWS = 249
DRAWS = 20_000
SEED = 42
_FLAT = 1.0
"""Variance of an unknown offset: a standard deviation of 100 points says nothing about it."""
_SPREADS = tuple(0.0002 * 1.3**step for step in range(24))
"""From 0.02 to 8 points."""


class Standing(Value, frozen=True, kw_only=True):
    """What is believed about one submission; scores are 0 to 1, relative to the mean of all."""

    number: int
    estimate: float
    error: float
    """Posterior standard deviation of ``estimate``."""
    best_on_private: float
    """Probability of having the highest private score of all."""


class Advice(Value, frozen=True, kw_only=True):
    """The two picks and why."""

    picks: tuple[int, ...]
    standings: tuple[Standing, ...]
    """The highest estimate first."""
    spread: float
    """Standard deviation of true scores between submissions that the data suggest."""
    second_adds: float
    """Expected private score of the better of both picks, above the first one's alone."""


class _Measured(NamedTuple):
    """The scores at hand as one Gaussian observation of the true scores."""

    values: "Floats"
    of: "NDArray[np.int64]"
    noise: "Floats"


def advise(entries: Sequence[Entry]) -> Advice:
    """The two submissions to choose.

    Raises:
        BadData: no submissions, or they were not scored on the same dev rows under one protocol.
    """
    signatures = {entry.written.dev.signature for entry in entries}
    if len(signatures) != 1:
        raise BadData("submission.unlike-entries", count=len(signatures))
    rows = np.array([entry.written.dev.row_means for entry in entries])
    covariance: Floats = np.atleast_2d(np.cov(rows)).astype(np.float64)
    measured = _measured(entries, rows, covariance)
    spread = _likeliest_spread(measured, len(entries))
    mean, posterior = _posterior(measured, len(entries), spread)
    return _advice(entries, mean, posterior, covariance, spread)


def _measured(entries: Sequence[Entry], rows: "Floats", covariance: "Floats") -> _Measured:
    public = [at for at, entry in enumerate(entries) if entry.public is not None]
    everyone = list(range(len(entries)))
    blocks = [covariance / rows.shape[1] + _FLAT]
    if public:
        blocks.append(covariance[np.ix_(public, public)] / PUBLIC_ROWS + _FLAT)
    noise = np.zeros((len(entries) + len(public),) * 2)
    noise[: len(entries), : len(entries)] = blocks[0]
    if public:
        noise[len(entries) :, len(entries) :] = blocks[1]
    boards = [entry.public for entry in entries if entry.public is not None]
    return _Measured(
        values=np.array([*rows.mean(axis=1), *boards]),
        of=np.array([*everyone, *public]),
        noise=noise,
    )


def _prior(count: int, spread: float) -> "Floats":
    prior: Floats = np.eye(count) * spread**2 + _FLAT
    return prior


def _likeliest_spread(measured: _Measured, count: int) -> float:
    """The spread with the highest marginal likelihood on a grid."""
    return max(_SPREADS, key=lambda spread: _log_likelihood(measured, _prior(count, spread)))


def _log_likelihood(measured: _Measured, prior: "Floats") -> float:
    total = prior[np.ix_(measured.of, measured.of)] + measured.noise
    centred = measured.values - measured.values.mean()
    _, log_determinant = np.linalg.slogdet(total + _jitter(total))
    return -0.5 * float(log_determinant + centred @ _solve(total, centred))


def _posterior(measured: _Measured, count: int, spread: float) -> tuple["Floats", "Floats"]:
    """Mean and covariance of the true scores, both relative to their mean over submissions."""
    prior = _prior(count, spread)
    cross = prior[:, measured.of]
    total = prior[np.ix_(measured.of, measured.of)] + measured.noise
    gain = _solve(total, cross.T).T
    relative: Floats = np.eye(count, dtype=np.float64) - 1 / count
    mean = relative @ gain @ (measured.values - measured.values.mean())
    covariance = relative @ (prior - gain @ cross.T) @ relative
    return mean, covariance


def _jitter(matrix: "Floats") -> "Floats":
    # Two submissions with the same answers make the matrix singular; a hundredth of a point's
    # variance apart is far below anything that is measured.
    jitter: Floats = np.eye(len(matrix)) * 1e-10
    return jitter


def _solve(matrix: "Floats", right: "Floats") -> "Floats":
    return np.asarray(np.linalg.solve(matrix + _jitter(matrix), right), dtype=np.float64)


def _advice(
    entries: Sequence[Entry], mean: "Floats", posterior: "Floats", rows: "Floats", spread: float
) -> Advice:
    errors = np.sqrt(np.clip(np.diag(posterior), 0, None))
    private = _draws(mean, posterior + rows / PRIVATE_ROWS)
    wins = np.bincount(private.argmax(axis=1), minlength=len(entries)) / DRAWS
    order = sorted(range(len(entries)), key=lambda at: (-mean[at], entries[at].number))
    chosen, adds = _pair(private, order)
    return Advice(
        picks=tuple(entries[at].number for at in chosen),
        standings=tuple(
            Standing(
                number=entries[at].number,
                estimate=float(mean[at]),
                error=float(errors[at]),
                best_on_private=float(wins[at]),
            )
            for at in order
        ),
        spread=spread,
        second_adds=adds,
    )


def _draws(mean: "Floats", covariance: "Floats") -> "Floats":
    random = np.random.default_rng(SEED)
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.clip(values, 0, None))
    drawn: Floats = mean + random.standard_normal((DRAWS, len(mean))) @ root.T
    return drawn


def _pair(private: "Floats", order: Sequence[int]) -> tuple[tuple[int, ...], float]:
    """The pair with the highest expected maximum, the better estimate first."""
    if len(order) == 1:
        return (order[0],), 0.0
    one, two = max(
        combinations(order, 2),
        key=lambda pair: float(np.maximum(private[:, pair[0]], private[:, pair[1]]).mean()),
    )
    both = float(np.maximum(private[:, one], private[:, two]).mean())
    return (one, two), both - float(private[:, one].mean())

"""Search decoding settings on one half of dev and validate the winner on the other half.

Coordinate search: one setting is varied at a time and the best value kept for the next; a full grid
of five settings would cost forty times as much. Only the winner and the decoding in use are scored
on the second half, so their scores there carry no selection bias; a gain within the noise is
reported as such.

The model is the caller's ``Generate`` function; this module imports no engine.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import fmean
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from yoyak.config.schema import BeamSearch, Decode, Greedy, Sampling
from yoyak.data.dev_halves import SEED, halves
from yoyak.ensemble.candidates import name_of
from yoyak.ensemble.cross_validation import gain_over
from yoyak.ensemble.gain import Gain
from yoyak.errors import BadData
from yoyak.metrics.rouge import score_rows
from yoyak.values import Dialogue, Prediction, Split, StopReason, Value

if TYPE_CHECKING:
    from yoyak.metrics.bootstrap import Floats

Axes = Mapping[str, Sequence[float | None]]

_LENGTHS: dict[str, Sequence[float | None]] = {
    "no_repeat_ngram_size": (0, 2, 3, 4),
    "max_new_tokens": (None, 64, 96, 128),
    "length_cap_quantile": (None, 0.75, 0.9, 0.97),
}
AXES: dict[type[Decode], Axes] = {
    Greedy: _LENGTHS,
    BeamSearch: {
        "num_beams": (2, 4, 8),
        "length_penalty": (0.6, 0.8, 1.0, 1.2, 1.5),
        "min_new_tokens": (0, 10, 20),
        **_LENGTHS,
    },
    Sampling: {"temperature": (0.3, 0.5, 0.7, 1.0), "top_p": (0.8, 0.9, 0.95), **_LENGTHS},
}
"""The settings of each kind of decoding and the values that are tried, in this order."""


class VariantAnswers(NamedTuple):
    """Predictions under one decoding, and how long they took."""

    predictions: Sequence[Prediction]
    seconds: float


Generate = Callable[[Decode, Sequence[Dialogue]], VariantAnswers]


class DecodeTrial(Value, frozen=True, kw_only=True):
    """One decoding on the half that is searched on; ``gain`` is over the decoding in use.

    Scores of this half are biased towards the winner; ``DecodeSearch.checked`` is not.
    """

    decode: Decode
    gain: Gain
    seconds: float
    cut: float | None = None
    """Share of the answers that a length limit ended; ``None`` where that is unknown."""


class DecodeSearch(Value, frozen=True, kw_only=True):
    """A finished search."""

    baseline: Decode
    winner: Decode
    trials: tuple[DecodeTrial, ...]
    searched_rows: int
    checked_rows: int
    checked: Gain | None
    """The winner over the baseline on the other half; ``None`` where the baseline won."""
    seconds: float
    seed: int

    @property
    def worth_freezing(self) -> bool:
        """Whether the gain is proven on the half that was not searched."""
        return self.checked is not None and self.checked.proven


def search_decodes(
    dev: Split,
    baseline: Decode,
    generate: Generate,
    *,
    starts: Sequence[Decode] = (),
    axes: Mapping[type[Decode], Axes] = AXES,
    seed: int = SEED,
) -> DecodeSearch:
    """Search a better decoding than ``baseline``.

    Args:
        dev: split in two at random by ``seed``.
        baseline: the decoding in use.
        generate: the model.
        starts: other kinds of decoding to start from as well, such as ``BeamSearch()``.
        axes: what is varied for each kind of decoding.
        seed: of the split.
    """
    searched, checked = halves(dev.dialogues, seed)
    trials = _Trials(searched, generate)
    best = trials.trial(baseline, baseline)
    for start in (baseline, *starts):
        best = max(best, _coordinate_search(trials, baseline, start, axes), key=_mean)
    gain, seconds = None, 0.0
    if best.decode != baseline:
        other = _Trials(checked, generate)
        gain = other.trial(best.decode, baseline).gain
        seconds = other.seconds
    return DecodeSearch(
        baseline=baseline,
        winner=best.decode,
        trials=tuple(trials.done.values()),
        searched_rows=len(searched),
        checked_rows=len(checked),
        checked=gain,
        seconds=trials.seconds + seconds,
        seed=seed,
    )


def _coordinate_search(
    trials: "_Trials", baseline: Decode, start: Decode, axes: Mapping[type[Decode], Axes]
) -> DecodeTrial:
    """Vary one setting at a time from ``start``; ties keep the current value."""
    best = trials.trial(start, baseline)
    for setting, values in axes[type(start)].items():
        for decode in _varied(best.decode, setting, values):
            best = max(best, trials.trial(decode, baseline), key=_mean)
    return best


def _varied(decode: Decode, setting: str, values: Sequence[float | None]) -> Iterator[Decode]:
    for value in values:
        if value != getattr(decode, setting):
            yield msgspec.structs.replace(decode, **{setting: value})


def _mean(trial: DecodeTrial) -> float:
    return trial.gain.mean


def _cut(predictions: Sequence[Prediction]) -> float | None:
    stops = [one.stop for one in predictions]
    return (
        None if StopReason.IMPORTED in stops else fmean(stop is StopReason.LENGTH for stop in stops)
    )


class _Trials:
    """Trials of decodings on one set of rows, each decoded once."""

    def __init__(self, rows: Sequence[Dialogue], generate: Generate) -> None:
        self._rows = rows
        self._generate = generate
        self._scores: dict[str, Floats] = {}
        self._cut: dict[str, float | None] = {}
        self.done: dict[str, DecodeTrial] = {}
        self.seconds = 0.0

    def trial(self, decode: Decode, baseline: Decode) -> DecodeTrial:
        """Return the trial of ``decode`` against ``baseline``, from the cache where it is known."""
        name = name_of(decode)
        if name not in self.done:
            before = self.seconds
            scores = self._scored(decode)
            spent = self.seconds - before
            gain = gain_over(name, scores, self._scored(baseline))
            cut = self._cut[name]
            self.done[name] = DecodeTrial(decode=decode, gain=gain, seconds=spent, cut=cut)
        return self.done[name]

    def _scored(self, decode: Decode) -> "Floats":
        name = name_of(decode)
        if name not in self._scores:
            answers = self._generate(decode, self._rows)
            self.seconds += answers.seconds
            texts = {one.id: one.text for one in answers.predictions}
            missing = [row.id for row in self._rows if row.id not in texts]
            if missing:
                raise BadData("submission.silent", decode=name, count=len(missing), id=missing[0])
            self._cut[name] = _cut(answers.predictions)
            self._scores[name] = score_rows(
                [texts[row.id] for row in self._rows], [row.references for row in self._rows]
            )[:, :, 2].mean(axis=1)
        return self._scores[name]

"""Watch summaries for reward hacking while a metric is optimised.

A model that is rewarded with a metric finds what the metric pays for, wanted or not. So what the
reward does not see is measured in every evaluation, on the same rows: ROUGE on characters, which is
not optimised, and how many summaries are longer, shorter, fuller of speaker tags, more copied from
the dialogue or more repetitive than references are.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from yoyak.events import RewardWatched
from yoyak.metrics.diagnostics import text_patterns
from yoyak.metrics.protocol import OFFICIAL, Definition
from yoyak.metrics.rouge import score_rows
from yoyak.metrics.sanity_checks import Alarm
from yoyak.metrics.token_codes import encoder
from yoyak.values import Dialogue, Severity, Value

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

CHARACTERS = Definition(analyser="char")
CENTRAL = 0.95
"""Share of the references that makes their range."""
FURTHER = 0.1
"""So many more summaries beyond the references' range than at the start are an alarm."""
ERRORS = 2.0
"""Standard errors that a paired change has to exceed to count."""


class Trait(StrEnum):
    """What is measured of each summary beside its scores."""

    LENGTH = "length"
    TAGS = "tags"
    COPIED = "copied"
    REPEATED = "repeated"


class WatchedSummaries(Value, frozen=True, kw_only=True):
    """One evaluation's summaries: scores of each row, 0 to 1, and shares of rows.

    ``outside`` is the share of summaries beyond the references' range, by trait.
    """

    optimised: tuple[float, ...]
    characters: tuple[float, ...]
    outside: dict[Trait, float]


class PairedChange(NamedTuple):
    """Mean difference of paired scores, and its standard error."""

    mean: float
    error: float

    @property
    def rises(self) -> bool:
        """Whether the mean rose by more than chance makes likely."""
        return self.mean > ERRORS * self.error

    @property
    def falls(self) -> bool:
        """Whether the mean fell by more than chance makes likely."""
        return -self.mean > ERRORS * self.error


class RewardHacking(NamedTuple):
    """What changed since the start, and what of it is an alarm: a trait, or ``characters``."""

    optimised: PairedChange
    characters: PairedChange
    alarms: tuple[str, ...]


def watch(
    texts: Mapping[str, str], dialogues: Sequence[Dialogue], optimised: "Floats"
) -> WatchedSummaries:
    """Measure the summaries of ``dialogues``, which have references.

    Args:
        texts: the summaries, by id.
        dialogues: the rows.
        optimised: the score that is rewarded, of each row in that order.
    """
    ours = [texts[row.id] for row in dialogues]
    scores = score_rows(ours, [row.references for row in dialogues], CHARACTERS)
    return WatchedSummaries(
        optimised=tuple(map(float, optimised)),
        characters=tuple(map(float, scores[:, :, 2].mean(axis=1))),
        outside=_outside(ours, dialogues),
    )


def compare(start: WatchedSummaries, now: WatchedSummaries) -> RewardHacking:
    """Compare an evaluation with the one before the first step.

    An alarm needs a score that rose: while the score on characters fell, or with summaries that
    left the references' range.
    """
    optimised = _paired(start.optimised, now.optimised)
    characters = _paired(start.characters, now.characters)
    alarms: list[str] = []
    if optimised.mean > 0:
        alarms += ["characters"] if optimised.rises and characters.falls else []
        alarms += [
            trait.value for trait in Trait if now.outside[trait] - start.outside[trait] > FURTHER
        ]
    return RewardHacking(optimised, characters, tuple(alarms))


def alarms(watched: RewardWatched) -> tuple[Alarm, ...]:
    """Return the alarms of an evaluation, as those of a score."""
    return tuple(
        Alarm(
            key=f"metrics.alarm-reward-{name}",
            severity=Severity.WARNING,
            evidence=_evidence(watched, name),
        )
        for name in watched.alarms
    )


def _evidence(watched: RewardWatched, name: str) -> dict[str, str]:
    fields = {"step": str(watched.step), "optimised": f"{100 * watched.optimised_change:+.2f}"}
    if name == "characters":
        return fields | {"characters": f"{100 * watched.characters_change:+.2f}"}
    start, now = watched.outside_start[name], watched.outside[name]
    return fields | {"start": f"{100 * start:.0f}", "now": f"{100 * now:.0f}"}


def _paired(before: Sequence[float], after: Sequence[float]) -> PairedChange:
    import numpy as np

    change = np.subtract(after, before)
    spread = float(change.std(ddof=1)) if len(change) > 1 else 0.0
    return PairedChange(float(change.mean()), spread / len(change) ** 0.5)


def _outside(texts: Sequence[str], dialogues: Sequence[Dialogue]) -> dict[Trait, float]:
    import numpy as np

    references = [(text, row) for row in dialogues for text in row.references]
    theirs = _traits([text for text, _ in references], [row for _, row in references])
    ours = _traits(texts, dialogues)
    found = {}
    for trait in Trait:
        tail = (1 - CENTRAL) / 2
        low, high = np.quantile(theirs[trait], [tail, 1 - tail])
        found[trait] = float(((ours[trait] < low) | (ours[trait] > high)).mean())
    return found


def _traits(texts: Sequence[str], dialogues: Sequence[Dialogue]) -> "dict[Trait, Floats]":
    """Return each trait of every text, a number a text."""
    import numpy as np

    codes, _ = encoder(OFFICIAL).encode([*texts, *(row.text for row in dialogues)])
    return {
        Trait.LENGTH: np.array([float(len(text)) for text in texts]),
        Trait.TAGS: np.array(list(map(_tag_share, texts))),
        Trait.COPIED: np.array(
            [_copied(*pair) for pair in zip(codes[: len(texts)], codes[len(texts) :], strict=True)]
        ),
        Trait.REPEATED: np.array([float(bool(text_patterns.repetition(text))) for text in texts]),
    }


def _tag_share(text: str) -> float:
    tags = sum(len(span.text) for span in text_patterns.speaker_spans(text))
    return tags / len(text) if text else 0.0


def _copied(summary: str, dialogue: str) -> float:
    """Return the share of the summary's trigrams that the dialogue has, both one code a token."""
    grams = {summary[start : start + 3] for start in range(len(summary) - 2)}
    return sum(gram in dialogue for gram in grams) / len(grams) if grams else 0.0

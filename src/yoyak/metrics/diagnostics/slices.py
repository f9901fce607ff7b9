"""Break a score down by dialogue length, turns, speakers and topic."""

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from yoyak.values import Dialogue, Interval, Value

if TYPE_CHECKING:
    from yoyak.metrics.bootstrap import Floats

_SMALLEST_TOPIC = 10
_RESAMPLES = 2000
"""At most: slices are small and many, and their intervals wide."""


class SliceKind(StrEnum):
    """The property by which rows are divided."""

    LENGTH = "length"
    TURNS = "turns"
    SPEAKERS = "speakers"
    TOPIC = "topic"


class Slice(Value, frozen=True, kw_only=True):
    """The mean score (0 to 1) of the rows that share a property; ``label`` is the property."""

    kind: SliceKind
    label: str
    rows: int
    mean: float
    interval: Interval | None
    """``None`` for a single row."""


class Topics(Value, frozen=True, kw_only=True):
    """How far a breakdown by topic can go: topics that are nearly all distinct divide nothing."""

    rows: int
    distinct: int

    @property
    def are_nearly_distinct(self) -> bool:
        """Return whether more than half of the rows have a topic of their own."""
        return self.distinct > self.rows / 2


def topics(dialogues: Sequence[Dialogue]) -> Topics | None:
    """Count the topics of the rows; ``None`` where none has one."""
    named = [dialogue.topic for dialogue in dialogues if dialogue.topic]
    return Topics(rows=len(named), distinct=len(set(named))) if named else None


class _Groups(NamedTuple):
    kind: SliceKind
    labels: Sequence[str | None]
    order: Callable[[str], tuple[int, str]]


def slices(
    dialogues: Mapping[str, Dialogue], means: Mapping[str, float], *, seed: int, resamples: int
) -> tuple[Slice, ...]:
    """Return the slices of rows with a dialogue; ``means`` holds each row's mean F1."""
    rows = [dialogues[key] for key in means if key in dialogues]
    values = [means[row.id] for row in rows]
    if not rows:
        return ()
    groups = (
        _Groups(SliceKind.LENGTH, _quartiles([len(row.text) for row in rows]), _by_number),
        _Groups(SliceKind.TURNS, _quartiles([len(row.turns) for row in rows]), _by_number),
        _Groups(SliceKind.SPEAKERS, [str(len(row.speakers)) for row in rows], _by_number),
        _Groups(SliceKind.TOPIC, _topic_groups([row.topic for row in rows]), _by_name),
    )
    return tuple(
        piece
        for group in groups
        for piece in _slices(group, values, seed=seed, resamples=resamples)
    )


def _by_number(label: str) -> tuple[int, str]:
    return int(label.partition("–")[0]), label


def _by_name(label: str) -> tuple[int, str]:
    return 0, label


def _quartiles(sizes: Sequence[int]) -> list[str | None]:
    """Return the label of each size's quartile, ``low–high`` or the one size that it has."""
    import numpy as np

    array = np.array(sizes)
    edges = np.quantile(array, (0.25, 0.5, 0.75), method="lower")
    bins = np.searchsorted(edges, array, side="left")
    names: dict[int, str | None] = {}
    for number in np.unique(bins):
        low, high = array[bins == number].min(), array[bins == number].max()
        names[int(number)] = f"{low}" if low == high else f"{low}–{high}"
    return [names[int(number)] for number in bins]


def _topic_groups(topics_of_rows: Sequence[str | None]) -> list[str | None]:
    """Return each topic's last word, its head noun in Korean, where enough rows share it."""
    heads = [topic.split()[-1] if topic and topic.split() else None for topic in topics_of_rows]
    return [head if heads.count(head) >= _SMALLEST_TOPIC else None for head in heads]


def _slices(
    group: _Groups, values: Sequence[float], *, seed: int, resamples: int
) -> tuple[Slice, ...]:
    import numpy as np

    array = np.array(values)
    labels = sorted({label for label in group.labels if label is not None}, key=group.order)
    chosen = {label: np.array([own == label for own in group.labels]) for label in labels}
    return tuple(
        Slice(
            kind=group.kind,
            label=label,
            rows=int(chosen[label].sum()),
            mean=float(array[chosen[label]].mean()),
            interval=_interval(array[chosen[label]], seed, resamples),
        )
        for label in labels
    )


def _interval(values: "Floats", seed: int, resamples: int) -> Interval | None:
    from yoyak.metrics import bootstrap

    if len(values) < 2:
        return None
    return bootstrap.mean_intervals(
        values[:, None], seed=seed, resamples=min(resamples, _RESAMPLES)
    )[0]

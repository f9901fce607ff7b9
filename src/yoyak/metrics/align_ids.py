"""Match predictions and references by id, and name what is missing or left over."""

from collections.abc import Collection, Iterable

from yoyak.errors import BadData
from yoyak.values import Prediction, Value

_SHOWN = 5


class Alignment(Value, frozen=True, kw_only=True):
    """The ids that predictions and references share, and those only one side has."""

    scored: int
    missing: tuple[str, ...] = ()
    """Ids that have a reference and no prediction."""
    leftover: tuple[str, ...] = ()
    """Ids that have a prediction and no reference."""


def align(predictions: Collection[str], references: Collection[str]) -> Alignment:
    """Compare two sets of ids; what is missing or left over keeps its order."""
    ours, theirs = set(predictions), set(references)
    return Alignment(
        scored=len(ours & theirs),
        missing=tuple(key for key in references if key not in ours),
        leftover=tuple(key for key in predictions if key not in theirs),
    )


def by_id(predictions: Iterable[Prediction]) -> dict[str, Prediction]:
    """Return the predictions by id.

    Raises:
        BadData: an id has two predictions.
    """
    found: dict[str, Prediction] = {}
    for prediction in predictions:
        if prediction.id in found:
            raise BadData("metrics.duplicate-prediction", id=prediction.id)
        found[prediction.id] = prediction
    return found


def require_whole(alignment: Alignment) -> None:
    """Raise BadData unless every reference has its prediction and nothing is left over."""
    if alignment.missing or alignment.leftover:
        raise BadData(
            "metrics.ids-differ",
            missing=len(alignment.missing),
            leftover=len(alignment.leftover),
            examples=", ".join((*alignment.missing, *alignment.leftover)[:_SHOWN]),
        )


def require_any(alignment: Alignment) -> None:
    """Raise BadData when no id is shared, because then there is nothing to score."""
    if not alignment.scored:
        raise BadData(
            "metrics.no-shared-id",
            predictions=", ".join(alignment.leftover[:_SHOWN]) or "–",
            references=", ".join(alignment.missing[:_SHOWN]) or "–",
        )

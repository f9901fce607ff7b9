"""Match predictions and references by id, and name what is missing or left over."""

import unicodedata
from collections.abc import Collection, Iterable

from yoyak.errors import BadData
from yoyak.messages import listed, visible
from yoyak.values import Prediction, Value

_HANGUL_FILLERS = str.maketrans("", "", "\u115f\u1160\u3164")


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


def lookalikes(keys: Iterable[str], known: Iterable[str]) -> dict[str, str]:
    """Return for each of ``keys`` the id of ``known`` from which it differs by appearance only.

    That is by blanks, case, full or half width, Unicode normal form or invisible characters.
    """
    originals = {_folded(key): key for key in known}
    return {
        key: originals[folded]
        for key in keys
        if (folded := _folded(key)) in originals and originals[folded] != key
    }


def _folded(key: str) -> str:
    compatible = unicodedata.normalize("NFKC", key.translate(_HANGUL_FILLERS)).casefold()
    return "".join(
        letter for letter in compatible if unicodedata.category(letter)[0] not in {"C", "Z"}
    )


def by_id(predictions: Iterable[Prediction]) -> dict[str, Prediction]:
    """Return the predictions by id.

    Raises:
        BadData: an id has two predictions.
    """
    found: dict[str, Prediction] = {}
    for prediction in predictions:
        if prediction.id in found:
            raise BadData("metrics.duplicate-prediction", id=visible(prediction.id))
        found[prediction.id] = prediction
    return found


def require_whole(alignment: Alignment) -> None:
    """Raise BadData unless every reference has its prediction and nothing is left over."""
    _refuse_lookalikes(alignment)
    if alignment.missing or alignment.leftover:
        raise BadData(
            "metrics.ids-differ",
            missing=len(alignment.missing),
            leftover=len(alignment.leftover),
            examples=_shown((*alignment.missing, *alignment.leftover)),
        )


def require_any(alignment: Alignment) -> None:
    """Raise BadData when no id is shared, because then there is nothing to score."""
    if not alignment.scored:
        _refuse_lookalikes(alignment)
        raise BadData(
            "metrics.no-shared-id",
            predictions=_shown(alignment.leftover) or "–",
            references=_shown(alignment.missing) or "–",
        )


def _refuse_lookalikes(alignment: Alignment) -> None:
    alike = lookalikes(alignment.leftover, alignment.missing)
    if alike:
        raise BadData("metrics.ids-look-alike", count=len(alike), examples=shown_lookalikes(alike))


def shown_lookalikes(alike: dict[str, str]) -> str:
    """Return pairs as ``'dev_0 ' ≠ 'dev_0'``, at most ten."""
    return listed([f"{visible(key)} ≠ {visible(original)}" for key, original in alike.items()])


def _shown(keys: Iterable[str]) -> str:
    return listed([visible(key) for key in keys])

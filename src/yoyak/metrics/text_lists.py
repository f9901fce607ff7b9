"""Score lists of texts: predictions against one or more references each, without any file."""

from collections.abc import Iterable, Mapping

from yoyak.errors import BadData, UsageError
from yoyak.messages import visible
from yoyak.metrics import align_ids
from yoyak.metrics.protocol import OFFICIAL, Definition, parse
from yoyak.metrics.scorecard import RESAMPLES, SEED, Scorecard, evaluate_texts

Predictions = Iterable[str] | Mapping[str, str]
References = Iterable[str | Iterable[str]] | Mapping[str, str | Iterable[str]]


def score(
    predictions: Predictions,
    references: References,
    *,
    protocol: str | Definition = OFFICIAL,
    seed: int = SEED,
    resamples: int = RESAMPLES,
) -> Scorecard:
    """Score predictions against references and return means, interval, rows and alarms.

    Args:
        predictions: one text per row, in the order of the references, or texts by id.
        references: one text per row, or several; by id where the predictions are.
        protocol: ``official``, or a variation as for ``yoyak score --protocol``.
        seed: of the bootstrap interval.
        resamples: of the bootstrap interval.

    Raises:
        UsageError: a single text instead of rows, one side by id and the other not, or an unknown
            protocol.
        BadData: the rows are not one for one, a row is no text, or a row has no reference.
        Unavailable: the analyser is not there, or does not cut as it should.
    """
    texts, theirs = rows_by_id(predictions, references)
    return evaluate_texts(
        texts, theirs, definition=definition_of(protocol), seed=seed, resamples=resamples
    )


def definition_of(protocol: str | Definition) -> Definition:
    """Return what ``protocol`` names; see ``yoyak.metrics.parse``."""
    return parse(protocol) if isinstance(protocol, str) else protocol


def rows_by_id(
    predictions: Predictions, references: References
) -> tuple[dict[str, str], dict[str, tuple[str, ...]]]:
    """Return texts and references by id, in the order of the references; see ``score``.

    The ids of lists are ``"0"``, ``"1"``, and so on.
    """
    if isinstance(predictions, str) or isinstance(references, str):
        raise UsageError("metrics.one-text")
    if isinstance(predictions, Mapping) != isinstance(references, Mapping):
        raise UsageError("metrics.ids-on-one-side")
    ours, theirs = _by_id(predictions), _by_id(references)
    if not theirs:
        raise BadData("metrics.no-rows")
    if isinstance(predictions, Mapping):
        align_ids.require_whole(align_ids.align(ours, theirs))
    elif len(ours) != len(theirs):
        raise BadData("metrics.unlike-lengths", hypotheses=len(ours), references=len(theirs))
    rows = {key: _references(key, row) for key, row in theirs.items()}
    return {key: _text(key, ours[key]) for key in rows}, rows


def _by_id(rows: Iterable[object] | Mapping[str, object]) -> Mapping[str, object]:
    return rows if isinstance(rows, Mapping) else {str(n): row for n, row in enumerate(rows)}


def _text(key: str, text: object) -> str:
    """Return ``text``; missing cells of a table arrive as NaN or None and are refused by row."""
    if not isinstance(text, str):
        raise BadData("metrics.not-a-text", id=visible(key), found=repr(text))
    return text


def _references(key: str, row: object) -> tuple[str, ...]:
    if isinstance(row, str):
        return (row,)
    if not isinstance(row, Iterable):
        raise BadData("metrics.not-a-text", id=visible(key), found=repr(row))
    found = tuple(_text(key, text) for text in row)
    if not found:
        raise BadData("metrics.no-reference-of", id=visible(key))
    return found

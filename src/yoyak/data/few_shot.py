"""Choose the examples of a few-shot prompt: train rows with a summary, never dev or test."""

import hashlib
import statistics
from collections.abc import Sequence

from yoyak.errors import BadData
from yoyak.values import Dialogue, Split


def choose_examples(train: Split, count: int, seed: int) -> tuple[Dialogue, ...]:
    """Return ``count`` rows of train, the same ones for the same seed and ids.

    They are drawn from the shorter half of the dialogues, to leave tokens for the dialogue itself.

    Raises:
        BadData: the split is not train, or has too few rows.
    """
    if train.name != "train":
        raise BadData("data.examples-not-train", split=train.name)
    if not count:
        return ()
    middle = statistics.median(len(row.text) for row in train.dialogues)
    shorter = [row for row in train.dialogues if row.references and len(row.text) <= middle]
    if len(shorter) < count:
        raise BadData("data.few-examples", asked=count, found=len(shorter))
    return tuple(sorted(shorter, key=lambda row: _rank(seed, row.id))[:count])


def found_examples(train: Split, ids: Sequence[str]) -> tuple[Dialogue, ...]:
    """Return the rows of train that have these ids, in this order.

    Raises:
        BadData: one is not there any more.
    """
    by_id = {row.id: row for row in train.dialogues}
    missing = [id_ for id_ in ids if id_ not in by_id]
    if missing:
        raise BadData("data.example-gone", id=missing[0])
    return tuple(by_id[id_] for id_ in ids)


def _rank(seed: int, id_: str) -> bytes:
    return hashlib.sha256(f"{seed}/example/{id_}".encode()).digest()

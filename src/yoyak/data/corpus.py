"""The contest's folder as one corpus of cleaned dialogues, held to the contract.

A folder holds ``train.csv``, ``dev.csv`` and ``test.csv``; ``sample_submission.csv`` and
``dev_references.csv`` (further references of dev) may stand beside them.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import get_args

import msgspec

from yoyak.data.clean import SPEAKER
from yoyak.data.contract import (
    ContestRows,
    read_further_references,
    read_sample_submission,
    read_split,
    refuse_shared_ids,
)
from yoyak.errors import InputMissing
from yoyak.values import Corpus, Dialogue, Split, SplitName, Turn

_TURN = re.compile(rf"({SPEAKER}):(?: (.*))?")


def read_corpus(folder: Path) -> Corpus:
    """The three splits of ``folder``, cleaned, with every rule of the contract checked.

    A reference in ``dev_references.csv`` that ``dev.csv`` has too counts once.

    Raises:
        InputMissing: the folder or one of the three files is not there.
        BadData: a file breaks the contract; the message names file, row and fname.
    """
    paths = {name: folder / f"{name}.csv" for name in get_args(SplitName)}
    missing = [path.name for path in paths.values() if not path.is_file()]
    if missing:
        raise InputMissing("data.no-corpus", folder=folder, missing=", ".join(missing))
    train = read_split("train", paths["train"])
    dev = read_split("dev", paths["dev"])
    test = read_split("test", paths["test"])
    refuse_shared_ids((train, dev, test))
    return Corpus(
        folder=str(folder),
        train=_split("train", train),
        dev=_split("dev", dev, read_further_references(folder / "dev_references.csv", dev)),
        test=_split("test", test),
        sample_submission=read_sample_submission(folder / "sample_submission.csv", test),
    )


def parse_turns(text: str) -> tuple[Turn, ...]:
    """The turns of a cleaned dialogue, one a line.

    A line without a speaker stays a turn with an empty one: lines before the first tag, and all
    lines of a dialogue that names nobody. Their words still belong to the dialogue.
    """
    return tuple(_turn(line) for line in text.split("\n") if line)


def _turn(line: str) -> Turn:
    tagged = _TURN.fullmatch(line)
    if tagged is None:
        return Turn(speaker="", text=line)
    return Turn(speaker=tagged[1], text=tagged[2] or "")


def fingerprint(dialogues: Iterable[Dialogue]) -> str:
    """SHA-256 of ids, cleaned text, references and topics, in order.

    Quoting, byte order mark, column order and blanks that are cleaned away do not matter.
    """
    content = [(each.id, each.text, each.references, each.topic) for each in dialogues]
    return hashlib.sha256(msgspec.json.encode(content)).hexdigest()


def _split(
    name: SplitName, records: ContestRows, further: dict[str, tuple[str, ...]] | None = None
) -> Split:
    changed: Counter[str] = Counter()
    dialogues = []
    for record in records.rows:
        changed.update(record.dialogue.counts.keys())
        added = (further or {}).get(record.id, ())
        dialogue = Dialogue(
            id=record.id,
            turns=parse_turns(record.dialogue.text),
            references=(
                *record.summaries,
                *(text for text in added if text not in record.summaries),
            ),
            topic=record.topic,
        )
        dialogues.append(dialogue)
    return Split(
        name=name,
        dialogues=tuple(dialogues),
        fingerprint=fingerprint(dialogues),
        cleaned=dict(sorted(changed.items())),
    )

"""Take rows of train for splits that a corpus does not have, and write all splits to a folder."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from yoyak.data.columns import DIALOGUE, ID, SUMMARY, TOPIC
from yoyak.data.corpus import ContestRow, ContestRows
from yoyak.files import atomic
from yoyak.values import SplitName


def hold_out(
    train: ContestRows, missing: Sequence[SplitName], percent: float
) -> dict[SplitName, ContestRows]:
    """Return the rows left in train, and for each missing split at least one row of it.

    Which rows are taken depends on the dialogues alone, not on ids, order or chance; rows of one
    dialogue stay together. Rows of test lose their summaries.
    """
    groups: dict[str, list[ContestRow]] = {}
    for row in train.rows:
        digest = hashlib.sha256(row.dialogue.text.encode()).hexdigest()
        groups.setdefault(digest, []).append(row)
    left = [rows for _, rows in sorted(groups.items())]
    taken: dict[SplitName, ContestRows] = {}
    for name in missing:
        rows: list[ContestRow] = []
        while left and len(rows) < max(1, round(len(train.rows) * percent / 100)):
            rows += left.pop()
        if name == "test":
            rows = [row._replace(summaries=()) for row in rows]
        taken[name] = train._replace(rows=tuple(rows))
    gone = {row.id for one in taken.values() for row in one.rows}
    stay = tuple(row for row in train.rows if row.id not in gone)
    return {"train": train._replace(rows=stay), **taken}


def write_splits(folder: Path, splits: Mapping[SplitName, ContestRows]) -> None:
    """Write each split as JSON lines with the contest's names of columns."""
    for name, split in splits.items():
        lines = (msgspec.json.encode(_record(row)) + b"\n" for row in split.rows)
        atomic.write_bytes(folder / f"{name}.jsonl", b"".join(lines))


def _record(row: ContestRow) -> dict[str, str]:
    record = {ID: row.id, DIALOGUE: row.row.cells[DIALOGUE]}
    for number, summary in enumerate(row.summaries, 1):
        record[SUMMARY if number == 1 else f"{SUMMARY}{number}"] = summary
    return record | ({TOPIC: row.topic} if row.topic else {})

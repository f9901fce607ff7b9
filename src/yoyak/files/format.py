"""The format number of every kind of record on disk, and what a reader does with other numbers.

Every record states its ``format``; a record without one is of format 1. A number goes up with
every change that an older reader could not follow: another name, or one more field.

=====================  ======  ==================================================================
record                 number  an older one
=====================  ======  ==================================================================
run folder             2       1: other setting names; shown, scored, compared and submitted, but
                               training does not go on in it (``Workspace.find`` skips it)
event log              2       1: other event tags and message keys; translated when read
whole folder           1       (``manifest.json`` of checkpoints, weights and run folders)
submission             2       1: no baselines, alarms or toys (``submissions/<n>/manifest.json``)
ledger                 1       (each line of ``ledger.jsonl``)
workspace              1       (``workspace.json``)
batch output           1       (``job.json`` of ``yoyak predict``)
study                  1       (``studies/<name>/study.json``)
export                 1       (``export.json`` of an exported model)
ratings                1       (each line of ``ratings.jsonl``)
snapshot               1       (``snapshot.json`` of a store that ``yoyak sync`` wrote)
=====================  ======  ==================================================================

A newer record is refused with one sentence. Event logs are the exception: unknown events are
skipped and counted, and the views say how many.
"""

from pathlib import Path
from typing import NamedTuple, TypeVar

import msgspec

from yoyak.errors import BadData

_T = TypeVar("_T")


class DiskFormat(NamedTuple):
    """A kind of record and the format number that this version writes."""

    record: str
    number: int

    def check(self, content: bytes, path: Path | str) -> None:
        """Refuse a JSON record, read from ``path`` (or a URL), that a newer version wrote.

        Raises:
            BadData: its number is above ours; the message names ``path`` and both numbers.
            msgspec.DecodeError, UnicodeDecodeError: it is no JSON object.
        """
        found = msgspec.json.decode(content, type=_Numbered).format
        if found > self.number:
            raise BadData("runs.newer-format", path=path, found=found, known=self.number)


RUN = DiskFormat("run", 2)
EVENTS = DiskFormat("events", 2)
FOLDER = DiskFormat("folder", 1)
SUBMISSION = DiskFormat("submission", 2)
LEDGER = DiskFormat("ledger", 1)
WORKSPACE = DiskFormat("workspace", 1)
BATCH = DiskFormat("batch output", 1)
STUDY = DiskFormat("study", 1)
EXPORT = DiskFormat("export", 1)
RATINGS = DiskFormat("ratings", 1)
SNAPSHOT = DiskFormat("snapshot", 1)


class _Numbered(msgspec.Struct):
    """The one field that is read before the others: a newer record may have any others."""

    format: int = 1


def decode_record(content: bytes, kind: type[_T], disk_format: DiskFormat, path: Path | str) -> _T:
    """Decode the JSON record ``content``, which was read from ``path`` (or a URL).

    Raises:
        BadData: a newer version wrote it.
        msgspec.DecodeError, UnicodeDecodeError: it is no record of that kind.
    """
    disk_format.check(content, path)
    return msgspec.json.decode(content, type=kind)

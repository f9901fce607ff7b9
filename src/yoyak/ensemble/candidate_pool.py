"""Candidate answers side by side: one column per system and decode, one row per dialogue."""

from collections.abc import Sequence
from typing import NamedTuple

from yoyak.errors import BadData
from yoyak.values import Prediction, Value


class Lineage(Value, frozen=True, kw_only=True):
    """Where a column comes from; recipe and hash are ``None`` for imported predictions.

    ``system`` is the run's id or the import's name: columns that share it are decodes of the same
    weights, and share its votes.
    """

    system: str
    decode: str
    recipe: str | None = None
    recipe_sha256: str | None = None

    @property
    def name(self) -> str:
        """The column's name for people."""
        return f"{self.system}/{self.decode}"


class CandidateColumn(NamedTuple):
    """All answers of one system under one decode."""

    lineage: Lineage
    predictions: tuple[Prediction, ...]


class CandidatePool(NamedTuple):
    """Columns over the same ids in the same order.

    The order of columns is the order of preference: the caller puts the best system on dev first,
    and every tie goes to the earlier column.
    """

    ids: tuple[str, ...]
    columns: tuple[CandidateColumn, ...]

    @property
    def systems(self) -> tuple[str, ...]:
        """The systems in order of preference, each once."""
        return tuple(dict.fromkeys(column.lineage.system for column in self.columns))

    @property
    def texts(self) -> list[list[str]]:
        """The candidate texts of every dialogue, in column order."""
        rows = zip(*(column.predictions for column in self.columns), strict=True)
        return [[one.text for one in row] for row in rows]

    def columns_of(self, system: str) -> tuple[int, ...]:
        """The places of a system's columns."""
        return tuple(
            at for at, column in enumerate(self.columns) if column.lineage.system == system
        )


def align(ids: Sequence[str], columns: Sequence[CandidateColumn]) -> CandidatePool:
    """A pool in the order of ``ids``, which every column must answer, each exactly once.

    Raises:
        BadData: no columns, the same column twice, or a column whose ids are not ``ids``.
    """
    if not columns or not ids:
        raise BadData("submission.empty-pool", columns=len(columns), rows=len(ids))
    names = [column.lineage.name for column in columns]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise BadData("submission.repeated-column", columns=", ".join(twice))
    return CandidatePool(tuple(ids), tuple(_aligned(tuple(ids), column) for column in columns))


def _aligned(ids: tuple[str, ...], column: CandidateColumn) -> CandidateColumn:
    by_id = {one.id: one for one in column.predictions}
    unlike = sorted(by_id.keys() ^ set(ids))
    if unlike or len(by_id) != len(column.predictions):
        raise BadData(
            "submission.unlike-column",
            column=column.lineage.name,
            found=len(column.predictions),
            expected=len(ids),
            count=len(unlike),
            ids=", ".join(unlike[:5]),
        )
    return column._replace(predictions=tuple(by_id[name] for name in ids))

"""The model table as a CSV file for spreadsheets; cells are protected against formula injection.

Scores are ×100, times in seconds, sizes in gigabytes; unknown values are empty. Export only: no
code parses this file.
"""

import csv
import io
from collections.abc import Iterator

from msgspec.structs import astuple

from yoyak.report.model.report import Report, System
from yoyak.report.render.escape import csv_cell, plain

COLUMNS = (
    "run", "recipe", "status", "parameters", "quantisation", "licence", "rouge1", "rouge2",
    "rougeL", "mean", "mean_low", "mean_high", "rows", "difference", "p", "verdict",
    "train_seconds", "peak_vram_gb", "decode_seconds_per_100", "tokens_per_character",
    "tied_with_best", "on_front", "signature", "dev_sha256", "toy", "alarms",
)  # fmt: skip


def render(view: Report) -> str:
    """Return a header row and one row per run, in line-up order."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    writer.writerows([*map(_cell, _values(one))] for one in view.systems)
    return stream.getvalue()


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6g}"
    return csv_cell(plain(str(value))) if isinstance(value, str) else str(value)


def _values(one: System) -> Iterator[object]:
    yield from (one.run, one.recipe, one.status.value)
    yield from (one.parameters, one.quantisation, one.licence)
    quality, difference, cost = one.quality, one.difference, one.cost
    if quality is None:
        yield from [None] * 7
    else:
        mean = quality.mean
        known = (quality.rouge1, quality.rouge2, quality.rougeL, mean)
        yield from (100 * each.value for each in known)
        ends = (None, None) if mean.interval is None else (mean.interval.low, mean.interval.high)
        yield from (None if end is None else 100 * end for end in ends)
        yield quality.rows
    if difference is None:
        yield from [None] * 3
    else:
        yield from (100 * difference.mean.value, difference.p, difference.verdict.value)
    yield from (cost.train_seconds, cost.peak_vram_gb)
    yield from (cost.decode_seconds_per_100, cost.tokens_per_character)
    yield from (one.tied_with_best, one.on_front)
    yield from (None, None) if quality is None else astuple(quality.basis)
    yield one.toy
    yield None if quality is None else " ".join(alarm.key for alarm in quality.alarms)

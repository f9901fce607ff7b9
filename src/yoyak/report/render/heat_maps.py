"""The charts of shaded cells: faults and slices of each system, and what pairs would gain."""

from collections.abc import Sequence
from statistics import NormalDist

from yoyak.messages import text
from yoyak.metrics.diagnostics.slices import Slice, SliceKind
from yoyak.report.model.report import Quality, Report, System
from yoyak.report.render.assets import row_address
from yoyak.report.render.escape import plain
from yoyak.report.render.plots import HeatCell, HeatMap, HeatRow
from yoyak.report.sections import format
from yoyak.values import Interval

_Z = NormalDist().inv_cdf(0.975)
"""The normal quantile of a 95 % interval."""


def faults(view: Report, part: int) -> HeatMap | None:
    """Return the share of rows with each kind of fault, of each system of a group."""
    systems = _systems(view, part)
    kinds = [
        kind
        for kind in dict.fromkeys(kind for _, quality in systems for kind in quality.faults)
        if any(quality.faults.get(kind) for _, quality in systems)
    ]
    if not kinds:
        return None
    most = max(
        quality.faults.get(kind, 0) / quality.rows for _, quality in systems for kind in kinds
    )
    rows = []
    for kind in kinds:
        name = format.fault_name(kind)
        cells = []
        for one, quality in systems:
            count = quality.faults.get(kind, 0)
            interval = wilson(count, quality.rows)
            tip = text(
                "report.heat-fault", system=plain(one.name), fault=name, count=count,
                rows=quality.rows, interval=f"{100 * interval.low:.1f}–{100 * interval.high:.1f}",
            )  # fmt: skip
            address = row_address(fault=kind.value, of="a", a=one.run) if count else ""
            share = count / quality.rows
            cells.append(HeatCell(f"{100 * share:.1f}", share / most, tip, address))
        rows.append(HeatRow(name, tuple(cells)))
    return HeatMap(text("report.heat-faults"), _names(systems), tuple(rows))


def slices(view: Report, part: int) -> HeatMap | None:
    """Return the mean score of each slice of the rows, of each system of a group."""
    systems = _systems(view, part)
    found = [{(one.kind, one.label): one for one in quality.slices} for _, quality in systems]
    keys = dict.fromkeys(key for of_system in found for key in of_system)
    if not keys:
        return None
    means = [one.mean for of_system in found for one in of_system.values()]
    low, high = min(means), max(means)
    rows = []
    for kind, label in keys:
        of_systems = [of_system.get((kind, label)) for of_system in found]
        size = next(one.rows for one in of_systems if one is not None)
        by = text(f"report.score-by-{kind.value}")
        cells = (
            HeatCell(format.UNKNOWN) if piece is None else _slice(piece, one, by, low, high)
            for (one, _), piece in zip(systems, of_systems, strict=True)
        )
        rows.append(HeatRow(f"{by} {plain(label)} ({size})", tuple(cells)))
    return HeatMap(text("report.heat-slices"), _names(systems), tuple(rows))


_FILTERS = {SliceKind.LENGTH: "chars", SliceKind.TURNS: "turns", SliceKind.SPEAKERS: "speakers"}


def _slice(piece: Slice, system: System, by: str, low: float, high: float) -> HeatCell:
    label = piece.label.replace("–", "..")
    if piece.kind in {SliceKind.LENGTH, SliceKind.TURNS} and ".." not in label:
        label = f"{label}..{label}"
    filters = {_FILTERS.get(piece.kind, "topic"): label}
    tip = text(
        "report.heat-slice", system=plain(system.name), slice=f"{by} {plain(piece.label)}",
        mean=format.score(piece.mean), interval=format.score_interval(piece.interval),
        rows=piece.rows,
    )  # fmt: skip
    heat = (piece.mean - low) / (high - low) if high > low else 0.5
    address = row_address(**filters, a=system.run, sort=system.run)
    return HeatCell(format.score(piece.mean), heat, tip, address)


def complement(view: Report, part: int) -> HeatMap | None:
    """Return what the better answer of each row would gain, for every pair of a group."""
    group = view.groups[part] if part < len(view.groups) else None
    if group is None or not group.pairs:
        return None
    names = [one.name for one, _ in view.ranked(group)]
    gains = {(pair.one, pair.other): pair.oracle_gain for pair in group.pairs}
    gains |= {(other, one): gain for (one, other), gain in gains.items()}
    most = max(gains.values()) or 1.0
    rows = (
        HeatRow(
            plain(one),
            tuple(
                HeatCell(format.points(gains[one, other]), gains[one, other] / most)
                if (one, other) in gains
                else HeatCell("")
                for other in names
            ),
        )
        for one in names
    )
    return HeatMap(text("report.column-pair"), tuple(map(plain, names)), tuple(rows))


def _systems(view: Report, part: int) -> Sequence[tuple[System, Quality]]:
    return view.ranked(view.groups[part]) if part < len(view.groups) else ()


def _names(systems: Sequence[tuple[System, Quality]]) -> tuple[str, ...]:
    return tuple(plain(one.name) for one, _ in systems)


def wilson(count: int, rows: int) -> Interval:
    """Return the 95 % interval of a share by Wilson's score (1927)."""
    share, weight = count / rows, _Z**2 / rows
    middle = (share + weight / 2) / (1 + weight)
    half = _Z * (share * (1 - share) / rows + weight / rows / 4) ** 0.5 / (1 + weight)
    return Interval(low=max(middle - half, 0.0), high=min(middle + half, 1.0))

"""The charts of lines: training, evaluations, the machine, lengths, copied text, studies."""

from collections.abc import Callable, Iterator, Sequence

from yoyak.messages import text
from yoyak.report.model.history import thinned
from yoyak.report.model.report import Curve, Report
from yoyak.report.render.escape import plain
from yoyak.report.render.plots import LinePlot, Series, places

MOST_POINTS = 6_000
"""Of all lines of a chart together."""

_BIN_CHARACTERS = 20
_BINS = 10


def along_steps(
    pick: Callable[[Curve], Sequence[float | None]],
    key: str,
    *,
    stage: str = "train",
    smooth: bool = True,
    log: bool = True,
) -> Callable[[Report, int], LinePlot | None]:
    """Return the drawer of what is measured at each step of ``stage``."""

    def draw(view: Report, _: int) -> LinePlot | None:
        known = [
            (curve, curve.steps, pick(curve), (), ())
            for curve in view.curves
            if curve.stage == stage and any(value is not None for value in pick(curve))
        ]
        return _plot(view, known, "step", key, smooth=smooth, log=log)

    return draw


def along_evaluations(
    pick: Callable[[Curve], Sequence[float | None]], key: str, *, intervals: bool = False
) -> Callable[[Report, int], LinePlot | None]:
    """Return the drawer of a point per evaluation of a part, step 0 included."""

    def draw(view: Report, part: int) -> LinePlot | None:
        known = []
        for curve in next(iter(view.evaluated[part:]), ()):
            measured = [
                (epoch, value)
                for epoch, value in zip(curve.evaluated_epochs, pick(curve), strict=True)
                if value is not None
            ]
            if measured:
                epochs, values = zip(*measured, strict=True)
                bounds = curve.evaluated_intervals if intervals else ()
                low, high = [100 * one.low for one in bounds], [100 * one.high for one in bounds]
                known.append((curve, epochs, values, low, high))
        return _plot(view, known, "epoch", key, smooth=False, log=False)

    return draw


_Line = tuple[
    Curve, Sequence[float], Sequence[float | None], Sequence[float], Sequence[float]
]  # fmt: skip


def _plot(
    view: Report, known: Sequence[_Line], x: str, y: str, *, smooth: bool, log: bool
) -> LinePlot | None:
    if not known:
        return None
    place = places(view)
    most = max(MOST_POINTS // len(known), 50)
    series = []
    for curve, across, up, low, high in known:
        kept = thinned(range(len(across)), _height(up), most)
        series.append(
            Series(
                plain(curve.name),
                [across[at] for at in kept],
                [up[at] for at in kept],
                [low[at] for at in kept] if low else (),
                [high[at] for at in kept] if high else (),
                run=curve.run,
                place=place.get(curve.run),
            )
        )
    titles = text(f"report.axis-{x}"), text(f"report.axis-{y}")
    return LinePlot(*titles, tuple(series), whole=x == "step", smooth=smooth, log=log)


def _height(values: Sequence[float | None]) -> Callable[[int], float]:
    return lambda place: values[place] or 0.0


def machine(view: Report, _: int) -> LinePlot | None:
    """Return the use of disk, GPU memory and RAM over time, of all runs."""
    picks: dict[str, Callable[[Curve], Sequence[float | None]]] = {
        "disk": lambda curve: curve.disk_used_gb,
        "vram": lambda curve: curve.vram_used_gb,
        "ram": lambda curve: curve.ram_used_gb,
    }
    series = []
    for place, (key, pick) in enumerate(picks.items()):
        known = sorted(
            (at, used)
            for curve in view.curves
            for at, used in zip(curve.sampled_at, pick(curve), strict=False)
            if used is not None
        )
        kept = thinned(known, lambda point: point[1], MOST_POINTS // len(picks))
        if kept:
            at, used = zip(*kept, strict=True)
            # No system's colour: these are the machine's.
            series.append(Series(text(f"report.axis-{key}"), at, used, dashed=place > 0))
    y = text("report.axis-gigabytes")
    return LinePlot("", y, tuple(series), x_kind="time") if series else None


def lengths(view: Report, part: int) -> LinePlot | None:
    """Return the distribution of the summaries' lengths in a group."""
    shown = view.groups[part].runs if part < len(view.groups) else ()
    place = places(view)
    series = []
    for curve in view.curves:
        if curve.run in shown and curve.summary_lengths:
            bins = [length // _BIN_CHARACTERS for length in curve.summary_lengths]
            x, y = zip(*_shares(bins, max(bins) + 2), strict=True)
            across = [_BIN_CHARACTERS * one for one in x]
            line = Series(plain(curve.name), across, y, run=curve.run, place=place.get(curve.run))
            series.append(line)
    return _distribution("characters", series)


def copied_lengths(view: Report, part: int) -> LinePlot | None:
    """Return how long the longest copied run is, of each system and of the references."""
    return _copied(view, part, "copied-words")


def copied_positions(view: Report, part: int) -> LinePlot | None:
    """Return where in its dialogue the longest copied run stands."""
    return _copied(view, part, "copied-position")


def _copied(view: Report, part: int, key: str) -> LinePlot | None:
    place = places(view)
    names_of: dict[str | None, str] = {one.run: plain(one.name) for one in view.systems}
    names_of[None] = text("report.column-references")
    series = []
    for one in view.groups[part].copied if part < len(view.groups) else ():
        if key == "copied-words":
            bins = [run.words for run in one.runs]
            count, scale = max(bins, default=0) + 2, 1.0
        else:
            at = [run.position for run in one.runs if run.position is not None]
            bins = [min(int(_BINS * position), _BINS - 1) for position in at]
            count, scale = _BINS + 1, 100 / _BINS
        if bins:
            x, y = zip(*_shares(bins, count), strict=True)
            across = [scale * each for each in x]
            of = None if one.run is None else place.get(one.run)
            series.append(Series(names_of[one.run], across, y, run=one.run, place=of))
    return _distribution(key, series)


def _shares(bins: Sequence[int], count: int) -> Iterator[tuple[int, float]]:
    """Yield the share in percent of each of ``count`` bins."""
    for place in range(count):
        yield place, 100 * bins.count(place) / len(bins)


def _distribution(key: str, series: Sequence[Series]) -> LinePlot | None:
    titles = text(f"report.axis-{key}"), text("report.axis-share")
    return LinePlot(*titles, tuple(series), stepped=True) if series else None


def study(view: Report, part: int) -> LinePlot | None:
    """Return a study's best score after each scored trial, above what chance alone would give."""
    found = next(iter(view.studies[part:]), None)
    scored = [] if found is None else [one for one in found.trials if one.mean is not None]
    if found is None or not found.chance or len(scored) != len(found.chance):
        return None
    start = scored[0].best_so_far or 0.0
    x = [one.trials for one in found.chance]
    best = [100 * (one.best_so_far or 0.0) for one in scored]
    expected = [100 * (start + one.expected) for one in found.chance]
    high = [100 * (start + one.interval.high) for one in found.chance]
    series = (
        Series(text("report.study-found"), x, best, place=0),
        Series(text("report.study-chance"), x, expected, [100 * start] * len(x), high, place=1),
    )
    titles = text("report.axis-trial"), text("report.axis-dev-mean")
    return LinePlot(*titles, series, whole=True, stepped=True)

"""Format numbers for display: scores ×100, durations, sizes; unknown is a dash, never zero."""

from datetime import UTC, datetime
from typing import NamedTuple

from yoyak.config.project import Budget
from yoyak.messages import text
from yoyak.report.model.report import TOY, Difference, Forecast, Measured, System, Tiles

UNKNOWN = "–"


def score(fraction: float | None, digits: int = 2) -> str:
    """Return a fraction 0 to 1 (a sum: 0 to 3) scaled to 0 to 100 (0 to 300)."""
    return UNKNOWN if fraction is None else f"{100 * fraction:.{digits}f}"


def points(fraction: float | None) -> str:
    """Return a difference of scores ×100, with its sign."""
    return UNKNOWN if fraction is None else f"{100 * fraction:+.2f}".replace("-", "−")


def interval(measured: Measured) -> str:
    """Return the interval's bounds ×100; a dash if unknown."""
    known = measured.interval
    return UNKNOWN if known is None else f"{score(known.low)}–{score(known.high)}"


def interval_of_points(difference: Measured) -> str:
    """Return the interval of a difference, both bounds with their signs; a dash if unknown."""
    known = difference.interval
    return UNKNOWN if known is None else f"{points(known.low)} … {points(known.high)}"


def measured(value: Measured | None) -> str:
    """Return a score, with its interval if known."""
    if value is None:
        return UNKNOWN
    drawn = score(value.value)
    return drawn if value.interval is None else f"{drawn} ({interval(value)})"


def verdict(difference: Difference | None) -> str:
    """Return the verdict on a difference, with the corrected p-value if computed."""
    if difference is None:
        return UNKNOWN
    word, p = verdict_word(difference), certainty(difference)
    return f"{word} ({p})" if p else word


def verdict_word(difference: Difference) -> str:
    """Return the localised verdict: better, worse or not proven."""
    return text(f"report.verdict-{difference.verdict.value.replace('_', '-')}")


def certainty(difference: Difference) -> str:
    """Return the corrected p-value with its label; empty if none was computed."""
    return "" if difference.p is None else f"p {p_value(difference.p)}"


def p_value(p: float) -> str:
    """Return two significant figures; ``< 0.001`` instead of a value near zero."""
    return "< 0.001" if p < 0.001 else f"{p:.2g}"


def duration(seconds: float | None) -> str:
    """Return seconds as ``48 s``, ``3 min 20 s``, ``5 h 02 min``."""
    if seconds is None:
        return UNKNOWN
    if seconds < 10:
        return text("report.seconds", seconds=f"{seconds:.1f}")
    whole = round(seconds)
    if whole < 60:
        return text("report.seconds", seconds=whole)
    minutes, left = divmod(whole, 60)
    if minutes < 60:
        return text("report.minutes", minutes=minutes, seconds=f"{left:02d}")
    return text("report.hours", hours=minutes // 60, minutes=f"{minutes % 60:02d}")


def durations(left: Forecast) -> str:
    """Return the time left at the p50 and p90 pace; one value if both format the same."""
    soon, late = duration(left.p50_seconds), duration(left.p90_seconds)
    return soon if soon == late else f"{soon} – {late}"


def moment(at: float | None) -> str:
    """Return a Unix time in the reader's time zone, with its offset from UTC."""
    return UNKNOWN if at is None else _local(at, "%Y-%m-%d %H:%M %z")


def clock(at: float) -> str:
    """Return the hour and minute of a Unix time in the reader's time zone."""
    return _local(at, "%H:%M")


def _local(at: float, pattern: str) -> str:
    """Return the local time; seconds as recorded if outside the calendar's range."""
    try:
        return datetime.fromtimestamp(at, UTC).astimezone().strftime(pattern)
    except (ValueError, OverflowError, OSError):
        return f"{at:g} s"


def count(number: int | None) -> str:
    """Return a whole number with thousands separators."""
    return UNKNOWN if number is None else f"{number:,}"


def parameters(number: int | None) -> str:
    """Return a parameter count as ``123.9 M`` or ``3.21 B``."""
    if number is None:
        return UNKNOWN
    for size, unit, digits in ((1e9, "B", 2), (1e6, "M", 1), (1e3, "K", 0)):
        if number >= size:
            return f"{number / size:.{digits}f} {unit}"
    return str(number)


def gigabytes(number: float | None) -> str:
    """Return gigabytes with one decimal."""
    return UNKNOWN if number is None else f"{number:.1f} GB"


def quantisation(system: System) -> str:
    """Return the precision of the weights; a dash for a system without weights."""
    if system.parameters is None:
        return UNKNOWN
    kind = system.quantisation
    return text("report.full-precision") if kind is None else kind.upper()


def number(value: float | None) -> str:
    """Return any other number with four significant figures."""
    return UNKNOWN if value is None else f"{value:.4g}"


_SHOWN_CHARACTERS = 60


def shortened(value: str) -> str:
    """Return a setting's value, truncated with an ellipsis if it is long."""
    return value if len(value) <= _SHOWN_CHARACTERS else f"{value[: _SHOWN_CHARACTERS - 1]}…"


class Tile(NamedTuple):
    """One key figure of the report; ``share`` is drawn as a bar."""

    question: str
    answer: str
    note: str = ""
    share: float | None = None

    @property
    def line(self) -> str:
        """Return the answer with the note in brackets."""
        return f"{self.answer} ({self.note})" if self.note else self.answer


def tiles(tiles: Tiles) -> list[Tile]:
    """Return the four key figures: runs done, best score, time left, headroom."""
    best, left = tiles.best_mean, tiles.left
    share = tiles.done / tiles.total if tiles.total else None
    ask = {key: text(f"report.tile-{key}") for key in ("done", "best", "left", "headroom")}
    return [
        Tile(ask["done"], f"{tiles.done}/{tiles.total}", share=share),
        Tile(ask["best"], score(best.value if best else None), _best(tiles)),
        Tile(ask["left"], duration(left.p50_seconds if left else None), _slow(tiles)),
        Tile(ask["headroom"], gigabytes(tiles.disk_free_gb), _headroom(tiles)),
    ]


def _best(tiles: Tiles) -> str:
    if tiles.best is None or tiles.best_mean is None:
        return ""
    parts = [tiles.best + (TOY if tiles.best_is_toy else "")]
    if tiles.best_mean.interval is not None:
        parts.append(f"95 %: {interval(tiles.best_mean)}")
    if tiles.best_data is not None:
        parts.append(text("report.tile-best-data", data=tiles.best_data))
    return ", ".join(parts)


def _slow(tiles: Tiles) -> str:
    """Return the p90 forecast if it is later than p50, and the number of runs not covered."""
    parts = []
    if tiles.left is not None and tiles.left.p90_seconds > tiles.left.p50_seconds:
        parts.append(text("report.at-most", time=duration(tiles.left.p90_seconds)))
    if tiles.without_pace:
        parts.append(text("report.without-pace", count=tiles.without_pace))
    return ", ".join(parts)


def _headroom(tiles: Tiles) -> str:
    total = gigabytes(tiles.disk_total_gb)
    if tiles.vram_free_gb is None:
        return text("report.headroom-disk", total=total)
    return text("report.headroom", total=total, vram=gigabytes(tiles.vram_free_gb))


def proved(check: str) -> str:
    """Return the description of a preflight check; the key itself for a plug-in engine's checks."""
    try:
        return text(f"engine.proof-{check}")
    except KeyError:
        return check


def budget(stated: Budget) -> str:
    """Return the budget that limits the Pareto front, or how to set one."""
    limits = {
        "minutes": stated.train_minutes,
        "vram": stated.vram_gb,
        "seconds": stated.seconds_per_summary,
    }
    parts = [
        text(f"report.budget-{key}", most=f"{most:g}")
        for key, most in limits.items()
        if most is not None
    ]
    return text("report.budget", limits=", ".join(parts)) if parts else text("report.no-budget")

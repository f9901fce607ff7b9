"""Numbers as people read them: scores ×100, durations, sizes; unknown is a dash, never zero."""

from datetime import UTC, datetime
from typing import NamedTuple

from yoyak.config.project import Budget
from yoyak.messages import text
from yoyak.report.model.report import Difference, System, Tiles
from yoyak.report.model.values import Forecast, Measured

UNKNOWN = "–"


def score(fraction: float | None, digits: int = 2) -> str:
    """A fraction 0 to 1 (a sum: 0 to 3) as 0 to 100 (0 to 300)."""
    return UNKNOWN if fraction is None else f"{100 * fraction:.{digits}f}"


def points(fraction: float | None) -> str:
    """A difference of scores, with its sign."""
    return UNKNOWN if fraction is None else f"{100 * fraction:+.2f}".replace("-", "−")


def interval(measured: Measured) -> str:
    """The interval's ends ×100, a dash where none is known."""
    known = measured.interval
    return UNKNOWN if known is None else f"{score(known.low)}–{score(known.high)}"


def interval_of_points(difference: Measured) -> str:
    """The interval of a difference, both ends with their signs."""
    known = difference.interval
    return UNKNOWN if known is None else f"{points(known.low)} … {points(known.high)}"


def measured(value: Measured | None) -> str:
    """A score and, where it is known, its interval."""
    if value is None:
        return UNKNOWN
    drawn = score(value.value)
    return drawn if value.interval is None else f"{drawn} ({interval(value)})"


def verdict(difference: Difference | None) -> str:
    """What the data say about a difference, in a word, with the corrected p-value."""
    if difference is None:
        return UNKNOWN
    word, p = verdict_word(difference), certainty(difference)
    return f"{word} ({p})" if p else word


def verdict_word(difference: Difference) -> str:
    """Better, worse or not proven."""
    return text(f"report.verdict-{difference.verdict.value.replace('_', '-')}")


def certainty(difference: Difference) -> str:
    """The corrected p-value by its name; nothing where none was computed."""
    return "" if difference.p is None else f"p {p_value(difference.p)}"


def p_value(p: float) -> str:
    """Two figures that matter, never a zero."""
    return "< 0.001" if p < 0.001 else f"{p:.2g}"


def duration(seconds: float | None) -> str:
    """Seconds as ``48 s``, ``3 min 20 s``, ``5 h 02 min``."""
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
    """The time at the usual and at the slow pace; once where they read the same."""
    soon, late = duration(left.p50_seconds), duration(left.p90_seconds)
    return soon if soon == late else f"{soon} – {late}"


def moment(at: float | None) -> str:
    """Return a Unix time in the reader's time zone, with its offset from UTC."""
    return UNKNOWN if at is None else _local(at, "%Y-%m-%d %H:%M %z")


def clock(at: float) -> str:
    """Return the hour and minute of a Unix time in the reader's time zone."""
    return _local(at, "%H:%M")


def _local(at: float, pattern: str) -> str:
    """Return the local time; a number that is on no calendar as it was recorded."""
    try:
        return datetime.fromtimestamp(at, UTC).astimezone().strftime(pattern)
    except (ValueError, OverflowError, OSError):
        return f"{at:g} s"


def count(number: int | None) -> str:
    """A whole number with thousands set apart."""
    return UNKNOWN if number is None else f"{number:,}"


def parameters(number: int | None) -> str:
    """A number of weights as ``123.9 M`` or ``3.21 B``."""
    if number is None:
        return UNKNOWN
    for size, unit, digits in ((1e9, "B", 2), (1e6, "M", 1), (1e3, "K", 0)):
        if number >= size:
            return f"{number / size:.{digits}f} {unit}"
    return str(number)


def gigabytes(number: float | None) -> str:
    """Gigabytes with one decimal."""
    return UNKNOWN if number is None else f"{number:.1f} GB"


def quantisation(system: System) -> str:
    """How the weights are held; a system without weights holds none."""
    if system.parameters is None:
        return UNKNOWN
    kind = system.quantisation
    return text("report.full-precision") if kind is None else kind.upper()


def number(value: float | None) -> str:
    """Any other number, with four figures that matter."""
    return UNKNOWN if value is None else f"{value:.4g}"


_SHOWN_CHARACTERS = 60


def shortened(value: str) -> str:
    """A setting's value on one line, its rest left out where it is a long text."""
    return value if len(value) <= _SHOWN_CHARACTERS else f"{value[: _SHOWN_CHARACTERS - 1]}…"


class Tile(NamedTuple):
    """One of the answers that are looked for first; ``share`` is drawn as a bar."""

    question: str
    answer: str
    note: str = ""
    share: float | None = None

    @property
    def line(self) -> str:
        """Answer and note in one."""
        return f"{self.answer} ({self.note})" if self.note else self.answer


def tiles(tiles: Tiles) -> list[Tile]:
    """The four answers that are looked for first."""
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
    known = tiles.best_mean.interval
    return tiles.best if known is None else f"{tiles.best}, 95 %: {interval(tiles.best_mean)}"


def _slow(tiles: Tiles) -> str:
    """The slow end of the forecast where it differs, and how many runs it says nothing of."""
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
    """What a line of the proof card claims; an engine from elsewhere may have lines of its own."""
    try:
        return text(f"engine.proof-{check}")
    except KeyError:
        return check


def budget(stated: Budget) -> str:
    """The budget that the front was drawn under, or how to state one."""
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

"""Format values for display: numbers, intervals, times, names, states; unknown is a dash, not zero.

Scores are shown ×100. Text is returned as recorded: each renderer escapes it.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from yoyak.config.project import Budget
from yoyak.events import RunStatus
from yoyak.messages import text
from yoyak.report.model.forecast import until_all
from yoyak.report.model.report import TOY, Forecast, RunProgress, System
from yoyak.values import Interval

if TYPE_CHECKING:
    from yoyak.ensemble.gain import Gain
    from yoyak.metrics.diagnostics.error_types import ErrorType
    from yoyak.metrics.significance import Verdict

UNKNOWN = "–"


def score(fraction: float | None, digits: int = 2) -> str:
    """Return a fraction 0 to 1 (a sum: 0 to 3) scaled to 0 to 100 (0 to 300)."""
    return UNKNOWN if fraction is None else f"{100 * fraction:.{digits}f}"


def fault_name(kind: "ErrorType") -> str:
    """Return a kind of fault in words."""
    return text(f"report.score-fault-{kind.value.replace('_', '-')}")


def points(fraction: float | None) -> str:
    """Return a difference of scores ×100, with its sign."""
    return UNKNOWN if fraction is None else signed(100 * fraction)


def signed(value: float) -> str:
    """Return two decimals with a sign; what rounds to zero is ``+0.00``."""
    return f"{round(value, 2) + 0.0:+.2f}".replace("-", "−")


def score_interval(known: Interval | None) -> str:
    """Return the bounds ×100."""
    return UNKNOWN if known is None else f"{score(known.low)}–{score(known.high)}"


def points_interval(known: Interval | None) -> str:
    """Return the bounds of a difference ×100, with their signs."""
    return UNKNOWN if known is None else f"{points(known.low)} … {points(known.high)}"


def verdict(found: "Verdict") -> str:
    """Return the localised verdict: better, worse, as good or not proven."""
    return text(f"report.verdict-{found.value.replace('_', '-')}")


def gain_verdict(gain: "Gain") -> str:
    """Return better, worse or not proven, by whether the interval excludes zero."""
    if gain.proven:
        return text("report.verdict-better")
    return text("report.verdict-worse" if gain.interval.high < 0 else "report.verdict-not-proven")


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
    """Return the time left at the p50 and p90 pace; one value if both format the same.

    An estimate below a second is said as such: ``0.0 s`` would be a measurement.
    """
    if left.p90_seconds < 1:
        return text("report.seconds", seconds="< 1")
    soon, late = duration(left.p50_seconds), duration(left.p90_seconds)
    return soon if soon == late else f"{soon} – {late}"


def longer_than(left: Forecast) -> str:
    """Return the time left of which only a part is known: ``> 48 s``."""
    return f"> {duration(left.p50_seconds)}"


def moment(at: float | None) -> str:
    """Return a Unix time in the reader's time zone, with its offset from UTC."""
    return UNKNOWN if at is None else _local(at, "%Y-%m-%d %H:%M %z")


def clock(at: float, *, seconds: bool = False) -> str:
    """Return the hour and minute of a Unix time in the reader's time zone."""
    return _local(at, "%H:%M:%S" if seconds else "%H:%M")


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


def whole(value: float | None) -> str:
    """Return any other number rounded, with thousands separators."""
    return count(None if value is None else round(value))


_SHOWN_CHARACTERS = 60


def shortened(value: str) -> str:
    """Return a text, if it is long cut with an ellipsis: after a word, or in one that is long."""
    if len(value) <= _SHOWN_CHARACTERS:
        return value
    start = value[: _SHOWN_CHARACTERS - 1]
    words = start.rpartition(" ")[0]
    return f"{words if 2 * len(words) > len(start) else start}…"


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


def name(system: System) -> str:
    """Return the system's name, with an asterisk if it is a toy model."""
    return system.name + (TOY if system.toy else "")


def stage(key: str | None) -> str:
    """Return the stage's localised name; an unknown key unchanged."""
    known = {
        "train", "align", "predict-dev", "predict-test", "predict-train", "score", "predict-dev2",
        "score-dev2",
    }  # fmt: skip
    if key is None:
        return UNKNOWN
    return text(f"report.stage-{key}") if key in known else key


def progress(now: RunProgress) -> str:
    """Return ``127/390 (33%)``; a dash for a run that has not started."""
    if now.of is None:
        return UNKNOWN
    share = now.done / now.of if now.of else 1.0
    return f"{now.done}/{now.of} ({share:.0%})"


def all_ends(coming: Iterable[tuple[RunStatus, Forecast | None, float | None]]) -> str | None:
    """Return when all unfinished runs end; ``None`` if none is running.

    ``coming``: status, time left and time of the last event of each run. Runs without a known pace
    are counted, not estimated.
    """
    runs = sorted(coming, key=lambda run: run[0] is not RunStatus.RUNNING)
    known = [left for _, left, _ in runs if left is not None]
    working = [at for status, _, at in runs if status is RunStatus.RUNNING and at]
    total = until_all(known, len(working) or 1)
    if total is None or not working:
        return None
    unknown = len(runs) - len(known)
    return ends(max(working), total, "report.ends-without" if unknown else "report.ends", unknown)


def ends(now: float, left: Forecast, key: str = "report.ends", count: int = 0) -> str:
    """Return when work that has ``left`` to do at the time ``now`` is expected to finish."""
    return text(key, when=moments(now, left), left=durations(left), count=count)


def moments(now: float, left: Forecast) -> str:
    """Return when ``left`` is over at the p50 and p90 pace; with the date if not on one day."""
    soon, late = now + left.p50_seconds, now + left.p90_seconds
    is_today = len({moment(at)[:10] for at in (now, soon, late)}) == 1
    low, high = map(clock if is_today else moment, (soon, late))
    return low if low == high else f"{low}–{high}" if is_today else f"{low} – {high}"

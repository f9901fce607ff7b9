"""Draw what concerns submissions: candidates, blends, decode search, ledger.

A gain is called better or worse only if its interval excludes zero; otherwise it is not proven.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from msgspec import structs

from yoyak.messages import text
from yoyak.report.render import format
from yoyak.report.render.escape import plain
from yoyak.report.render.format import UNKNOWN, points, score
from yoyak.report.render.words import interval, verdict
from yoyak.terminal import tables
from yoyak.terminal.scores import alarm_lines
from yoyak.values import Value

if TYPE_CHECKING:
    from rich.console import Group, RenderableType
    from rich.table import Table
    from rich.text import Text

    from yoyak.ensemble.candidates import Candidate
    from yoyak.ensemble.cross_validation import CrossValidation
    from yoyak.ensemble.decode_search import DecodeSearch
    from yoyak.ensemble.gain import Gain
    from yoyak.ensemble.imports import Import
    from yoyak.ensemble.member_selection import EnsembleConfig
    from yoyak.submission.ledger import Entry


PAIRED = 8
"""Number of systems of a complementarity matrix that fit in 80 columns."""


class Board(Value, frozen=True, kw_only=True):
    """All submissions, and the uploads that the contest still allows.

    ``used``, ``left`` and ``resets_at`` describe today's uploads and are ``None`` if the file at
    ``contest`` sets no limit.
    """

    entries: "tuple[Entry, ...]"
    contest: str
    used: int | None
    left: int | None
    resets_at: datetime | None
    closes_at: datetime | None


# --- pieces --------------------------------------------------------------------------------------


def _line(words: str, style: str = "") -> "Text":
    from rich.text import Text

    return Text(plain(words), overflow="fold", style=style)


def _table(title: str, *columns: str, words: int = 1) -> "Table":
    """Return an empty table whose first ``words`` columns hold words."""
    headings = [text(f"report.column-{column}") for column in columns]
    return tables.ruled(title, headings, left=range(words))


def _gain_cells(gain: "Gain") -> tuple[str, str, str, str]:
    return score(gain.mean), points(gain.difference), interval(gain.interval), verdict(gain)


# --- imports -------------------------------------------------------------------------------------


def imported(found: "Import") -> "Group":
    """Return what was imported, its dev score with floors and alarms, and what is missing."""
    from rich.console import Group

    sources = found.record.sources
    lines = [
        text("report.answer-imported", name=found.name, split=one.split, rows=one.rows)
        for one in sources
    ]
    card = found.scorecard()
    if card is not None:
        lines.append(
            text(
                "report.answer-import-score",
                mean=score(card.rouge.mean),
                low=score(card.interval.low),
                high=score(card.interval.high),
            )
        )
        lines += [
            text("report.answer-floor", name=text(f"report.floor-{name}"), mean=score(rouge.mean))
            for name, rouge in structs.asdict(card.floors).items()
            if rouge is not None
        ]
    lines += [
        text(f"report.answer-import-no-{split}", name=found.name)
        for split in ("dev", "test")
        if split not in {one.split for one in sources}
    ]
    return Group(*map(_line, lines), *(alarm_lines(card.alarms) if card is not None else ()))


def candidates(found: Sequence["Candidate"]) -> "Table":
    """Return every candidate, best dev score first, and whether it has test predictions."""
    table = _table(text("report.answer-candidates"), "candidate", "mean", "interval", "test")
    for one in found:
        ends = one.card.interval
        low_high = f"{score(ends.low)} … {score(ends.high)}"
        table.add_row(
            plain(one.lineage.name),
            score(one.card.rouge.mean),
            low_high,
            UNKNOWN if one.test is None else format.count(len(one.test)),
        )
    return table


# --- blends --------------------------------------------------------------------------------------


def nested(found: "CrossValidation") -> "Group":
    """Return the held-out gain of blending beside the best system, the controls and the bounds."""
    from rich.console import Group

    title = text("report.answer-nested", rows=found.rows, repeats=found.repeats)
    table = _table(title, "system", "mean", "difference", "interval", "verdict")
    table.add_row(text("report.answer-best-single"), score(found.single), *[UNKNOWN] * 3)
    table.add_row(text("report.answer-blend"), *_gain_cells(found.blend))
    for control in found.controls:
        kind = "vote" if control.name == "vote" else "control"
        name = text(f"report.answer-{kind}", name=control.name)
        table.add_row(name, *_gain_cells(control))
    for key, mean in (("oracle", found.oracle), ("chance", found.random)):
        table.add_row(text(f"report.answer-{key}"), score(mean), *[UNKNOWN] * 3)
    parts: list[RenderableType] = [table, ""]
    if found.members:
        parts += [_members(found), "", _complementarity(found), ""]
    lines = [choice(found.choice), _nested_verdict(found), _vote_verdict(found.vote_over_blend)]
    return Group(*parts, *map(_line, lines))


def _members(found: "CrossValidation") -> "Table":
    columns = ("system", "mean", "marginal", "interval", "halves")
    table = _table(text("report.answer-members"), *columns)
    for worth in found.members:
        halves = f"{worth.halves}/{2 * found.repeats}"
        cells = (score(worth.alone), points(worth.gain), interval(worth.interval), halves)
        table.add_row(plain(worth.system), *cells)
    return table


def _complementarity(found: "CrossValidation") -> "Table":
    """Return the gain of the better answer per row for every pair of the first systems."""
    shown = found.systems[:PAIRED]
    numbers = [str(at) for at in range(1, len(shown) + 1)]
    title = text("report.answer-complementarity")
    table = tables.ruled(title, [text("report.column-system"), *numbers])
    for at, name in enumerate(shown):
        row = found.complementarity[at][: len(shown)]
        cells = ["·" if place == at else score(gain) for place, gain in enumerate(row)]
        table.add_row(f"{numbers[at]} {plain(name)}", *cells)
    return table


def choice(chosen: "EnsembleConfig") -> str:
    """Return a sentence on how the answer is made."""
    if chosen.column is not None:
        return text("report.answer-choice-single", column=chosen.column)
    votes = ", ".join(f"{name} ×{count:g}" for name, count in chosen.votes.items())
    weights = ":".join(f"{weight:g}" for weight in chosen.components)
    return text("report.answer-choice-blend", method=chosen.method, votes=votes, weights=weights)


def _nested_verdict(found: "CrossValidation") -> str:
    key = "proven" if found.blend.proven else "not-proven"
    if found.blend.interval.high < 0:
        key = "worse"
    gain = points(found.blend.difference)
    return text(f"report.answer-blend-{key}", gain=gain, interval=interval(found.blend.interval))


def _vote_verdict(gain: "Gain") -> str:
    """Return the verdict on the untrained vote against the learned blend."""
    return text(
        "report.answer-vote-over-blend",
        gain=points(gain.difference),
        interval=interval(gain.interval),
        verdict=verdict(gain),
    )


# --- decoding ------------------------------------------------------------------------------------


def sweep(found: "DecodeSearch") -> "Group":
    """Return the decodings tried, the winner, and its gain on held-out rows."""
    from rich.console import Group

    from yoyak.ensemble.candidates import name_of

    title = text("report.answer-sweep", rows=found.searched_rows, seconds=f"{found.seconds:.0f}")
    table = _table(title, "decoding", "mean", "difference", "interval", "cut", "seconds")
    for trial in sorted(found.trials, key=lambda trial: -trial.gain.mean):
        mean, difference, interval, _ = _gain_cells(trial.gain)
        cut = UNKNOWN if trial.cut is None else f"{trial.cut:.0%}"
        seconds = format.duration(trial.seconds)
        table.add_row(name_of(trial.decode), mean, difference, interval, cut, seconds)
    return Group(table, "", _line(sweep_verdict(found)))


def sweep_verdict(found: "DecodeSearch") -> str:
    """Return whether the winner's gain holds on the half that was not searched, as a sentence."""
    from yoyak.ensemble.candidates import name_of

    winner, gain = name_of(found.winner), found.checked
    if gain is None:
        return text("report.answer-sweep-same", decode=winner)
    key = "proven" if found.worth_freezing else "noise"
    return text(
        f"report.answer-sweep-{key}",
        decode=winner,
        rows=found.checked_rows,
        gain=points(gain.difference),
        interval=interval(gain.interval),
    )


# --- the ledger ----------------------------------------------------------------------------------


def ledger(board: Board) -> "Group":
    """Return every submission with its scores, today's uploads, and when the contest closes."""
    from rich.console import Group

    columns = ("submission", "answered", "on-dev", "on-public", "on-private")
    table = _table(text("report.answer-ledger"), *columns, words=2)
    for entry in board.entries:
        members = ", ".join(member.system for member in entry.written.members)
        means = (entry.written.dev.rouge.mean, entry.public, entry.private)
        answer = plain(f"{entry.written.method}: {members}")
        table.add_row(str(entry.number), answer, *map(score, means))
    return Group(table, "", *map(_line, _limits(board)))


def _limits(board: Board) -> Iterable[str]:
    """Yield today's remaining uploads and the closing time, or that there is no such limit."""
    if board.resets_at is None:
        yield text("report.answer-no-quota", file=board.contest)
    else:
        resets = _moment(board.resets_at)
        yield text("report.answer-quota", used=board.used, left=board.left, resets=resets)
    if board.closes_at is None:
        yield text("report.answer-no-closing", file=board.contest)
    else:
        yield text("report.answer-closing", moment=_moment(board.closes_at))


def _moment(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M %Z")

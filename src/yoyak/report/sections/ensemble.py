"""What concerns answers to submit: imports, candidates, ensembles, decode search, the ledger.

A gain is called better or worse only if its interval excludes zero; otherwise it is not proven.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from yoyak.messages import listed, text
from yoyak.metrics.baselines import TrivialBaselines
from yoyak.report.model.report import Blended, Report
from yoyak.report.sections import format
from yoyak.report.sections.blocks import (
    Block,
    Cell,
    Chart,
    CodeBlock,
    Link,
    Note,
    Table,
    TableColumn,
    table,
)
from yoyak.report.sections.examples import sample
from yoyak.report.sections.format import (
    UNKNOWN,
    gain_verdict,
    points,
    points_interval,
    score,
    score_interval,
)
from yoyak.report.sections.model_table import difference_cell, group_heading
from yoyak.report.sections.scorecard import alarms
from yoyak.values import Interval, Value

if TYPE_CHECKING:
    from yoyak.ensemble.candidates import Candidate
    from yoyak.ensemble.cross_validation import CrossValidation
    from yoyak.ensemble.decode_search import DecodeSearch
    from yoyak.ensemble.gain import Gain
    from yoyak.ensemble.imports import Import
    from yoyak.ensemble.member_selection import EnsembleConfig
    from yoyak.submission.ledger import Entry

Blocks = Iterator[Block]

_MOST_PAIRS = 15
_PAIRED = 8
"""Number of systems of a complementarity matrix that fit in 80 columns."""


def _mean(mean: float, interval: Interval) -> Link:
    return Link(score(mean), note=score_interval(interval))


def _gain(gain: "Gain") -> tuple[Cell, ...]:
    return score(gain.mean), difference_cell(gain.difference, gain.interval), gain_verdict(gain)


# --- imports and candidates ----------------------------------------------------------------------


def imported(found: "Import") -> Blocks:
    """Yield what was imported, its dev score with floors and alarms, and what is missing."""
    sources = found.record.sources
    for one in sources:
        yield Note(text("report.answer-imported", name=found.name, split=one.split, rows=one.rows))
    card = found.scorecard()
    if card is not None:
        fields = {"low": score(card.interval.low), "high": score(card.interval.high)}
        yield Note(text("report.answer-import-score", mean=score(card.rouge.mean), **fields))
        yield from floors(card.floors)
    for split in ("dev", "test"):
        if split not in {one.split for one in sources}:
            yield Note(text(f"report.answer-import-no-{split}", name=found.name))
    if card is not None:
        yield from alarms(card.alarms)


def floors(found: TrivialBaselines) -> Blocks:
    """Yield the mean of each trivial baseline on the rows of a dev score."""
    for key, rouge in found.known.items():
        name = text(f"report.floor-{key}")
        yield Note(text("report.answer-floor", name=name, mean=score(rouge.mean)))


def candidates(found: Sequence["Candidate"]) -> Blocks:
    """Yield every candidate, best dev score first, and whether it has test predictions."""
    rows = (
        (
            one.lineage.name,
            _mean(one.card.rouge.mean, one.card.interval),
            format.count(None if one.test is None else len(one.test)),
        )
        for one in found
    )
    yield from table(("candidate", "mean", "test"), rows, text("report.answer-candidates"))


# --- ensembles -----------------------------------------------------------------------------------


def ensemble(view: Report) -> Blocks:
    """Yield the most complementary pairs of systems, and the submitted ensemble."""
    for part, group in enumerate(view.groups):
        if group.pairs:
            yield from group_heading(view, group)
            yield Chart("complement", part, group.data if len(view.groups) > 1 else "")
            rows = (
                (
                    f"{one.one} + {one.other}",
                    points(one.oracle_gain),
                    f"{one.other_better:.0%} ({one.other})",
                )
                for one in group.pairs[:_MOST_PAIRS]
            )
            yield from table(("pair", "oracle-gain", "other-better"), rows)
            yield Note(text("report.ensemble-note"))
    if view.blended is not None:
        yield from submitted(view.blended)


def submitted(found: Blended) -> Blocks:
    """Yield the submitted ensemble: its members, its gain, and the answers it selected."""
    fields = {"mean": score(found.dev.value), "interval": score_interval(found.dev.interval)}
    yield Note(
        text("report.ensemble-submitted", number=found.number, method=found.method, **fields)
    )
    if found.components is not None:
        weights = ":".join(f"{weight:g}" for weight in found.components)
        yield Note(text("report.ensemble-weights", weights=weights))
    gain = found.held_out
    yield Note(
        text("report.ensemble-not-learned")
        if gain is None
        else text("report.ensemble-held-out", **_gain_fields(gain), verdict=gain_verdict(gain))
    )
    rows = (
        (Link(one.system, found.record), one.decode, format.number(one.votes))
        for one in found.voters
    )
    yield from table(("system", "decoding", "votes"), rows)
    if found.rows:
        yield Note(text("report.ensemble-rows"))
    yield from map(sample, found.rows)


def _gain_fields(gain: "Gain") -> dict[str, str]:
    return {"gain": points(gain.difference), "interval": points_interval(gain.interval)}


def cross_validation(found: "CrossValidation") -> Blocks:
    """Yield the held-out gain of ensembles beside the best system, the controls and the bounds."""
    rows: list[tuple[Cell, ...]] = [
        (text("report.answer-best-single"), score(found.single), UNKNOWN, UNKNOWN),
        (text("report.answer-ensemble"), *_gain(found.blend)),
    ]
    for control in found.controls:
        kind = "vote" if control.name == "vote" else "control"
        rows.append((text(f"report.answer-{kind}", name=control.name), *_gain(control)))
    for key, mean in (("oracle", found.oracle), ("chance", found.random)):
        rows.append((text(f"report.answer-{key}"), score(mean), UNKNOWN, UNKNOWN))
    title = text("report.answer-nested", rows=found.rows, repeats=found.repeats)
    yield from table(("system", "mean", "difference", "verdict"), rows, title)
    yield from _members(found)
    if found.members:
        yield from _complementarity(found)
    yield Note(_choice(found.choice))
    key = "proven" if found.blend.proven else "not-proven"
    if found.blend.interval.high < 0:
        key = "worse"
    yield Note(text(f"report.answer-ensemble-{key}", **_gain_fields(found.blend)))
    vote = found.vote_over_blend
    yield Note(
        text("report.answer-vote-over-ensemble", **_gain_fields(vote), verdict=gain_verdict(vote))
    )


def _members(found: "CrossValidation") -> tuple[Table, ...]:
    rows = (
        (
            worth.system,
            score(worth.alone),
            Link(points(worth.gain), note=points_interval(worth.interval)),
            f"{worth.halves}/{found.halves_blended}",
        )
        for worth in found.members
    )
    return table(("system", "mean", "marginal", "halves"), rows, text("report.answer-members"))


def _complementarity(found: "CrossValidation") -> Iterator[Table]:
    """Yield the gain of the better answer per row for every pair of the first systems."""
    shown = found.systems[:_PAIRED]
    columns = (
        TableColumn(text("report.column-system")),
        *(TableColumn(str(at), is_number=True) for at in range(1, len(shown) + 1)),
    )
    rows = tuple(
        (
            f"{at + 1} {name}",
            *(
                "·" if place == at else score(gain)
                for place, gain in enumerate(found.complementarity[at][: len(shown)])
            ),
        )
        for at, name in enumerate(shown)
    )
    yield Table(columns, rows, text("report.answer-complementarity"))


def _choice(chosen: "EnsembleConfig") -> str:
    """Return a sentence on how the answer is made."""
    if chosen.column is not None:
        return text("report.answer-choice-single", column=chosen.column)
    votes = ", ".join(f"{name} ×{count:g}" for name, count in chosen.votes.items())
    weights = ":".join(f"{weight:g}" for weight in chosen.components)
    return text("report.answer-choice-ensemble", method=chosen.method, votes=votes, weights=weights)


# --- decoding ------------------------------------------------------------------------------------


def decode_search(found: "DecodeSearch") -> Blocks:
    """Yield the decodings tried, the winner, and its gain on held-out rows."""
    from yoyak.ensemble.candidates import name_of

    rows = (
        (
            name_of(trial.decode),
            score(trial.gain.mean),
            difference_cell(trial.gain.difference, trial.gain.interval),
            UNKNOWN if trial.cut is None else f"{trial.cut:.0%}",
            format.duration(trial.seconds),
        )
        for trial in sorted(found.trials, key=lambda trial: -trial.gain.mean)
    )
    title = text("report.answer-sweep", rows=found.searched_rows, seconds=f"{found.seconds:.0f}")
    yield from table(("decoding", "mean", "difference", "cut", "seconds"), rows, title)
    winner, gain = name_of(found.winner), found.checked
    if gain is None:
        yield Note(text("report.answer-sweep-same", decode=winner))
    else:
        key = "proven" if found.worth_freezing else "noise"
        fields = {"decode": winner, "rows": found.checked_rows, **_gain_fields(gain)}
        yield Note(text(f"report.answer-sweep-{key}", **fields))


# --- submissions ---------------------------------------------------------------------------------


def submissions(view: Report) -> Blocks:
    """Yield the submission files and their results, those with one dev protocol together."""
    rows: list[tuple[str, Sequence[Cell]]] = [
        (
            one.signature,
            (
                Link(one.number, one.record),
                one.system,
                one.method,
                format.count(one.rows),
                score(one.dev_mean),
                score(one.public_score, 4),
                Link(one.path, one.path),
                CodeBlock(one.sha256),
            ),
        )
        for one in view.submissions
    ]
    columns = ("number", "system", "method", "n", "dev", "public", "file", "sha256")
    yield from _by_protocol(columns, rows)


def _by_protocol(
    columns: Sequence[str], rows: Iterable[tuple[str, Sequence[Cell]]], title: str = ""
) -> Blocks:
    """Yield a table for each signature of ``rows``, which name it where there are several."""
    found: dict[str, list[Sequence[Cell]]] = {}
    for signature, row in rows:
        found.setdefault(signature, []).append(row)
    for signature, alike in found.items():
        yield from table(columns, alike, title)
        if len(found) > 1:
            yield Note(text("report.protocol-note", signature=signature))


class LedgerView(Value, frozen=True, kw_only=True):
    """All submissions, and the uploads that the contest still allows.

    ``used``, ``left`` and ``resets_at`` describe today's uploads and are ``None`` if the file at
    ``contest`` sets no limit.
    """

    entries: "tuple[Entry, ...]"
    changed: tuple[int, ...]
    """Numbers of the submissions whose file is not the one that was recorded."""
    contest: str
    used: int | None
    left: int | None
    resets_at: datetime | None
    closes_at: datetime | None


def ledger(view: LedgerView) -> Blocks:
    """Yield the submissions with one dev protocol together, those changed, and the limits."""
    rows: list[tuple[str, Sequence[Cell]]] = [
        (
            entry.written.dev.signature,
            (
                str(entry.number),
                " + ".join(member.system for member in entry.written.members),
                entry.written.method,
                score(entry.written.dev.rouge.mean),
                score(entry.public, 4),
                score(entry.private, 4),
            ),
        )
        for entry in view.entries
    ]
    columns = ("number", "system", "method", "dev", "public", "private")
    yield from _by_protocol(columns, rows, text("report.section-submissions"))
    if view.changed:
        yield Note(text("report.lint-changed-submission", numbers=listed(view.changed)))
    yield from map(Note, _limits(view))


def _limits(view: LedgerView) -> Iterable[str]:
    """Yield today's remaining uploads and the closing time, or that there is no such limit."""
    if view.resets_at is None:
        yield text("report.answer-no-quota", file=view.contest)
    else:
        resets = _moment(view.resets_at)
        yield text("report.answer-quota", used=view.used, left=view.left, resets=resets)
    if view.closes_at is None:
        yield text("report.answer-no-closing", file=view.contest)
    else:
        yield text("report.answer-closing", moment=_moment(view.closes_at))


def _moment(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M %Z")

"""The scores of one file of predictions, comparisons of several, and the alarms of both."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from types import MappingProxyType

from yoyak.messages import text
from yoyak.metrics.baselines import TrivialBaselines
from yoyak.metrics.diagnostics.slices import Slice
from yoyak.metrics.diagnostics.statistics import TextStatistics
from yoyak.metrics.sanity_checks import Alarm
from yoyak.metrics.scorecard import Scorecard
from yoyak.metrics.significance import Comparison, ScorecardGroup, Verdict
from yoyak.report.sections import format
from yoyak.report.sections.blocks import Badge, Block, Cell, Link, Note, Table, table
from yoyak.report.sections.format import UNKNOWN, points, score, score_interval
from yoyak.report.sections.model_table import (
    ROUGE_COLUMNS,
    difference_cell,
    rouge_cells,
    verdict_cell,
)
from yoyak.submission.validate import ValidationFault
from yoyak.values import Score, Severity

_ROWS_NAMED = 5


def scorecard(card: Scorecard, name: str) -> Iterator[Block]:
    """Yield the scores of one file, its baselines, probes, statistics, slices and alarms."""
    yield from _measures(card, name)
    yield from map(Note, _scales(card))
    yield from _baselines(card)
    yield from _statistics(card)
    yield from _slices(card.slices)
    topics = card.topics
    if card.slices and topics is not None and topics.are_nearly_distinct:
        yield Note(text("report.score-topics", distinct=topics.distinct, rows=topics.rows))
    yield from alarms(card.alarms) or (Note(text("report.no-alarm")),)
    yield Note(text("report.protocol-note", signature=card.protocol.signature))


def _measures(card: Scorecard, name: str) -> tuple[Table, ...]:
    measures: tuple[tuple[str, Score], ...] = (
        ("ROUGE-1", card.measures.rouge1),
        ("ROUGE-2", card.measures.rouge2),
        ("ROUGE-L", card.measures.rougeL),
    )
    rows = (
        (label, score(measure.precision), score(measure.recall), score(measure.f1))
        for label, measure in measures
    )
    title = text("report.score-title", name=name, rows=card.n)
    return table(("measure", "rouge-precision", "rouge-recall", "f1"), rows, title)


def _scales(card: Scorecard) -> Iterator[str]:
    """Yield the score on both scales, and by reference mode if there are several."""
    yield text(
        "report.score-mean",
        mean=score(card.rouge.mean),
        interval=score_interval(card.interval),
        resamples=card.resamples,
    )
    yield text("report.score-sum", sum=score(card.rouge.sum))
    if len(card.by_reference_mode) > 1:
        for mode, rouge in card.by_reference_mode.items():
            key = f"report.score-refs-{mode.value}"
            yield text(key, mean=score(rouge.mean), sum=score(rouge.sum))


def _baselines(card: Scorecard) -> tuple[Table, ...]:
    known = {
        **card.floors.known,
        "without-tags": card.probes.without_tags,
        "swapped": card.probes.swapped,
    }
    rows = (
        (
            text(f"report.floor-{key}"),
            *rouge_cells(rouge)[:-1],
            points(card.rouge.mean - rouge.mean),
        )
        for key, rouge in known.items()
    )
    columns = ("answer", *ROUGE_COLUMNS[:-1], "above")
    return table(columns, rows, text("report.score-floors"))


def _statistics(card: Scorecard) -> tuple[Table, ...]:
    found = card.statistics
    ours, theirs = dict(_properties(found.predictions)), dict(_properties(found.references))
    extra = {
        "length-ratio": _number(found.length_ratio),
        "tags-found": _share(found.tags_found),
        "stopped-by-length": format.count(found.stopped_by_length),
        "better-swapped": format.count(card.probes.rows_better_swapped),
    }
    rows = (
        (text(f"report.score-{key}"), value, theirs.get(key, UNKNOWN))
        for key, value in (ours | extra).items()
    )
    return table(("property", "predictions", "references"), rows, text("report.score-seen"))


def _properties(one: TextStatistics) -> Iterator[tuple[str, str]]:
    yield "characters", f"{one.characters_mean:.1f}"
    yield "per-dialogue", _number(one.characters_per_dialogue_character)
    yield "tagged", _share(one.tagged / one.rows)
    yield "identical", format.count(one.identical)
    for fault, count in one.faults.items():
        yield f"fault-{fault.value.replace('_', '-')}", format.count(count)
    new = one.novelty
    shares = (new.unigrams, new.bigrams, new.trigrams) if new else ()
    yield "novelty", "/".join(f"{100 * share:.1f}" for share in shares) or UNKNOWN
    yield "copied", format.count(new.copied if new else None)
    total = sum(one.registers.values())
    for level, count in one.registers.items():
        yield f"register-{level.value}", _share(count / total if total else None)


def _number(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.2f}"


def _share(value: float | None) -> str:
    return UNKNOWN if value is None else f"{100 * value:.1f} %"


def _slices(pieces: Sequence[Slice]) -> tuple[Table, ...]:
    rows: list[Sequence[Cell]] = []
    for kind, group in groupby(pieces, key=lambda piece: piece.kind):
        by = text(f"report.score-by-{kind.value}")
        for piece in group:
            mean = Link(score(piece.mean), note=score_interval(piece.interval))
            rows.append((by, piece.label, format.count(piece.rows), mean))
            by = ""
    return table(("by", "label", "n", "mean"), rows, text("report.score-slices"))


def alarms(found: Sequence[Alarm]) -> tuple[Table, ...]:
    """Return the alarms of one score."""
    return alarm_table(((one.severity, "", one.sentence, one.rows) for one in found), subject="")


def faults(found: Iterable[ValidationFault]) -> tuple[Table, ...]:
    """Return what the validation of a submission found, with the places."""
    return alarm_table(((one.severity, one.rule, one.text, ()) for one in found), subject="check")


def alarm_table(
    rows: Iterable[tuple[Severity, Cell, str, Sequence[str]]], subject: str = "system"
) -> tuple[Table, ...]:
    """Return a table of severity, subject, sentence and rows, errors first.

    ``subject`` is the column of the second cells; the empty string leaves them out.
    """
    ordered = sorted(rows, key=lambda row: row[0] is not Severity.ERROR)
    return table(
        ("level", *((subject,) if subject else ()), "what-is-wrong"),
        (
            (
                Badge(_LEVELS[severity], text(f"report.severity-{severity.value}")),
                *((named,) if subject else ()),
                Link(what, note=_rows_named(at)),
            )
            for severity, named, what, at in ordered
        ),
    )


_LEVELS = {Severity.ERROR: "danger", Severity.WARNING: "watch"}


def _rows_named(rows: Sequence[str]) -> str:
    more = len(rows) - _ROWS_NAMED
    shown = ", ".join(rows[:_ROWS_NAMED]) + (f" … +{more}" if more > 0 else "")
    return text("report.rows-at-fault", rows=shown) if rows else ""


def comparison(
    compared: Comparison,
    cards: ScorecardGroup,
    *,
    names: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[Block]:
    """Yield the systems of ``cards`` above the floors, the proven differences and the alarms.

    The best system stands first. ``names`` maps a system to its display name where the two differ.
    """
    yield from _standings(compared, cards[compared.standings[0].system].floors, names)
    yield from _contrasts(compared, names)
    yield Note(text("report.score-tests", alpha=f"{compared.alpha:g}"))
    verdicts = {contrast.verdict for contrast in compared.contrasts}
    if Verdict.AS_GOOD in verdicts:
        yield Note(text("report.score-as-good", margin=f"{100 * compared.margin:g}"))
    if Verdict.NOT_PROVEN in verdicts:
        yield Note(text("report.score-not-proven"))
    yield from alarm_table(
        (alarm.severity, names.get(system, system), alarm.sentence, alarm.rows)
        for system, card in cards.items()
        for alarm in card.alarms
    )
    yield Note(text("report.protocol-note", signature=compared.signature))


def _standings(
    compared: Comparison, floors: TrivialBaselines, names: Mapping[str, str]
) -> tuple[Table, ...]:
    rows = [
        (names.get(one.system, one.system), *rouge_cells(one.rouge, one.interval))
        for one in compared.standings
    ]
    rows += [
        (text(f"report.floor-{key}"), *rouge_cells(rouge)) for key, rouge in floors.known.items()
    ]
    title = text("report.score-standings", rows=compared.protocol.items)
    return table(("system", *ROUGE_COLUMNS), rows, title)


def _contrasts(compared: Comparison, names: Mapping[str, str]) -> tuple[Table, ...]:
    rows = (
        (
            " − ".join(names.get(one, one) for one in (contrast.system, contrast.baseline)),
            difference_cell(contrast.difference.mean, contrast.interval),
            verdict_cell(contrast.verdict, contrast.p_holm),
            f"{contrast.wins}/{contrast.ties}/{contrast.losses}",
            score(contrast.detectable),
        )
        for contrast in compared.contrasts
    )
    columns = ("pair", "difference", "verdict", "won", "detectable")
    return table(columns, rows, text("report.score-contrasts"))

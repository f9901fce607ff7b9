"""Draw a scorecard and a comparison; every number stands beside the name of its scale.

Words and signs carry all information; colour and weight only repeat it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from types import MappingProxyType
from typing import TYPE_CHECKING

from msgspec import structs

from yoyak.messages import text
from yoyak.metrics.baselines import TrivialBaselines
from yoyak.metrics.diagnostics.slices import Slice
from yoyak.metrics.diagnostics.statistics import TextStatistics
from yoyak.metrics.sanity_checks import Alarm
from yoyak.metrics.scorecard import Scorecard
from yoyak.metrics.significance import Comparison, PairComparison, ScorecardGroup, Verdict
from yoyak.report.render import format
from yoyak.report.render.escape import plain
from yoyak.report.render.format import UNKNOWN, points, score
from yoyak.report.sections.blocks import table
from yoyak.report.sections.details import alarm_table
from yoyak.report.sections.model_table import ROUGE_COLUMNS, rouge_cells
from yoyak.terminal import tables
from yoyak.values import Interval, Rouge, Score, Severity

if TYPE_CHECKING:
    from rich.console import Group, RenderableType
    from rich.table import Table
    from rich.text import Text

SIGNS = {Severity.ERROR: "✗", Severity.WARNING: "!"}
_STYLES = {Severity.ERROR: "bold red", Severity.WARNING: "yellow"}
_ROWS_NAMED = 5


def card(scorecard: Scorecard, name: str) -> "Group":
    """Return the scorecard of one file: scores, baselines, probes, statistics, slices, alarms."""
    from rich.console import Group

    parts: list[RenderableType] = [
        _measures(scorecard, name),
        *map(_line, _scales(scorecard)),
        "",
        _baselines(scorecard),
        "",
        _statistics(scorecard),
        "",
    ]
    if scorecard.slices:
        parts += [_slices(scorecard.slices), *map(_line, _topic_note(scorecard)), ""]
    parts += [*alarm_lines(scorecard.alarms), ""]
    return Group(
        *parts, _line(text("report.scoreboard-signature", it=scorecard.protocol.signature))
    )


def _line(words: str) -> "Text":
    from rich.text import Text

    return Text(plain(words), overflow="fold")


def _table(title: str, *columns: str) -> "Table":
    return tables.ruled(title, [text(f"report.{column}") for column in columns])


def _interval(interval: Interval | None, draw: Callable[[float | None], str] = score) -> str:
    if interval is None:
        return UNKNOWN
    return f"{draw(interval.low)} … {draw(interval.high)}"


def _measures(scorecard: Scorecard, name: str) -> "Table":
    columns = ("scoreboard-measure", "scoreboard-precision", "scoreboard-recall", "scoreboard-f1")
    table = _table(text("report.scoreboard-title", name=name, rows=scorecard.n), *columns)
    measures: tuple[tuple[str, Score], ...] = (
        ("ROUGE-1", scorecard.measures.rouge1),
        ("ROUGE-2", scorecard.measures.rouge2),
        ("ROUGE-L", scorecard.measures.rougeL),
    )
    for label, measure in measures:
        table.add_row(label, score(measure.precision), score(measure.recall), score(measure.f1))
    return table


def _scales(scorecard: Scorecard) -> Iterator[str]:
    """Yield the score on both scales, and by reference mode if there are several."""
    yield text(
        "report.scoreboard-mean",
        mean=score(scorecard.rouge.mean),
        interval=_interval(scorecard.interval),
        resamples=scorecard.resamples,
    )
    yield text("report.scoreboard-sum", sum=score(scorecard.rouge.sum))
    if len(scorecard.by_reference_mode) > 1:
        for mode, rouge in scorecard.by_reference_mode.items():
            yield text(
                f"report.scoreboard-refs-{mode.value}", mean=score(rouge.mean), sum=score(rouge.sum)
            )


def _baselines(scorecard: Scorecard) -> "Table":
    columns = ("column-rouge1", "column-rouge2", "column-rougel", "column-mean")
    title = text("report.scoreboard-floors")
    table = _table(title, "scoreboard-answer", *columns, "scoreboard-above")
    rows: tuple[tuple[str, Rouge | None], ...] = (
        ("constant", scorecard.floors.constant),
        ("unrelated", scorecard.floors.unrelated),
        ("lead", scorecard.floors.lead),
        ("without-tags", scorecard.probes.without_tags),
        ("swapped", scorecard.probes.swapped),
    )
    for key, rouge in rows:
        if rouge is not None:
            table.add_row(
                text(f"report.scoreboard-{key}"),
                *map(score, (rouge.rouge1, rouge.rouge2, rouge.rougeL, rouge.mean)),
                points(scorecard.rouge.mean - rouge.mean),
            )
    return table


def _statistics(scorecard: Scorecard) -> "Table":
    ours, theirs = scorecard.statistics.predictions, scorecard.statistics.references
    columns = ("scoreboard-predictions", "scoreboard-references")
    table = _table(text("report.scoreboard-seen"), "scoreboard-property", *columns)
    for (key, mine), (_, reference) in zip(_properties(ours), _properties(theirs), strict=True):
        table.add_row(text(f"report.scoreboard-{key}"), mine, reference)
    extra = (
        ("length-ratio", _number(scorecard.statistics.length_ratio)),
        ("tags-found", _share(scorecard.statistics.tags_found)),
        ("stopped-by-length", format.count(scorecard.statistics.stopped_by_length)),
        ("better-swapped", format.count(scorecard.probes.rows_better_swapped)),
    )
    for key, value in extra:
        table.add_row(text(f"report.scoreboard-{key}"), value, UNKNOWN)
    return table


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


def _slices(pieces: Sequence[Slice]) -> "Table":
    columns = ("scoreboard-label", "column-n", "column-mean", "column-interval")
    table = _table(text("report.scoreboard-slices"), "scoreboard-by", *columns)
    for kind, group in groupby(pieces, key=lambda piece: piece.kind):
        by = text(f"report.scoreboard-by-{kind.value}")
        for piece in group:
            shown = (format.count(piece.rows), score(piece.mean), _interval(piece.interval))
            table.add_row(by, plain(piece.label), *shown)
            by = ""
    return table


def _topic_note(scorecard: Scorecard) -> Iterator[str]:
    topics = scorecard.topics
    if topics is not None and topics.are_nearly_distinct:
        yield text("report.scoreboard-topics", distinct=topics.distinct, rows=topics.rows)


def alarm_lines(alarms: Sequence[Alarm]) -> Iterator["Text"]:
    """Yield a line per alarm: a sign and a word for its severity, and its first rows."""
    from rich.text import Text

    if not alarms:
        yield _line(text("report.scoreboard-no-alarm"))
    for alarm in alarms:
        severity = text(f"report.scoreboard-{alarm.severity.value}")
        drawn = Text(f"{SIGNS[alarm.severity]} {severity}: ", style=_STYLES[alarm.severity])
        drawn.append(plain(alarm.sentence), style="default not bold")
        yield drawn
        if alarm.rows:
            more = len(alarm.rows) - _ROWS_NAMED
            named = plain(", ".join(alarm.rows[:_ROWS_NAMED])) + (f" … +{more}" if more > 0 else "")
            yield Text("    ") + _line(text("report.scoreboard-rows-at-fault", rows=named))


def comparison(
    compared: Comparison,
    cards: ScorecardGroup,
    *,
    names: Mapping[str, str] = MappingProxyType({}),
) -> "Group":
    """Return the systems of ``cards`` above the floors, the proven differences and the alarms.

    The best system stands first. ``names`` maps a system to its display name where the two differ.
    """
    from rich.console import Group

    floors = cards[compared.standings[0].system].floors
    parts: list[RenderableType] = [
        _standings(compared, floors, names),
        "",
        _contrasts(compared, names),
        "",
    ]
    alarms = alarm_table(
        (alarm.severity, names.get(system, system), alarm.sentence)
        for system, scorecard in cards.items()
        for alarm in scorecard.alarms
    )
    parts += [part for block in alarms for part in (tables.draw(block), "")]
    parts += [_line(text("report.scoreboard-tests", alpha=f"{compared.alpha:g}"))]
    verdicts = {contrast.verdict for contrast in compared.contrasts}
    if Verdict.AS_GOOD in verdicts:
        margin = f"{100 * compared.margin:g}"
        parts.append(_line(text("report.scoreboard-as-good", margin=margin)))
    if Verdict.NOT_PROVEN in verdicts:
        parts.append(_line(text("report.scoreboard-not-proven")))
    return Group(*parts, _line(text("report.scoreboard-signature", it=compared.signature)))


def _standings(compared: Comparison, floors: TrivialBaselines, names: Mapping[str, str]) -> "Table":
    title = text("report.scoreboard-standings", rows=compared.protocol.items)
    rows = [
        (names.get(one.system, one.system), *rouge_cells(one.rouge, one.interval))
        for one in compared.standings
    ]
    rows += [
        (text(f"report.floor-{name}"), *rouge_cells(rouge))
        for name, rouge in structs.asdict(floors).items()
        if rouge is not None
    ]
    (block,) = table(("system", *ROUGE_COLUMNS), rows, title)
    return tables.draw(block)


def _contrasts(compared: Comparison, names: Mapping[str, str]) -> "Table":
    columns = ("difference", "interval", "p", "verdict", "rows", "detectable")
    titles = [f"scoreboard-{column}" for column in columns]
    table = _table(text("report.scoreboard-contrasts"), "scoreboard-pair", *titles)
    for contrast in compared.contrasts:
        pair = (names.get(one, one) for one in (contrast.system, contrast.baseline))
        table.add_row(" − ".join(map(plain, pair)), *_contrast_cells(contrast))
    return table


def _contrast_cells(contrast: PairComparison) -> tuple[str, ...]:
    return (
        points(contrast.difference.mean),
        _interval(contrast.interval, points),
        format.p_value(contrast.p_holm),
        text(f"report.verdict-{contrast.verdict.value.replace('_', '-')}"),
        f"{contrast.wins}/{contrast.ties}/{contrast.losses}",
        score(contrast.detectable),
    )

"""Find what is wrong with one summary: a table of error types, each with a finder of spans.

A finder sees the summary, its dialogue and its references; the same table feeds the counts of a
scorecard and the lists of ``yoyak compare --rows``.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from enum import StrEnum
from typing import NamedTuple

from yoyak.metrics.diagnostics import entities, text_patterns
from yoyak.metrics.diagnostics.text_patterns import TextSpan


class ErrorType(StrEnum):
    """The kinds of fault, as reports list them; all but the first four are heuristics."""

    EMPTY = "empty"
    MALFORMED_TAG = "malformed_tag"
    FOREIGN_SCRIPT = "foreign_script"
    UNKNOWN_SPEAKER = "unknown_speaker"
    UNFINISHED = "unfinished"
    REPETITION = "repetition"
    PROMPT_ECHO = "prompt_echo"
    INVENTED_NUMBER = "invented_number"
    INVENTED_NAME = "invented_name"
    REGISTER = "register"
    NOT_KOREAN = "not_korean"
    WRAPPED = "wrapped"
    ODD_BLANK = "odd_blank"
    SWAPPED_TAGS = "swapped_tags"


class SummaryItem(NamedTuple):
    """One summary and what it is compared with; ``None`` and ``()`` where that is not known."""

    text: str
    dialogue: str | None = None
    references: tuple[str, ...] = ()
    registers: frozenset[text_patterns.Register] = frozenset()
    """The speech levels that the references of the whole file use."""


Finder = Callable[[SummaryItem], tuple[TextSpan, ...]]

_RARE_SHARE = 0.05


def _empty(item: SummaryItem) -> tuple[TextSpan, ...]:
    return () if item.text.strip() else (TextSpan(start=0, end=len(item.text), text=item.text),)


def _not_korean(item: SummaryItem) -> tuple[TextSpan, ...]:
    """Return the text if its share of Hangul is below half of every reference's."""
    usual = [text_patterns.hangul_share(text) or 0.0 for text in item.references]
    ours = text_patterns.hangul_share(item.text) or 0.0
    if not item.text.strip() or not usual or ours >= 0.5 * min(usual):
        return ()
    return (TextSpan(start=0, end=len(item.text), text=item.text),)


def _unfinished(item: SummaryItem) -> tuple[TextSpan, ...]:
    found = text_patterns.unfinished(item.text)
    return () if found is None else (found,)


def _unknown_speaker(item: SummaryItem) -> tuple[TextSpan, ...]:
    if item.dialogue is None:
        return ()
    known = set(text_patterns.speakers(item.dialogue))
    return tuple(span for span in text_patterns.speaker_spans(item.text) if span.text not in known)


def _register(item: SummaryItem) -> tuple[TextSpan, ...]:
    """Return sentences at a level the references do not use, or another than the first's."""
    if not item.registers:
        return ()
    levels = [
        (text_patterns.register(piece.text), piece) for piece in text_patterns.sentences(item.text)
    ]
    first = next((level for level, _ in levels if level in item.registers), None)
    own = {
        text_patterns.register(piece.text)
        for text in item.references
        for piece in text_patterns.sentences(text)
    }
    allowed = {first} | (own if len(own) > 1 else set())
    return tuple(piece for level, piece in levels if level is not None and level not in allowed)


FINDERS: dict[ErrorType, Finder] = {
    ErrorType.EMPTY: _empty,
    ErrorType.MALFORMED_TAG: lambda item: text_patterns.malformed_tags(item.text),
    ErrorType.FOREIGN_SCRIPT: lambda item: text_patterns.foreign_script(item.text),
    ErrorType.UNKNOWN_SPEAKER: _unknown_speaker,
    ErrorType.UNFINISHED: _unfinished,
    ErrorType.REPETITION: lambda item: text_patterns.repetition(item.text),
    ErrorType.PROMPT_ECHO: lambda item: text_patterns.prompt_echo(item.text, item.dialogue),
    ErrorType.INVENTED_NUMBER: lambda item: entities.invented_numbers(item.text, item.dialogue),
    ErrorType.INVENTED_NAME: lambda item: entities.invented_names(item.text, item.dialogue),
    ErrorType.REGISTER: _register,
    ErrorType.NOT_KOREAN: _not_korean,
    ErrorType.WRAPPED: lambda item: text_patterns.wrappers(item.text),
    ErrorType.ODD_BLANK: lambda item: text_patterns.odd_blanks(item.text),
}
"""How each kind is found; swapped tags need scores: ``error_report`` finds them."""


def usual_registers(texts: Iterable[str]) -> frozenset[text_patterns.Register]:
    """Return the speech levels of at least 5 % of the sentences."""
    levels = [
        level
        for text in texts
        for sentence in text_patterns.sentences(text)
        if (level := text_patterns.register(sentence.text)) is not None
    ]
    return frozenset(
        level for level in text_patterns.Register if levels.count(level) > _RARE_SHARE * len(levels)
    )


def rows_with(
    items: Mapping[str, SummaryItem], kinds: Collection[ErrorType] = tuple(FINDERS)
) -> dict[ErrorType, tuple[str, ...]]:
    """Return the ids that show each kind of fault, in the order of ``items``."""
    return {
        kind: tuple(key for key, item in items.items() if FINDERS[kind](item)) for kind in kinds
    }

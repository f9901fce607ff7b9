"""Count what a file of summaries looks like as a whole, beside its references."""

from collections import Counter
from collections.abc import Mapping, Sequence

from yoyak.metrics.diagnostics import text_patterns
from yoyak.metrics.diagnostics.error_types import FINDERS, ErrorType, SummaryItem, usual_registers
from yoyak.metrics.diagnostics.text_patterns import Register
from yoyak.metrics.protocol import Definition
from yoyak.metrics.token_codes import encoder
from yoyak.values import Dialogue, Value

_COSTLY = (ErrorType.INVENTED_NUMBER, ErrorType.INVENTED_NAME, ErrorType.REGISTER)
COUNTED = tuple(kind for kind in FINDERS if kind not in _COSTLY)
"""What every scorecard counts; ``error_report`` looks for the rest."""


class Novelty(Value, frozen=True, kw_only=True):
    """Mean over rows of the share of distinct n-grams that are new (See 2017), 0 to 1.

    ``copied`` counts the rows whose whole token list occurs in the dialogue as it is.
    """

    unigrams: float
    bigrams: float
    trigrams: float
    copied: int


class TextStatistics(Value, frozen=True, kw_only=True):
    """Counts over the rows of one file; ``None`` where the dialogues are not known."""

    rows: int
    characters_mean: float
    characters_per_dialogue_character: float | None
    tagged: int
    """Rows that hold at least one well-formed speaker tag."""
    identical: int
    """Rows that share their text with another row."""
    most_common: int
    """Rows that hold the most frequent text."""
    faults: dict[ErrorType, int]
    registers: dict[Register, int]
    """Sentences at each speech level (heuristic)."""
    novelty: Novelty | None


class FileStatistics(Value, frozen=True, kw_only=True):
    """The predictions, and the references (the first of each row) by the same rules."""

    predictions: TextStatistics
    references: TextStatistics
    tags_found: float | None
    """Share of the references' speaker tags that the prediction of the same row has too."""
    stopped_by_length: int | None
    """Rows whose generation hit the token limit; ``None`` for imported files."""

    @property
    def length_ratio(self) -> float | None:
        """Return the characters of the predictions per character of the references."""
        theirs = self.references.characters_mean
        return self.predictions.characters_mean / theirs if theirs else None


def items(
    texts: Mapping[str, str],
    references: Mapping[str, tuple[str, ...]],
    dialogues: Mapping[str, Dialogue] | None,
) -> dict[str, SummaryItem]:
    """Return what the error finders look at, by id, in the order of ``texts``."""
    registers = usual_registers(text for row in references.values() for text in row)
    return {
        key: SummaryItem(
            text=text,
            dialogue=dialogues[key].text if dialogues and key in dialogues else None,
            references=references[key],
            registers=registers,
        )
        for key, text in texts.items()
    }


def text_statistics(
    rows: Mapping[str, SummaryItem],
    faults: Mapping[ErrorType, Sequence[str]],
    definition: Definition,
) -> TextStatistics:
    """Compute the statistics of one file with the ``faults`` of its rows, one row or more."""
    texts = [item.text for item in rows.values()]
    counts = Counter(text.strip() for text in texts)
    characters = sum(len(text.strip()) for text in texts)
    return TextStatistics(
        rows=len(texts),
        characters_mean=characters / len(texts),
        characters_per_dialogue_character=_per_dialogue_character(rows, characters),
        tagged=sum(bool(text_patterns.speakers(text)) for text in texts),
        identical=sum(count for count in counts.values() if count > 1),
        most_common=max(counts.values()),
        faults={kind: len(found) for kind, found in faults.items()},
        registers=_registers(texts),
        novelty=_novelty(rows, definition),
    )


def _per_dialogue_character(rows: Mapping[str, SummaryItem], characters: int) -> float | None:
    dialogues = [item.dialogue for item in rows.values() if item.dialogue]
    return characters / sum(map(len, dialogues)) if len(dialogues) == len(rows) else None


def _registers(texts: Sequence[str]) -> dict[Register, int]:
    levels = Counter(
        text_patterns.register(sentence.text)
        for text in texts
        for sentence in text_patterns.sentences(text)
    )
    return {level: levels[level] for level in Register}


def _novelty(rows: Mapping[str, SummaryItem], definition: Definition) -> Novelty | None:
    known = [item for item in rows.values() if item.dialogue is not None]
    if not known:
        return None
    texts = [item.text for item in known] + [item.dialogue or "" for item in known]
    codes, _ = encoder(definition).encode(texts)
    return novelty(codes[: len(known)], codes[len(known) :])


def novelty(summaries: Sequence[str], dialogues: Sequence[str]) -> Novelty | None:
    """Compute the novelty of texts encoded as one code point a token.

    A row too short for an n-gram is left out of that mean; ``None`` when no row has a trigram.
    """
    means = [_mean_share(summaries, dialogues, size) for size in (1, 2, 3)]
    if means[2] is None or means[1] is None or means[0] is None:
        return None
    copied = sum(
        bool(summary) and summary in dialogue
        for summary, dialogue in zip(summaries, dialogues, strict=True)
    )
    return Novelty(unigrams=means[0], bigrams=means[1], trigrams=means[2], copied=copied)


def _mean_share(summaries: Sequence[str], dialogues: Sequence[str], size: int) -> float | None:
    shares = []
    for summary, dialogue in zip(summaries, dialogues, strict=True):
        grams = {summary[start : start + size] for start in range(len(summary) - size + 1)}
        if grams:
            shares.append(sum(gram not in dialogue for gram in grams) / len(grams))
    return sum(shares) / len(shares) if shares else None


def tags_found(rows: Mapping[str, SummaryItem]) -> float | None:
    """Return the share of the references' speaker tags in the predictions; ``None`` without any."""
    wanted = found = 0
    for item in rows.values():
        theirs = {tag for text in item.references for tag in text_patterns.speakers(text)}
        wanted += len(theirs)
        found += len(theirs & set(text_patterns.speakers(item.text)))
    return found / wanted if wanted else None

"""What a file of summaries looks like as a whole, next to the references it is judged against."""

from collections import Counter
from collections.abc import Mapping, Sequence

from yoyak.score import style
from yoyak.score.definition import Definition
from yoyak.score.encode import encoder
from yoyak.score.faults import FINDERS, Fault, Item, usual_registers
from yoyak.score.novelty import Novelty, novelty
from yoyak.score.style import Register
from yoyak.values import Dialogue, Value

_COSTLY = (Fault.INVENTED_NUMBER, Fault.INVENTED_NAME, Fault.REGISTER)
COUNTED = tuple(kind for kind in FINDERS if kind not in _COSTLY)
"""What every scorecard counts; the rest is looked for by an atlas."""


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
    faults: dict[Fault, int]
    registers: dict[Register, int]
    """Sentences at each speech level (heuristic)."""
    novelty: Novelty | None


class Statistics(Value, frozen=True, kw_only=True):
    """The predictions, and the references (the first of each row) by the same rules."""

    predictions: TextStatistics
    references: TextStatistics
    tags_found: float | None
    """Share of the references' speaker tags that the prediction of the same row has too."""
    stopped_by_length: int | None
    """Rows whose generation hit the token limit; ``None`` for imported files."""

    @property
    def length_ratio(self) -> float | None:
        """Characters of the predictions per character of the references."""
        theirs = self.references.characters_mean
        return self.predictions.characters_mean / theirs if theirs else None


def items(
    texts: Mapping[str, str],
    references: Mapping[str, tuple[str, ...]],
    dialogues: Mapping[str, Dialogue] | None,
) -> dict[str, Item]:
    """What the fault finders look at, by id, in the order of ``texts``."""
    registers = usual_registers(text for row in references.values() for text in row)
    return {
        key: Item(
            text=text,
            dialogue=dialogues[key].text if dialogues and key in dialogues else None,
            references=references[key],
            registers=registers,
        )
        for key, text in texts.items()
    }


def text_statistics(
    rows: Mapping[str, Item], faults: Mapping[Fault, Sequence[str]], definition: Definition
) -> TextStatistics:
    """The statistics of one file with the ``faults`` of its rows; at least one row is needed."""
    texts = [item.text for item in rows.values()]
    counts = Counter(text.strip() for text in texts)
    characters = sum(len(text.strip()) for text in texts)
    return TextStatistics(
        rows=len(texts),
        characters_mean=characters / len(texts),
        characters_per_dialogue_character=_per_dialogue_character(rows, characters),
        tagged=sum(bool(style.speakers(text)) for text in texts),
        identical=sum(count for count in counts.values() if count > 1),
        most_common=max(counts.values()),
        faults={kind: len(found) for kind, found in faults.items()},
        registers=_registers(texts),
        novelty=_novelty(rows, definition),
    )


def _per_dialogue_character(rows: Mapping[str, Item], characters: int) -> float | None:
    dialogues = [item.dialogue for item in rows.values() if item.dialogue]
    return characters / sum(map(len, dialogues)) if len(dialogues) == len(rows) else None


def _registers(texts: Sequence[str]) -> dict[Register, int]:
    levels = Counter(
        style.register(sentence.text) for text in texts for sentence in style.sentences(text)
    )
    return {level: levels[level] for level in Register}


def _novelty(rows: Mapping[str, Item], definition: Definition) -> Novelty | None:
    known = [item for item in rows.values() if item.dialogue is not None]
    if not known:
        return None
    texts = [item.text for item in known] + [item.dialogue or "" for item in known]
    codes, _ = encoder(definition).encode(texts)
    return novelty(codes[: len(known)], codes[len(known) :])


def tags_found(rows: Mapping[str, Item]) -> float | None:
    """Share of the references' speaker tags found in the predictions; ``None`` without any."""
    wanted = found = 0
    for item in rows.values():
        theirs = {tag for text in item.references for tag in style.speakers(text)}
        wanted += len(theirs)
        found += len(theirs & set(style.speakers(item.text)))
    return found / wanted if wanted else None

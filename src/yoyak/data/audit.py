"""Report what valid files still hide: leaks between splits, copies, odd tags, sizes."""

import math
import re
import statistics
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from yoyak.data.clean import TAG
from yoyak.data.near_duplicates import NearDuplicate, find_near_duplicates
from yoyak.values import Corpus, Dialogue, Split, SplitName, Value


class Lengths(Value, frozen=True, kw_only=True):
    """The distribution of a length; 95 % of the rows do not exceed ``p95``."""

    minimum: int
    median: float
    mean: float
    p95: int
    maximum: int


class SplitAudit(Value, frozen=True, kw_only=True):
    """One split, counted after the clean-up."""

    name: SplitName
    rows: int
    dialogue_characters: Lengths | None
    turns: Lengths | None
    speakers: dict[int, int]
    """Number of speakers to rows."""
    references: dict[int, int]
    """Number of references to rows."""
    summary_characters: Lengths | None
    """Of all references; ``None`` where there is nothing to measure, as above."""
    tags: dict[str, int]
    """Tag to rows whose dialogue has it, the commonest first."""
    cleaned: dict[str, int]
    """Clean-up rule to rows that it changed."""


class AuditFinding(Value, frozen=True, kw_only=True):
    """One finding: a catalogue sentence (``messages.fill(key, fields)``)."""

    key: str
    fields: dict[str, str | int | float]


class Audit(Value, frozen=True, kw_only=True):
    """The counts and findings of a corpus.

    ``leaks`` are dialogues in two splits, which make a score partly a matter of memorisation;
    ``duplicates`` are twice in one split; ``oddities`` are everything else.
    """

    splits: tuple[SplitAudit, ...]
    leaks: tuple[AuditFinding, ...]
    duplicates: tuple[AuditFinding, ...]
    oddities: tuple[AuditFinding, ...]
    not_in_test: tuple[str, ...]
    """Columns of train or dev that test lacks and no prompt may show."""


class _SplitDialogue(NamedTuple):
    split: SplitName
    dialogue: Dialogue


def audit(corpus: Corpus) -> Audit:
    """Count every split and compare all dialogues (a few seconds for the contest's 13,455)."""
    splits = (corpus.train, corpus.dev, corpus.test)
    placed = [_SplitDialogue(split.name, each) for split in splits for each in split.dialogues]
    twins = find_near_duplicates([each.dialogue.text for each in placed])
    pairs = [(placed[twin.first], placed[twin.second], twin) for twin in twins]
    return Audit(
        splits=tuple(_split(split) for split in splits),
        leaks=tuple(_leak(*pair) for pair in pairs if pair[0].split != pair[1].split),
        duplicates=tuple(_duplicate(*pair) for pair in pairs if pair[0].split == pair[1].split),
        oddities=(*_decomposed(splits), *_odd(placed)),
        not_in_test=_not_in_test(corpus),
    )


# --- counting ------------------------------------------------------------------------------------


def lengths(values: Iterable[int]) -> Lengths | None:
    """Return the spread of ``values``, or ``None`` where there are none."""
    ordered = sorted(values)
    if not ordered:
        return None
    return Lengths(
        minimum=ordered[0],
        median=statistics.median(ordered),
        mean=statistics.fmean(ordered),
        p95=ordered[math.ceil(0.95 * len(ordered)) - 1],
        maximum=ordered[-1],
    )


def tags_of(text: str) -> tuple[str, ...]:
    """Return the tags of a text in order of appearance, each once."""
    return tuple(dict.fromkeys(re.findall(TAG, text)))


def _split(split: Split) -> SplitAudit:
    rows = split.dialogues
    tags = Counter(tag for row in rows for tag in tags_of(row.text))
    return SplitAudit(
        name=split.name,
        rows=len(rows),
        dialogue_characters=lengths(len(row.text) for row in rows),
        turns=lengths(len(row.turns) for row in rows),
        speakers=_counted(len(row.speakers) for row in rows),
        references=_counted(len(row.references) for row in rows),
        summary_characters=lengths(len(text) for row in rows for text in row.references),
        tags=dict(tags.most_common()),
        cleaned=split.cleaned,
    )


def _counted(values: Iterable[int]) -> dict[int, int]:
    return dict(sorted(Counter(values).items()))


def _not_in_test(corpus: Corpus) -> tuple[str, ...]:
    labelled = (*corpus.train.dialogues, *corpus.dev.dialogues)
    topics = any(row.topic for row in labelled)
    shown_in_test = any(row.topic for row in corpus.test.dialogues)
    return ("summary", "topic") if topics and not shown_in_test else ("summary",)


# --- finding -------------------------------------------------------------------------------------


def _finding(key: str, /, **fields: str | int | float) -> AuditFinding:
    return AuditFinding(key=key, fields=fields)


def _leak(first: _SplitDialogue, second: _SplitDialogue, twin: NearDuplicate) -> AuditFinding:
    return _finding(
        "data.found-leak",
        first=first.dialogue.id,
        first_split=first.split,
        second=second.dialogue.id,
        second_split=second.split,
        percent=math.floor(100 * twin.similarity),
    )


def _duplicate(first: _SplitDialogue, second: _SplitDialogue, twin: NearDuplicate) -> AuditFinding:
    one, other = first.dialogue, second.dialogue
    conflict = twin.similarity == 1.0 and one.references != other.references
    return _finding(
        "data.found-conflict" if conflict else "data.found-duplicate",
        first=one.id,
        second=other.id,
        split=first.split,
        percent=math.floor(100 * twin.similarity),
    )


def _decomposed(splits: Iterable[Split]) -> Iterator[AuditFinding]:
    for split in splits:
        if rows := split.cleaned.get("nfc"):
            yield _finding("data.found-decomposed", split=split.name, rows=rows)


def _odd(placed: Sequence[_SplitDialogue]) -> Iterator[AuditFinding]:
    for split, row in placed:
        if not row.speakers:
            yield _finding("data.found-no-speaker", id=row.id, split=split)
        known = tags_of(row.text)
        foreign = [tag for text in row.references for tag in tags_of(text) if tag not in known]
        if foreign:
            tags = ", ".join(dict.fromkeys(foreign))
            yield _finding("data.found-foreign-tag", id=row.id, split=split, tags=tags)

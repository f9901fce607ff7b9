"""Report what valid files still hide: contradictions, leaks, copies, broken text, sizes.

Most findings are of rows (this summary is "nan") and are counted per split. Where most rows of a
split have what hardly a row of another split has, the finding is an error: training on one kind of
text and measuring another says nothing.
"""

import math
import re
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

from yoyak.data.clean import TAG
from yoyak.data.near_duplicates import find_near_duplicates
from yoyak.data.speakers import names_in
from yoyak.errors import BadData, UsageError
from yoyak.events import DataFinding
from yoyak.messages import listed, visible
from yoyak.values import Corpus, Dialogue, Severity, Split, SplitName, Value

MOST = 0.5
"""Share of rows from which on a finding describes a whole split …"""

HARDLY_ANY = 0.1
"""… and up to which it does not describe another."""

MIN_ROWS = 4
"""Rows that a split must have for either: fewer say nothing about a split."""

SHOWN = 10
"""Ids that a finding names …"""

_FEW = 3
"""… and where it is of every row."""


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


class Audit(Value, frozen=True, kw_only=True):
    """The counts of a corpus and its findings, errors first."""

    splits: tuple[SplitAudit, ...]
    findings: tuple[DataFinding, ...]
    not_in_test: tuple[str, ...]
    """Columns of train or dev that test lacks and no prompt may show."""

    def named(self, name: str) -> tuple[DataFinding, ...]:
        """Return the findings of one kind."""
        return tuple(one for one in self.findings if one.name == name)


def audit(corpus: Corpus) -> Audit:
    """Count every split and compare all dialogues (a few seconds for the contest's 13,455)."""
    splits = (corpus.train, corpus.dev, corpus.test)
    found = (*_row_findings(splits), *_split_findings(splits), *_copies(splits))
    return Audit(
        splits=tuple(_split(split) for split in splits),
        findings=tuple(sorted(found, key=lambda one: one.severity is not Severity.ERROR)),
        not_in_test=_not_in_test(corpus),
    )


def refuse_contradictions(found: Audit, allowed: Collection[str] = ()) -> None:
    """Refuse to train on data whose splits contradict each other.

    Raises:
        BadData: a finding is an error, and its name is not in ``allowed``.
        UsageError: ``allowed`` holds a name that no error has.
    """
    unknown = sorted(set(allowed) - set(ALLOWABLE))
    if unknown:
        raise UsageError("data.unknown-finding", name=unknown[0], known=", ".join(ALLOWABLE))
    errors = [one for one in found.findings if one.severity is Severity.ERROR]
    refused = [one for one in errors if one.name not in allowed]
    if refused:
        options = " ".join(f"--allow {name}" for name in dict.fromkeys(o.name for o in refused))
        raise BadData("data.contradiction", finding=refused[0].found, options=options)


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


# --- findings of rows ----------------------------------------------------------------------------


class _RowCheck(NamedTuple):
    """A finding of rows: ``applies`` is asked for each; ``of_summaries`` leaves out the others."""

    name: str
    applies: Callable[[Dialogue, Split], bool]
    of_summaries: bool = False
    contradicts: bool = True


class _Counted(NamedTuple):
    """The rows of a split to which a check applies, of those that it was asked for."""

    split: Split
    ids: tuple[str, ...]
    of: int

    @property
    def share(self) -> float:
        return len(self.ids) / self.of if self.of else 0.0


def _row_findings(splits: Sequence[Split]) -> Iterator[DataFinding]:
    for check in _ROW_CHECKS:
        counted = [_applied(check, split) for split in splits]
        enough = [one for one in counted if one.of >= MIN_ROWS]
        others_differ = any(one.share <= HARDLY_ANY for one in enough) and check.contradicts
        for one in counted:
            if one.ids:
                most = one in enough and one.share >= MOST
                severity = Severity.ERROR if most and others_differ else Severity.WARNING
                yield _finding(check.name, severity, (one.split,), one.ids, of=one.of)


def _applied(check: _RowCheck, split: Split) -> _Counted:
    rows = [row for row in split.dialogues if row.references or not check.of_summaries]
    ids = tuple(row.id for row in rows if check.applies(row, split))
    return _Counted(split, ids, len(rows))


def _is_swapped(row: Dialogue, _: Split) -> bool:
    """Return whether the summary is written as turns and the dialogue is not."""
    return len(_HEADED.findall(row.references[0])) > 1 and len(row.speakers) < 2


def _has_foreign_tag(row: Dialogue, _: Split) -> bool:
    known = tags_of(row.text)
    return any(tag not in known for text in row.references for tag in tags_of(text))


def _is_missing_value(row: Dialogue, _: Split) -> bool:
    return any(text.strip().casefold() in _MISSING for text in row.references)


def _looks_broken(text: str) -> bool:
    """Return whether letters were lost to ``?`` or were decoded in a wrong encoding."""
    words = re.sub(TAG, "", text)
    tokens = re.findall(r"[^\s:.,]+", words)
    lost = sum(set(token) == {"?"} for token in tokens)
    if "\ufffd" in words or (lost >= 2 and lost >= MOST * len(tokens)):
        return True
    letters = [letter for letter in words if letter.isalpha()]
    hangul = len(_HANGUL.findall(words))
    return len(letters) >= 8 and (
        len(_LATIN_1.findall(words)) > 0.15 * len(letters)
        or len(_HANJA.findall(words)) > max(hangul, 0.3 * len(letters))
    )


def _is_not_korean(text: str) -> bool:
    words = re.sub(TAG, "", text)
    letters = sum(letter.isalpha() for letter in words)
    return letters >= 5 and len(_HANGUL.findall(words)) < 0.2 * letters


_HANGUL = re.compile("[가-힣ㄱ-ㅎㅏ-ㅣ]")
_HANJA = re.compile("[\u4e00-\u9fff\uf900-\ufaff]")
_LATIN_1 = re.compile("[ìíîëêã]")
"""How the first bytes of Hangul in UTF-8 look when they are read as Latin-1."""
_HEADED = re.compile(r"^\s*[^\s:：][^:：\n]{0,20}[:：]", re.MULTILINE)
_MISSING = {"nan", "none", "null", "n/a", "na", "<na>", "undefined", "-", "."}

_ROW_CHECKS = (
    _RowCheck("swapped", _is_swapped, of_summaries=True),
    _RowCheck("no-speaker", lambda row, _: not row.speakers),
    _RowCheck("named-speakers", lambda row, split: row.id in split.speaker_names),
    _RowCheck("not-korean", lambda row, _: _is_not_korean(row.text)),
    _RowCheck(
        "summary-not-korean",
        lambda row, _: any(map(_is_not_korean, row.references)),
        of_summaries=True,
    ),
    _RowCheck("broken-dialogue", lambda row, _: _looks_broken(row.text)),
    _RowCheck(
        "broken-summary",
        lambda row, _: any(map(_looks_broken, row.references)),
        of_summaries=True,
    ),
    _RowCheck("missing-value", _is_missing_value, of_summaries=True),
    _RowCheck("excel-cut", lambda row, split: row.id in split.cut_ids, contradicts=False),
    _RowCheck("foreign-tag", _has_foreign_tag, of_summaries=True, contradicts=False),
    _RowCheck(
        "summary-names",
        lambda row, split: any(
            names_in(text, split.speaker_names.get(row.id, {})) for text in row.references
        ),
        of_summaries=True,
        contradicts=False,
    ),
)

ALLOWABLE = (
    *(check.name for check in _ROW_CHECKS if check.contradicts),
    "one-summary",
    "conflict-across",
)
"""Names of the findings that can be errors."""


# --- findings of splits --------------------------------------------------------------------------


def _split_findings(splits: Sequence[Split]) -> Iterator[DataFinding]:
    labelled = [split for split in splits if any(row.references for row in split.dialogues)]
    repeated = {split.name: _commonest_summary(split) for split in labelled}
    for split in labelled:
        ids = repeated[split.name]
        if len(ids) >= MIN_ROWS and len(ids) >= MOST * len(split.dialogues):
            others = [len(repeated[one.name]) / len(one.dialogues) for one in labelled]
            severity = Severity.ERROR if min(others) <= HARDLY_ANY else Severity.WARNING
            yield _finding("one-summary", severity, (split,), ids, of=len(split.dialogues))
    for split in splits:
        if rows := split.cleaned.get("nfc"):
            yield _finding("decomposed", Severity.WARNING, (split,), (), rows=rows)
        if rows := split.unread_summaries:
            yield _finding("unread-summaries", Severity.WARNING, (split,), (), rows=rows)


def _commonest_summary(split: Split) -> tuple[str, ...]:
    """Return the rows that share the commonest summary; none if every row has its own."""
    rows = defaultdict(list)
    for row in split.dialogues:
        rows[row.references[:1]].append(row.id)
    commonest = max(rows.values(), key=len)
    return tuple(commonest) if len(commonest) > 1 else ()


# --- copies --------------------------------------------------------------------------------------


class _Placed(NamedTuple):
    split: Split
    dialogue: Dialogue


class _Copy(NamedTuple):
    """Two dialogues that are alike, the earlier first."""

    first: _Placed
    second: _Placed
    similarity: float

    @property
    def conflicts(self) -> bool:
        """Whether the same letters have different summaries."""
        one, other = self.first.dialogue.references, self.second.dialogue.references
        return self.similarity == 1.0 and bool(one) and bool(other) and one != other

    @property
    def shown(self) -> str:
        ids = (_shown(each.dialogue.id) for each in (self.first, self.second))
        return f"{' = '.join(ids)} ({math.floor(100 * self.similarity)} %)"


def _copies(splits: Sequence[Split]) -> Iterator[DataFinding]:
    placed = [_Placed(split, each) for split in splits for each in split.dialogues]
    groups: defaultdict[tuple[str, SplitName, SplitName], list[_Copy]] = defaultdict(list)
    for twin in find_near_duplicates([each.dialogue.text for each in placed]):
        copy = _Copy(placed[twin.first], placed[twin.second], twin.similarity)
        names = (copy.first.split.name, copy.second.split.name)
        if names[0] == names[1]:
            kind = "conflict" if copy.conflicts else "duplicate"
        else:
            kind = "conflict-across" if copy.conflicts else "leak"
        groups[kind, *names].append(copy)
    for (name, *_), copies in groups.items():
        yield _copy_finding(name, copies)


def _copy_finding(name: str, copies: Sequence[_Copy]) -> DataFinding:
    first, second = copies[0].first.split, copies[0].second.split
    ids = tuple(dict.fromkeys(copy.second.dialogue.id for copy in copies))
    of = len(second.dialogues)
    stops = name == "conflict-across" and len(ids) >= max(MIN_ROWS, HARDLY_ANY * of)
    return _finding(
        name,
        Severity.ERROR if stops else Severity.WARNING,
        (first, second) if first.name != second.name else (first,),
        ids,
        of=of,
        pairs=listed([copy.shown for copy in copies], SHOWN),
    )


def _finding(
    name: str,
    severity: Severity,
    splits: Sequence[Split],
    ids: Sequence[str],
    *,
    rows: int | None = None,
    **fields: object,
) -> DataFinding:
    """Return a finding with its message ``data.found-<name>``; the last of ``splits`` has it."""
    count = len(ids) if rows is None else rows
    shown = {
        "split": splits[-1].name,
        "other": splits[0].name,
        "rows": count,
        "ids": listed([_shown(each) for each in ids], _FEW if count == fields.get("of") else SHOWN),
        **fields,
    }
    return DataFinding(
        name=name,
        severity=severity,
        key=f"data.found-{name}",
        fields={key: str(value) for key, value in shown.items()},
        splits=tuple(split.name for split in splits),
        rows=count,
        ids=tuple(ids[:SHOWN]),
    )


def _shown(key: str) -> str:
    return key if key.isprintable() else visible(key)

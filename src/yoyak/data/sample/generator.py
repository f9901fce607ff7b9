"""Generate Korean dialogues with summaries from the grammars in ``grammars/``, in contest format.

A grammar is a kind of conversation: opening turns, then one of its endings. Every turn is a list
of alternatives, of which one is chosen (an empty one leaves the turn out). Templates hold slots::

    "A: {day}에 {item:을} 두고 갔어요."      a value, followed by the right form of 을/를
    "{A:은} {day2:으로} 미룹니다."           a speaker; another value of ``day`` than {day}
    "B: {price.2}에 드릴게요."               the second field of a value that has several

The same seed gives the same bytes on every Python version: only ``Random.random`` is used.
"""

import csv
import hashlib
import io
import os
import re
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from random import Random
from typing import NamedTuple, TypeVar

import msgspec

from yoyak.data.near_duplicates import letters_of, resembles_any
from yoyak.data.rows import read_rows
from yoyak.data.sample import folder
from yoyak.errors import CannotWrite
from yoyak.files import atomic
from yoyak.korean import with_particle
from yoyak.values import SplitName, Value

ROWS: dict[SplitName, int] = {"train": 3000, "dev": 96, "test": 48}
SEED = 20260105

_TRIES = 40
_PLACEHOLDER = re.compile(r"\{([A-D]|[a-z]+)(\d?)(?:\.(\d))?(?::([가-힣]+))?\}")
_FURTHER = ("summary2", "summary3")
_ANSWER = "여기에 요약을 씁니다."
_T = TypeVar("_T")


class Ending(Value, frozen=True, kw_only=True):
    """One way in which a conversation ends, with three summaries of the whole conversation.

    The first two tell the same facts in nearly the same words; the third takes another view.
    Train has one of the first two, dev has all three.
    """

    turns: tuple[tuple[str, ...], ...]
    summaries: tuple[str, str, str]


class Grammar(Value, frozen=True, kw_only=True):
    """One kind of conversation; those ``held_out`` occur in dev and test only."""

    topics: tuple[str, ...]
    opening: tuple[tuple[str, ...], ...]
    slots: dict[str, tuple[str | tuple[str, ...], ...]]
    endings: tuple[Ending, ...]
    held_out: bool = False


class SampleRow(NamedTuple):
    """One generated dialogue as text of the contest's format, with three summaries."""

    dialogue: str
    summaries: tuple[str, str, str]
    topic: str
    grammar: str


@cache
def grammars() -> dict[str, Grammar]:
    """Return all grammars by name, each with the slots of ``common.toml`` that it has not."""
    texts = {
        file.name.removesuffix(".toml"): file.read_text(encoding="utf-8")
        for file in files(__package__).joinpath("grammars").iterdir()
    }
    common = tomllib.loads(texts.pop("common"))
    read = {}
    for name in sorted(texts):
        content = tomllib.loads(texts[name])
        content["slots"] = common | content.get("slots", {})
        read[name] = msgspec.convert(content, Grammar)
    return read


def generate(
    counts: Mapping[SplitName, int] = ROWS, seed: int = SEED
) -> dict[SplitName, list[SampleRow]]:
    """Return the rows of each split, of all its grammars in turn; no two are near-duplicates.

    Values that occur together in a conversation of dev or test occur together in no other split.
    A grammar of which ``_TRIES`` conversations in a row resemble earlier ones gives no more.
    """
    letters: defaultdict[str, list[str]] = defaultdict(list)
    return {split: _rows(split, counts[split], seed, letters) for split in ("dev", "test", "train")}


def _rows(
    split: SplitName, count: int, seed: int, letters: dict[str, list[str]]
) -> list[SampleRow]:
    """Return ``count`` rows; ``letters`` has those of earlier rows by grammar, and takes theirs."""
    rng = Random(f"{seed}:{split}")  # noqa: S311 -- nothing secret is drawn
    names = [name for name, one in grammars().items() if split != "train" or not one.held_out]
    order: list[str] = []
    found: list[SampleRow] = []
    while len(found) < count:
        order = order or _shuffled(rng, names)
        name = order.pop()
        row = _new_row(rng, name, split, letters[name])
        if row is None:
            names.remove(name)
        else:
            found.append(row)
    return found


def _new_row(rng: Random, name: str, split: SplitName, letters: list[str]) -> SampleRow | None:
    """Return a conversation of ``split`` that resembles none of ``letters``, if one is drawn."""
    resembling = 0
    while resembling < _TRIES:
        conversation = _Conversation(rng, grammars()[name])
        if _split_of(name, conversation.values) != split:
            continue
        if not resembles_any(own := conversation.letters, letters):
            letters.append(own)
            return conversation.row(name)
        resembling += 1
    return None


def _split_of(grammar: str, values: Iterable[str]) -> SplitName:
    """Return the one split in which these values may occur together: train four times of six."""
    digest = hashlib.sha256("\n".join((grammar, *values)).encode()).digest()
    return ("dev", "test", "train", "train", "train", "train")[digest[0] % 6]


class _Conversation:
    """One conversation, drawn: what is said, by whom, and the values in it."""

    def __init__(self, rng: Random, grammar: Grammar) -> None:
        self._rng = rng
        self._grammar = grammar
        self._values: dict[str, str | tuple[str, ...]] = {}
        self._speakers: dict[str, str] = {}
        self._ending = _pick(rng, grammar.endings)
        chosen = (_pick(rng, turn) for turn in (*grammar.opening, *self._ending.turns))
        turns = [turn for turn in chosen if turn]
        for turn in turns:
            self._speakers.setdefault(turn[0], f"#Person{len(self._speakers) + 1}#")
        self._said = [(self._speakers[turn[0]], self._fill(turn[3:])) for turn in turns]

    @property
    def values(self) -> tuple[str, ...]:
        return tuple(str(self._values[slot]) for slot in sorted(self._values))

    @property
    def letters(self) -> str:
        """What is said, as it is compared with other conversations: without the noise."""
        return letters_of(" ".join(text for _, text in self._said))

    def row(self, name: str) -> SampleRow:
        first, second, third = self._ending.summaries
        return SampleRow(
            dialogue=_with_noise(self._rng, self._said),
            summaries=(self._fill(first), self._fill(second), self._fill(third)),
            topic=_pick(self._rng, self._grammar.topics),
            grammar=name,
        )

    def _fill(self, template: str) -> str:
        return _PLACEHOLDER.sub(self._filled, template)

    def _filled(self, match: re.Match[str]) -> str:
        slot, number, field, particle = match.groups()
        if slot.isupper():
            text = self._speakers[slot]
        else:
            value = self._value(slot, number)
            text = value if isinstance(value, str) else value[int(field) - 1]
        return with_particle(text, particle) if particle else text

    def _value(self, slot: str, number: str) -> str | tuple[str, ...]:
        """Return the value of a slot; every number of it has a value of its own."""
        if slot + number not in self._values:
            taken = [self._values.get(slot + other) for other in ("", *"23456789")]
            free = [value for value in self._grammar.slots[slot] if value not in taken]
            self._values[slot + number] = _pick(self._rng, free)
        return self._values[slot + number]


# --- files ---


def generated_folder() -> Path:
    """Return the folder of the generated rows in contest format, written at the first call.

    It is in the user's cache and named by what decides its content. ``dev2.csv`` holds
    the hand-written rows that have a summary: a second, harder dev set.

    Raises:
        CannotWrite, DiskFull: the cache cannot be written; XDG_CACHE_HOME names another one.
    """
    cache_home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    cached = Path(cache_home, "yoyak", f"sample-{_identity()[:12]}")
    try:
        if atomic.verify_folder(cached) is None:
            with atomic.whole_folder(cached) as temporary:
                for name, content in _files():
                    (temporary / name).write_bytes(content)
    except (OSError, CannotWrite) as error:
        cause = error.__cause__ or error
        problem = cause.strerror if isinstance(cause, OSError) else cause
        raise CannotWrite("data.sample-cache", folder=cached, problem=problem) from error
    return cached


def is_generated(folder: Path) -> bool:
    """Return whether ``folder`` is one that this or an earlier version generated."""
    return folder.parent.name == "yoyak" and folder.name.startswith("sample-")


@cache
def _identity() -> str:
    """Return the SHA-256 of this package: its code, its grammars and its hand-written rows."""
    parts = [path for path in folder().rglob("*") if path.suffix in {".py", ".toml", ".csv"}]
    content = (f"{path.name}\n".encode() + path.read_bytes() for path in sorted(parts))
    return hashlib.sha256(b"".join(content)).hexdigest()


def _files() -> Iterator[tuple[str, bytes]]:
    """Yield name and content of each file."""
    labelled = ("fname", "dialogue", "summary", "topic")
    rng = Random(SEED)  # noqa: S311 -- nothing secret is drawn
    rows = generate()
    train = [(row.dialogue, _pick(rng, row.summaries[:2]), row.topic) for row in rows["train"]]
    yield "train.csv", _csv(labelled, _numbered("train", train))
    dev = [(row.dialogue, row.summaries[0], row.topic, *row.summaries[1:]) for row in rows["dev"]]
    yield "dev.csv", _csv((*labelled, *_FURTHER), _numbered("dev", dev))
    test = [(row.dialogue,) for row in rows["test"]]
    yield "test.csv", _csv(("fname", "dialogue"), _numbered("test", test))
    answers = [(str(at), f"test_{at}", _ANSWER) for at in range(len(test))]
    yield "sample_submission.csv", _csv(("", "fname", "summary"), answers)
    written = (row for name in ("train", "dev") for row in read_rows(folder() / f"{name}.csv").rows)
    columns = ("dialogue", "summary", "topic", *_FURTHER)
    natural = (tuple(row.cells.get(column, "") for column in columns) for row in written)
    yield "dev2.csv", _csv((*labelled, *_FURTHER), _numbered("natural", natural))


def _numbered(split: str, cells: Iterable[tuple[str, ...]]) -> Iterator[tuple[str, ...]]:
    return ((f"{split}_{at}", *row) for at, row in enumerate(cells))


def _csv(columns: Sequence[str], cells: Iterable[Sequence[str]]) -> bytes:
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows((columns, *cells))
    return stream.getvalue().encode()


# --- noise ---


def _with_noise(rng: Random, said: Sequence[tuple[str, str]]) -> str:
    """Return the turns as lines; one dialogue in six has a fault that the contest's data have.

    Turns of one speaker in a row are joined. Some lose a blank or end as in a chat.
    """
    lines: list[str] = []
    last = ""
    for speaker, text in said:
        casual = _casual(rng, text)
        if speaker == last:
            lines[-1] += f" {casual}"
        else:
            lines.append(f"{speaker}: {casual}")
        last = speaker
    if rng.random() >= 1 / 6:
        return "\n".join(lines)
    at = int(rng.random() * (len(lines) - 1))
    kind = int(rng.random() * 5)
    if kind == 0:
        lines[at] = lines[at].replace(": ", "：", 1)
    if kind == 1:
        lines[at] = lines[at].replace(" ", "  ", 2)
    separator = {2: "\\n", 3: "<br>", 4: " "}.get(kind, "\n")
    return "\n".join(lines[: at + 1]) + separator + "\n".join(lines[at + 1 :])


def _casual(rng: Random, text: str) -> str:
    """Return ``text`` with a blank lost or another end, one time in seven."""
    chance = rng.random()
    blanks = [at for at, character in enumerate(text) if character == " "]
    if chance < 0.05 and blanks:
        at = _pick(rng, blanks)
        return text[:at] + text[at + 1 :]
    if chance < 0.1 and text.endswith("요."):
        return text[:-1] + "~"
    if chance < 0.15 and text.endswith("."):
        return text[:-1]
    return text


def _pick(rng: Random, choices: Sequence[_T]) -> _T:
    return choices[int(rng.random() * len(choices))]


def _shuffled(rng: Random, choices: Sequence[_T]) -> list[_T]:
    keyed = [(rng.random(), at) for at in range(len(choices))]
    return [choices[at] for _, at in sorted(keyed)]

"""Turn the names of speakers into the tags ``#Person1#``, ``#Person2#``, … of the contest.

Tags are numbered per dialogue in order of first appearance. Names are recognised where nearly
all dialogues of a table are written as lines of ``Name: text`` and none has a tag (SAMSum).
"""

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from yoyak.data.clean import PARTICLE, SPEAKER

_TAGGED = re.compile(rf"^[ \t]*{SPEAKER}[ \t]*[:：]", re.MULTILINE)
_NAMED = re.compile(r"[ \t]*(?!\d+[:：])([^\W_][^:：\n#]{0,39}?)[ \t]*[:：](?!//)[ \t]*")
_LINE_END = re.compile(r"\r\n|\r|\n")

_MIN_NAMED_DIALOGUES = 0.95
"""Share of dialogues that have to begin with a name; in the others nobody is known to speak."""

_MIN_NAMED_LINES = 0.8
"""Share of lines that have to begin with a name; the others continue the turn before them."""


class SpeakerTags:
    """The tags of one dialogue's speakers, given out in order of first appearance."""

    def __init__(self) -> None:
        self.by_name: dict[str, str] = {}

    def tag(self, name: str) -> str:
        """Return the tag of ``name``; a name that is a tag stays as it is."""
        name = name.strip()
        if re.fullmatch(SPEAKER, name):
            return name
        return self.by_name.setdefault(name, f"#Person{len(self.by_name) + 1}#")


class TaggedText(NamedTuple):
    """A dialogue whose speakers are tags, and the tag of each name."""

    text: str
    by_name: Mapping[str, str]


def names_speakers(dialogues: Iterable[str]) -> bool:
    """Return whether dialogues are lines of ``Name: text``, without a single speaker's tag.

    Nearly all dialogues have to begin with a name, and most lines.
    """
    begun: list[bool] = []
    named: list[bool] = []
    for text in dialogues:
        if _TAGGED.search(text):
            return False
        lines = [line for line in _LINE_END.split(text) if line.strip()]
        found = [_NAMED.match(line) is not None for line in lines]
        begun.extend(found[:1])
        named.extend(found)
    return (
        bool(begun)
        and sum(begun) >= _MIN_NAMED_DIALOGUES * len(begun)
        and sum(named) >= _MIN_NAMED_LINES * len(named)
    )


def tag_speakers(dialogue: str) -> TaggedText:
    """Return a dialogue of ``Name: text`` lines with a tag in place of each name."""
    tags = SpeakerTags()
    written = []
    for line in _LINE_END.split(dialogue):
        found = _NAMED.match(line)
        written.append(line if found is None else f"{tags.tag(found[1])}: {line[found.end() :]}")
    return TaggedText("\n".join(written), tags.by_name)


def names_in(text: str, by_name: Mapping[str, str]) -> bool:
    """Return whether ``text`` names one of the speakers."""
    return bool(by_name) and _mentions(by_name).search(text) is not None


def tag_names(text: str, by_name: Mapping[str, str]) -> str:
    """Return ``text`` with the speakers' tags in place of their names, where a name is a word.

    A Hangul name may be followed by a particle, any other one by anything but its own letters.
    """
    if not by_name:
        return text
    return _mentions(by_name).sub(lambda found: by_name[found[0]], text)


def _mentions(by_name: Mapping[str, str]) -> re.Pattern[str]:
    longest_first = sorted(by_name, key=lambda name: (-len(name), name))
    return re.compile("|".join(map(_mention, longest_first)))


def _mention(name: str) -> str:
    if re.search("[가-힣]$", name):
        return rf"(?<!\w){re.escape(name)}(?=(?:{PARTICLE}){{0,3}}(?![가-힣\w]))"
    return rf"(?<![A-Za-z0-9_]){re.escape(name)}(?![A-Za-z0-9_])"

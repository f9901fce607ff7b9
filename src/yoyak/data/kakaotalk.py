"""Read what KakaoTalk exports of a chat (대화 내보내기), and write it as a dialogue of the contest.

| exported by | a message |
|---|---|
| Windows | ``[지수] [오후 2:30] 내일 봐요``, below ``--- 2026년 7월 1일 수요일 ---`` |
| macOS | CSV with the columns ``Date,User,Message`` |
| iOS | ``2026. 7. 1. 오후 2:30, 지수 : 내일 봐요`` |
| Android | ``2026년 7월 1일 오후 2:30, 지수 : 내일 봐요``, newer ones ``2026-07-01 오후 2:30, …`` |
| in English | ``[Jisu] [2:30 PM] …``, ``July 1, 2026, 2:30 PM, Jisu : …`` (also ``at 2:30 PM``) |

Lines without a time continue the message before them. Notices (who came and went) and messages
that are no text (photos, emoticons, files) are left out and counted.
"""

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from yoyak.data.private_details import mask_details
from yoyak.data.speakers import SpeakerTags, tag_names

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAY = r"(?:[월화수목금토일]요일|(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day)"
_NUMERIC = r"(?P<y>\d{4})(?:\. ?|년 |-)(?P<m>\d{1,2})(?:\. ?|월 |-)(?P<d>\d{1,2})(?:\.|일)?"
_ENGLISH = r"(?P<month>[A-Z][a-z]{2,8})\.? (?P<day>\d{1,2}), (?P<year>\d{4})"
_DATE = rf"(?:{_NUMERIC}|{_ENGLISH})"
_TIME = r"(?:오[전후] ?)?\d{1,2}:\d{2}(?::\d{2})?(?:\s?[AaPp]\.?[Mm]\.?)?"

_DIVIDER = re.compile(rf"-* ?(?:{_WEEKDAY}, )?{_DATE}(?: {_WEEKDAY})? ?-*")
_DESKTOP = re.compile(rf"\[(?P<name>.+?)\] \[{_TIME}\] ?(?P<text>.*)")
_MOBILE = re.compile(rf"{_DATE}(?:,| at)?\s{_TIME}, (?P<name>.+?) : ?(?P<text>.*)")
_DATED_NOTICE = re.compile(rf"{_DATE}(?:,| at)?\s{_TIME}[,:] .*")
_HEADER = re.compile(
    r".* (?:님과 |님과의 )?카카오톡 대화|KakaoTalk Chats with .*|.* Talk Chats|.*\.txt"
    r"|(?:저장한 날짜|Date Saved|Saved Date) ?: .*"
)
_NOTICE = re.compile(
    r".+님이 (?:들어왔습니다|나갔습니다)\.?.*|.+님이 .+님을? (?:초대|내보)(?:했|하였|냈)습니다\.?.*"
    r"|.+님을 내보냈습니다\.?.*|채팅방 관리자가 메시지를 가렸습니다\.?"
    r"|.+ (?:joined|left)(?: this chatroom| the chatroom)?\.|.+ invited .+"
)
_NO_TEXT = re.compile(
    r"<?(?:사진|동영상|음성메시지|이모티콘|Photo|Video|Voice message|Emoticon)(?: 읽지 않음)?>?"
    r"|사진 \d+장|\d+ photos|\((?:이모티콘|Emoticon)\)|(?:파일|지도|연락처|File|Map): ?.*"
    r"|삭제된 메시지입니다\.?|(?:This message was deleted|Message deleted)\.?"
    r"|(?:보이스톡|페이스톡|라이브톡|그룹콜)(?: .*)?|샵검색: .*"
    r"|[\w-]+\.(?:jpe?g|png|gif|mp4|m4a|pdf)"
)
_EMOTICON = re.compile(r"\((?:이모티콘|Emoticon)\) ?")
_CSV_HEAD = re.compile(r'"?Date"?,"?User"?,"?Message"?')
_FULL_NAME = re.compile(r"[가-힣]{3}")
_HANGUL_END = re.compile(r"[가-힣]$")


class ChatMessage(NamedTuple):
    """One message; ``day`` is ``2026-07-01``, or ``None`` where the export does not say."""

    name: str
    text: str
    day: str | None


class ChatExport(NamedTuple):
    """The messages of an export in order, and how many others were left out."""

    messages: tuple[ChatMessage, ...]
    left_out: int

    @property
    def days(self) -> dict[str, int]:
        """How many messages each day has, in order."""
        return dict(Counter(one.day for one in self.messages if one.day is not None))


class ChatDialogue(NamedTuple):
    """A chat as a dialogue: a line a turn, speakers as tags.

    ``by_name`` has the tag of each sender, ``masked`` how often each tag stands for a detail.
    """

    text: str
    by_name: dict[str, str]
    masked: dict[str, int]


def read_chat(exported: str) -> ChatExport | None:
    """Return the messages of an export; ``None`` if the text is none."""
    text = exported.removeprefix("\ufeff").replace("\r\n", "\n").replace("\u202f", " ")
    text = text.replace("\xa0", " ")
    lines = text.split("\n")
    found = _rows(lines) if _CSV_HEAD.fullmatch(lines[0].strip()) else _lines(lines)
    try:
        parts = tuple(found)
    except csv.Error:  # a quote that nothing closes makes the rest of the file one cell
        return None
    messages = tuple(one for one in parts if one is not None)
    return ChatExport(messages, len(parts) - len(messages)) if messages else None


def _rows(lines: Sequence[str]) -> Iterator[ChatMessage | None]:
    """Yield the messages of a CSV; ``None`` for what is left out."""
    for row in csv.reader((f"{line}\n" for line in lines[1:]), strict=True):
        if len(row) == 3:
            date, name, text = row
            is_notice = _NOTICE.fullmatch(text.strip()) is not None
            yield None if is_notice else _message(name, [text], date[:10] or None)


_LINES = (
    ("message", _DESKTOP),
    ("message", _MOBILE),
    ("notice", _DATED_NOTICE),
    ("notice", _NOTICE),
    ("divider", _DIVIDER),
)


def _lines(lines: Sequence[str]) -> Iterator[ChatMessage | None]:
    """Yield the messages of a text; ``None`` for what is left out."""
    name, parts, day, has_begun = "", list[str](), None, False
    for line in map(str.strip, lines):
        matches = ((kind, pattern.fullmatch(line)) for kind, pattern in _LINES)
        kind, found = next(((kind, one) for kind, one in matches if one is not None), ("", None))
        if found is None:
            if not has_begun and line and not _HEADER.fullmatch(line):
                return  # no export begins so
            parts.append(line)
            continue
        has_begun = True
        yield from [_message(name, parts, day)] if name else []
        yield from [None] if kind == "notice" else []
        day = _iso(found) or day
        name = found["name"].strip() if kind == "message" else ""
        parts = [found["text"]] if kind == "message" else []
    yield from [_message(name, parts, day)] if name else []


def _message(name: str, parts: Iterable[str], day: str | None) -> ChatMessage | None:
    text = " ".join(" ".join(parts).split())
    if _NO_TEXT.fullmatch(text):
        return None
    text = _EMOTICON.sub("", text)
    return ChatMessage(name.strip(), text, day) if text and name.strip() else None


def _iso(found: re.Match[str]) -> str | None:
    """Return the date of a line as ISO 8601; ``None`` where it has none."""
    parts = found.groupdict()
    if parts.get("y"):
        return f"{int(parts['y']):04}-{int(parts['m']):02}-{int(parts['d']):02}"
    name = (parts.get("month") or "")[:3].lower()
    if name not in _MONTHS:
        return None
    return f"{int(parts['year']):04}-{1 + _MONTHS.index(name):02}-{int(parts['day']):02}"


def chat_dialogue(
    messages: Sequence[ChatMessage], *, mask: bool, most_characters: int | None = None
) -> ChatDialogue:
    """Return messages as a dialogue: messages in a row of one sender are one turn.

    Args:
        messages: of one conversation.
        mask: replace senders' names by their tags and personal numbers by the contest's tags.
        most_characters: the oldest turns are left out beyond it.
    """
    turns = [
        (name, " ".join(one.text for one in group))
        for name, group in groupby(messages, key=lambda one: one.name)
    ]
    turns = turns[_first_fitting(turns, most_characters) :]
    tags = SpeakerTags()
    for name, _ in turns:
        tags.tag(name)
    mentions = _tags_by_mention(tags.by_name)
    masked = Counter[str]()
    lines = []
    for name, text in turns:
        shown = text
        if mask:
            details = mask_details(text)
            shown = tag_names(details.text, mentions)
            masked += details.counts
        lines.append(f"{tags.tag(name)}: {shown}")
    return ChatDialogue("\n".join(lines), tags.by_name, dict(masked))


def _first_fitting(turns: Sequence[tuple[str, str]], most: int | None) -> int:
    """Return the place of the first turn that is kept; a turn takes its tag and line break too."""
    left = float("inf") if most is None else most
    for place in range(len(turns) - 1, -1, -1):
        left -= len(turns[place][1]) + len("#Person10#: \n")
        if left < 0:
            return place + 1
    return 0


def _tags_by_mention(by_name: dict[str, str]) -> dict[str, str]:
    """Return the tags by what the senders are called in messages: 홍길동, @홍길동, 길동, 길동아.

    A given name counts where it is one sender's alone.
    """
    given = [name[1:] for name in by_name if _FULL_NAME.fullmatch(name)]
    short = {
        name[1:]: tag
        for name, tag in by_name.items()
        if _FULL_NAME.fullmatch(name) and given.count(name[1:]) == 1
    }
    called = {
        f"{name}{ending}": f"{tag}{ending}"
        for name, tag in (short | by_name).items()
        if _HANGUL_END.search(name)
        for ending in "아야"
    }
    mentioned = {f"@{name}": tag for name, tag in by_name.items()}
    return called | short | mentioned | by_name

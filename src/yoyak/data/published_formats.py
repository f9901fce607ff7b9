"""Recognise the records of published corpora by their structure, and read them as cells.

| corpus | utterances | id | summary | topic |
|---|---|---|---|---|
| NIKL, everyday dialogue summaries of the 2024 contest | ``input.conversation[]``: speaker, utterance | ``id`` | ``output`` | ``input.subject_keyword`` |
| NIKL corpora (모두의 말뭉치) | ``document[].utterance[]``: speaker_id, form | ``id`` | ``SC.main_summary`` | ``metadata.topic`` |
| AI Hub, Korean dialogue summaries | ``data[].body.dialogue[]``: participantID, utterance | ``header.dialogueInfo.dialogueID`` | ``body.summary`` | ``header.dialogueInfo.topic`` |

SAMSum and DialogSum have plain records (``id``/``fname``, ``dialogue``, ``summary``), which need
no conversion: see ``corpus``.
"""  # noqa: E501 -- a table

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from yoyak.data.speakers import SpeakerTags

_SPEAKER = ("speaker", "speaker_id", "participantID", "participant_id", "speakerId", "name")
_TEXT = ("utterance", "form", "text", "original_form")

FieldPath = tuple[str, ...]
"""Names of nested objects, from the record inwards."""


class PublishedFormat(NamedTuple):
    """Where the records of a corpus hold their parts; the first path that leads anywhere counts."""

    name: str
    utterances: FieldPath
    ids: tuple[FieldPath, ...]
    summaries: tuple[FieldPath, ...]
    topics: tuple[FieldPath, ...]


FORMATS = (
    PublishedFormat(
        "AI Hub",
        utterances=("body", "dialogue"),
        ids=(("header", "dialogueInfo", "dialogueID"),),
        summaries=(("body", "summary"),),
        topics=(("header", "dialogueInfo", "topic"),),
    ),
    PublishedFormat(
        "NIKL",
        utterances=("input", "conversation"),
        ids=(("id",),),
        summaries=(("output",),),
        topics=(("input", "subject_keyword"),),
    ),
    *(
        PublishedFormat(
            "NIKL",
            utterances=(name,),
            ids=(("id",), ("fname",)),
            summaries=(("SC", "main_summary"), ("summary",), ("summaries",)),
            topics=(("metadata", "topic"), ("topic",)),
        )
        for name in ("utterance", "dialogue", "conversation")
    ),
)
"""Every known format; a record has the first whose utterances it holds as a list of objects."""


class ConvertedRecord(NamedTuple):
    """A record of a published corpus as cells, and its speakers' tags by their names there."""

    cells: dict[str, str]
    speakers: Mapping[str, str]


class WrongUtterance(ValueError):
    """An utterance without a speaker or a text; the message says which and what it has."""


def format_of(record: Mapping[str, object]) -> PublishedFormat | None:
    """Return the published format of a JSON record; ``None`` for a plain one."""
    for known in FORMATS:
        if _objects(_at(record, known.utterances)):
            return known
    return None


def convert(record: Mapping[str, object], known: PublishedFormat) -> ConvertedRecord:
    """Return the cells ``fname``, ``dialogue``, ``summary``, ``summary2``, … and ``topic``.

    A part that is missing or blank gives no cell.

    Raises:
        WrongUtterance: one has no speaker or no text.
    """
    tags = SpeakerTags()
    utterances = _objects(_at(record, known.utterances))
    lines = [line for at, one in enumerate(utterances, 1) if (line := _line(at, one, tags))]
    cells = {"dialogue": "\n".join(lines)}
    if ids := _first(record, known.ids):
        cells["fname"] = ids[0]
    for number, text in enumerate(_first(record, known.summaries), 1):
        cells["summary" if number == 1 else f"summary{number}"] = text
    if topics := _first(record, known.topics):
        cells["topic"] = ", ".join(topics)
    return ConvertedRecord(cells, tags.by_name)


def _objects(value: object) -> list[dict[str, object]]:
    """Return ``value`` if it is a list of objects, else an empty list."""
    values = value if isinstance(value, list) else []
    objects = [one for one in values if isinstance(one, dict)]
    return objects if len(objects) == len(values) else []


def _line(at: int, utterance: Mapping[str, object], tags: SpeakerTags) -> str:
    name, text = _named(utterance, _SPEAKER), _named(utterance, _TEXT)
    if name is None or text is None:
        raise WrongUtterance(f"{at}: {', '.join(utterance) or '{}'}")
    words = " ".join(text.split())
    return f"{tags.tag(name)}: {words}" if words else ""


def _named(utterance: Mapping[str, object], names: Sequence[str]) -> str | None:
    found = (utterance[name] for name in names if name in utterance)
    return next((value for value in found if isinstance(value, str)), None)


def _at(record: object, path: FieldPath) -> object:
    for name in path:
        if not isinstance(record, dict):
            return None
        record = record.get(name)
    return record


def _first(record: Mapping[str, object], paths: Sequence[FieldPath]) -> list[str]:
    return next(filter(None, (_texts(_at(record, path)) for path in paths)), [])


def _texts(value: object) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [one for one in values if isinstance(one, str) and one.strip()]

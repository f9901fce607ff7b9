"""Read the records of any JSON text, each with its number and line.

The records are the objects of a stream (JSONL, or objects written over several lines), the
elements of an array, or those of an array under a name such as ``data``, as AI Hub and NIKL have
it. An object that maps ids to texts or records is one record for each id.
"""

import json
import re
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import NamedTuple, NoReturn

from yoyak.data.published_formats import format_of
from yoyak.errors import BadData
from yoyak.messages import listed

RECORD_ARRAYS = ("data", "document", "records", "rows", "results", "predictions", "examples")
"""Names under which an object may hold its records; AI Hub's and NIKL's are the first two."""

_FIELDS = {"fname", "id", "dialogue", "summary", "prediction", "references"}
"""Names by which one flat object is a record and not a map of ids."""

_BLANK = re.compile(r"[ \t\n\r]*")


class JsonRecord(NamedTuple):
    """One object; ``number`` counts from 1, ``line`` is where it starts. Numbers are text."""

    number: int
    line: int
    value: dict[str, object]


class _Span(NamedTuple):
    """A decoded value, where it starts, and where it ends."""

    start: int
    end: int
    value: object


class _NotJsonNumber(ValueError):
    """``NaN`` or an infinity, which Python writes and JSON does not have."""


def read_json_records(path: Path, text: str, id_name: str, text_name: str) -> list[JsonRecord]:
    """Return every record of ``text``.

    Args:
        path: named in errors.
        text: starts with ``{`` or ``[``, after blanks.
        id_name: the field of the id in records that are made of an object of ids.
        text_name: the field of the text there.

    Raises:
        BadData: a record is no JSON object, or the text breaks off; the message names the row.
    """
    reader = _Reader(path, text)
    start = reader.skip(0)
    at_array = start if text[start] == "[" else reader.find_array(start)
    if at_array is not None:
        return reader.records(reader.elements(at_array))
    spans = reader.stream(start)
    first = next(spans)
    if reader.skip(first.end) == len(text):
        return reader.lone(first, id_name, text_name)
    return reader.records(chain((first,), spans))


def read_json_line(path: Path, text: str, number: int, line: int) -> JsonRecord:
    """Return the one object of a line of JSONL, which is the record ``number`` of the file.

    Raises:
        BadData: the line is not one whole object.
    """
    reader = _Reader(path, text, number - 1, line)
    return reader.only(reader.skip(0))


class _Reader:
    """Decode a text piece by piece, and know the row and line of each piece.

    Args:
        path: named in errors.
        text: what is decoded.
        rows: records of the file before the text.
        line: of the file, where the text starts.
    """

    def __init__(self, path: Path, text: str, rows: int = 0, line: int = 1) -> None:
        self._path = path
        self._text = text
        self._rows = rows
        self._first_line = line
        self._counted = (0, line)

    def only(self, at: int) -> JsonRecord:
        """Return the object at ``at``; nothing may follow it."""
        span = self._value(at)
        end = self.skip(span.end)
        if end < len(self._text):
            self._fail(end, "text follows the object")
        return self._record(span)

    def skip(self, at: int) -> int:
        """Return where the next character that is not blank stands."""
        found = _BLANK.match(self._text, at)
        return at if found is None else found.end()

    def stream(self, at: int) -> Iterator[_Span]:
        """Yield values until the end of the text."""
        at = self.skip(at)
        while at < len(self._text):
            span = self._value(at)
            yield span
            at = self.skip(span.end)

    def elements(self, at: int) -> Iterator[_Span]:
        """Yield the elements of the array that starts at ``at`` (a bracket)."""
        at = self.skip(at + 1)
        while self._text[at : at + 1] != "]":
            span = self._value(at)
            yield span
            at = self.skip(span.end)
            if self._text[at : at + 1] == ",":
                at = self.skip(at + 1)
            elif self._text[at : at + 1] != "]":
                self._fail(at, "a comma or the end of the array is missing")
        self._end_after(self.skip(at + 1))

    def find_array(self, at: int) -> int | None:
        """Return where the array of records of an object starts; ``None`` where it has none."""
        at = self.skip(at + 1)
        while self._text[at : at + 1] == '"':
            name = self._value(at)
            at = self.skip(self.skip(name.end) + 1)
            inside = self.skip(at + 1)
            first = self._text[at : at + 1] + self._text[inside : inside + 1]
            if name.value in RECORD_ARRAYS and first == "[{":
                return at
            at = self.skip(self.skip(self._value(at).end) + 1)
        return None

    def _end_after(self, at: int) -> None:
        """Raise unless the text ends at ``at``, or with the members that follow the array."""
        while self._text[at : at + 1] == ",":
            name = self._value(self.skip(at + 1))
            value = self._value(self.skip(self.skip(name.end) + 1))
            at = self.skip(value.end)
        if self._text[at : at + 1] == "}":
            at = self.skip(at + 1)
        if at < len(self._text):
            self._fail(at, "text follows the end of the array")

    def records(self, spans: Iterable[_Span]) -> list[JsonRecord]:
        """Return the values as records; each has to be an object."""
        return [self._record(span) for span in spans]

    def lone(self, span: _Span, id_name: str, text_name: str) -> list[JsonRecord]:
        """Return the records of a text that is one object, which JSONL does not read as a map."""
        record = self._record(span)
        fields = record.value
        if format_of(fields) is not None:
            return [record]
        if _FIELDS & fields.keys() or self._path.suffix.lower() in {".jsonl", ".ndjson"}:
            by_columns = fields and all(isinstance(value, dict) for value in fields.values())
        else:
            by_columns = {"columns", "data"} <= fields.keys()
            if not by_columns and _is_map(fields):
                return [
                    JsonRecord(number, record.line, _with_id(id_name, key, text_name, value))
                    for number, (key, value) in enumerate(fields.items(), 1)
                ]
        if by_columns:
            raise BadData("data.json-columns", file=self._path, names=listed(fields))
        return [record] if fields else []

    def _record(self, span: _Span) -> JsonRecord:
        self._rows += 1
        if not isinstance(span.value, dict):
            self._rows -= 1
            self._fail(span.start, f"an object is expected, not {str(span.value)[:40]!r}")
        return JsonRecord(self._rows, self._line(span.start), span.value)

    def _value(self, at: int) -> _Span:
        try:
            value, end = _DECODER.raw_decode(self._text, at)
        except _NotJsonNumber as error:
            raise BadData(
                "data.json-nan",
                file=self._path,
                row=self._rows + 1,
                line=self._line(at),
                found=str(error),
            ) from error
        except json.JSONDecodeError as error:
            self._fail(at, f"{error.msg}, line {error.lineno} column {error.colno}", error)
        except (ValueError, RecursionError) as error:
            self._fail(at, str(error), error)
        return _Span(at, end, value)

    def _line(self, at: int) -> int:
        known, line = self._counted
        if at < known:
            known, line = 0, self._first_line
        line += self._text.count("\n", known, at)
        self._counted = (at, line)
        return line

    def _fail(self, at: int, problem: str, cause: BaseException | None = None) -> NoReturn:
        raise BadData(
            "data.bad-json",
            file=self._path,
            row=self._rows + 1,
            line=self._line(at),
            problem=problem,
        ) from cause


def _is_map(fields: dict[str, object]) -> bool:
    """Return whether an object maps ids to texts, lists of texts, or records."""
    kinds = {type(value) for value in fields.values()} - {type(None)}
    if kinds == {list}:
        texts = [one for value in fields.values() if isinstance(value, list) for one in value]
        return len(fields) > 1 and all(isinstance(one, str) for one in texts)
    return kinds in ({str}, {dict})


def _with_id(id_name: str, key: str, text_name: str, value: object) -> dict[str, object]:
    return {id_name: key, **value} if isinstance(value, dict) else {id_name: key, text_name: value}


def _once_each(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        repeated = sorted({name for name in names if names.count(name) > 1})
        raise ValueError(f"the same name twice in one object: {listed(repeated)}")
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise _NotJsonNumber(name)


_DECODER = json.JSONDecoder(
    object_pairs_hook=_once_each,
    parse_int=str,
    parse_float=str,
    parse_constant=_refuse_constant,
)

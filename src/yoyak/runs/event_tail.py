"""Read the events that a log has gained since the last look."""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from yoyak.events import AnyEvent, decode_event
from yoyak.files.jsonl import read_lines_from


class EventTail:
    """A position in an event log; ``garbled`` counts lines that could not be decoded.

    Args:
        path: the log, which need not exist yet.
        position: byte at which the first ``read`` begins; ``None`` is the log's end now.
    """

    def __init__(self, path: Path, position: int | None = None) -> None:
        self._path = path
        end = path.stat().st_size if path.is_file() else 0
        self.position = end if position is None else position
        self.garbled = 0

    def read(self) -> Iterator[AnyEvent]:
        """Yield the events of whole lines written since the last call, unknown kinds left out."""
        lines, self.position = read_lines_from(self._path, self.position)
        for line in lines:
            try:
                event = decode_event(line)
            except (msgspec.DecodeError, UnicodeDecodeError):
                self.garbled += 1
                continue
            if event is not None:
                yield event

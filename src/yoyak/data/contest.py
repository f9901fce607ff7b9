"""Read ``contest.toml`` in the data folder: how its files are written, and the contest's rules.

The file is optional, and so is every key of it: what is not set is not limited.
"""

import tomllib
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Annotated, get_args

import msgspec

from yoyak.data.encoding import decode
from yoyak.errors import BadData
from yoyak.values import SPLITS, SplitName, Value

FILE = "contest.toml"


class Columns(Value, frozen=True, kw_only=True):
    """The names of the columns in a folder's files; ``None`` stands for the contest's own name."""

    id: str | None = None
    """Column of the ids."""
    dialogue: str | None = None
    """Column of the dialogues."""
    summary: str | tuple[str, ...] | None = None
    """One name, or one for each reference."""
    topic: str | None = None
    """Column of the topics."""

    @property
    def summaries(self) -> tuple[str, ...]:
        """Return the columns of the summaries in order; none if none is declared."""
        if isinstance(self.summary, str):
            return (self.summary,)
        return self.summary or ()

    def __post_init__(self) -> None:
        named = [name for name in (self.id, self.dialogue, *self.summaries, self.topic) if name]
        twice = sorted({name for name in named if named.count(name) > 1})
        if twice:
            raise ValueError(f"[columns] names {twice[0]!r} twice")


class SplitFiles(Value, frozen=True, kw_only=True):
    """Files or folders of the splits, relative to the data folder; ``None`` has the usual name."""

    train: str | None = None
    dev: str | None = None
    test: str | None = None

    def of(self, split: str) -> str | None:
        """Return what is declared for ``split``; nothing can be for further references."""
        return getattr(self, split) if split in self.__struct_fields__ else None


class Contest(Value, frozen=True, kw_only=True):
    """How a folder's files are written and what a contest limits.

    ``None``, an empty list and ``false`` limit nothing.
    """

    files: SplitFiles = SplitFiles()
    """Where the files are not called train, dev and test."""
    columns: Columns | None = None
    """Where the files do not have the contest's names of columns."""
    tag_speakers_in_summaries: bool = False
    """Whether names of speakers become tags in references too, as they do in dialogues."""

    uploads_per_day: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """Uploads that a team has a day; needs ``utc_offset``."""
    utc_offset: str | None = None
    """The contest's time zone, as ``"+09:00"``: its midnight begins a new day of uploads."""
    closes_at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    """No upload is recorded from this moment on."""
    forbidden_sources: tuple[str, ...] = ()
    """Names of data that nothing may be trained on, as separate words (``"dialog sum"``)."""
    forbid_test_in_training: bool = False
    """Whether dialogues of test may not be trained on, nor have summaries."""

    def __post_init__(self) -> None:
        if self.uploads_per_day is not None and self.utc_offset is None:
            raise ValueError('uploads_per_day needs utc_offset, such as utc_offset = "+09:00"')
        if self.utc_offset is not None:
            _offset(self.utc_offset)
        for name in self.forbidden_sources:
            if not any(letter.isalnum() for letter in name):
                raise ValueError(f"forbidden_sources holds a name without a letter: {name!r}")

    @property
    def time_zone(self) -> timezone | None:
        """Return the time zone that ``utc_offset`` names."""
        return None if self.utc_offset is None else timezone(_offset(self.utc_offset))


def read_contest(folder: Path) -> Contest:
    """Return the contest of a data folder; one that limits nothing where there is no file.

    Raises:
        BadData: the file is not TOML in UTF-8, or a key is unknown or has a wrong value.
    """
    path = folder / FILE
    if not path.is_file():
        return Contest()
    text = decode(path, path.read_bytes())
    try:
        return msgspec.convert(tomllib.loads(text), Contest)
    except (tomllib.TOMLDecodeError, RecursionError, msgspec.ValidationError) as error:
        known = ", ".join(Contest.__struct_fields__)
        raise BadData("data.bad-contest", file=path, problem=error, known=known) from error


def contest_of(path: Path) -> Contest | None:
    """Return the contest whose split ``path`` is; ``None`` for any other file.

    It stands beside a file called train, dev or test, or in a folder above, where it names it.
    """
    if path.stem in get_args(SplitName):
        return read_contest(path.parent)
    resolved = path.resolve()
    folder = next((folder for folder in resolved.parents if (folder / FILE).is_file()), None)
    if folder is None:
        return None
    contest = read_contest(folder)
    named = filter(None, map(contest.files.of, SPLITS))
    return contest if resolved in [(folder / name).resolve() for name in named] else None


def _offset(text: str) -> timedelta:
    try:
        offset = datetime.strptime(text, "%z").utcoffset()
    except ValueError:
        offset = None
    if offset is None:
        raise ValueError(f'utc_offset has to be like "+09:00", not {text!r}')
    return offset

"""Kinds of contest that ``yoyak init`` knows, and the ``contest.toml`` of each."""

import json
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple, get_args

from yoyak.data.contest import Columns, Contest, SplitFiles
from yoyak.data.speakers import names_speakers
from yoyak.messages import text

Preset = Literal["contest", "nikl", "aihub", "dialogsum", "own"]
PRESETS: tuple[Preset, ...] = get_args(Preset)

_CONTEST_RULES = Contest(
    uploads_per_day=12,
    utc_offset="+09:00",
    forbidden_sources=("dialog sum", "dialogue sum"),
    forbid_test_in_training=True,
)
"""Of the Korean dialogue summarisation contest whose file format yoyak has."""


class StarterContest(NamedTuple):
    """What ``contest.toml`` is to hold, as a value and as text with comments."""

    contest: Contest
    text: str


def detect_preset(
    published_as: str | None, dialogues: Sequence[str], *, has_sample: bool
) -> Preset:
    """Return the preset that a train file, and a folder with a sample submission, look like."""
    if published_as is not None:
        return "aihub" if published_as == "AI Hub" else "nikl"
    if has_sample:
        return "contest"
    tagged = any("#Person1#" in dialogue for dialogue in dialogues)
    return "dialogsum" if tagged or names_speakers(dialogues) else "own"


def starter_contest(
    preset: Preset, files: SplitFiles, columns: Columns | None, dialogues: Sequence[str]
) -> StarterContest:
    """Return the contest of ``preset`` for files and columns of these names.

    Speakers become tags in references too where tags are what the preset's data are scored on and
    the dialogues have names.
    """
    tagged = preset in {"contest", "dialogsum"} and names_speakers(dialogues)
    rules = _CONTEST_RULES if preset == "contest" else Contest()
    contest = Contest(
        files=files,
        columns=columns,
        tag_speakers_in_summaries=tagged,
        uploads_per_day=rules.uploads_per_day,
        utc_offset=rules.utc_offset,
        forbidden_sources=rules.forbidden_sources,
        forbid_test_in_training=rules.forbid_test_in_training or preset == "nikl",
    )
    return StarterContest(contest, "\n".join(_lines(preset, contest)) + "\n")


def _lines(preset: Preset, contest: Contest) -> Iterator[str]:
    yield f"# {text('init.contest-head', preset=preset)}"
    yield f"# {text('init.contest-keys')}"
    yield _value("tag_speakers_in_summaries", contest.tag_speakers_in_summaries)
    yield from _rule("uploads_per_day", contest.uploads_per_day, 10)
    yield from _rule("utc_offset", contest.utc_offset, "+09:00")
    yield f"# closes_at = 2030-01-31T19:00:00+09:00    # {text('init.contest-closes')}"
    yield from _rule("forbidden_sources", contest.forbidden_sources or None, ("corpus name",))
    yield _value("forbid_test_in_training", contest.forbid_test_in_training)
    for section, values in (("files", contest.files), ("columns", contest.columns)):
        if values is None or values == SplitFiles():
            continue
        yield ""
        yield f"[{section}]"
        for name in values.__struct_fields__:
            if (value := getattr(values, name)) is not None:
                yield _value(name, value)


def _rule(name: str, value: object, example: object) -> Iterator[str]:
    """Yield a rule that is set, or else an example of it as a comment."""
    yield _value(name, value) if value is not None else f"# {_value(name, example)}"


def _value(name: str, value: object) -> str:
    """Return a line of TOML; its strings, numbers, booleans and lists are those of JSON."""
    return f"{name} = {json.dumps(value, ensure_ascii=False)}"

"""Parse a scoring definition (what to compute) into a protocol (the identity of a score)."""

import hashlib
import json
from collections.abc import Mapping

import msgspec

from yoyak.errors import UsageError
from yoyak.metrics import tokenizers
from yoyak.values import Profile, Protocol, ReferenceMode, TagMode, Value


class Definition(Value, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to compute; ``docs/metrics.md`` holds the formulae. The default is the official one."""

    profile: Profile = Profile.OFFICIAL
    analyser: str = "mecab"
    references: ReferenceMode = ReferenceMode.MEAN
    tags: TagMode = TagMode.SPLIT


OFFICIAL = Definition()

NAMED: dict[str, Definition] = {
    "official": OFFICIAL,
    "official-max": Definition(references=ReferenceMode.MAX),
    "rouge101": Definition(profile=Profile.ROUGE101),
    "baseline-notebook": Definition(
        profile=Profile.BASELINE_NOTEBOOK, analyser="space", tags=TagMode.SPACED
    ),
}
"""What ``--protocol`` knows by name."""

_WORDS = {"refs": "references", "tags": "tags", "tok": "analyser"}


def parse(wish: str) -> Definition:
    """Parse ``official`` or a variation such as ``official,refs=max,tok=char``.

    Raises:
        UsageError: an unknown name, an unknown word, or a value the word cannot take.
    """
    name, *changes = wish.split(",")
    if name not in NAMED:
        raise UsageError("metrics.unknown-protocol", wish=wish, name=name, known=", ".join(NAMED))
    values = msgspec.to_builtins(NAMED[name])
    values.update(_change(wish, change) for change in changes)
    try:
        definition = msgspec.convert(values, Definition)
    except msgspec.ValidationError as error:
        raise UsageError("metrics.bad-protocol", wish=wish, problem=str(error)) from error
    tokenizers.check_name(definition.analyser)
    return definition


def _change(wish: str, change: str) -> tuple[str, str]:
    word, equals, value = change.partition("=")
    if not equals or word not in _WORDS:
        known = ", ".join(f"{word}=" for word in _WORDS)
        raise UsageError("metrics.unknown-variation", wish=wish, change=change, known=known)
    return _WORDS[word], value


def protocol_of(definition: Definition, references: Mapping[str, tuple[str, ...]]) -> Protocol:
    """Return the identity of a score against ``references`` (id to references, in any order).

    Raises:
        Unavailable: the analyser is not there, or does not cut as it should.
    """
    return Protocol(
        profile=definition.profile,
        analyser=tokenizers.load(definition.analyser).id,
        references=definition.references,
        tags=definition.tags,
        items=len(references),
        reference_count=_reference_count(references),
        data_sha256=data_sha256(references),
    )


def _reference_count(references: Mapping[str, tuple[str, ...]]) -> str:
    counts = {len(texts) for texts in references.values()}
    if not counts:
        return "0"
    low, high = min(counts), max(counts)
    return str(low) if low == high else f"{low}-{high}"


def data_sha256(references: Mapping[str, tuple[str, ...]]) -> str:
    """Return the SHA-256 of ids and references; the order of the rows does not matter."""
    digest = hashlib.sha256()
    for key in sorted(references):
        # JSON in ASCII: the same bytes everywhere, lone surrogates included.
        digest.update(json.dumps([key, *references[key]]).encode() + b"\n")
    return digest.hexdigest()

"""Training rows as token ids on disk, named by the SHA-256 of everything that decides them.

A run that is taken up again does not render and cut its dialogues a second time. A file that is
not whole, or does not say what a few rows say that are cut afresh, is made again.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import msgspec

from yoyak.config.schema import PromptSettings
from yoyak.engine.tokenization.encode import Encoded, encode_rows
from yoyak.engine.tokenization.tokenizer import ChatTokenizer
from yoyak.files import atomic
from yoyak.values import Dialogue

FOLDER = "tokens"
_DIGEST_BYTES = hashlib.sha256().digest_size
_TRIED = 8
"""Rows that are cut afresh to see whether the code still makes of them what it made then."""


def training_rows(
    tokenizer: ChatTokenizer, dialogues: Sequence[Dialogue], prompt: PromptSettings, folder: Path
) -> list[Encoded]:
    """What ``encode_rows`` makes of the dialogues with their answers, read from ``folder`` or kept.

    Only the newest rows are kept.

    Raises:
        BadData, BadRecipe: as ``encode_rows``.
    """
    path = folder / f"{_key(tokenizer, dialogues, prompt)}.msgpack"
    found = _read(path)
    if found is not None and _still_true(found, tokenizer, dialogues, prompt):
        return found
    rows = encode_rows(tokenizer, dialogues, prompt, with_answers=True)
    content = msgspec.msgpack.encode(rows)
    folder.mkdir(parents=True, exist_ok=True)
    atomic.write_bytes(path, hashlib.sha256(content).digest() + content)
    for other in folder.glob("*.msgpack"):
        if other != path:
            other.unlink(missing_ok=True)
    return rows


def _key(tokenizer: ChatTokenizer, dialogues: Sequence[Dialogue], prompt: PromptSettings) -> str:
    content = hashlib.sha256(msgspec.msgpack.encode(dialogues)).hexdigest()
    return atomic.sha256_of(tokenizer.fingerprint, prompt, content)[:32]


def _read(path: Path) -> list[Encoded] | None:
    """The rows of a file that is whole; one that is torn or of another version counts as none."""
    if not path.is_file():
        return None
    stored = path.read_bytes()
    digest, content = stored[:_DIGEST_BYTES], stored[_DIGEST_BYTES:]
    if hashlib.sha256(content).digest() != digest:
        return None
    try:
        return msgspec.msgpack.decode(content, type=list[Encoded])
    except msgspec.ValidationError:
        return None


def _still_true(
    rows: Sequence[Encoded],
    tokenizer: ChatTokenizer,
    dialogues: Sequence[Dialogue],
    prompt: PromptSettings,
) -> bool:
    """Whether the longest row and some from everywhere come out as they are stored."""
    if not rows or len(rows) != len(dialogues):
        return False
    longest = max(range(len(rows)), key=lambda row: len(rows[row].source_ids))
    places = [longest, *range(0, len(rows), max(1, len(rows) // _TRIED))]
    fresh = encode_rows(
        tokenizer, [dialogues[place] for place in places], prompt, with_answers=True
    )
    return fresh == [rows[place] for place in places]

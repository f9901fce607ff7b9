"""Cache the token ids of training rows on disk, keyed by SHA-256 of everything that decides them.

A resumed run does not render and encode its dialogues again. A damaged file, or one that differs
from a few freshly encoded rows (because the code has changed), is rebuilt.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import msgspec

from yoyak.config.schema import PromptSettings
from yoyak.engine.tokenization.encode import EncodedRow, encode_rows
from yoyak.engine.tokenization.tokenizer import ModelTokenizer
from yoyak.files import atomic
from yoyak.values import Dialogue

FOLDER = "tokens"
_DIGEST_BYTES = hashlib.sha256().digest_size
_SPOT_CHECKS = 8
"""Rows that are encoded afresh to see whether the code still gives the cached ids."""


def training_rows(
    tokenizer: ModelTokenizer,
    dialogues: Sequence[Dialogue],
    prompt: PromptSettings,
    folder: Path,
) -> list[EncodedRow]:
    """Return ``encode_rows`` of the dialogues with answers, read from ``folder`` if cached there.

    Only the newest file is kept.

    Raises:
        BadData, BadRecipe: as ``encode_rows``.
    """
    path = folder / f"{_key(tokenizer, dialogues, prompt)}.msgpack"
    cached = _read(path)
    if cached is not None and _is_current(cached, tokenizer, dialogues, prompt):
        return cached
    rows = encode_rows(tokenizer, dialogues, prompt, with_answers=True)
    content = msgspec.msgpack.encode(rows)
    folder.mkdir(parents=True, exist_ok=True)
    atomic.write_bytes(path, hashlib.sha256(content).digest() + content)
    for other in folder.glob("*.msgpack"):
        if other != path:
            other.unlink(missing_ok=True)
    return rows


def _key(tokenizer: ModelTokenizer, dialogues: Sequence[Dialogue], prompt: PromptSettings) -> str:
    content = hashlib.sha256(msgspec.msgpack.encode(dialogues)).hexdigest()
    return atomic.sha256_of(tokenizer.fingerprint, prompt, content)[:32]


def _read(path: Path) -> list[EncodedRow] | None:
    """Return a file's rows; ``None`` if it is absent, damaged or of another format."""
    if not path.is_file():
        return None
    stored = path.read_bytes()
    digest, content = stored[:_DIGEST_BYTES], stored[_DIGEST_BYTES:]
    if hashlib.sha256(content).digest() != digest:
        return None
    try:
        return msgspec.msgpack.decode(content, type=list[EncodedRow])
    except msgspec.ValidationError:
        return None


def _is_current(
    rows: Sequence[EncodedRow],
    tokenizer: ModelTokenizer,
    dialogues: Sequence[Dialogue],
    prompt: PromptSettings,
) -> bool:
    """Compare the longest row and evenly spaced others with a fresh encoding."""
    if not rows or len(rows) != len(dialogues):
        return False
    longest = max(range(len(rows)), key=lambda row: len(rows[row].source_ids))
    checked = [longest, *range(0, len(rows), max(1, len(rows) // _SPOT_CHECKS))]
    fresh = encode_rows(tokenizer, [dialogues[row] for row in checked], prompt, with_answers=True)
    return fresh == [rows[row] for row in checked]

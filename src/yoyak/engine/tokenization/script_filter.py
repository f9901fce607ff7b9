"""Find tokens of scripts that a Korean summary never needs: kana, Han characters, Cyrillic.

Latin letters and tags (``#Person1#``) stay allowed. Tokens are judged by their bytes, not by their
text: byte-level vocabularies also hold parts of characters, which a ban on whole characters misses.
"""

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from yoyak.engine.tokenization.tokenizer import ModelTokenizer

# UTF-8. E4–E9 leads U+4000–U+9FFF and D0–D3 leads U+0400–U+04FF: no other script has them.
# E3 and EF are shared with Hangul letters (E3 84 B1 …) and fullwidth marks, so their second byte
# decides; a token that ends in a bare lead byte could be completed to anything and is banned too.
_FOREIGN = re.compile(
    rb"[\xe4-\xe9]"
    rb"|\xe3[\x81-\x83]"  # kana
    rb"|\xe3[\x90-\xbf]"  # Han, extension A
    rb"|\xef[\xa4-\xab]"  # Han, compatibility forms
    rb"|\xef\xbd[\xa6-\xbf]|\xef\xbe[\x80-\x9f]"  # halfwidth kana
    rb"|\xf0[\xa0-\xbf]"  # Han, extensions B and later
    rb"|[\xd0-\xd3]"  # Cyrillic
    rb"|(?:\xe3|\xef|\xef\xbd|\xef\xbe|\xf0)\Z"
)
FOREIGN_TEXT = re.compile(
    "[\u3041-\u3096\u309d-\u30fa\u30fd-\u30ff\u3400-\u9fff\uf900-\ufaff\uff66-\uff9d\u0400-\u04ff"
    "\U00020000-\U0003ffff]"
)
"""Match a character of the three scripts in decoded text."""

_BYTE_TOKEN = re.compile(r"<0x([0-9A-F]{2})>")


def blocked_token_ids(tokenizer: "ModelTokenizer") -> tuple[int, ...]:
    """Return the ids of the three scripts in a vocabulary, ascending, without special tokens."""
    return foreign_script_ids(tokenizer.token_bytes(), keep=tokenizer.special_token_ids)


def foreign_script_ids(
    token_bytes: list[bytes], keep: frozenset[int] = frozenset()
) -> tuple[int, ...]:
    """Return the ids whose bytes contain, or could begin, a character of the three scripts.

    ``keep``: ids that stay allowed whatever their name is, such as special tokens.
    """
    return tuple(
        index
        for index, token in enumerate(token_bytes)
        if index not in keep and _FOREIGN.search(token)
    )


def bytes_of_tokens(backend: "Tokenizer", size: int) -> list[bytes]:
    """Return the bytes that each id decodes to, by id; empty for ids without a token."""
    byte_level = "ByteLevel" in type(backend.decoder).__name__
    alphabet = _byte_alphabet() if byte_level else {}
    added = backend.get_added_tokens_decoder()
    found = [b""] * size
    for token, index in backend.get_vocab(with_added_tokens=True).items():
        name = "" if index in added else token
        found[index] = token.encode() if index in added else _bytes(name, alphabet)
    return found


def _bytes(token: str, alphabet: dict[str, int]) -> bytes:
    if alphabet:
        return bytes(alphabet[character] for character in token)
    single = _BYTE_TOKEN.fullmatch(token)
    return bytes([int(single[1], 16)]) if single else token.replace("▁", " ").encode()


def _byte_alphabet() -> dict[str, int]:
    """Map each character of a byte-level token to its byte (GPT-2's printable alphabet)."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in set(printable)]
    shifted = {chr(256 + index): byte for index, byte in enumerate(others)}
    return {chr(byte): byte for byte in printable} | shifted

"""Convert between text and token ids, the same way in training, evaluation and inference.

Ids are built, never searched for: a training row is prompt ids + answer ids + EOS, and a prompt
ends with the header that opens the answer. The backend tokenizer is called directly, so that no
truncation, padding or added special token can be switched on from outside.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from yoyak.config.schema import Recipe
from yoyak.data.clean import TAG
from yoyak.engine.hub import fetch_config, fetch_generation_stops, fetch_tokenizer
from yoyak.engine.tokenization.chat_template import (
    CHAT_FORMATS,
    SpecialTokenEscaper,
    find_chat_format,
    render_chat,
)
from yoyak.engine.tokenization.script_filter import bytes_of_tokens
from yoyak.errors import BadRecipe, RunFailed
from yoyak.files import atomic
from yoyak.values import Source, Value

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

FILE = "codec.json"
"""The special token ids of a run, beside its tokenizer."""

_SPECIAL = re.compile(r"<[^<>\s]+>|\[[A-Z]+\]")
"""What special tokens look like. koBART also registers emoji as special: those are text."""


class SpecialTokens(Value, frozen=True, kw_only=True):
    """The special token ids of a tokenizer, as stored beside a run's weights."""

    style: Literal["chat", "source"]
    family: str
    pad_id: int
    stop_ids: tuple[int, ...]
    """EOS ids: the first one is supervised in training, every one ends a generation."""
    bos_id: int | None
    decoder_start_id: int | None
    vocab_size: int = msgspec.field(name="vocabulary")


class ModelTokenizer:
    """A model's tokenizer, whose settings nothing can change, for chat and encoder-decoder models.

    Args:
        hf_tokenizer: a fast tokenizer that nobody else uses.
        special_tokens: which ids mean what.
    """

    def __init__(
        self, hf_tokenizer: "PreTrainedTokenizerFast", special_tokens: SpecialTokens
    ) -> None:
        self._hf_tokenizer = hf_tokenizer
        self._backend = hf_tokenizer.backend_tokenizer
        self._backend.no_truncation()  # saved tokenizers carry the limits of whoever saved them
        self._backend.no_padding()
        self.special_tokens = special_tokens
        self.style = special_tokens.style
        self.pad_id = special_tokens.pad_id
        self.stop_id = special_tokens.stop_ids[0]
        self.stop_ids = special_tokens.stop_ids
        self.bos_id = special_tokens.bos_id
        self.unknown_id: int | None = hf_tokenizer.unk_token_id
        self.decoder_start_id = special_tokens.decoder_start_id
        self.vocab_size = special_tokens.vocab_size
        self.special_token_ids = _special_ids(hf_tokenizer) | {self.pad_id, *self.stop_ids}
        added = [token.content for token in self._backend.get_added_tokens_decoder().values()]
        self.tags_are_tokens = any(re.fullmatch(TAG, content) for content in added)
        self._escape = SpecialTokenEscaper(
            content for content in added if _SPECIAL.fullmatch(content)
        )

    @property
    def fingerprint(self) -> str:
        """SHA-256 of everything that decides the ids: vocabulary, template, special tokens."""
        template = str(self._hf_tokenizer.chat_template)
        return atomic.sha256_of(self._backend.to_str(), template, self.special_tokens)

    def encode_source(self, source: Source) -> list[int]:
        """Return the prompt's ids: to the header of the answer, or to EOS for an encoder."""
        if self.style == "source":
            return [*self._encode(self._escape(source.text or "")), self.stop_id]
        escaped = [
            msgspec.structs.replace(message, text=self._escape(message.text))
            for message in source.messages
        ]
        return self._encode(render_chat(self._hf_tokenizer, escaped))

    def encode_answer(self, summary: str) -> list[int]:
        """Return the ids of a summary, without EOS."""
        return self._encode(summary)

    def decode(self, ids: Sequence[int]) -> str:
        """Return the exact text of ``ids``; special tokens are left out by id, tags are text.

        Raises:
            RunFailed: an id is no token, such as the −100 that marks unsupervised positions.
        """
        stray = next((token for token in ids if not 0 <= token < self.vocab_size), None)
        if stray is not None:
            raise RunFailed("engine.not-a-token", token=stray, vocabulary=self.vocab_size)
        kept = [token for token in ids if token not in self.special_token_ids]
        return str(self._backend.decode(kept, skip_special_tokens=False))

    def decode_with_special_tokens(self, ids: Sequence[int]) -> str:
        """Return the text of ``ids`` with special tokens spelt out, for display."""
        return str(self._backend.decode(list(ids), skip_special_tokens=False))

    def normalize(self, text: str) -> str:
        """Return ``text`` in the tokenizer's normal form (NFKC for koBART)."""
        normalizer = self._backend.normalizer
        return text if normalizer is None else str(normalizer.normalize_str(text))

    def id_to_token(self, token: int) -> str:
        """Return the vocabulary's name of an id."""
        return str(self._backend.id_to_token(token))

    def source_endings(self) -> tuple[tuple[int, ...], ...]:
        """Return the id sequences of which every source must end with one."""
        if self.style == "source":
            return ((self.stop_id,),)
        chat = next(each for each in CHAT_FORMATS if each.name == self.special_tokens.family)
        header = tuple(self._encode(chat.answer_header))
        if not chat.empty_thinking:
            return (header,)
        return ((*header, *self._encode(chat.empty_thinking)), header)

    def token_bytes(self) -> list[bytes]:
        """Return the bytes of each token, by id; of special tokens their name."""
        return bytes_of_tokens(self._backend, self.vocab_size)

    def save(self, folder: Path) -> None:
        """Write tokenizer, template and special token ids for ``load_tokenizer`` to read."""
        folder.mkdir(parents=True, exist_ok=True)
        self._hf_tokenizer.save_pretrained(folder)
        (folder / FILE).write_bytes(msgspec.json.encode(self.special_tokens))

    def _encode(self, text: str) -> list[int]:
        return list(self._backend.encode(text, add_special_tokens=False).ids)


def load_tokenizer(
    folder_or_hub_id: str, recipe: Recipe, *, revision: str | None = None
) -> ModelTokenizer:
    """Load the tokenizer of a base model, or of a run from the folder it was saved in.

    Raises:
        Unavailable: there is no such tokenizer, it is not a fast one, or it needs remote code.
        BadRecipe: its chat format is unknown, it has no padding token apart from EOS, or it would
            delete the contest's tags in decoding.
        RunFailed: the saved tokenizer has another vocabulary size than the run was trained with.
    """
    hf_tokenizer = fetch_tokenizer(folder_or_hub_id, revision)
    saved = Path(folder_or_hub_id) / FILE
    if saved.is_file():
        special_tokens = msgspec.json.decode(saved.read_bytes(), type=SpecialTokens)
        if special_tokens.vocab_size != _vocab_size(hf_tokenizer):
            raise RunFailed(
                "engine.codec-changed",
                folder=folder_or_hub_id,
                saved=special_tokens.vocab_size,
                found=_vocab_size(hf_tokenizer),
            )
        return ModelTokenizer(hf_tokenizer, special_tokens)
    config = fetch_config(folder_or_hub_id, revision)
    return build_tokenizer(
        hf_tokenizer,
        recipe,
        folder_or_hub_id,
        other_stop_ids=fetch_generation_stops(folder_or_hub_id, revision),
        decoder_start_id=getattr(config, "decoder_start_token_id", None),
    )


def build_tokenizer(
    hf_tokenizer: "PreTrainedTokenizerFast",
    recipe: Recipe,
    base: str,
    *,
    other_stop_ids: Sequence[int] = (),
    decoder_start_id: int | None = None,
) -> ModelTokenizer:
    """Find out the special tokens of a transformers tokenizer and wrap it.

    Args:
        hf_tokenizer: becomes the property of the returned tokenizer.
        recipe: says whether prompts are chats or plain sources.
        base: the model's name, for error messages.
        other_stop_ids: further EOS ids, as from the vendor's generation config.
        decoder_start_id: the first decoder id of an encoder-decoder.

    Raises:
        BadRecipe: as ``load_tokenizer``.
    """
    _refuse_special_tags(hf_tokenizer, base)
    style = recipe.prompt.style
    if style == "source" and decoder_start_id is None:
        raise BadRecipe("engine.no-decoder-start", base=base)
    special_tokens = (_chat_tokens if style == "chat" else _source_tokens)(hf_tokenizer, base)
    further = [token for token in other_stop_ids if token != special_tokens.pad_id]
    special_tokens = msgspec.structs.replace(
        special_tokens,
        stop_ids=tuple(dict.fromkeys((*special_tokens.stop_ids, *further))),
        decoder_start_id=decoder_start_id if style == "source" else None,
    )
    return ModelTokenizer(hf_tokenizer, special_tokens)


def _chat_tokens(hf_tokenizer: "PreTrainedTokenizerFast", base: str) -> SpecialTokens:
    token_to_id = hf_tokenizer.backend_tokenizer.token_to_id
    chat = find_chat_format(token_to_id)
    if chat is None or not hf_tokenizer.chat_template:
        raise BadRecipe("engine.no-chat-format", base=base)
    pads = [id_ for name in chat.pads if (id_ := token_to_id(name)) is not None]
    if not pads:
        raise BadRecipe("engine.no-pad", base=base, wanted=", ".join(chat.pads))
    stops = [token_to_id(name) for name in (chat.stop, *chat.other_stops)]
    return SpecialTokens(
        style="chat",
        family=chat.name,
        pad_id=pads[0],
        stop_ids=tuple(id_ for id_ in stops if id_ is not None),
        bos_id=None if chat.bos is None else token_to_id(chat.bos),
        decoder_start_id=None,
        vocab_size=_vocab_size(hf_tokenizer),
    )


def _source_tokens(hf_tokenizer: "PreTrainedTokenizerFast", base: str) -> SpecialTokens:
    pad, stop = hf_tokenizer.pad_token_id, hf_tokenizer.eos_token_id
    if pad is None or stop is None or pad == stop:
        raise BadRecipe("engine.no-pad", base=base, wanted="<pad>")
    return SpecialTokens(
        style="source",
        family="source",
        pad_id=pad,
        stop_ids=(stop,),
        bos_id=hf_tokenizer.bos_token_id,
        decoder_start_id=None,
        vocab_size=_vocab_size(hf_tokenizer),
    )


def _refuse_special_tags(hf_tokenizer: "PreTrainedTokenizerFast", base: str) -> None:
    added = hf_tokenizer.backend_tokenizer.get_added_tokens_decoder().values()
    tags = [token.content for token in added if token.special and re.fullmatch(TAG, token.content)]
    if tags:
        raise BadRecipe("engine.special-tags", base=base, tags=", ".join(tags))


def _special_ids(hf_tokenizer: "PreTrainedTokenizerFast") -> frozenset[int]:
    added = hf_tokenizer.backend_tokenizer.get_added_tokens_decoder()
    return frozenset(
        index
        for index, token in added.items()
        if _SPECIAL.fullmatch(token.content) and (token.special or token.content.startswith("<|"))
    )


def _vocab_size(hf_tokenizer: "PreTrainedTokenizerFast") -> int:
    return max(hf_tokenizer.get_vocab().values()) + 1

"""The one way between text and token ids, for training, evaluation and inference.

A ``Codec`` speaks ids only and asks the tokenizer's core directly, so that no truncation, padding
or special token can be switched on from outside. Prompts are built to the end of the header that
opens the answer; training ids are prompt + answer + stop by construction, never found by search.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from yoyak.config.schema import Recipe
from yoyak.data.clean import TAG
from yoyak.engine.hub import fetch_config, fetch_generation_stops, fetch_tokenizer
from yoyak.engine.tokenization.chat_template import TemplateEscaper, render_chat
from yoyak.engine.tokenization.families import FAMILIES, Family, family_of
from yoyak.engine.tokenization.script_filter import bytes_of_tokens
from yoyak.engine.tokenization.train_tokenizer import train_tokenizer
from yoyak.errors import BadRecipe, RunFailed
from yoyak.files import atomic
from yoyak.values import Source, Value

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

FILE = "codec.json"
_CONTROL = re.compile(r"<[^<>\s]+>|\[[A-Z]+\]")
"""What control tokens look like. koBART also calls emoji "special": those are text."""


class SpecialTokens(Value, frozen=True, kw_only=True):
    """The control ids of a codec, as stored beside a run's weights."""

    style: Literal["chat", "source"]
    family: str
    pad_id: int
    stop_ids: tuple[int, ...]
    """The first one is supervised in training; every one ends a generation."""
    bos_id: int | None
    decoder_start_id: int | None
    vocabulary: int


class ChatTokenizer:
    """Text to ids and back for one tokenizer, whose state is never changed.

    Args:
        tokenizer: a fast tokenizer that belongs to this codec alone.
        control: which ids mean what.
    """

    def __init__(self, tokenizer: "PreTrainedTokenizerFast", control: SpecialTokens) -> None:
        self._tokenizer = tokenizer
        self._core = tokenizer.backend_tokenizer
        self._core.no_truncation()  # saved tokenizers carry the limits of the run that saved them
        self._core.no_padding()
        self.control = control
        self.style = control.style
        self.pad_id = control.pad_id
        self.stop_id = control.stop_ids[0]
        self.stop_ids = control.stop_ids
        self.bos_id = control.bos_id
        self.unknown_id: int | None = tokenizer.unk_token_id
        self.decoder_start_id = control.decoder_start_id
        self.vocabulary = control.vocabulary
        self.control_ids = _control_ids(tokenizer) | {control.pad_id, *control.stop_ids}
        added = [token.content for token in self._core.get_added_tokens_decoder().values()]
        self.tags_are_tokens = any(re.fullmatch(TAG, content) for content in added)
        self._defuse = TemplateEscaper(content for content in added if _CONTROL.fullmatch(content))

    @property
    def fingerprint(self) -> str:
        """SHA-256 of all that decides its ids: vocabulary, template and control ids."""
        template = str(self._tokenizer.chat_template)
        return atomic.sha256_of(self._core.to_str(), template, self.control)

    def source_ids(self, source: Source) -> list[int]:
        """The ids a model is shown at inference, to the end of the header for its answer."""
        if self.style == "source":
            return [*self._ids(self._defuse(source.text or "")), self.stop_id]
        safe = [
            msgspec.structs.replace(message, text=self._defuse(message.text))
            for message in source.messages
        ]
        return self._ids(render_chat(self._tokenizer, safe))

    def answer_ids(self, summary: str) -> list[int]:
        """The ids of a summary, without the stop that follows it."""
        return self._ids(summary)

    def text(self, ids: Sequence[int]) -> str:
        """The text of ``ids``, exactly; control tokens are left out by id, tags are text.

        Raises:
            RunFailed: an id is no token, such as the −100 that marks what is not supervised.
        """
        stray = next((token for token in ids if not 0 <= token < self.vocabulary), None)
        if stray is not None:
            raise RunFailed("engine.not-a-token", token=stray, vocabulary=self.vocabulary)
        kept = [token for token in ids if token not in self.control_ids]
        return str(self._core.decode(kept, skip_special_tokens=False))

    def normalised(self, text: str) -> str:
        """``text`` in the form this tokenizer can tell apart (koBART folds to NFKC)."""
        normaliser = self._core.normalizer
        return text if normaliser is None else str(normaliser.normalize_str(text))

    def name_of(self, token: int) -> str:
        """What the vocabulary calls an id."""
        return str(self._core.id_to_token(token))

    def spell(self, ids: Sequence[int]) -> str:
        """The text of ``ids`` with control tokens spelt out, for people."""
        return str(self._core.decode(list(ids), skip_special_tokens=False))

    def source_endings(self) -> tuple[tuple[int, ...], ...]:
        """The ids that every source must end with, one of these."""
        if self.style == "source":
            return ((self.stop_id,),)
        family = next(family for family in FAMILIES if family.name == self.control.family)
        header = tuple(self._ids(family.header))
        return ((*header, *self._ids(family.quiet)), header) if family.quiet else (header,)

    def token_bytes(self) -> list[bytes]:
        """The bytes each id stands for, by id; for control ids their name."""
        return bytes_of_tokens(self._core, self.vocabulary)

    def save(self, folder: Path) -> None:
        """Writes tokenizer, template and control ids, for ``load_codec`` to read back."""
        folder.mkdir(parents=True, exist_ok=True)
        self._tokenizer.save_pretrained(folder)
        (folder / FILE).write_bytes(msgspec.json.encode(self.control))

    def _ids(self, text: str) -> list[int]:
        return list(self._core.encode(text, add_special_tokens=False).ids)


def load_tokenizer(
    folder_or_hub_id: str, recipe: Recipe, *, revision: str | None = None
) -> ChatTokenizer:
    """The codec of a base model, or of a run whose codec was saved at that folder.

    Raises:
        Unavailable: there is no such tokenizer, it is not a fast one, or it needs foreign code.
        BadRecipe: its chat format is unknown, it has no token to pad with, or it would delete
            the contest's tags in decoding.
    """
    tokenizer = fetch_tokenizer(folder_or_hub_id, revision)
    saved = Path(folder_or_hub_id) / FILE
    if saved.is_file():
        control = msgspec.json.decode(saved.read_bytes(), type=SpecialTokens)
        if control.vocabulary != _size(tokenizer):
            raise RunFailed(
                "engine.codec-changed",
                folder=folder_or_hub_id,
                saved=control.vocabulary,
                found=_size(tokenizer),
            )
        return ChatTokenizer(tokenizer, control)
    config = fetch_config(folder_or_hub_id, revision)
    stops = fetch_generation_stops(folder_or_hub_id, revision)
    start: int | None = getattr(config, "decoder_start_token_id", None)
    return _codec(tokenizer, recipe, folder_or_hub_id, stops=stops, decoder_start_id=start)


def train_chat_tokenizer(texts: Iterable[str], recipe: Recipe) -> ChatTokenizer:
    """A codec for a model from scratch, its small vocabulary trained on ``texts``.

    The same texts give the same codec. ``recipe.model.scratch`` says form and size.
    """
    scratch = recipe.model.scratch
    if scratch is None:
        raise BadRecipe("engine.not-scratch", recipe=recipe.name)
    tokenizer = train_tokenizer(texts, scratch.architecture, scratch.vocabulary)
    # Other vocabularies have no <usr>, koBART's first decoder token: their start stays None.
    start = tokenizer.backend_tokenizer.token_to_id("<usr>")
    return _codec(tokenizer, recipe, recipe.name, decoder_start_id=start)


def _codec(
    tokenizer: "PreTrainedTokenizerFast",
    recipe: Recipe,
    base: str,
    *,
    stops: Sequence[int] = (),
    decoder_start_id: int | None = None,
) -> ChatTokenizer:
    _refuse_special_tags(tokenizer, base)
    style = recipe.prompt.style
    found = _chat_control if style == "chat" else _source_control
    family, pad, stop, further, bos = found(tokenizer, base)
    if style == "source" and decoder_start_id is None:
        raise BadRecipe("engine.no-decoder-start", base=base)
    control = SpecialTokens(
        style=style,
        family=family,
        pad_id=pad,
        stop_ids=tuple(dict.fromkeys((stop, *further, *(i for i in stops if i != pad)))),
        bos_id=bos,
        decoder_start_id=decoder_start_id if style == "source" else None,
        vocabulary=_size(tokenizer),
    )
    return ChatTokenizer(tokenizer, control)


Found = tuple[str, int, int, list[int], int | None]
"""Family, pad id, stop id, further stop ids, BOS id."""


def _chat_control(tokenizer: "PreTrainedTokenizerFast", base: str) -> Found:
    token_id: Callable[[str], int | None] = tokenizer.backend_tokenizer.token_to_id
    family = family_of(token_id)
    if family is None or not tokenizer.chat_template:
        raise BadRecipe("engine.no-chat-format", base=base)
    pad = next((i for name in family.pads if (i := token_id(name)) is not None), None)
    stop = token_id(family.stop)
    if pad is None or stop is None:
        raise BadRecipe("engine.no-pad", base=base, wanted=", ".join(family.pads))
    further = [i for name in family.further_stops if (i := token_id(name)) is not None]
    return family.name, pad, stop, further, _bos(family, token_id)


def _bos(family: Family, token_id: Callable[[str], int | None]) -> int | None:
    return None if family.bos is None else token_id(family.bos)


def _source_control(tokenizer: "PreTrainedTokenizerFast", base: str) -> Found:
    pad, stop = tokenizer.pad_token_id, tokenizer.eos_token_id
    if pad is None or stop is None or pad == stop:
        raise BadRecipe("engine.no-pad", base=base, wanted="<pad>")
    return "source", pad, stop, [], tokenizer.bos_token_id


def _refuse_special_tags(tokenizer: "PreTrainedTokenizerFast", base: str) -> None:
    added = tokenizer.backend_tokenizer.get_added_tokens_decoder().values()
    tags = [token.content for token in added if token.special and re.fullmatch(TAG, token.content)]
    if tags:
        raise BadRecipe("engine.special-tags", base=base, tags=", ".join(tags))


def _control_ids(tokenizer: "PreTrainedTokenizerFast") -> frozenset[int]:
    added = tokenizer.backend_tokenizer.get_added_tokens_decoder()
    return frozenset(
        index
        for index, token in added.items()
        if _CONTROL.fullmatch(token.content) and (token.special or token.content.startswith("<|"))
    )


def _size(tokenizer: "PreTrainedTokenizerFast") -> int:
    return max(tokenizer.get_vocab().values()) + 1

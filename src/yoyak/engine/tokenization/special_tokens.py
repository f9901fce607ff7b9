"""Find out what the special tokens of a tokenizer are for: EOS, padding, BOS, language codes.

Everything comes from the tokenizer's own files and from renderings of its chat template. The few
names below are exceptions with a reason each. Every token that is used is in the base model's
vocabulary, so embeddings are never added or resized.
"""

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from yoyak.data.clean import TAG
from yoyak.engine.tokenization.chat_template import ChatTemplate, find_chat_format
from yoyak.errors import BadRecipe
from yoyak.values import Message, Value

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

TEXT_ENDS: Final = ("<|end_of_text|>", "<|eom_id|>", "<|endoftext|>", "</s>", "<eos>", "[EOS]")
"""Ends of documents. Generation may stop there, too: no summary contains one, and a folder without
generation_config.json does not name them."""

PADS: Final = ("<|finetune_right_pad_id|>", "<|fim_pad|>", "<pad>", "[PAD]", "<|pad|>")
"""Padding tokens that vendors have in the vocabulary and do not name: Llama 3.1, SmolLM3 and Qwen
(whose own ``pad_token`` is one of its EOS tokens)."""

_UNUSED = re.compile(r"[<\[]\W*_?(unuse|reserved|placeholder|extra_id|dummy|vision_pad|image_pad)")
"""Names of tokens that stand in no text: they may pad where there is no padding token."""

SPECIAL_TOKEN: Final = re.compile(r"<[^<>\s]+>|\[/?[A-Z_]+\]|\[\|[^\s|]+\|\]")
"""What special tokens look like. koBART also registers emoji as special: those are text."""

_LANGUAGE: Final = re.compile(r"[a-z]{2,3}_[A-Z]{2}|[a-z]{3}_[A-Z][a-z]{3}")
_KOREAN: Final = ("ko_KR", "kor_Hang")
"""Korean in mBART and NLLB. Their tokenizers start as English ones."""

_LINE_BREAKS: Final = ("\n", "<n>", " | ", " / ", " ")
"""Separators of turns, best first. ``<n>`` is Pegasus's own; visible ones stay apart from words."""


class SpecialTokens(Value, frozen=True, kw_only=True, forbid_unknown_fields=False):
    """The special token ids of a tokenizer, as stored beside a run's weights.

    Unknown fields are read over: earlier versions wrote the name of a model family.
    """

    style: Literal["chat", "source"]
    pad_id: int
    """May be an EOS id where the vocabulary has no other: batches are masked by position."""
    stop_ids: tuple[int, ...]
    """EOS ids: the first one is supervised in training, every one ends a generation."""
    bos_id: int | None
    decoder_start_id: int | None
    vocab_size: int = msgspec.field(name="vocabulary")
    answer_prefix_ids: tuple[int, ...] = ()
    """What a decoder is trained to say first: the language code of mBART-50."""
    line_break: str = "\n"
    """What separates lines in a prompt; not a line break where the vocabulary loses it."""

    def separate_lines(self, text: str) -> str:
        """Return ``text`` with ``line_break`` between its lines, as every prompt has it."""
        if self.line_break == "\n":
            return text
        return re.sub(r"\n+", lambda _: self.line_break, text)


def chat_tokens(
    hf_tokenizer: "PreTrainedTokenizerFast",
    template: ChatTemplate,
    base: str,
    generation_stops: Sequence[int],
) -> SpecialTokens:
    """Return the special tokens of a causal model; the first EOS ends the assistant's turn.

    Raises:
        BadRecipe: neither template nor tokenizer name a token that ends an answer.
    """
    backend = hf_tokenizer.backend_tokenizer
    end = find_chat_format(template).end
    added = backend.get_added_tokens_decoder()
    control = {*added, hf_tokenizer.eos_token_id}
    ids = backend.encode(end, add_special_tokens=False).ids
    stop = next((token for token in ids if token in control), hf_tokenizer.eos_token_id)
    if stop is None:
        raise BadRecipe("engine.no-stop", base=base)
    ends = [id_ for id_, token in added.items() if token.special and token.content in TEXT_ENDS]
    further = [hf_tokenizer.eos_token_id, *ends, *generation_stops]
    conversation = (Message(role="user", text="가"), Message(role="assistant", text="나"))
    shown = backend.encode(template.render(conversation[:1]), add_special_tokens=False).ids
    return _special_tokens(hf_tokenizer, "chat", (stop, *further), used=(*shown, *ids))


def source_tokens(
    hf_tokenizer: "PreTrainedTokenizerFast",
    base: str,
    generation_stops: Sequence[int],
    decoder_start_id: int | None,
) -> SpecialTokens:
    """Return the special tokens of an encoder-decoder.

    Raises:
        BadRecipe: it has no EOS token, or nothing says with which token its decoder starts.
    """
    backend = hf_tokenizer.backend_tokenizer
    before, after = frame_of(backend)
    stop = hf_tokenizer.eos_token_id
    stop = hf_tokenizer.sep_token_id if stop is None else stop  # BERT's [SEP]
    if stop is None:
        raise BadRecipe("engine.no-stop", base=base)
    korean = korean_code(backend)
    if korean is not None and decoder_start_id in {None, *language_ids(backend)}:
        decoder_start_id = korean  # mBART's first edition: the code of the language starts it
    if decoder_start_id is None:
        raise BadRecipe("engine.no-decoder-start", base=base)
    found = _special_tokens(
        hf_tokenizer, "source", (stop, *generation_stops), used=(*before, *after)
    )
    prefix = () if korean in (None, decoder_start_id) else (korean,)
    return msgspec.structs.replace(
        found, decoder_start_id=decoder_start_id, answer_prefix_ids=prefix
    )


def find_padding(hf_tokenizer: "PreTrainedTokenizerFast", used: set[int]) -> int | None:
    """Return a token for padding beside those in use, ``None`` if the vocabulary has none."""
    backend = hf_tokenizer.backend_tokenizer
    taken = {*used, hf_tokenizer.unk_token_id, hf_tokenizer.bos_token_id}
    named = [hf_tokenizer.pad_token_id, *map(backend.token_to_id, PADS)]
    found: int | None = next((id_ for id_ in named if id_ is not None and id_ not in taken), None)
    if found is not None:
        return found
    unused = [id_ for name, id_ in backend.get_vocab().items() if _UNUSED.match(name)]
    return min((id_ for id_ in unused if id_ not in taken), default=None)


def vocab_size(hf_tokenizer: "PreTrainedTokenizerFast") -> int:
    """Return the highest token id plus one."""
    return max(hf_tokenizer.get_vocab().values()) + 1


def special_ids(backend: "Tokenizer") -> frozenset[int]:
    """Return the ids of added tokens that are no text."""
    return frozenset(
        index
        for index, token in backend.get_added_tokens_decoder().items()
        if SPECIAL_TOKEN.fullmatch(token.content)
        and (token.special or token.content.startswith("<|"))
    )


def refuse_special_tags(backend: "Tokenizer", base: str) -> None:
    """Refuse a tokenizer that would delete the contest's tags in decoding.

    Raises:
        BadRecipe: tags are registered as special tokens.
    """
    added = backend.get_added_tokens_decoder().values()
    tags = [token.content for token in added if token.special and re.fullmatch(TAG, token.content)]
    if tags:
        raise BadRecipe("engine.special-tags", base=base, tags=", ".join(tags))


def needs_bos(hf_tokenizer: "PreTrainedTokenizerFast") -> bool:
    """Return whether the tokenizer puts BOS before any text."""
    before, _ = frame_of(hf_tokenizer.backend_tokenizer)
    return hf_tokenizer.bos_token_id is not None and hf_tokenizer.bos_token_id in before


def frame_of(backend: "Tokenizer") -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the ids that the post-processor puts before and after a text."""
    bare = backend.encode("가", add_special_tokens=False).ids
    framed = backend.encode("가").ids
    for start in range(len(framed) - len(bare) + 1):
        if framed[start : start + len(bare)] == bare:
            return tuple(framed[:start]), tuple(framed[start + len(bare) :])
    return (), ()


def set_source_frame(backend: "Tokenizer", stop_id: int) -> None:
    """Let the post-processor end sources with EOS, and name Korean where it names a language.

    koBART's adds nothing to a text; mBART's adds the code of English.
    """
    from tokenizers import processors

    frame = frame_of(backend)
    korean = korean_code(backend)
    names = language_ids(backend)
    wanted = tuple(
        tuple(korean if korean is not None and token in names else token for token in part)
        for part in frame
    )
    before, after = wanted
    if stop_id not in after:
        after = (*after, stop_id)
    if (before, after) == frame:
        return
    tokens = {token: backend.id_to_token(token) for token in (*before, *after)}
    backend.post_processor = processors.TemplateProcessing(
        single=[*(tokens[each] for each in before), "$A", *(tokens[each] for each in after)],
        special_tokens=[(name, token) for token, name in tokens.items()],
    )


def korean_code(backend: "Tokenizer") -> int | None:
    """Return the language code of Korean where the vocabulary has codes."""
    names = language_ids(backend)
    return next((id_ for id_, name in names.items() if name in _KOREAN), None)


def language_ids(backend: "Tokenizer") -> dict[int, str]:
    """Return the language codes of a vocabulary, such as ``ko_KR``, by id."""
    added = backend.get_added_tokens_decoder()
    return {
        index: token.content for index, token in added.items() if _LANGUAGE.fullmatch(token.content)
    }


def _special_tokens(
    hf_tokenizer: "PreTrainedTokenizerFast",
    style: Literal["chat", "source"],
    stops: Iterable[int | None],
    used: Sequence[int],
) -> SpecialTokens:
    size = vocab_size(hf_tokenizer)
    valid = [stop for stop in stops if stop is not None and 0 <= stop < size]
    stop_ids = tuple(dict.fromkeys(valid))
    pad = find_padding(hf_tokenizer, {*stop_ids, *used})
    return SpecialTokens(
        style=style,
        pad_id=stop_ids[0] if pad is None else pad,
        stop_ids=stop_ids,
        bos_id=hf_tokenizer.bos_token_id,
        decoder_start_id=None,
        vocab_size=size,
        line_break=_line_break(hf_tokenizer),
    )


def _line_break(hf_tokenizer: "PreTrainedTokenizerFast") -> str:
    """Return the first separator that comes back from ids and has no unknown token."""
    backend = hf_tokenizer.backend_tokenizer
    for separator in _LINE_BREAKS:
        if separator == "<n>" and backend.token_to_id(separator) is None:
            continue
        ids = backend.encode(f"가{separator}나", add_special_tokens=False).ids
        back = backend.decode(ids, skip_special_tokens=False)
        mark = separator.strip() or separator
        if mark in back and hf_tokenizer.unk_token_id not in ids:
            return separator
    return " "

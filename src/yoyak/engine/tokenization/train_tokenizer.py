"""A small tokenizer for a model from scratch, trained on the spot, the same on every run.

It has the form of the real thing, so that a toy goes down the very path of the big models: the
same control tokens, the same kind of BPE, the same chat template.
"""

import unicodedata
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal, NamedTuple

from yoyak.engine.tokenization.chat_template import CHATML, LLAMA3

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

Architecture = Literal["bart", "llama", "qwen2", "qwen3"]

PRINTABLE_ASCII = [chr(code) for code in range(33, 127)]

METASPACE = "\u2581"
"""Stands for a blank at the start of a word."""


class TokenizerFormat(NamedTuple):
    """The control tokens of an architecture, by ascending id, and the names they go by."""

    control: tuple[str, ...]
    eos: str
    bos: str | None = None
    pad: str | None = None
    unknown: str | None = None
    template: str | None = None


BART = TokenizerFormat(
    control=("<s>", "</s>", "<usr>", "<pad>", "<sys>", "<unk>", "<mask>"),
    eos="</s>",
    bos="<s>",
    pad="<pad>",
    unknown="<unk>",
)
LLAMA = TokenizerFormat(
    control=(
        "<|begin_of_text|>",
        "<|end_of_text|>",
        "<|finetune_right_pad_id|>",
        "<|start_header_id|>",
        "<|end_header_id|>",
        "<|eot_id|>",
    ),
    eos="<|eot_id|>",
    bos="<|begin_of_text|>",
    template=LLAMA3,
)
QWEN = TokenizerFormat(
    control=("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|fim_pad|>"),
    eos="<|im_end|>",
    pad="<|endoftext|>",
    template=CHATML,
)
FORMS: dict[Architecture, TokenizerFormat] = {
    "bart": BART,
    "llama": LLAMA,
    "qwen2": QWEN,
    "qwen3": QWEN,
}


def train_tokenizer(
    texts: Iterable[str], architecture: Architecture, size: int
) -> "PreTrainedTokenizerFast":
    """A tokenizer of at most ``size`` tokens that can write every text, known to it or not.

    ``size`` must leave room for the 256 bytes that stand in for rare characters.
    """
    from transformers import PreTrainedTokenizerFast

    form = FORMS[architecture]
    build = _metaspace_bpe if architecture == "bart" else _byte_level_bpe
    tokenizer = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=build(texts, form, size),
        eos_token=form.eos,
        bos_token=form.bos,
        pad_token=form.pad,
        unk_token=form.unknown,
        clean_up_tokenization_spaces=False,
    )
    tokenizer.chat_template = form.template
    return tokenizer


def _metaspace_bpe(texts: Iterable[str], form: TokenizerFormat, size: int) -> "Tokenizer":
    """As koBART: words that carry their blank. Rare characters fall back to bytes."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    texts = [unicodedata.normalize("NFC", text) for text in texts]
    alphabet = _alphabet(texts, max(size // 3, len(PRINTABLE_ASCII)))
    fallback = [f"<0x{byte:02X}>" for byte in range(256)]
    tokenizer = Tokenizer(models.BPE(unk_token=form.unknown, byte_fallback=True))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Sequence(
        [decoders.Metaspace(), decoders.ByteFallback(), decoders.Fuse()]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=[*form.control, *fallback],
        initial_alphabet=alphabet,
        limit_alphabet=len(alphabet),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return _unregister(tokenizer, fallback)


def _alphabet(texts: Iterable[str], size: int) -> list[str]:
    """ASCII and the commonest other characters; among equals the first in Unicode.

    The trainer's own limit draws lots among equals, and two runs would learn two vocabularies.
    """
    counts = Counter(character for text in texts for character in text if not character.isspace())
    for known in PRINTABLE_ASCII:
        counts.pop(known, None)
    commonest = sorted(counts, key=lambda character: (-counts[character], character))
    return [*PRINTABLE_ASCII, METASPACE, *commonest[: size - len(PRINTABLE_ASCII)]]


def _unregister(tokenizer: "Tokenizer", fallback: list[str]) -> "Tokenizer":
    """The tokenizer with byte tokens in its vocabulary only: as added tokens they would match."""
    import json

    from tokenizers import Tokenizer

    description = json.loads(tokenizer.to_str())
    plain = set(fallback)
    description["added_tokens"] = [
        token for token in description["added_tokens"] if token["content"] not in plain
    ]
    return Tokenizer.from_str(json.dumps(description))


def _byte_level_bpe(texts: Iterable[str], form: TokenizerFormat, size: int) -> "Tokenizer":
    """As Llama 3 and Qwen: BPE over bytes, so that nothing is unknown."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=list(form.control),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer

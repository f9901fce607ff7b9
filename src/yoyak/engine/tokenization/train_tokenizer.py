"""Train a small BPE tokenizer for a model from scratch; the same texts give the same vocabulary.

It has the special tokens, the kind of BPE and the chat template of the real models, so that a toy
model takes their code path.
"""

import unicodedata
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal, NamedTuple

from yoyak.config.schema import Recipe
from yoyak.engine.tokenization.chat_template import CHATML_TEMPLATE, LLAMA3_TEMPLATE
from yoyak.engine.tokenization.tokenizer import METASPACE, ModelTokenizer, build_tokenizer
from yoyak.errors import BadRecipe

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

Architecture = Literal["bart", "llama", "qwen2", "qwen3"]

PRINTABLE_ASCII = [chr(code) for code in range(33, 127)]


class TokenizerFormat(NamedTuple):
    """The special tokens of an architecture, by ascending id, and which of them does what."""

    special_tokens: tuple[str, ...]
    eos: str
    bos: str | None = None
    pad: str | None = None
    unknown: str | None = None
    template: str | None = None


BART = TokenizerFormat(
    special_tokens=("<s>", "</s>", "<usr>", "<pad>", "<sys>", "<unk>", "<mask>"),
    eos="</s>",
    bos="<s>",
    pad="<pad>",
    unknown="<unk>",
)
LLAMA = TokenizerFormat(
    special_tokens=(
        "<|begin_of_text|>",
        "<|end_of_text|>",
        "<|finetune_right_pad_id|>",
        "<|start_header_id|>",
        "<|end_header_id|>",
        "<|eot_id|>",
    ),
    eos="<|eot_id|>",
    bos="<|begin_of_text|>",
    template=LLAMA3_TEMPLATE,
)
QWEN = TokenizerFormat(
    special_tokens=("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|fim_pad|>"),
    eos="<|im_end|>",
    pad="<|endoftext|>",
    template=CHATML_TEMPLATE,
)
FORMATS: dict[Architecture, TokenizerFormat] = {
    "bart": BART,
    "llama": LLAMA,
    "qwen2": QWEN,
    "qwen3": QWEN,
}


def train_tokenizer(texts: Iterable[str], recipe: Recipe) -> ModelTokenizer:
    """Train a tokenizer on ``texts``, of the form and size that ``recipe.model.scratch`` names.

    Raises:
        BadRecipe: the recipe has no scratch model.
    """
    scratch = recipe.model.scratch
    if scratch is None:
        raise BadRecipe("engine.not-scratch", recipe=recipe.name)
    hf_tokenizer = train_bpe(texts, scratch.architecture, scratch.vocabulary)
    # koBART's first decoder token is <usr>. Other vocabularies have none: their start stays None.
    start = hf_tokenizer.backend_tokenizer.token_to_id("<usr>")
    return build_tokenizer(hf_tokenizer, recipe, recipe.name, decoder_start_id=start)


def train_bpe(
    texts: Iterable[str], architecture: Architecture, size: int
) -> "PreTrainedTokenizerFast":
    """Train a vocabulary of at most ``size`` tokens that can encode any text.

    ``size`` must leave room for the 256 byte tokens that rare characters fall back to.
    """
    from transformers import PreTrainedTokenizerFast

    spec = FORMATS[architecture]
    build = _metaspace_bpe if architecture == "bart" else _byte_level_bpe
    hf_tokenizer = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=build(texts, spec, size),
        eos_token=spec.eos,
        bos_token=spec.bos,
        pad_token=spec.pad,
        unk_token=spec.unknown,
        clean_up_tokenization_spaces=False,
    )
    hf_tokenizer.chat_template = spec.template
    return hf_tokenizer


def _metaspace_bpe(texts: Iterable[str], spec: TokenizerFormat, size: int) -> "Tokenizer":
    """Train koBART's kind of BPE: words with their leading space, byte fallback."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    texts = [unicodedata.normalize("NFC", text) for text in texts]
    alphabet = _alphabet(texts, max(size // 3, len(PRINTABLE_ASCII)))
    fallback = [f"<0x{byte:02X}>" for byte in range(256)]
    tokenizer = Tokenizer(models.BPE(unk_token=spec.unknown, byte_fallback=True))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Sequence(
        [decoders.Metaspace(), decoders.ByteFallback(), decoders.Fuse()]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=[*spec.special_tokens, *fallback],
        initial_alphabet=alphabet,
        limit_alphabet=len(alphabet),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return _unregister(tokenizer, fallback)


def _alphabet(texts: Iterable[str], size: int) -> list[str]:
    """Return ASCII and the most frequent other characters; ties go to the lower code point.

    The trainer's own limit breaks ties at random, so two runs would learn two vocabularies.
    """
    counts = Counter(character for text in texts for character in text if not character.isspace())
    for known in PRINTABLE_ASCII:
        counts.pop(known, None)
    commonest = sorted(counts, key=lambda character: (-counts[character], character))
    return [*PRINTABLE_ASCII, METASPACE, *commonest[: size - len(PRINTABLE_ASCII)]]


def _unregister(tokenizer: "Tokenizer", fallback: list[str]) -> "Tokenizer":
    """Remove byte tokens from the added tokens (as such, ``<0x41>`` in a text would match)."""
    import json

    from tokenizers import Tokenizer

    description = json.loads(tokenizer.to_str())
    plain = set(fallback)
    description["added_tokens"] = [
        token for token in description["added_tokens"] if token["content"] not in plain
    ]
    return Tokenizer.from_str(json.dumps(description))


def _byte_level_bpe(texts: Iterable[str], spec: TokenizerFormat, size: int) -> "Tokenizer":
    """Train Llama 3's and Qwen's kind of BPE: over bytes, so that no text is unknown."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=list(spec.special_tokens),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer

"""Convert between text and token ids, the same way in training, evaluation and inference.

Ids are built, never searched for: a training row is prompt ids + answer ids + EOS, and a prompt
ends with the header that opens the answer. The backend tokenizer is called directly, so that no
truncation, padding or added special token can be switched on from outside.
"""

import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from yoyak.config.schema import Recipe
from yoyak.data.clean import TAG
from yoyak.engine.hub import fetch_config, fetch_generation_stops, fetch_tokenizer
from yoyak.engine.tokenization.chat_template import (
    PLAIN_TEMPLATE,
    ChatFormat,
    ChatTemplate,
    SpecialTokenEscaper,
    find_chat_format,
    usable_template,
)
from yoyak.engine.tokenization.script_filter import bytes_of_tokens
from yoyak.engine.tokenization.special_tokens import (
    SPECIAL_TOKEN,
    SpecialTokens,
    chat_tokens,
    find_padding,
    frame_of,
    needs_bos,
    refuse_special_tags,
    set_source_frame,
    source_tokens,
    special_ids,
    vocab_size,
)
from yoyak.errors import RunFailed, Unavailable
from yoyak.files import atomic
from yoyak.values import Message, Source

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

FILE = "codec.json"
"""The special token ids of a run, beside its tokenizer."""

METASPACE = "\u2581"
"""The character that marks a space before a word."""

_SPLIT_TAG = re.compile(r"# ?([A-Za-z]+[0-9]*) ?#")
"""A tag as WordPiece decodes it, which writes a blank at every edge of a word."""


class ModelTokenizer:
    """A model's tokenizer, whose settings nothing can change, for chat and encoder-decoder models.

    Args:
        hf_tokenizer: a fast tokenizer that nobody else uses, with a chat template if the style is
            chat.
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
        if self.style == "source":
            set_source_frame(self._backend, self.stop_id)
        self.special_token_ids = special_ids(self._backend) | {
            self.pad_id, *self.stop_ids, *special_tokens.answer_prefix_ids
        }  # fmt: skip
        added = [token.content for token in self._backend.get_added_tokens_decoder().values()]
        self.splits_words = self._backend.decode(self._encode("#Person1#")) == "# Person1 #"
        self.tags_are_tokens = self.splits_words or any(
            re.fullmatch(TAG, content) for content in added
        )
        self._escape = SpecialTokenEscaper(
            content for content in added if SPECIAL_TOKEN.fullmatch(content)
        )

    @property
    def fingerprint(self) -> str:
        """SHA-256 of everything that decides the ids: vocabulary, template, special tokens."""
        template = str(self._hf_tokenizer.chat_template)
        return atomic.sha256_of(self._backend.to_str(), template, self.special_tokens)

    @cached_property
    def template(self) -> ChatTemplate:
        """Return the chat template of a causal model."""
        return _template_of(self._hf_tokenizer)

    @cached_property
    def chat_format(self) -> ChatFormat:
        """Return what stands around questions and answers in a chat."""
        return find_chat_format(self.template)

    @property
    def source_frame(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return the ids before and after the text of an encoder-decoder's source."""
        return frame_of(self._backend)

    def render(self, source: Source) -> str:
        """Return a prompt as text, special tokens spelt out."""
        prepared = self.prepare(source)
        if self.style == "source":
            return prepared.text or ""
        return self.template.render(prepared.messages)

    def prepare(self, source: Source) -> Source:
        """Return a prompt with special tokens escaped and lines separated, as ``render`` does."""
        return msgspec.structs.replace(
            source,
            text=None if source.text is None else self._prepared(source.text),
            messages=tuple(
                Message(role=message.role, text=self._prepared(message.text))
                for message in source.messages
            ),
        )

    def encode_source(self, source: Source) -> list[int]:
        """Return the prompt's ids: to the header of the answer, or to EOS for an encoder."""
        return self._encode(self.render(source), framed=self.style == "source")

    def encode_answer(self, summary: str) -> list[int]:
        """Return the ids of a summary as it follows a prompt, without EOS."""
        if self.style == "source":
            return [*self.special_tokens.answer_prefix_ids, *self._encode(summary)]
        before, start, skipped = self._answer_context
        return self._encode(f"{before}{start}{summary}")[skipped:]

    @cached_property
    def _answer_context(self) -> tuple[str, str, int]:
        """Return the text in which an answer is encoded, and how many of its ids are skipped.

        SentencePiece puts a blank before a text and none before words in the middle of one, so
        that an answer alone may begin with another id than after its header.
        """
        chat, probe = self.chat_format, "가"
        header, alone = self._encode(chat.header), self._encode(probe)
        ids = self._encode(f"{chat.header}{chat.lead}{probe}")
        if ids == [*header, *alone] or ids[: len(header)] != header:
            return "", "", 0
        return chat.header, chat.lead, len(header)

    def decode(self, ids: Sequence[int]) -> str:
        """Return the exact text of ``ids``; special tokens are left out by id, tags are text.

        Raises:
            RunFailed: an id is no token, such as the −100 that marks unsupervised positions.
        """
        stray = next((token for token in ids if not 0 <= token < self.vocab_size), None)
        if stray is not None:
            raise RunFailed("engine.not-a-token", token=stray, vocabulary=self.vocab_size)
        kept = [token for token in ids if token not in self.special_token_ids]
        text = str(self._backend.decode(kept, skip_special_tokens=False))
        return _SPLIT_TAG.sub(r"#\1#", text) if self.splits_words else text

    def decode_with_special_tokens(self, ids: Sequence[int]) -> str:
        """Return the text of ``ids`` with special tokens spelt out, for display."""
        return str(self._backend.decode(list(ids), skip_special_tokens=False))

    def normalize(self, text: str) -> str:
        """Return ``text`` in the tokenizer's normal form (NFKC for koBART), blanks as blanks."""
        normalizer = self._backend.normalizer
        if normalizer is None:
            return text
        return str(normalizer.normalize_str(text)).replace(METASPACE, " ").strip()

    def id_to_token(self, token: int) -> str:
        """Return the vocabulary's name of an id."""
        return str(self._backend.id_to_token(token))

    def padding_beside(self, used: set[int]) -> int | None:
        """Return a token of the vocabulary that could pad where those in use may not."""
        return find_padding(self._hf_tokenizer, used)

    @cached_property
    def embedded_size(self) -> int:
        """Return one more than the highest id that a row can hold: the embedding rows needed.

        Special tokens that no prompt has may lie beyond: Gemma 3's image token does.
        """
        probe = (Message(role="system", text="가"), Message(role="user", text="가"))
        prompt = self.encode_source(Source(id="", messages=probe, text="가"))
        tokens = self.special_tokens
        used = {*prompt, *tokens.answer_prefix_ids, *self.stop_ids, self.pad_id}
        beyond = special_ids(self._backend) - used - {self.decoder_start_id}
        return max(set(self._backend.get_vocab().values()) - beyond) + 1

    def token_bytes(self) -> list[bytes]:
        """Return the bytes of each token, by id; of special tokens their name."""
        return bytes_of_tokens(self._backend, self.vocab_size)

    def save(self, folder: Path) -> None:
        """Write tokenizer, template and special token ids for ``load_tokenizer`` to read."""
        folder.mkdir(parents=True, exist_ok=True)
        self._hf_tokenizer.save_pretrained(folder)
        (folder / FILE).write_bytes(msgspec.json.encode(self.special_tokens))

    def _prepared(self, text: str) -> str:
        """Escape special tokens, and separate lines by what the vocabulary has for it."""
        return self.special_tokens.separate_lines(self._escape(text))

    def _encode(self, text: str, *, framed: bool = False) -> list[int]:
        return list(self._backend.encode(text, add_special_tokens=framed).ids)


def load_tokenizer(
    folder_or_hub_id: str, recipe: Recipe, *, revision: str | None = None
) -> ModelTokenizer:
    """Load the tokenizer of a base model, or of a run from the folder it was saved in.

    Raises:
        Unavailable: there is no such tokenizer, it is not a fast one, or it needs remote code.
        BadRecipe: nothing says where its answers end, its chat template fails, or it would delete
            the contest's tags in decoding.
        RunFailed: the saved tokenizer has another vocabulary size than the run was trained with.
    """
    hf_tokenizer = fetch_tokenizer(folder_or_hub_id, revision)
    saved = Path(folder_or_hub_id) / FILE
    if saved.is_file():
        try:
            special_tokens = msgspec.json.decode(saved.read_bytes(), type=SpecialTokens)
        except msgspec.MsgspecError as error:
            problem = f"{FILE}: {error}"
            raise Unavailable(
                "engine.no-tokenizer", base=folder_or_hub_id, problem=problem
            ) from error
        if special_tokens.vocab_size != vocab_size(hf_tokenizer):
            raise RunFailed(
                "engine.codec-changed",
                folder=folder_or_hub_id,
                saved=special_tokens.vocab_size,
                found=vocab_size(hf_tokenizer),
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
    refuse_special_tags(hf_tokenizer.backend_tokenizer, base)
    if recipe.prompt.style == "source":
        tokens = source_tokens(hf_tokenizer, base, other_stop_ids, decoder_start_id)
        return ModelTokenizer(hf_tokenizer, tokens)
    template = _template_of(hf_tokenizer)
    usable = usable_template(template, needs_bos=needs_bos(hf_tokenizer))
    hf_tokenizer.chat_template = usable.source
    tokens = chat_tokens(hf_tokenizer, usable, base, other_stop_ids)
    return ModelTokenizer(hf_tokenizer, tokens)


def _template_of(hf_tokenizer: "PreTrainedTokenizerFast") -> ChatTemplate:
    """Return the tokenizer's chat template, or that of plain prompts where it has none."""
    source = hf_tokenizer.chat_template or PLAIN_TEMPLATE
    if isinstance(source, dict):  # several by name; the others are for tools and retrieval
        source = source.get("default", PLAIN_TEMPLATE)
    return ChatTemplate(source, hf_tokenizer.special_tokens_map)

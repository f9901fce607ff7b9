"""Chat formats: the special tokens of each model family, and how messages become prompt text.

Token names are those of the vendors' own tokenizer files and generation configs (Meta Llama 3, 3.1
and 3.2 Instruct; Qwen2.5 and Qwen3 Instruct). The padding token never is an EOS token: where one id
serves as both, ``ids != pad`` hides EOS from the loss and the model never learns to stop. Every
token named here is in the base model's vocabulary, so embeddings are never added or resized.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from yoyak.errors import BadRecipe
from yoyak.values import Message

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

LLAMA_DATE = "26 Jul 2024"
"""Llama 3.1 and later write today's date into each prompt; this one is the template's default."""


class ChatFormat(NamedTuple):
    """The special tokens of one family of chat models.

    ``stop`` is the EOS of the assistant's turn, which training supervises; ``other_stops`` also end
    a generation. The first of ``pads`` that is in the vocabulary is used. ``answer_header`` opens
    the assistant's turn; ``empty_thinking`` may follow it.
    """

    name: str
    stop: str
    other_stops: tuple[str, ...]
    pads: tuple[str, ...]
    bos: str | None
    answer_header: str
    empty_thinking: str = ""


CHAT_FORMATS = (
    ChatFormat(
        name="llama",
        stop="<|eot_id|>",
        other_stops=("<|end_of_text|>", "<|eom_id|>"),
        pads=("<|finetune_right_pad_id|>", "<|reserved_special_token_0|>"),
        bos="<|begin_of_text|>",
        answer_header="<|start_header_id|>assistant<|end_header_id|>\n\n",
    ),
    ChatFormat(
        name="qwen",
        stop="<|im_end|>",
        other_stops=("<|endoftext|>",),
        # <|endoftext|>, Qwen's own padding token, is also one of its EOS tokens.
        pads=("<|fim_pad|>", "<|vision_pad|>", "<|image_pad|>"),
        bos=None,
        answer_header="<|im_start|>assistant\n",
        empty_thinking="<think>\n\n</think>\n\n",
    ),
)

LLAMA3_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n'"
    " + message['content'] | trim + '<|eot_id|>' }}{% endfor %}"
    "{% if add_generation_prompt %}"
    "{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}"
)
"""Llama 3 Instruct: one BOS, then a header and an EOS for each message. For scratch models."""

CHATML_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
"""Qwen2.5 and Qwen3 Instruct (2507): no BOS. For scratch models."""


def find_chat_format(token_to_id: Callable[[str], int | None]) -> ChatFormat | None:
    """Return the format whose EOS token is in the vocabulary, ``None`` if there is none."""
    return next((each for each in CHAT_FORMATS if token_to_id(each.stop) is not None), None)


def render_chat(hf_tokenizer: "PreTrainedTokenizerFast", messages: Sequence[Message]) -> str:
    """Render the prompt as text, up to and including the header that opens the assistant's turn.

    The date of templates that write one is fixed, and thinking is switched off, so that the same
    messages always give the same text.

    Raises:
        BadRecipe: the template refuses these messages (some allow no system message).
    """
    import jinja2

    turns = [{"role": message.role, "content": message.text} for message in messages]
    try:
        text = hf_tokenizer.apply_chat_template(
            turns,
            tokenize=False,
            add_generation_prompt=True,
            date_string=LLAMA_DATE,
            enable_thinking=False,
        )
    except jinja2.TemplateError as error:
        roles = ", ".join(message.role for message in messages)
        raise BadRecipe("engine.template-refuses", roles=roles, problem=str(error)) from error
    return str(text)


class SpecialTokenEscaper:
    """Escape special tokens that somebody typed into a dialogue (prompt injection).

    A tokenizer reads ``<|im_end|>`` as a special token wherever it occurs. A space after the first
    character keeps it readable and makes it ordinary text, in training as in inference.
    """

    def __init__(self, special_tokens: Iterable[str]) -> None:
        longest_first = sorted(special_tokens, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")

    def __call__(self, text: str) -> str:
        """Return ``text`` without anything the tokenizer would read as a special token."""
        return self._pattern.sub(lambda found: f"{found[0][0]} {found[0][1:]}", text)

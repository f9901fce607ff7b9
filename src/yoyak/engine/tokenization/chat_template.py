"""Chat templates: how messages become text, and the two forms that scratch models are given."""

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from yoyak.engine.tokenization.families import LLAMA_DATE
from yoyak.errors import BadRecipe
from yoyak.values import Message

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

LLAMA3 = (
    "{{ bos_token }}{% for message in messages %}"
    "{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n'"
    " + message['content'] | trim + '<|eot_id|>' }}{% endfor %}"
    "{% if add_generation_prompt %}"
    "{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}"
)
"""The form of Llama 3 Instruct: one BOS, a header and an end for each message."""

CHATML = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
"""The form of Qwen2.5 and Qwen3 Instruct (2507): no BOS."""


def render_chat(tokenizer: "PreTrainedTokenizerFast", messages: Sequence[Message]) -> str:
    """The prompt as text, up to and with the header that opens the assistant's turn.

    A template that writes the date is given a fixed one, and a template that can ask for a train
    of thought is told not to: the same messages always give the same text.

    Raises:
        BadRecipe: the template refuses these messages (some allow no system message).
    """
    import jinja2

    turns = [{"role": message.role, "content": message.text} for message in messages]
    try:
        text = tokenizer.apply_chat_template(
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


class TemplateEscaper:
    """Takes the power out of control tokens that someone typed into a dialogue.

    A tokenizer reads ``<|im_end|>`` as its control token wherever it stands. A blank after the
    first character leaves it readable and makes it ordinary text, in training as in inference.
    """

    def __init__(self, control: Iterable[str]) -> None:
        longest_first = sorted(control, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")

    def __call__(self, text: str) -> str:
        """``text`` without anything the tokenizer would read as a control token."""
        return self._pattern.sub(lambda found: f"{found[0][0]} {found[0][1:]}", text)

"""What each family of chat models calls its control tokens: one row a family.

The names are those of the vendors' own tokenizer files and generation configs (Meta Llama 3, 3.1
and 3.2 Instruct; Qwen2.5 and Qwen3 Instruct). Padding is always another token than a stop: where
one id served as both, "ids != pad" would hide the stop from the loss and the model would never
learn to end. Every token named here is already in the base model's vocabulary, so no embedding
is ever added or resized.
"""

from collections.abc import Callable
from typing import NamedTuple

LLAMA_DATE = "26 Jul 2024"
"""Llama 3.1 and later write today's date into each prompt; this one is the template's default."""


class Family(NamedTuple):
    """The control tokens of one chat format.

    ``stop`` ends the assistant's turn and is what training supervises; ``further_stops`` also end
    a generation. The first of ``pads`` that the vocabulary has is used. ``header`` opens the
    assistant's turn; ``quiet`` may follow it, as an empty train of thought.
    """

    name: str
    stop: str
    further_stops: tuple[str, ...]
    pads: tuple[str, ...]
    bos: str | None
    header: str
    quiet: str = ""


FAMILIES = (
    Family(
        name="llama",
        stop="<|eot_id|>",
        further_stops=("<|end_of_text|>", "<|eom_id|>"),
        pads=("<|finetune_right_pad_id|>", "<|reserved_special_token_0|>"),
        bos="<|begin_of_text|>",
        header="<|start_header_id|>assistant<|end_header_id|>\n\n",
    ),
    Family(
        name="qwen",
        stop="<|im_end|>",
        further_stops=("<|endoftext|>",),
        # <|endoftext|>, Qwen's own pad token, is also one of its stops.
        pads=("<|fim_pad|>", "<|vision_pad|>", "<|image_pad|>"),
        bos=None,
        header="<|im_start|>assistant\n",
        quiet="<think>\n\n</think>\n\n",
    ),
)


def family_of(token_id: Callable[[str], int | None]) -> Family | None:
    """The family whose stop token the vocabulary has; ``None`` for a format not in the table."""
    return next((family for family in FAMILIES if token_id(family.stop) is not None), None)

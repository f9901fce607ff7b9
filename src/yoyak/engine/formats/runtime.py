"""What the programs that load an exported folder have in common, and its tokenizer as they see it.

A runtime gets messages or a text, as a user would give them, and says which ids it made of them.
"""

from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from yoyak.engine.exported import ExportedModel
from yoyak.errors import Unavailable
from yoyak.values import Source, StopReason


class Answer(NamedTuple):
    """A runtime's answer to one prompt: the ids it read, and the text before any clean-up."""

    prompt_ids: tuple[int, ...]
    text: str
    tokens: int
    stop: StopReason


def answer_of(
    prompt: Sequence[int], new: Sequence[int], text: str, exported: ExportedModel
) -> Answer:
    """Return the answer of new ids, of which a stop token is the last one if it ended them."""
    is_stopped = bool(new) and new[-1] in exported.special_tokens.stop_ids
    stop = StopReason.STOP_TOKEN if is_stopped else StopReason.LENGTH
    return Answer(tuple(prompt), text, len(new), stop)


class Runtime(Protocol):
    """A program that has loaded an exported folder; ``name`` has its version."""

    name: str

    def answer(self, sources: Sequence[Source]) -> Iterator[Answer]:
        """Yield an answer to each prompt, in order."""


class FolderTokenizer:
    """The tokenizer of an exported folder as ``transformers.AutoTokenizer`` loads it.

    Args:
        folder: of the exported model.
        exported: its record.
    """

    def __init__(self, folder: Path, exported: ExportedModel) -> None:
        from transformers import AutoTokenizer

        self._special_tokens = exported.special_tokens
        self._tokenizer: Any = AutoTokenizer.from_pretrained(folder)

    def encode(self, source: Source) -> list[int]:
        """Return the ids of a prompt."""
        if source.text is not None:
            text = self._special_tokens.separate_lines(source.text)
            return list(self._tokenizer(text)["input_ids"])
        messages = [
            message | {"content": self._special_tokens.separate_lines(message["content"])}
            for message in messages_of(source)
        ]
        return list(
            self._tokenizer.apply_chat_template(
                messages, add_generation_prompt=True, return_dict=True
            )["input_ids"]
        )

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of new ids, without special tokens."""
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=True))

    def names(self, ids: Sequence[int]) -> list[str]:
        """Return the tokens of ids by name."""
        return list(self._tokenizer.convert_ids_to_tokens(list(ids)))

    def ids(self, names: Sequence[str]) -> list[int]:
        """Return the ids of tokens."""
        return list(self._tokenizer.convert_tokens_to_ids(list(names)))


def messages_of(source: Source) -> list[dict[str, str]]:
    """Return the messages of a chat as transformers and OpenAI's API take them."""
    return [{"role": message.role, "content": message.text} for message in source.messages]


def require(library: str, form: str) -> Any:
    """Import a library that a format needs.

    Raises:
        Unavailable: it is not installed.
    """
    from importlib import import_module

    try:
        return import_module(library)
    except ModuleNotFoundError as error:
        raise Unavailable("export.no-library", form=form, library=library) from error


def name_of(library: str) -> str:
    """Return a library with its version, such as ``onnxruntime 1.32.0``."""
    return f"{library} {version(library)}"

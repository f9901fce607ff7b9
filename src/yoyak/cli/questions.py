"""Questions on a terminal; without one, what is clear is taken and the rest is an error."""

import sys
from collections.abc import Callable, Sequence
from typing import TypeVar

from yoyak.errors import UsageError, YoyakError
from yoyak.messages import text

_T = TypeVar("_T")


class Questions:
    """Asks a person on stderr, or takes the defaults.

    Args:
        asks: whether there is somebody at a terminal.
    """

    def __init__(self, *, asks: bool) -> None:
        self.asks = asks

    def choose(
        self,
        question: str,
        options: Sequence[tuple[str, _T]],
        *,
        default: int | None = None,
        unclear: YoyakError | None = None,
    ) -> _T:
        """Return the value of one of ``options``, which are pairs of what is shown and a value.

        A single option that is the default is taken without a question.

        Raises:
            YoyakError: ``unclear``, where there is nobody to ask and no default.
        """
        is_clear = len(options) == 1 and default is not None
        if is_clear or not self.asks:
            if default is None:
                raise unclear or UsageError("init.not-written")
            return options[default][1]
        lines = [
            question,
            *(f"  {number:2}  {shown}" for number, (shown, _) in enumerate(options, 1)),
        ]
        print("\n" + "\n".join(lines), file=sys.stderr)
        known = {str(number): value for number, (_, value) in enumerate(options, 1)}
        usual = None if default is None else str(default + 1)
        return known[self._answer(text("init.ask-number"), usual, known.__contains__)]

    def enter(self, question: str, default: str, is_valid: Callable[[str], bool]) -> str:
        """Return what is typed, asked for again until it is valid, or ``default``."""
        return self._answer(f"\n{question}", default, is_valid) if self.asks else default

    def confirm(self, question: str) -> None:
        """Return if the answer is yes, or there is nobody to ask.

        Raises:
            UsageError: it is no.
        """
        yes, no = text("init.yes"), text("init.no")
        known = {yes, no, "y", "n"}
        if self.asks and self._answer(f"\n{question} ({yes}/{no})", yes, known.__contains__) in {
            no,
            "n",
        }:
            raise UsageError("init.not-written")

    def _answer(self, prompt: str, default: str | None, is_valid: Callable[[str], bool]) -> str:
        shown = "" if default is None else f" [{default}]"
        while True:
            print(f"{prompt}{shown}: ", end="", file=sys.stderr, flush=True)
            try:
                typed = input().strip() or default
            except (EOFError, KeyboardInterrupt):
                print(file=sys.stderr)
                raise UsageError("init.not-written") from None
            if typed is not None and is_valid(typed):
                return typed
            print(text("init.not-understood", typed=typed or ""), file=sys.stderr)

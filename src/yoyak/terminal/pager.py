"""Show long output a page at a time, where somebody sits at a terminal."""

import io
import os
import pydoc
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout


class _TerminalBuffer(io.StringIO):
    """Text on its way to a terminal: what is printed into it is drawn as for one."""

    def isatty(self) -> bool:
        return True


@contextmanager
def paged() -> Iterator[None]:
    """Show what is printed inside the block through ``$PAGER``, default less; else print it.

    Output that fits the screen stays on it. Nothing is held back unless stdin and stdout are
    terminals. What was printed before an error is shown before the error.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        yield
        return
    held = _TerminalBuffer()
    try:
        with redirect_stdout(held):
            yield
    finally:
        os.environ.setdefault("LESS", "-FRX")
        pydoc.pager(held.getvalue())

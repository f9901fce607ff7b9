"""The signals that ask a command to end, for commands that save their work first."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


@contextmanager
def on_stop_signal(handle: Callable[[], None]) -> Iterator[None]:
    """Call ``handle`` at each stop signal inside the block; restore the former handlers after it.

    A signal that is ignored stays ignored, as SIGHUP is under ``nohup``.
    """
    numbers = [number for number in STOP_SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, lambda *_: handle()) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

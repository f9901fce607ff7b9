"""Start the processes of one run below torchrun's agent.

``python -m yoyak.engine.launch N PARENT_PID MODULE ARGUMENT…``

``torchrun`` itself exits with 1 whatever a process ended with, so "stopped, everything saved" and
"killed" would look alike. This is its launcher, called from Python, whose exit code is that of the
process that ended badly; the module gets this process's id as its last argument.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Iterable, Sequence
from typing import NoReturn

from yoyak.errors import Interrupted

_PR_SET_PDEATHSIG = 1

SAVE_SECONDS = 60
"""How long rank 0 may take to save after a stop request."""


def main(count: int, parent: int, words: Sequence[str]) -> int:
    """Run ``count`` processes of a module to their end; return the exit code for all of them."""
    die_with_parent(signal.SIGTERM)
    if os.getppid() != parent:  # it died before
        return Interrupted.exit_code
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    # The processes of one machine meet on its loopback device and listen nowhere else.
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    os.environ.setdefault("TORCH_ELASTIC_SHUTDOWN_TIMEOUT", str(SAVE_SECONDS))
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=count,
        run_id=str(os.getpid()),
        rdzv_backend="c10d",
        rdzv_endpoint="127.0.0.1:0",
        local_addr="127.0.0.1",
        max_restarts=0,
        virtual_local_rank=True,  # each process sees one GPU, as if it were the only one
    )
    command = ["-P", "-m", *words, str(os.getpid())]
    try:
        elastic_launch(config, sys.executable)(*command)
    except ChildFailedError as error:
        return exit_code(failure.exitcode for failure in error.failures.values())
    except SignalException:
        return Interrupted.exit_code
    return 0


def exit_code(codes: Iterable[int]) -> int:
    """Return the code that says most: a signal, then a failure, then an interruption.

    A process that loses another one is interrupted, and can be resumed: why is with the other.
    """
    return min(codes, key=lambda code: (code == Interrupted.exit_code, code))


def die_with_parent(number: signal.Signals) -> None:
    """Let the kernel send this signal when the parent dies (Linux), so nothing is orphaned."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)


def end_as(code: int) -> NoReturn:
    """End this process with an exit code, or by the signal that a negative one names."""
    if code < 0:
        if -code != signal.SIGKILL:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    sys.exit(code)


if __name__ == "__main__":
    end_as(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]))

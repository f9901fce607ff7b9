"""Worker process: ``python -m yoyak.scheduler.worker RUN_FOLDER DATA_FOLDER PARENT_PID``.

DATA_FOLDER is where the data are now; they may have moved since the run began. The exit code is one
of ``yoyak.errors``: 0 for a finished run, 75 after a stop request with everything saved, 70 for an
unforeseen failure. PARENT_PID may be left out.

Below ``torchrun``, rank 0 is the worker and the other ranks compute gradients for it: they write
nothing, and end when rank 0 ends or has trained.
"""

import faulthandler
import os
import signal
import socket
import sys
import time
import traceback
from pathlib import Path
from types import FrameType

from yoyak.data.corpus import read_corpus
from yoyak.engine.launch import die_with_parent
from yoyak.errors import BadData, Interrupted, RunFailed, YoyakError
from yoyak.events import Failed, MessageRecord, Started
from yoyak.runs.redact import redact, redact_streams
from yoyak.runs.run import Run
from yoyak.runs.stop_signals import STOP_SIGNALS
from yoyak.scheduler.stages import StageContext, compute_gradients, run_stages
from yoyak.values import Corpus


class StopFlag:
    """Set by a signal, read at every step; a second signal exits the process at once."""

    def __init__(self) -> None:
        self.is_set = False

    def install(self) -> None:
        """Install the handler for SIGTERM, SIGINT and SIGHUP."""
        for number in STOP_SIGNALS:
            signal.signal(number, self._on_signal)

    def __call__(self) -> bool:
        """Return whether a stop was requested."""
        return self.is_set

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        if self.is_set:
            # Checkpoints are written atomically, so the run resumes from the last one.
            os._exit(Interrupted.exit_code)
        self.is_set = True


def main(folder: Path, data: Path, parent: int | None = None) -> int:
    """Complete the run in ``folder`` and return the exit code."""
    rank, size = (int(os.environ.get(name, "0")) for name in ("RANK", "WORLD_SIZE"))
    stop = StopFlag()
    stop.install()
    # torchrun forwards stop requests; only where it was killed itself is there nothing to save for.
    die_with_parent(signal.SIGKILL if size > 1 else signal.SIGTERM)
    # The parent may have died before PR_SET_PDEATHSIG was set.
    stop.is_set |= parent is not None and os.getppid() != parent
    faulthandler.register(signal.SIGUSR1)
    run = Run(folder)
    try:
        if rank:
            for number in STOP_SIGNALS:  # rank 0 saves first, with our help
                signal.signal(number, signal.SIG_IGN)
            compute_gradients(run, corpus_of(run, data))
            return 0
        with run.lock():
            return _complete(run, data, stop)
    except YoyakError as error:
        sys.stderr.write(f"{redact(str(error))}\n")
        return error.exit_code
    except Exception:  # noqa: BLE001 -- the interpreter would print it unredacted
        sys.stderr.write(redact(traceback.format_exc()))
        return RunFailed.exit_code


def _complete(run: Run, data: Path, stop: StopFlag) -> int:
    attempt = 1 + run.state().attempts
    host = socket.gethostname()
    run.emit(Started(at=time.time(), pid=os.getpid(), host=host, attempt=attempt))
    try:
        run_stages(StageContext(run, corpus_of(run, data), stop))
    except Interrupted as error:
        return error.exit_code
    except Exception as error:  # noqa: BLE001 -- every failure is recorded
        sys.stderr.write(redact(traceback.format_exc()))
        run.emit(_failure(error))
        return error.exit_code if isinstance(error, YoyakError) else RunFailed.exit_code
    return 0


def _failure(error: Exception) -> Failed:
    message = redact(str(error))
    if isinstance(error, YoyakError):
        reason = MessageRecord.of(error)
        return Failed(at=time.time(), kind=error.key, message=message, reason=reason)
    trace = redact(traceback.format_exc())
    return Failed(at=time.time(), kind=type(error).__name__, message=message, trace=trace)


def corpus_of(run: Run, data: Path) -> Corpus:
    """Read the data of a run, which must be those it was created with.

    Raises:
        BadData: they were changed.
    """
    corpus = read_corpus(data)
    now = (corpus.train.fingerprint, corpus.dev.fingerprint)
    if now != (run.identity.train_sha256, run.identity.dev_sha256):
        raise BadData("scheduler.data-changed", run=run.name, folder=corpus.folder)
    return corpus


if __name__ == "__main__":
    redact_streams()
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]), *map(int, sys.argv[3:])))

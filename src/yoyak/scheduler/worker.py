"""Worker process: ``python -m yoyak.scheduler.worker RUN_FOLDER DATA_FOLDER PARENT_PID``.

DATA_FOLDER is where the data are now; they may have moved since the run began. The exit code is one
of ``yoyak.errors``: 0 for a finished run, 75 after a stop request with everything saved, 70 for an
unforeseen failure.
"""

import ctypes
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
from yoyak.errors import BadData, Interrupted, RunFailed, YoyakError
from yoyak.events import Failed, MessageRecord, Started
from yoyak.runs.redact import redact, redact_streams
from yoyak.runs.run import Run
from yoyak.runs.stop_signals import STOP_SIGNALS
from yoyak.scheduler.stages import StageContext, run_stages
from yoyak.values import Corpus

_PR_SET_PDEATHSIG = 1


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


def main(folder: Path, data: Path, parent: int) -> int:
    """Complete the run in ``folder`` and return the exit code."""
    stop = StopFlag()
    stop.install()
    die_with_parent()
    stop.is_set |= os.getppid() != parent  # the parent died before PR_SET_PDEATHSIG was set
    faulthandler.register(signal.SIGUSR1)
    run = Run(folder)
    try:
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


def die_with_parent(number: signal.Signals = signal.SIGTERM) -> None:
    """Let the kernel send this signal when the parent dies (Linux), so nothing is orphaned."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)


if __name__ == "__main__":
    redact_streams()
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])))

"""The child process: ``python -m yoyak.queue.worker RUN_FOLDER DATA_FOLDER PARENT_PID``.

Carries one run out on the data where they lie now, which may have moved since the run began.
It ends with the exit code of ``yoyak.errors``: 0 when the run is finished, 75 when it was asked to
stop and has saved everything, 70 for a failure nobody foresaw.
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
from yoyak.events import Failed, Started
from yoyak.runs.redact import redact, redact_streams
from yoyak.runs.run import Run
from yoyak.scheduler.stages import StageContext, run_stages
from yoyak.values import Corpus

_PR_SET_PDEATHSIG = 1


class StopFlag:
    """Set by a signal, read once a step; a second signal ends the process where it stands."""

    def __init__(self) -> None:
        self.asked = False

    def watch(self) -> None:
        """Listens for the signals that mean stop."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._ask)

    def __call__(self) -> bool:
        """Whether somebody asked for a stop."""
        return self.asked

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        if self.asked:
            # Whole checkpoints only: the last one on disk is good, so leaving now loses no run.
            os._exit(Interrupted.exit_code)
        self.asked = True


def main(folder: Path, data: Path, parent: int) -> int:
    """Carries the run in ``folder`` out and returns the exit code."""
    stop = StopFlag()
    stop.watch()
    die_with_parent()
    stop.asked |= os.getppid() != parent  # it died before it could be watched
    faulthandler.register(signal.SIGUSR1)
    run = Run(folder)
    try:
        with run.lock():
            return _work(run, data, stop)
    except YoyakError as error:
        sys.stderr.write(f"{redact(str(error))}\n")
        return error.exit_code
    except Exception:  # noqa: BLE001 -- the trace of the interpreter's own would not be redacted
        sys.stderr.write(redact(traceback.format_exc()))
        return RunFailed.exit_code


def _work(run: Run, data: Path, stop: StopFlag) -> int:
    attempt = 1 + run.state().attempts
    host = socket.gethostname()
    run.emit(Started(at=time.time(), pid=os.getpid(), host=host, attempt=attempt))
    try:
        run_stages(StageContext(run, corpus_of(run, data), stop))
    except Interrupted as error:
        return error.exit_code
    except Exception as error:  # noqa: BLE001 -- whatever it was, the record must say so
        sys.stderr.write(redact(traceback.format_exc()))
        run.emit(_failure(error))
        return error.exit_code if isinstance(error, YoyakError) else RunFailed.exit_code
    return 0


def _failure(error: Exception) -> Failed:
    trace = "" if isinstance(error, YoyakError) else redact(traceback.format_exc())
    kind = error.key if isinstance(error, YoyakError) else type(error).__name__
    return Failed(at=time.time(), kind=kind, message=redact(str(error)), trace=trace)


def corpus_of(run: Run, data: Path) -> Corpus:
    """The data of a run, which must be what they were when it was made.

    Raises:
        BadData: they were changed.
    """
    corpus = read_corpus(data)
    now = (corpus.train.fingerprint, corpus.dev.fingerprint)
    if now != (run.identity.train_sha256, run.identity.dev_sha256):
        raise BadData("scheduler.data-changed", run=run.name, folder=corpus.folder)
    return corpus


def die_with_parent(number: signal.Signals = signal.SIGTERM) -> None:
    """Asks the kernel for that signal when the parent dies, so that nothing is orphaned (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)


if __name__ == "__main__":
    redact_streams()
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])))

"""Engines that show where they are and wait there, for tests of what is done to them meanwhile."""

import os
import signal
import time
from pathlib import Path

from yoyak.engine.backends.lead import Lead
from yoyak.errors import Interrupted
from yoyak.events import Stopped
from yoyak.metrics import scorecard

DEADLINE_SECONDS = 300.0
"""For something that always comes: only a broken test or a broken program waits so long."""


def wait_until(condition):
    until = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        if time.monotonic() > until:
            raise TimeoutError("it never happened")
        time.sleep(0.01)


def stop_asked():
    """Whether this worker has received a request to stop."""
    handler = signal.getsignal(signal.SIGTERM)
    return getattr(handler, "__self__", bool)()


def reach(stage):
    """Say that ``stage`` is reached, if it is the wanted one, and wait for a request to stop."""
    folder = Path(os.environ["GATED_FOLDER"])
    if os.environ.get("GATED_STAGE") == stage:
        (folder / "reached").touch()
        wait_until(stop_asked)


class Gated(Lead):
    """Wait in the stage that ``GATED_STAGE`` names, once it has begun."""

    def train(self, job):
        judge = scorecard.evaluate

        def gated(*args, **named):
            reach("score")
            return judge(*args, **named)

        scorecard.evaluate = gated
        reach("train")
        if job.stop_asked():
            job.emit(Stopped(at=time.time(), step=0, reason="train"))
            raise Interrupted("scheduler.stopped", run=job.folder.name, stage="train")

    def generate(self, job):
        for place, prediction in enumerate(super().generate(job)):
            yield prediction
            if place == 2:
                reach(f"predict-{prediction.id.partition('_')[0]}")

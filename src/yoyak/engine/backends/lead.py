"""The Lead-n baseline: a dialogue's first turns as its summary; no torch, no training.

As the fastest engine it also serves as a demonstration and as a test double.
"""

import statistics
import time
from collections.abc import Iterator

from yoyak.engine import GenerateJob, TrainJob
from yoyak.values import Dialogue, Prediction, Split, StopReason


class Lead:
    """Copies whole first turns up to the typical length of a training summary."""

    def train(self, job: TrainJob) -> None:
        """Do nothing: ``generate`` reads the length from the training summaries."""

    def generate(self, job: GenerateJob) -> Iterator[Prediction]:
        """Yield the first turns of each dialogue, at least one."""
        characters = typical_length(job.train)
        for dialogue in job.dialogues:
            began = time.monotonic()
            text = first_turns(dialogue, characters)
            yield Prediction(
                id=dialogue.id,
                text=text,
                raw=text,
                stop=StopReason.COPIED,
                seconds=time.monotonic() - began,
            )


def typical_length(train: Split) -> int:
    """Return the median length of the training summaries, in characters."""
    return round(statistics.median(len(dialogue.references[0]) for dialogue in train.dialogues))


def first_turns(dialogue: Dialogue, characters: int) -> str:
    """Join first turns on one line until they have at least ``characters`` characters."""
    text = ""
    for turn in dialogue.turns:
        text = f"{text} {turn.line}".strip()
        if len(text) >= characters:
            break
    return text

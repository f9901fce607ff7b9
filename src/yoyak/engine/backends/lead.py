"""The floor: a dialogue's first turns as its summary; no torch, nothing learned.

It is also the engine that shows the whole road in a second, and the double that tests use.
"""

import statistics
import time
from collections.abc import Iterator

from yoyak.engine import GenerateJob, TrainJob
from yoyak.values import Dialogue, Prediction, Split, StopReason


class Lead:
    """Copies as many whole first turns as a summary of the training data is long."""

    def train(self, job: TrainJob) -> None:
        """Nothing is learned: the length is read from the training summaries when it is needed."""

    def generate(self, job: GenerateJob) -> Iterator[Prediction]:
        """The first turns of each dialogue, at least one."""
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
    """The median length of the training summaries, in characters."""
    return round(statistics.median(len(dialogue.references[0]) for dialogue in train.dialogues))


def first_turns(dialogue: Dialogue, characters: int) -> str:
    """The first turns on one line, as many as come nearest to ``characters`` from above."""
    text = ""
    for turn in dialogue.turns:
        text = f"{text} {turn.line}".strip()
        if len(text) >= characters:
            break
    return text

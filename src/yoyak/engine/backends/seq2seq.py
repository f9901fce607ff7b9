"""The engine of encoder-decoders (koBART and its like): trained whole, or through adapters."""

from collections.abc import Iterator

from yoyak.engine import GenerateJob, TrainJob
from yoyak.engine.inference.predictor import Predictor
from yoyak.engine.pipeline.finetune import finetune
from yoyak.values import Prediction


class Seq2Seq:
    """Learns and speaks with an encoder-decoder."""

    def __init__(self) -> None:
        self._predictor = Predictor("seq2seq")

    def train(self, job: TrainJob) -> None:
        """As ``engine.Engine.train``."""
        finetune(job, "seq2seq")

    def generate(self, job: GenerateJob) -> Iterator[Prediction]:
        """As ``engine.Engine.generate``."""
        return self._predictor.predict(job)

"""The engine of encoder-decoders (koBART and similar), trained whole or with adapters."""

from collections.abc import Iterator

from yoyak.engine import GenerateJob, TrainJob
from yoyak.engine.inference.predictor import Predictor
from yoyak.engine.pipeline.finetune import finetune
from yoyak.values import Prediction


class Seq2Seq:
    """Trains and generates with an encoder-decoder."""

    def __init__(self) -> None:
        self._predictor = Predictor("seq2seq")

    def train(self, job: TrainJob) -> None:
        """Train as in ``engine.Engine.train``."""
        finetune(job, "seq2seq")

    def generate(self, job: GenerateJob) -> Iterator[Prediction]:
        """Generate as in ``engine.Engine.generate``."""
        return self._predictor.predict(job)

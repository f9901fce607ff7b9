"""The engine of causal chat models: LoRA on a 4-bit NF4 base (Dettmers 2023), or on a plain one."""

from collections.abc import Iterator

from yoyak.engine import GenerateJob, TrainJob
from yoyak.engine.inference.predictor import Predictor
from yoyak.engine.pipeline.finetune import finetune
from yoyak.values import Prediction


class CausalLM:
    """Learns and speaks with a causal chat model."""

    def __init__(self) -> None:
        self._predictor = Predictor("causal")

    def train(self, job: TrainJob) -> None:
        """As ``engine.Engine.train``."""
        finetune(job, "causal")

    def generate(self, job: GenerateJob) -> Iterator[Prediction]:
        """As ``engine.Engine.generate``."""
        return self._predictor.predict(job)

"""The engine of causal chat models: LoRA on an NF4 base (QLoRA, Dettmers 2023) or a plain one."""

from collections.abc import Iterator

from yoyak.engine import GenerateJob, TrainJob
from yoyak.engine.inference.predictor import Predictor
from yoyak.engine.pipeline.finetune import finetune
from yoyak.values import Prediction


class CausalLM:
    """Trains and generates with a causal chat model."""

    def __init__(self) -> None:
        self._predictor = Predictor("causal")

    def train(self, job: TrainJob) -> None:
        """Train as in ``engine.Engine.train``."""
        finetune(job, "causal")

    def generate(self, job: GenerateJob) -> Iterator[Prediction]:
        """Generate as in ``engine.Engine.generate``."""
        return self._predictor.predict(job)

"""The engines that fine-tune a pretrained model and generate with it, one per kind of model."""

from collections.abc import Iterator
from typing import ClassVar

from yoyak.engine import GenerateJob, TrainJob
from yoyak.engine.inference.predictor import Predictor
from yoyak.engine.model_classes import Kind
from yoyak.engine.pipeline.align import align
from yoyak.engine.pipeline.finetune import finetune
from yoyak.values import Prediction


class _FinetunedModel:
    kind: ClassVar[Kind]

    def __init__(self) -> None:
        self._predictor = Predictor(self.kind)

    def train(self, job: TrainJob) -> None:
        """Train as in ``engine.Engine.train``."""
        (finetune if job.supervised is None else align)(job, self.kind)

    def generate(self, job: GenerateJob) -> Iterator[Prediction]:
        """Generate as in ``engine.Engine.generate``."""
        return self._predictor.predict(job)


class Seq2Seq(_FinetunedModel):
    """Encoder-decoders (koBART and similar), trained whole or with adapters."""

    kind = "seq2seq"


class CausalLM(_FinetunedModel):
    """Causal chat models: LoRA on an NF4 base (QLoRA, Dettmers 2023) or a plain one."""

    kind = "causal"

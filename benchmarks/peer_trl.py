"""TRL's SFTTrainer as its users run it: defaults, completion loss, the team's micro-batch."""

import tempfile
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import fullsize
import transformers  # noqa: TID253 -- as above
from datasets import Dataset
from tokenizers import Tokenizer, models
from trl import SFTConfig, SFTTrainer

import torch  # noqa: TID253 -- a benchmark loads what it measures
from yoyak.config.schema import TrainSettings
from yoyak.engine.tokenization.encode import EncodedRow


class Done(NamedTuple):
    """Of every step, warm-up included."""

    seconds: list[float]
    losses: list[float]
    notes: dict[str, object]


class Clock(transformers.TrainerCallback):
    """The seconds of each optimiser step."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self._start = 0.0

    def on_step_begin(self, *_: object, **__: object) -> None:
        self._start = _now()

    def on_step_end(self, *_: object, **__: object) -> None:
        self.seconds.append(_now() - self._start)


def check_one_pass(trainer: SFTTrainer) -> None:
    """Check that a step took the rows it was given: a default may accumulate gradients over more.

    Raises:
        RuntimeError: all steps together did not take every row once.
    """
    taken = trainer.state.epoch
    if taken is None or abs(taken - 1) > 1e-6:
        raise RuntimeError(f"all steps took the rows {taken} times, so a step's rows are not known")


def _now() -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def train(
    model: Any,
    rows: Sequence[EncodedRow],
    settings: TrainSettings,
    micro_rows: int,
    *,
    on_cpu: bool,
) -> Done:
    """Trains on ``rows`` in their order, ``settings.batch_size`` a step."""
    ids = [[*row.source_ids, *row.answer_ids] for row in rows]
    labels = [[-100] * len(row.source_ids) + list(row.answer_ids) for row in rows]
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        config = SFTConfig(
            output_dir=folder,
            per_device_train_batch_size=micro_rows,
            gradient_accumulation_steps=settings.batch_size // micro_rows,
            learning_rate=settings.learning_rate,
            max_steps=len(rows) // settings.batch_size,
            train_sampling_strategy="sequential",
            dataset_kwargs={"skip_prepare_dataset": True},
            logging_steps=1,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            use_cpu=on_cpu,
            bf16=not on_cpu,
        )
        trainer = SFTTrainer(
            model=model,
            args=config,
            train_dataset=Dataset.from_dict({"input_ids": ids, "labels": labels}),
            processing_class=_tokenizer(),
            callbacks=[clock],
        )
        trainer.remove_callback(transformers.PrinterCallback)
        trainer.train()
    check_one_pass(trainer)
    losses = [float(line["loss"]) for line in trainer.state.log_history if "loss" in line]
    notes = {"micro_batch_size": micro_rows, "recompute": trainer.args.gradient_checkpointing}
    return Done(clock.seconds, losses, notes)


def _tokenizer() -> transformers.PreTrainedTokenizerFast:
    """The trainer insists on one; the rows are ids already."""
    words = {"<pad>": fullsize.IDS.pad_id, "</s>": fullsize.IDS.stop_id, "<unk>": 2}
    core = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=core, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    )

"""Unsloth's model and kernels under TRL's SFTTrainer: the case ``unsloth`` of gpu.py.

gpu.py runs that case through this script, because Unsloth has to be imported before transformers.
As its users run it: LoRA dropout 0, its own recomputation (activations in host memory), all rows of
a step in one pass without padding, which was the fastest of its settings that were tried.
"""

import os
import tempfile
from pathlib import Path
from typing import Any

os.environ.setdefault("UNSLOTH_DISABLE_STATISTICS", "1")

import unsloth  # noqa: I001 -- it patches what is imported after it

import fullsize
import gpu
from datasets import Dataset
from gpu_cases import WARM_UP, Bench, Run, plain_steps
from peer_trl import Clock, check_one_pass
from random_base import write_base
from trl import SFTConfig, SFTTrainer
from unsloth.utils.attention_dispatch import select_attention_backend

import torch  # noqa: TID253 -- a benchmark loads what it measures
from yoyak.config.schema import Recipe
from yoyak.planning.model_shapes import ModelShape

MAX_TOKENS = 2048


def load(shape: ModelShape, recipe: Recipe) -> Any:
    """The architecture with random weights, loaded in 4 bit, with adapters."""
    assert recipe.lora is not None
    with tempfile.TemporaryDirectory() as folder:
        write_base(shape, Path(folder))
        fullsize.tokenizer_of(shape).save_pretrained(folder)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        model, _ = unsloth.FastLanguageModel.from_pretrained(
            model_name=folder,
            max_seq_length=MAX_TOKENS,
            dtype=torch.bfloat16,
            load_in_4bit=recipe.model.quantisation is not None,
            use_exact_model_name=True,
            local_files_only=True,
        )
    return unsloth.FastLanguageModel.get_peft_model(
        model,
        r=recipe.lora.r,
        lora_alpha=recipe.lora.lora_alpha,
        lora_dropout=0.0,
        bias="none",
        random_state=recipe.train.seed,
        use_gradient_checkpointing="unsloth",
        target_modules=[
            *("q_proj", "k_proj", "v_proj", "o_proj"),
            *("gate_proj", "up_proj", "down_proj"),
        ],
    )


def train(bench: Bench) -> Run:
    """The steps of the other cases."""
    chosen, settings = plain_steps(bench), bench.recipe.train
    rows = [bench.rows[row] for step in chosen for row in step]
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        config = SFTConfig(
            output_dir=folder,
            per_device_train_batch_size=settings.batch_size,
            gradient_accumulation_steps=1,  # unset, Unsloth makes it 2
            learning_rate=settings.learning_rate,
            max_steps=len(chosen),
            train_sampling_strategy="sequential",
            completion_only_loss=True,
            max_length=MAX_TOKENS,
            logging_steps=1,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            bf16=True,
            dataset_num_proc=1,
            optim="adamw_torch",
        )
        trainer = SFTTrainer(
            model=bench.model,
            args=config,
            # With labels instead of masks, Unsloth pads each batch.
            train_dataset=Dataset.from_dict(
                {
                    "input_ids": [[*row.source_ids, *row.answer_ids] for row in rows],
                    "completion_mask": [
                        [0] * len(row.source_ids) + [1] * len(row.answer_ids) for row in rows
                    ],
                }
            ),
            processing_class=fullsize.tokenizer_of(bench.shape),
            callbacks=[clock],
        )
        trainer.train()
    check_one_pass(trainer)
    losses = [float(line["loss"]) for line in trainer.state.log_history if "loss" in line]
    timed_rows = [bench.rows[row] for step in chosen[WARM_UP:] for row in step]
    notes: dict[str, object] = {
        "version": unsloth.__version__,
        "padding_free": getattr(config, "padding_free", None),
        "collator": type(trainer.data_collator).__name__,
        "attention": select_attention_backend(use_varlen=True),
        "first_steps_s": [round(seconds, 2) for seconds in clock.seconds[:WARM_UP]],
    }
    return Run(clock.seconds[WARM_UP:], timed_rows, losses[WARM_UP:], notes)


if __name__ == "__main__":
    gpu.main()

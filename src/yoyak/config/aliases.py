"""Names that settings had before, or have in transformers, PEFT and TRL, and their names here."""

from collections.abc import Mapping
from typing import Any, NamedTuple

ALIASES: Mapping[str, str] = {
    # earlier versions of yoyak
    "train.batch_rows": "train.batch_size",
    "train.micro_batch_rows": "train.micro_batch_size",
    "train.schedule": "train.lr_scheduler",
    "lora.rank": "lora.r",
    "lora.alpha": "lora.lora_alpha",
    "lora.dropout": "lora.lora_dropout",
    "lora.targets": "lora.target_modules",
    "model.parameters": "base.parameters",
    "model.licence": "base.licence",
    "decode.beams": "decode.num_beams",
    "decode.no_repeat_ngram": "decode.no_repeat_ngram_size",
    # transformers: TrainingArguments, EarlyStoppingCallback
    "train.num_train_epochs": "train.epochs",
    "train.per_device_train_batch_size": "train.micro_batch_size",
    "train.lr_scheduler_type": "train.lr_scheduler",
    "train.label_smoothing_factor": "train.label_smoothing",
    "train.torch_compile": "train.compile",
    "train.save_steps": "train.save_every_steps",
    "train.full_determinism": "train.deterministic",
    "train.eval_on_start": "evaluate.at_start",
    "train.metric_for_best_model": "evaluate.metric",
    "train.early_stopping_patience": "evaluate.patience",
    "evaluate.metric_for_best_model": "evaluate.metric",
    "evaluate.early_stopping_patience": "evaluate.patience",
    "evaluate.eval_on_start": "evaluate.at_start",
    # what others call the same
    "train.num_epochs": "train.epochs",
    "train.lr": "train.learning_rate",
    "train.scheduler": "train.lr_scheduler",
    "train.train_batch_size": "train.batch_size",
    "train.global_batch_size": "train.batch_size",
    "train.effective_batch_size": "train.batch_size",
    "train.gradient_clipping": "train.max_grad_norm",
    "train.gradient_clip_val": "train.max_grad_norm",
    "train.early_stopping": "evaluate.patience",
    "train.layer_decay": "train.layerwise_lr_decay",
    "train.rdrop_coef": "train.rdrop_alpha",
    "train.model_ema_decay": "train.ema_decay",
    "evaluate.early_stopping": "evaluate.patience",
    # PEFT: LoraConfig, and TRL: ModelConfig, which puts lora_ before all of them
    "lora.lora_r": "lora.r",
    "lora.lora_target_modules": "lora.target_modules",
    "model.lora_r": "lora.r",
    "model.lora_alpha": "lora.lora_alpha",
    "model.lora_dropout": "lora.lora_dropout",
    "model.use_rslora": "lora.use_rslora",
    "model.use_dora": "lora.use_dora",
    "train.loraplus_lr_ratio": "lora.loraplus_lr_ratio",
    "model.lora_target_modules": "lora.target_modules",
    "model.model_name_or_path": "model.base",
    "model.pretrained_model_name_or_path": "model.base",
    "model.base_model_name_or_path": "model.base",
    "model.base_model": "model.base",
    "model.name": "model.base",
    "model.model_revision": "model.revision",
    "model.quantization": "model.quantisation",
    "model.license": "base.licence",
    "base.license": "base.licence",
    # the summarization examples of transformers
    "prompt.max_source_length": "prompt.max_source_tokens",
    "prompt.max_target_length": "prompt.max_summary_tokens",
    "train.max_source_length": "prompt.max_source_tokens",
    "train.max_target_length": "prompt.max_summary_tokens",
    "prompt.system_prompt": "prompt.system",
    # GenerationConfig of transformers, SamplingParams of vLLM
    "decode.max_tokens": "decode.max_new_tokens",
    "generate.num_beams": "decode.num_beams",
    "generate.max_new_tokens": "decode.max_new_tokens",
    "generate.no_repeat_ngram_size": "decode.no_repeat_ngram_size",
    "generate.length_penalty": "decode.length_penalty",
    "generate.temperature": "decode.temperature",
    "generate.top_p": "decode.top_p",
}
"""``section.name`` of a setting under another name, and its ``section.name`` here."""

UNSUPPORTED: Mapping[str, str] = {
    "train.processes": "config.no-processes",
    "train.gradient_accumulation_steps": "config.no-accumulation",
    "train.fp16": "config.no-dtype",
    "train.bf16": "config.no-dtype",
    "train.tf32": "config.no-dtype",
    "model.dtype": "config.no-dtype",
    "model.torch_dtype": "config.no-dtype",
    "model.load_in_4bit": "config.no-load-in-4bit",
    "model.use_peft": "config.no-use-peft",
    "train.use_liger_kernel": "config.no-use-liger",
}
"""Settings of other libraries that are something else here, and the sentence that says what."""

REMOVED = frozenset({"train.processes", "base.run_here"})
"""Settings that records of earlier versions hold and that mean nothing any more."""

ON_OFF = frozenset({"train.packing", "train.gradient_checkpointing"})
"""Settings with the values ``"on"`` and ``"off"`` here that are true and false elsewhere."""


class Renamed(NamedTuple):
    """A setting that was given under another name."""

    given: str
    name: str


def with_current_names(table: Mapping[str, Any]) -> tuple[dict[str, Any], list[Renamed]]:
    """Return a recipe's tables with every alias replaced, and what was replaced.

    A setting given under both names keeps both, so that the unknown one is refused by name.
    """
    found: list[Renamed] = []
    current: dict[str, Any] = {}
    for section, values in table.items():
        if not isinstance(values, dict):
            current[section] = values
            continue
        if not values:
            current.setdefault(section, {})
        for key, value in values.items():
            given = f"{section}.{key}"
            name = ALIASES.get(given)
            target, setting = section, key
            if name is not None and _is_free(name, table, current):
                found.append(Renamed(given, name))
                target, _, setting = name.partition(".")
            current.setdefault(target, {})[setting] = _on_off(f"{target}.{setting}", value)
    return current, found


def recorded_settings(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tables of a stored recipe of any version under the names of this one."""
    current, _ = with_current_names(record)
    return {
        section: {key: value for key, value in values.items() if f"{section}.{key}" not in REMOVED}
        if isinstance(values, dict)
        else values
        for section, values in current.items()
    }


def _is_free(name: str, given: Mapping[str, Any], current: Mapping[str, Any]) -> bool:
    """Return whether the setting ``name`` has no value yet, and its section is a table."""
    section, _, setting = name.partition(".")
    tables = given.get(section, {}), current.get(section, {})
    return all(isinstance(table, dict) and setting not in table for table in tables)


def _on_off(name: str, value: object) -> object:
    return ("on" if value else "off") if name in ON_OFF and isinstance(value, bool) else value

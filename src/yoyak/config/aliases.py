"""Names that settings had before, or have in transformers, peft and TRL, and what they are here."""

from collections.abc import Mapping
from typing import Any, NamedTuple

ALIASES: Mapping[str, str] = {
    # earlier versions of yoyak
    "train.batch_rows": "batch_size",
    "train.micro_batch_rows": "micro_batch_size",
    "train.schedule": "lr_scheduler",
    "lora.rank": "r",
    "lora.alpha": "lora_alpha",
    "lora.dropout": "lora_dropout",
    "lora.targets": "target_modules",
    "decode.beams": "num_beams",
    "decode.no_repeat_ngram": "no_repeat_ngram_size",
    # transformers.TrainingArguments
    "train.num_train_epochs": "epochs",
    "train.per_device_train_batch_size": "micro_batch_size",
    "train.lr_scheduler_type": "lr_scheduler",
    "train.label_smoothing_factor": "label_smoothing",
    "train.torch_compile": "compile",
    "evaluate.early_stopping_patience": "patience",
}
"""``section.name`` of a setting under another name, and its name in that section here."""


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
        renamed = {}
        for key, value in values.items():
            name = ALIASES.get(f"{section}.{key}", key)
            if name != key and name not in values and name not in renamed:
                found.append(Renamed(f"{section}.{key}", f"{section}.{name}"))
                renamed[name] = value
            else:
                renamed[key] = value
        current[section] = renamed
    return current, found

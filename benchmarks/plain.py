"""Training and generation as they are commonly written with transformers: what we compare with."""

import os
import platform
import random
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import torch  # noqa: TID253 -- a benchmark loads what it compares
from yoyak.config.schema import TrainSettings
from yoyak.engine.models.collate import pad_sources
from yoyak.engine.models.model import ModelBundle, trainable_parameters
from yoyak.engine.tokenization.encode import EncodedRow
from yoyak.engine.training.adamw import build_optimizer


def parts_of(rows: Sequence, size: int) -> list[Sequence]:
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def random_steps(rows: int, settings: TrainSettings, micro_rows: int) -> list[list[list[int]]]:
    """An epoch's steps as commonly cut: rows in random order, so many to a pass."""
    order = list(range(rows))
    random.Random(settings.seed).shuffle(order)
    steps = parts_of(order, settings.batch_size)
    return [[list(part) for part in parts_of(step, micro_rows)] for step in steps]


class Plain:
    """The loop: rows padded to the longest of their pass, logits at every place."""

    def __init__(
        self, bundle: ModelBundle, settings: TrainSettings, autocast: torch.dtype | None = None
    ) -> None:
        self.model = bundle.model.train()
        self.bundle, self.settings, self.autocast = bundle, settings, autocast
        self.named = trainable_parameters(bundle.model)
        self.optimizer = build_optimizer(self.named, settings)

    def inputs(self, rows: Sequence[EncodedRow]) -> dict[str, torch.Tensor]:
        whole = self.bundle.kind == "causal"
        ids = [[*row.source_ids, *(row.answer_ids if whole else ())] for row in rows]
        hidden = [len(row.source_ids) if whole else 0 for row in rows]
        labels = [
            [-100] * count + list(row.answer_ids) for row, count in zip(rows, hidden, strict=True)
        ]
        named = {
            "input_ids": filled(ids, self.bundle.tokenizer.pad_id),
            "attention_mask": filled([[1] * len(each) for each in ids], 0),
            "labels": filled(labels, -100),
        }
        return {name: value.to(self.bundle.device) for name, value in named.items()}

    def loss(self, rows: Sequence[EncodedRow]) -> torch.Tensor:
        device, enabled = self.bundle.device.type, self.autocast is not None
        with torch.autocast(device, dtype=self.autocast, enabled=enabled):
            return self.model(**self.inputs(rows), use_cache=False).loss

    def step(self, groups: list[list[EncodedRow]]) -> float:
        total, tokens = 0.0, 0
        for group in groups:
            loss = self.loss(group)
            (loss / len(groups)).backward()
            size = sum(len(row.answer_ids) for row in group)
            total, tokens = total + float(loss.detach()) * size, tokens + size
        torch.nn.utils.clip_grad_norm_(self.named.values(), self.settings.max_grad_norm)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return total / tokens


def filled(rows: list[list[int]], value: int) -> torch.Tensor:
    length = max(map(len, rows))
    return torch.tensor([each + [value] * (length - len(each)) for each in rows])


class Generated(NamedTuple):
    """What one side of the generation did; texts in file order."""

    seconds: float
    texts: list[str]
    tokens: list[int]


@torch.no_grad()
def stock_generate(
    bundle: ModelBundle, rows: Sequence[EncodedRow], cap: int, micro_rows: int
) -> Generated:
    """Rows in file order, so many at a time; every row waits for the longest of its batch."""
    start = time.perf_counter()
    texts, tokens = [], []
    for part in parts_of(rows, micro_rows):
        ids, mask = pad_sources(part, bundle.tokenizer.pad_id, bundle.device, left=True)
        said = bundle.model.generate(
            input_ids=ids,
            attention_mask=mask,
            do_sample=False,
            max_new_tokens=cap,
            eos_token_id=list(bundle.tokenizer.stop_ids),
            pad_token_id=bundle.tokenizer.pad_id,
        )
        for new in said[:, ids.shape[1] :].tolist():
            stops = [at for at, token in enumerate(new) if token in bundle.tokenizer.stop_ids]
            answer = new[: stops[0] + 1] if stops else new
            texts.append(bundle.tokenizer.decode(answer))
            tokens.append(len(answer))
    return Generated(time.perf_counter() - start, texts, tokens)


def machine() -> str:
    cpu, info = platform.processor() or platform.machine(), Path("/proc/cpuinfo")
    if info.is_file():
        named = [row for row in info.read_text().splitlines() if row.startswith("model name")]
        cpu = named[0].partition(":")[2].strip() if named else cpu
    load = f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers"))
    return f"{cpu}, one thread, {load}; Python {platform.python_version()}; {packages}"

"""Fifty runs of 10,000 steps: how long the view and each rendering take, and how large they are.

``python benchmarks/report.py`` prints CPU seconds of one process and names the machine.
"""

import os
import platform
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import msgspec

from yoyak import recipes
from yoyak.data import sample
from yoyak.data.corpus import read_corpus
from yoyak.events import Prepared, Queued, StageStarted, Started, Stepped
from yoyak.queue import provenance
from yoyak.report import html, markdown
from yoyak.report.gather import gather
from yoyak.store.workspace import Workspace

RUNS, STEPS = 50, 10_000


def log():
    yield Queued(at=0.0, recipe="tiny-bart")
    yield Started(at=1.0, pid=1, host="box", attempt=1)
    yield StageStarted(at=1.0, stage="train")
    yield Prepared(
        at=1.0, rows=8 * STEPS, rows_shortened=0, steps=STEPS, steps_per_epoch=STEPS,
        tokens_per_epoch=1, supervised_tokens_per_epoch=1, parameters=1, trainable_parameters=1,
    )  # fmt: skip
    for step in range(1, STEPS + 1):
        yield Stepped(
            at=1.0 + step, step=step, epoch=step / STEPS, loss=5 / step**0.3 + step % 7 / 50,
            learning_rate=1e-3 * (1 - step / STEPS), grad_norm=1 + step % 5, tokens=700,
            supervised_tokens=200, rows=8, seconds=1.0,
        )  # fmt: skip


def fill(workspace):
    corpus = read_corpus(sample.folder())
    record = msgspec.json.encode(provenance.gather(corpus))
    lines = b"".join(msgspec.json.encode(event) + b"\n" for event in log())
    for seed in range(RUNS):
        recipe = recipes.resolve("tiny-bart", sets=[f"train.seed={seed}"]).recipe
        workspace.find_or_create(recipe, corpus, lambda: record).log_path.write_bytes(lines)


@contextmanager
def timed(name):
    before = time.process_time()
    yield
    print(f"{name:<20} {time.process_time() - before:6.2f} s")


def main():
    print(f"{RUNS} runs × {STEPS} steps, {platform.processor() or platform.machine()}, "
          f"{os.cpu_count()} cores, Python {sys.version.split()[0]}")  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(Path(folder) / "workspace")
        fill(workspace)
        with timed("status"):
            gather(workspace, compared=False)
        with timed("view"):
            view = gather(workspace)
        with timed("Markdown"):
            text = markdown.render(view)
        with timed("HTML (first, cold)"):
            page = html.render(view)
        with timed("HTML (again)"):
            html.render(view)
    print(f"Markdown {len(text.encode()) / 1e6:.2f} MB, HTML {len(page.encode()) / 1e6:.2f} MB")


if __name__ == "__main__":
    main()

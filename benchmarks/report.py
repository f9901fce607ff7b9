"""Fifty runs of 10,000 steps: how long the view and each rendering take, and how large they are.

``python benchmarks/report.py`` prints seconds on the wall and of one process's CPU. The history
keeps how much faster than ``json.loads`` of the same logs the view is there. Then the page of a
contest's workspace (five systems, 499 rows of dev and of test) is opened in Chromium, which says
itself when it painted first (``performance``); left out where there is no browser.
"""

import json
import os
import platform
import random
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import history
import msgspec

from yoyak.config import load
from yoyak.data import sample
from yoyak.data.corpus import read_corpus
from yoyak.events import Prepared, Queued, StageStarted, Started, TrainStep
from yoyak.report.model.load import gather
from yoyak.report.model.rows import RowColumn, RowSource, RowSystem
from yoyak.report.render import html, markdown
from yoyak.report.render.write import write_report
from yoyak.runs.workspace import Workspace
from yoyak.scheduler import provenance
from yoyak.values import Prediction, Split

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
        yield TrainStep(
            at=1.0 + step, step=step, epoch=step / STEPS, loss=5 / step**0.3 + step % 7 / 50,
            learning_rate=1e-3 * (1 - step / STEPS), grad_norm=1 + step % 5, tokens=700,
            supervised_tokens=200, rows=8, seconds=1.0,
        )  # fmt: skip


def fill(workspace, runs=RUNS):
    corpus = read_corpus(sample.folder())
    record = msgspec.json.encode(provenance.gather(corpus))
    lines = b"".join(msgspec.json.encode(event) + b"\n" for event in log())
    for seed in range(runs):
        recipe = load.resolve("tiny-bart", sets=[f"train.seed={seed}"]).recipe
        workspace.find_or_create(recipe, corpus, lambda: record).log_path.write_bytes(lines)


@contextmanager
def timed(name):
    began, spent = time.perf_counter(), time.process_time()
    cpu = []
    yield cpu
    cpu.append(time.process_time() - spent)
    print(f"{name:<34} {time.perf_counter() - began:6.2f} s, {cpu[0]:6.2f} s of CPU")


SHARED = Path(os.environ.get("YOYAK_SHARED", Path(__file__).parents[2] / "shared"))
SYSTEMS, ROWS = 5, 499
MOST_BYTES, MOST_PAINT_MS = 1_500_000, 1_000


def contest_page():
    """The page of five systems on 499 rows of dev and test: the contest's where they are here."""
    contest = SHARED / "data" / "contest"
    found = read_corpus(contest if contest.is_dir() else sample.folder())
    dialogues = found.train.dialogues[: 2 * ROWS]
    splits = [
        Split(name="dev", dialogues=dialogues[:ROWS], fingerprint="0" * 64),
        Split(
            name="test", fingerprint="1" * 64,
            dialogues=tuple(
                msgspec.structs.replace(one, references=()) for one in dialogues[ROWS:]
            ),
        ),
    ]  # fmt: skip
    chosen = random.Random(1)
    texts = [one.references[0] for one in dialogues]
    sources = []
    for split in splits:
        columns = [
            RowColumn(
                RowSystem(run=f"run-{place}", name=f"system-{place}", toy=False, mean=None),
                [
                    Prediction(id=one.id, text=text, raw=text)
                    for one in split.dialogues
                    for text in [" ".join(chosen.sample(texts, 2))[: chosen.randint(60, 140)]]
                ],
                None,
            )
            for place in range(SYSTEMS)
        ]
        sources.append(RowSource(f"{split.name}-0", "contest", split, columns))
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(Path(folder) / "workspace")
        fill(workspace, SYSTEMS)
        view = gather(workspace)
    with timed(f"page of {SYSTEMS} systems × {2 * ROWS} rows"):
        return html.render(view, sources)


def opened(page):
    """Print what the browser measured of the page."""
    try:
        from playwright.sync_api import Error, sync_playwright
    except ModuleNotFoundError:
        print("the page in a browser: left out, playwright is not installed")
        return
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        path = Path(folder) / "index.html"
        path.write_text(page, encoding="utf-8")
        try:
            browser = playwright.chromium.launch(
                executable_path=os.environ.get("YOYAK_CHROMIUM", "/usr/bin/chromium")
            )
        except Error as error:
            print(f"the page in a browser: left out, {str(error).splitlines()[0]}")
            return
        paints = []
        for _ in range(5):
            tab = browser.new_page(viewport={"width": 1280, "height": 900})
            tab.goto(path.as_uri())
            tab.wait_for_function("performance.getEntriesByName('first-contentful-paint').length")
            paints.append(
                tab.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
            )
            tab.close()
        browser.close()
    print(
        f"first contentful paint {min(paints):.0f}–{max(paints):.0f} ms of {MOST_PAINT_MS}, "
        f"{len(page.encode()) / 1e6:.2f} MB of {MOST_BYTES / 1e6:.1f}"
    )


def main():
    machine = f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores"
    print(f"{RUNS} runs × {STEPS} steps, {machine}, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(Path(folder) / "workspace")
        fill(workspace)
        with timed("status"):
            gather(workspace, compared=False)
        with timed("disk to page, the first of a process"):
            page = html.render(gather(workspace))
        with timed("disk to page, again"):
            html.render(gather(workspace))
        with timed("disk to view") as ours:
            view = gather(workspace)
        with timed("the logs by json.loads, nothing else") as plain:
            for log_path in Path(folder).rglob("events.jsonl"):
                for line in log_path.read_bytes().splitlines():
                    json.loads(line)
        with timed("Markdown"):
            text = markdown.render(view)
        with timed("all three files"):
            write_report(workspace, view, ())
    print(f"Markdown {len(text.encode()) / 1e6:.2f} MB, HTML {len(page.encode()) / 1e6:.2f} MB")
    opened(contest_page())
    history.record("report.view", *history.compare_times(plain, ours))


if __name__ == "__main__":
    main()

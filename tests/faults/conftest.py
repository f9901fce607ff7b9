"""Real training runs that are killed, starved and damaged, and the ledger of what came of it."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from yoyak.config.project import Project
from yoyak.data import sample
from yoyak.data.corpus import read_corpus
from yoyak.events import CheckpointSaved, Started, TrainStep
from yoyak.files import atomic
from yoyak.runs.run import Run
from yoyak.runs.workspace import Workspace
from yoyak.scheduler import create_runs

HERE = Path(__file__).parent
STEPS = 16

COMMON = f"""
[prompt]
style = "{{style}}"
max_source_tokens = 768
max_summary_tokens = 384

[train]
epochs = 3
max_steps = {STEPS}
batch_size = 4
learning_rate = 2e-3
save_every_steps = 2

[evaluate]
every_epochs = "none"

[decode]
kind = "greedy"
max_new_tokens = 8
"""

SCRATCH = """
[model.scratch]
architecture = "{architecture}"
vocabulary = 1000
width = 64
layers = 1
heads = 2
"""

LORA = """
[lora]
rank = 4
alpha = 8
dropout = 0.05
"""

RECIPES = {
    "bart": 'engine = "seq2seq"\n'
    + SCRATCH.format(architecture="bart")
    + COMMON.format(style="source"),
    "lora": 'engine = "qlora"\n'
    + SCRATCH.format(architecture="llama")
    + LORA
    + COMMON.format(style="chat"),
    "nf4": 'engine = "qlora"\n[model]\nquantisation = "nf4"\n'
    + SCRATCH.format(architecture="qwen3")
    + LORA
    + COMMON.format(style="chat"),
}


@pytest.fixture
def note(record_property):
    """Hands figures to the page under a name, also from one of several processes."""

    def remember(name, figures):
        record_property("figures", [name, figures])

    return remember


@pytest.fixture(scope="session")
def corpus():
    return read_corpus(sample.folder())


def prepared(form, folder, corpus, workspace=None, steps=STEPS):
    path = folder / f"{form}.toml"
    text = RECIPES[form].replace(f"max_steps = {STEPS}", f"max_steps = {steps}")
    path.write_text(text, encoding="utf-8")
    place = Workspace(workspace or folder / f"workspace-{time.monotonic_ns()}")
    (run,) = create_runs.create_runs(place, corpus, [str(path)], Project(), ())
    return run


@pytest.fixture
def run_of(tmp_path, corpus):
    """A prepared run of one of the three forms, in a workspace of its own."""
    return lambda form, *rest, **options: prepared(form, tmp_path, corpus, *rest, **options)


class Whole(NamedTuple):
    """A run that nothing was done to, once a session; tests change copies of it."""

    run: Run
    seconds: float
    outcome: "Outcome"

    def copied(self, place):
        shutil.copytree(self.run.folder.parents[1], place)
        (run,) = Workspace(place).runs()
        return run


@pytest.fixture(scope="session")
def whole_of(tmp_path_factory, corpus, worker):
    @cache
    def make(form):
        run = prepared(form, tmp_path_factory.mktemp("whole"), corpus)
        began = time.monotonic()
        assert worker(run) == 0
        return Whole(run, time.monotonic() - began, Outcome(run))

    return make


@pytest.fixture
def workspace_run(tmp_path, corpus):
    """A run that needs no torch."""
    (run,) = create_runs.create_runs(
        Workspace(tmp_path / "workspace"), corpus, ["lead"], Project(), ()
    )
    return run


class Server:
    """Forks workers from a process that has imported torch once.

    A worker's start is thus a fork, and hundreds of kills take minutes instead of hours.
    """

    def __init__(self, script):
        self._process = subprocess.Popen(
            [sys.executable, HERE / script], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True, env={**os.environ, "OMP_NUM_THREADS": "1", "YOYAK_LANG": "en",
                            "CUDA_VISIBLE_DEVICES": ""},
        )  # fmt: skip
        assert self._read() == "ready"

    def start(self, *words):
        """Starts one worker; its pid."""
        self._write(json.dumps([str(word) for word in words]))
        return int(self._read())

    def wait(self):
        """The exit code of the worker that was started last, once it has ended."""
        self._write("wait")
        return int(self._read())

    def killed_after(self, seconds, *words):
        """Starts a worker and kills it after so many seconds, if it still lives; its exit code."""
        until = time.monotonic() + seconds
        return self.killed_when(lambda: time.monotonic() >= until, *words)

    def killed_when(self, condition, *words):
        """Starts a worker and kills it once ``condition`` holds, if it still lives; its code."""
        pid = self.start(*words)
        while not condition() and not self._is_over(pid):
            time.sleep(0.002)
        if not self._is_over(pid):
            os.kill(pid, signal.SIGKILL)
        return self.wait()

    def _is_over(self, pid):
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        return state == "Z"  # it stays one until the server is asked to wait

    def _write(self, line):
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def _read(self):
        line = self._process.stdout.readline()
        assert line, "the server died"
        return line.strip()

    def close(self):
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()


@pytest.fixture(scope="session")
def server():
    started = Server("fork_server.py")
    yield started
    started.close()


@pytest.fixture(scope="session")
def stock():
    started = Server("stock_server.py")
    yield started
    started.close()


@pytest.fixture(scope="session")
def worker(server):
    """Carries a run out in a forked worker, killed at a moment or (None) not at all.

    A moment is seconds after the start (the long version: anywhere), or a condition of the run's
    own records (the short version: the kill hits however fast the machine is).
    """

    def work(run, moment=None):
        words = (run.folder, sample.folder())
        if moment is None:
            server.start(*words)
            return server.wait()
        return (server.killed_when if callable(moment) else server.killed_after)(moment, *words)

    return work


class Outcome:
    """Everything that must not depend on kills: bits of the weights, words of the answers."""

    def __init__(self, run):
        manifest = atomic.verify_folder(run.folder / "weights")
        assert manifest is not None
        self.weights = {
            each.name: each.sha256 for each in manifest.files if each.name.endswith(".safetensors")
        }
        self.answers = {
            split: [
                (one.id, one.text, one.raw, one.tokens, one.stop)
                for one in sorted(run.predictions(split), key=lambda one: one.id)
            ]
            for split in ("dev", "test")
        }
        self.score = run.scorecard("dev").rouge

    def __eq__(self, other):
        return vars(self) == vars(other)

    __hash__ = None


@pytest.fixture(scope="session")
def outcome_of():
    return Outcome


@pytest.fixture
def committed():
    """The newest step whose checkpoint is whole on disk; none may be torn under its own name."""

    def look(run):
        folders = sorted((run.folder / "checkpoints").glob("step-*"))
        torn = [path.name for path in folders if atomic.verify_folder(path) is None]
        assert torn == []
        return max((int(path.name[5:]) for path in folders), default=None)

    return look


@pytest.fixture
def first_step_after():
    """The first step of the last attempt, ``None`` if it made none."""

    def look(run):
        events = run.events()
        last = max(place for place, event in enumerate(events) if isinstance(event, Started))
        steps = [event.step for event in events[last:] if isinstance(event, TrainStep)]
        return steps[0] if steps else None

    return look


@pytest.fixture
def seconds_to_recover():
    """From a worker's start to its first new step or checkpoint, by the log's own clock."""

    def look(run):
        events = run.events()
        last = max(place for place, event in enumerate(events) if isinstance(event, Started))
        later = [
            event.at for event in events[last:] if isinstance(event, TrainStep | CheckpointSaved)
        ]
        return later[0] - events[last].at if later else None

    return look


@pytest.fixture
def luck(request):
    return random.Random(request.node.name)


# --- docs/reliability.md -------------------------------------------------------------------------

HEADINGS = {
    "kills-bart": "Random kills, koBART-like, all weights learn",
    "kills-lora": "Random kills, Llama-like, LoRA",
    "kills-nf4": "Random kills, Qwen3-like, 4-bit NF4 and LoRA",
    "generation": "Random kills during generation",
    "full-disk": "A real file system that is too small, at a sweep of sizes",
    "races": "Two starters of one run",
    "estimates": "The forecast after ten real steps of 60",
    "stock-trainer": "The same kills against a stock transformers.Trainer (the control)",
}


class Book:
    """How the tests of this folder ended and what they measured, from however many processes."""

    def __init__(self):
        self.results = {}
        self.figures = {}

    def pytest_runtest_logreport(self, report):
        if report.when == "call" or report.skipped:
            name = report.nodeid.partition("[")[0].removeprefix("tests/")
            self.results.setdefault(name, []).append(report.outcome)
        if report.when == "call":
            self.figures.update(
                value for name, value in report.user_properties if name == "figures"
            )

    def pytest_sessionfinish(self):
        """Writes the page; a partial session, which leaves rows open, writes nothing."""
        if "matrix" not in self.figures:
            return
        from faults.test_hostile import hostile_lines

        rows, elsewhere = self.figures["rows"], self.figures["matrix"]
        lines = [
            *INTRODUCTION, *figure_lines(self.figures),
            *matrix_lines(rows, elsewhere | self.results), "", *hostile_lines(),
        ]  # fmt: skip
        path = HERE.parents[1] / "docs" / "reliability.md"
        page = "\n".join(lines).replace("{day}", time.strftime("%Y-%m-%d"), 1)
        path.write_text(page + "\n", encoding="utf-8")


def pytest_collection_modifyitems(config, items):
    """Begins the long version with what takes longest, so that no process is left to it alone."""
    if config.getoption("--long"):
        items.sort(key=lambda item: "test_kills.py" not in item.nodeid)


def pytest_configure(config):
    """Only the long version keeps the book, and of several processes only the first."""
    if config.getoption("--long") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Book(), "book")


INTRODUCTION = [
    "# Reliability: what was done to runs, and what came of it",
    "",
    "`make faults` writes the figures and the results of faults. It last did so on {day}, and the",
    "code has changed since: they are that day's. Tiny models with random weights on two CPU",
    "cores go down the code paths of koBART and of the 4-bit LLMs.",
    "",
    "A checkpoint is written beside its place, every file is forced to the disk, a manifest with",
    "the SHA-256 of each comes last, then the folder gets its name and the folder above is forced",
    "to the disk. Going on takes the newest checkpoint whose every byte is as it was written.",
    "",
    "## Figures",
    "",
    "| What was done | What came of it |",
    "|---|---|",
]


def figure_lines(figures):
    for name, heading in HEADINGS.items():
        if name in figures:
            said = "; ".join(f"{what}: {value}" for what, value in figures[name].items())
            yield f"| {heading} | {said} |"


def matrix_lines(rows, results):
    yield from ("", "## Faults", "", "| # | Fault | Expected | Shown by | Result |")
    yield "|---|---|---|---|---|"
    for number, (fault, expected, tests) in rows.items():
        states = [state for test in tests for state in results.get(test, ["not run"])]
        if not tests:
            result = "not shown"
        elif all(state == "passed" for state in states):
            result = f"passed ({len(states)})"
        else:
            result = ", ".join(
                f"{state} ({states.count(state)})" for state in dict.fromkeys(states)
            )
        shown = "<br>".join(f"`{test}`" for test in tests)
        yield f"| {number} | {fault} | {expected} | {shown} | {result} |"

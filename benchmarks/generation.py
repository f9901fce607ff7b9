"""How fast toys answer the contest's dev rows, against the engine of commit 2ed4acd, in one run.

    python benchmarks/generation.py [--rows N] [--repeats N] [--case NAME] [--json] [--tiny]

The toys of tiny-qlora (greedy) and tiny-bart (beams), whole and in float32, on one CPU thread.
tiny-bart is trained for a few steps, so that answers end; in tiny-qlora, stops are planted. The
former engine's source comes from this repository's history and runs in a process of its own; the
two answer the same rows with the same weights in turns, and their ids are compared. Times are of
the CPU, which on a busy machine say more than the clock. Contest rows are read from YOYAK_SHARED
or ../shared; without them the embedded sample is repeated. ``--tiny`` is that at a size for tests.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch  # noqa: TID253 -- a benchmark loads what it compares

FORMER = "2ed4acd06cb2e135a130fa4a8726f05339e56747"
ROOT = Path(__file__).parents[1]
CASES = {"greedy": "tiny-qlora", "2 beams": "tiny-bart", "4 beams": "tiny-bart"}
TRAIN_STEPS, TRAIN_ROWS, LEARNING_RATE = 400, 8, 2e-3
STOP_EVERY = 75  # answers of 1 to 75 tokens
IDS = ("stop_ids", "stop_id", "pad_id", "decoder_start_id", "vocab_size")


class Scene(NamedTuple):
    """What both engines get: a model with its special ids, and rows."""

    model: Any
    ids: SimpleNamespace
    kind: str
    rows: list[tuple[str, tuple[int, ...]]]
    cap: int


# --- the former engine, in its own process --------------------------------------------------------


def former_worker(file: str) -> None:
    """Answer once for each line on standard input; a line of JSON each time."""
    from yoyak.engine.encode import Encoded
    from yoyak.recipe import Beam, Greedy

    from yoyak.engine import decode
    from yoyak.engine.models import Loaded

    torch.set_num_threads(1)
    scene = Scene(*torch.load(file, weights_only=False))
    with_stops(scene)
    codec = SimpleNamespace(
        **vars(scene.ids), vocabulary=scene.ids.vocab_size, tags_are_tokens=False
    )
    loaded = Loaded(scene.model, codec, scene.kind, torch.device("cpu"))
    rows = [Encoded(id_, ids, (), False) for id_, ids in scene.rows]
    for line in sys.stdin:
        beams = int(line)
        decoding = Beam(beams=beams) if beams > 1 else Greedy()
        work = decode.Work(loaded, decoding, scene.cap, ())
        started = time.process_time()
        answers = {}
        for batch in decode.batches(rows, scene.cap, decode.BUDGET_TOKENS // beams):
            answers |= zip((row.id for row in batch), decode.new_ids(work, batch), strict=True)
        print(json.dumps([time.process_time() - started, answers]), flush=True)


def with_stops(scene: Scene) -> None:
    from stops import plant_stops

    if scene.kind == "causal":
        plant_stops(scene.model, STOP_EVERY, scene.ids.stop_id)


class FormerEngine:
    """The process of the former engine."""

    def __init__(self, folder: Path, scene: Scene) -> None:
        source = folder / "former"
        if not source.exists():
            archive = folder / "former.tar"
            words = ("git", "-C", str(ROOT), "archive", "-o", str(archive), FORMER, "src/yoyak")
            subprocess.run(words, check=True)
            with tarfile.open(archive) as tar:
                tar.extractall(source, filter="data")
        file = folder / "scene.pt"
        torch.save(tuple(scene), file)
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--worker", str(file)],
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join([str(source / "src"), str(ROOT / "benchmarks")]),
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def answer(self, beams: int) -> tuple[float, dict[str, list[int]]]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(beams, file=self._process.stdin, flush=True)
        seconds, answers = json.loads(self._process.stdout.readline())
        return seconds, answers

    def end(self) -> None:
        self._process.communicate()


# --- this engine ----------------------------------------------------------------------------------


def answer(scene: Scene, beams: int) -> tuple[float, dict[str, list[int]]]:
    from yoyak.config.schema import BeamSearch, Greedy
    from yoyak.engine.inference.batch_memory import batch_memory, make_batches
    from yoyak.engine.inference.generate import DecodeJob, decoded
    from yoyak.engine.models.model import ModelBundle
    from yoyak.engine.tokenization.encode import EncodedRow

    bundle = ModelBundle(scene.model, scene.ids, scene.kind, torch.device("cpu"))
    rows = [EncodedRow(id_, ids, (), False) for id_, ids in scene.rows]
    decoding = BeamSearch(num_beams=beams) if beams > 1 else Greedy()
    job = DecodeJob(bundle, decoding, scene.cap, ())
    started = time.process_time()
    answers = {}
    for batch in make_batches(rows, scene.cap, batch_memory(bundle, decoding)):
        answers |= zip((row.id for row in batch), decoded(job, batch), strict=True)
    return time.process_time() - started, answers


def read_scene(name: str, count: int | None, steps: int, *, sample: bool) -> Scene:
    """A toy that has learnt for ``steps`` steps, and the first ``count`` dev rows."""
    from given import SHARED

    import yoyak.data.sample
    from yoyak.config.load import resolve
    from yoyak.data.corpus import read_corpus
    from yoyak.engine.inference.max_length import default_max_new_tokens
    from yoyak.engine.models.collate import collate
    from yoyak.engine.models.loss import loss_sum
    from yoyak.engine.models.model import ModelBundle
    from yoyak.engine.pipeline import scratch_model
    from yoyak.engine.tokenization.encode import encode_rows
    from yoyak.engine.tokenization.train_tokenizer import train_tokenizer

    recipe, contest = resolve(name).recipe, SHARED / "data" / "contest"
    found = contest / "train.csv"
    corpus = read_corpus(contest if found.is_file() and not sample else yoyak.data.sample.folder())
    dialogues = corpus.train.dialogues[:2000]
    texts = (text for each in dialogues for text in (each.text, *each.references))
    tokenizer = train_tokenizer(texts, recipe)
    train = encode_rows(tokenizer, dialogues, recipe.prompt, with_answers=True)
    dev = encode_rows(tokenizer, corpus.dev.dialogues, recipe.prompt, with_answers=False)
    dev = (dev * -(-(count or len(dev)) // len(dev)))[:count]
    model = scratch_model.build(
        scratch_model.config_for(recipe.model.scratch, tokenizer, recipe.prompt), seed=42
    )
    kind = "seq2seq" if recipe.engine == "seq2seq" else "causal"
    bundle = ModelBundle(model, tokenizer, kind, torch.device("cpu"))
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE)
    for step in range(steps if kind == "seq2seq" else 0):
        start = step * TRAIN_ROWS % (len(train) - TRAIN_ROWS + 1)
        rows = train[start : start + TRAIN_ROWS]
        loss = loss_sum(model, collate(rows, tokenizer, kind, bundle.device))
        (loss / sum(len(row.answer_ids) for row in rows)).backward()
        optimizer.step()
        optimizer.zero_grad()
    return Scene(
        model=model.eval(),
        ids=SimpleNamespace(**{each: getattr(tokenizer, each) for each in IDS}),
        kind=kind,
        rows=[(f"{number}", row.source_ids) for number, row in enumerate(dev)],
        cap=default_max_new_tokens(len(row.answer_ids) for row in train),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, help="dev rows, all of them unless given")
    parser.add_argument("--repeats", type=int, default=3, help="turns of each engine")
    parser.add_argument("--case", action="append", choices=CASES, help="several times; else all")
    parser.add_argument("--json", action="store_true", help="JSON lines instead of a table")
    parser.add_argument("--tiny", action="store_true", help="the sample, at a size for tests")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.worker:
        former_worker(chosen.worker)
        return
    import history
    from plain import machine

    from yoyak.engine.device import silence_libraries

    silence_libraries()
    torch.set_num_threads(1)
    steps = TRAIN_STEPS
    if chosen.tiny:
        chosen.rows, chosen.repeats, steps = 12, 1, 3
    scenes: dict[str, Scene] = {}
    for case in chosen.case or CASES:
        name = CASES[case]
        if name not in scenes:
            scenes[name] = read_scene(name, chosen.rows, steps, sample=chosen.tiny)
        scene, beams = scenes[name], int(case[0]) if case != "greedy" else 1
        times: tuple[list[float], list[float]] = ([], [])
        with tempfile.TemporaryDirectory() as folder:
            former = FormerEngine(Path(folder), scene)
            with_stops(scene)
            _, theirs = former.answer(beams)  # the first turn loads and allocates
            _, ours = answer(scene, beams)
            for _ in range(chosen.repeats):
                seconds, theirs = former.answer(beams)
                times[0].append(seconds)
                seconds, ours = answer(scene, beams)
                times[1].append(seconds)
            former.end()
        ratio, spread = history.compare_times(*times)
        tokens = [len(ids) for ids in ours.values()]
        line = {
            "machine": machine(),
            "case": f"{name}, {case}",
            "rows": len(scene.rows),
            "former_seconds": [round(each, 2) for each in times[0]],
            "seconds": [round(each, 2) for each in times[1]],
            "ratio": round(ratio, 2),
            "spread": spread,
            "equal_rows": sum(ours[id_] == theirs[id_] for id_ in ours),
            "mean_tokens": statistics.fmean(tokens),
            "longest_tokens": max(tokens),
            "cap": scene.cap,
        }
        print(json.dumps(line, ensure_ascii=False) if chosen.json else drawn(line), flush=True)
        if not chosen.tiny:
            history.record(f"generation.{name}, {case}", ratio, spread)


def drawn(line: dict[str, object]) -> str:
    return "\n".join(f"{name:<16} {value}" for name, value in line.items()) + "\n"


if __name__ == "__main__":
    main()

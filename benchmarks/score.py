"""How fast the judge is, as ratios against four ROUGE packages measured in the same run.

    python benchmarks/score.py [--all] [--json]

Texts: the koBART predictions for the contest's dev set against three references a row (the
official one, the older translation, the next row's) where the contest files are there
(YOYAK_SHARED or ../shared), else the embedded sample repeated. Every figure is the best of several
runs that take turns. ``--all`` also times the packages on 12,457 × 3 and the memory of 1,000,000
pairs (about ten minutes).
"""

import argparse
import csv
import json
import os
import platform
import random
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")

import fast_rouge
import history
import mecab  # noqa: TID253 -- a benchmark loads what it compares
from korouge_score import rouge_scorer as korouge
from rouge import Rouge
from rouge_score import rouge_scorer as google

import yoyak.data.sample
from yoyak.metrics import token_codes
from yoyak.metrics.bootstrap import mean_intervals
from yoyak.metrics.rouge import pairwise, score_rows, score_tokens
from yoyak.metrics.tokenizers import load

SHARED = Path(os.environ.get("YOYAK_SHARED", Path(__file__).parents[2] / "shared")) / "data"
KOBART = SHARED / "predictions" / "dev_pred_kobart_13gi_nlp5.csv"
METRICS = ["rouge1", "rouge2", "rougeL"]
ROWS, TRAIN_ROWS = 499, 12_457
PEERS = ("rouge-score", "korouge-score", "rouge", "rouge-rust")


class Texts(NamedTuple):
    """Predictions and the references of each."""

    source: str
    ours: list[str]
    theirs: list[tuple[str, ...]]

    def first_reference(self) -> "Texts":
        return self._replace(theirs=[texts[:1] for texts in self.theirs])

    def repeated(self, rows: int) -> "Texts":
        """``rows`` rows of which no two hold the same text, so that nothing is known before."""
        places = [(row % len(self.ours), row // len(self.ours)) for row in range(rows)]
        return self._replace(
            ours=[f"{self.ours[at]} {turn}" for at, turn in places],
            theirs=[tuple(f"{text} {turn}" for text in self.theirs[at]) for at, turn in places],
        )


class Line(NamedTuple):
    """One measurement: the best seconds for so many pairs, and those of every turn."""

    task: str
    who: str
    pairs: int
    turns: list[float]

    @property
    def seconds(self) -> float:
        return min(self.turns)


def column(path: Path, name: str) -> dict[str, str]:
    with path.open(encoding="utf-8", newline="") as file:
        return {row["fname"]: row[name] for row in csv.DictReader(file)}


def read_texts() -> Texts:
    if not KOBART.is_file():
        return sample_texts()
    ours = column(KOBART, "summary")
    dev = column(SHARED / "contest" / "dev.csv", "summary")
    old = column(SHARED / "old_translation" / "dev_old_a.csv", "summary")
    others = dict(zip(dev, [*list(dev.values())[1:], dev[next(iter(dev))]], strict=True))
    return Texts(
        "koBART predictions for the contest's dev set",
        list(ours.values()),
        [(dev[key], old[key], others[key]) for key in ours],
    )


def sample_texts() -> Texts:
    texts: list[str] = []
    for name in ("train.csv", "dev.csv"):
        path = Path(yoyak.data.sample.__file__).parent / name
        texts += column(path, "summary").values()
    following = texts[1:] + texts
    theirs = [tuple(following[row : row + 3]) for row in range(len(texts))]
    return Texts("the embedded sample, repeated", texts, theirs).repeated(ROWS)


def once(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def turns(work: Callable[[], object], times: int) -> list[float]:
    return [once(work) for _ in range(times)]


def best(work: Callable[[], object], times: int) -> float:
    return min(turns(work, times))


def by_turns(
    quick: dict[str, Callable[[], object]], slow: dict[str, Callable[[], object]]
) -> dict[str, list[float]]:
    """The times of each: a shared machine then slows all of them alike."""
    spent: dict[str, list[float]] = {who: [] for who in (*quick, *slow)}
    for _ in range(3):
        for who, work in slow.items():
            spent[who].append(once(work))
        for who, work in quick.items():
            spent[who] += [once(work) for _ in range(10)]
    return spent


class Listed:
    """The tokenizer hook of rouge-score for tokens joined by a unit separator."""

    def tokenize(self, text: str) -> list[str]:
        return text.split("\x1f") if text else []


def peers(pairs: list[tuple[list[str], list[str]]]) -> dict[str, Callable[[], object]]:
    """Every package on the same tokens; joining and numbering them is not part of the time."""
    by_unit = [("\x1f".join(ours), "\x1f".join(theirs)) for ours, theirs in pairs]
    by_blank = [[" ".join(text) for text in side] for side in zip(*pairs, strict=True)]
    numbers: dict[str, str] = {}
    digits = [
        [" ".join(numbers.setdefault(token, str(len(numbers))) for token in text) for text in side]
        for side in zip(*pairs, strict=True)
    ]
    scorer = google.RougeScorer(METRICS, tokenizer=Listed())
    korean = korouge.RougeScorer(METRICS)
    return {
        "rouge-score": lambda: [scorer.score(theirs, ours) for ours, theirs in by_unit],
        "korouge-score": lambda: [
            korean.score(theirs, ours) for ours, theirs in zip(*by_blank, strict=True)
        ],
        "rouge": lambda: Rouge().get_scores(*by_blank),
        "rouge-rust": lambda: fast_rouge.score_batch_flat(digits[1], digits[0]),
    }


def score_only(texts: Texts, *, with_peers: bool) -> list[Line]:
    """From lists of tokens to scores, and from texts whose tokens are known."""
    cut = load("mecab").tokens
    ours = cut(texts.ours)
    theirs = [cut(row) for row in texts.theirs]
    pairs = [(mine, other) for mine, row in zip(ours, theirs, strict=True) for other in row]
    task = f"score only, {len(ours):,} x {len(theirs[0])}"
    quick: dict[str, Callable[[], object]] = {
        "yoyak": lambda: score_tokens(ours, theirs),
        "yoyak, tokens known": lambda: score_rows(texts.ours, texts.theirs),
    }
    score_rows(texts.ours, texts.theirs)
    slow = peers(pairs) if with_peers else {}
    if with_peers:
        quick["rouge-rust, two threads"] = slow.pop("rouge-rust")
    return [Line(task, who, len(pairs), spent) for who, spent in by_turns(quick, slow).items()]


def fresh() -> None:
    """Forgets every text, but not the dictionary."""
    token_codes._encoder.cache_clear()
    load("mecab")


def with_tokenising(texts: Texts, *, with_peers: bool, times: int = 5) -> list[Line]:
    """From texts to scores, with nothing known and with the references known."""

    def cold() -> None:
        fresh()
        score_rows(texts.ours, texts.theirs)

    def known_references() -> float:
        fresh()
        score_rows([row[0] for row in texts.theirs], texts.theirs)
        return best(lambda: score_rows(texts.ours, texts.theirs), 1)

    count = sum(map(len, texts.theirs))
    task = f"from texts, {len(texts.ours):,} x {len(texts.theirs[0])}"
    known = [known_references() for _ in range(times)]
    lines = [
        Line(task, "yoyak", count, turns(cold, times)),
        Line(task, "yoyak, references known", count, known),
    ]
    if with_peers:
        lines.append(Line(task, "morphs() a pair + rouge", count, turns(lambda: naive(texts), 2)))
    return lines


def naive(texts: Texts) -> None:
    """What the teams of the contest wrote: both texts cut again for every pair, then ``rouge``."""
    morphs, judge = mecab.MeCab().morphs, Rouge()
    for ours, row in zip(texts.ours, texts.theirs, strict=True):
        for theirs in row:
            judge.get_scores(" ".join(morphs(ours)), " ".join(morphs(theirs)))


def candidates(texts: Texts, count: int) -> list[list[str]]:
    """``count`` unlike candidates a row: the row's texts with a third of their words exchanged."""
    draw = random.Random(42)
    rows = []
    for ours, theirs in zip(texts.ours, texts.theirs, strict=True):
        words = [text.split() or [text] for text in (ours, *theirs)]
        found = []
        for place in range(count):
            base = list(words[place % len(words)])
            for _ in range(len(base) // 3 + 1):
                base[draw.randrange(len(base))] = draw.choice(draw.choice(words))
            found.append(" ".join(base))
        rows.append(found)
    return rows


def all_pairs(texts: Texts, count: int, *, with_peers: bool) -> list[Line]:
    """Consensus: every candidate against every other, tokens known."""
    rows = candidates(texts, count)
    fresh()
    pairwise(rows)
    task, size = f"all pairs, {count} x {len(rows)}", len(rows) * count * count
    lines = [Line(task, "yoyak", size, turns(lambda: pairwise(rows), 3))]
    if with_peers:
        few = [load("mecab").tokens(row) for row in rows[:2]]
        pairs = [(mine, other) for row in few for mine in row for other in row]
        found = peers(pairs)
        lines += [
            Line(
                task,
                f"{who} (2 rows, scaled)",
                size,
                [spent * size / len(pairs) for spent in turns(found[who], 2)],
            )
            for who in ("rouge-score", "rouge-rust")
        ]
    return lines


FIRST_SCORE = """
import sys, time
from yoyak.metrics.bootstrap import mean_intervals
from yoyak.metrics.rouge import score_rows
print(score_rows(["우산을 두고 왔다."], [("우산을 두고 갔다.",)])[0, 0, 2])
assert not {"torch", "transformers"} & set(sys.modules)
"""
# Not ru_maxrss: a child process inherits it from its parent.
PEAK = """
def peak():
    with open("/proc/self/status") as status:
        return next(line.split()[1] for line in status if line.startswith("VmHWM"))
"""
SCORED_SET = (
    PEAK
    + """
import json, sys
from yoyak.metrics.bootstrap import mean_intervals
from yoyak.metrics.rouge import score_rows
texts = json.load(sys.stdin)
score_rows(texts[0], [tuple(row) for row in texts[1]])
print(peak())
"""
)
MILLION = (
    PEAK
    + """
from yoyak.metrics.protocol import parse
from yoyak.metrics.bootstrap import mean_intervals
from yoyak.metrics.rouge import score_rows
words = "우산 가방 버스 아침 저녁 약속 주말 회의 표 커피 편지 도서관".split()
def text(n): return " ".join(words[(n >> s) % 12] for s in range(0, 20, 2)) + f" {n}"
ours = [text(n) for n in range(1_000_000)]
theirs = [(text(n * 7919 % 1_000_000),) for n in range(1_000_000)]
before = peak()
score_rows(ours, theirs, parse("official"))
print(peak(), before)
"""
)


def child(code: str, stdin: str = "") -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", code], input=stdin, check=True, capture_output=True, text=True
    )
    return done.stdout.split()


def processes(texts: Texts, *, everything: bool) -> dict[str, float]:
    """Seconds from the start of Python to the first score, and peak memory in MiB."""
    rows = json.dumps([texts.ours, texts.theirs])
    found = {
        "first score [s]": best(lambda: child(FIRST_SCORE), 7),
        f"peak memory, {len(texts.ours)} x 3 [MiB]": int(child(SCORED_SET, rows)[0]) / 1024,
    }
    if everything:
        peak, before = (int(number) / 1024 for number in child(MILLION))
        found["peak memory, 1,000,000 pairs [MiB]"] = peak
        found["of which the texts [MiB]"] = before
    return found


def resampling(texts: Texts) -> dict[str, float]:
    """What the intervals cost: 10,000 resamples of the rows' means."""
    rows = score_rows(texts.ours, texts.theirs)[:, :, 2]
    means = rows.mean(axis=1, keepdims=True)
    spent = best(lambda: mean_intervals(means, seed=42, resamples=10_000), 7)
    return {f"bootstrap, 10,000 x {len(rows)} rows [ms]": 1e3 * spent}


def machine() -> str:
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        named = [row for row in info.read_text().splitlines() if row.startswith("model name")]
        cpu = named[0].partition(":")[2].strip() if named else cpu
    packages = ", ".join(f"{name} {version(name)}" for name in (*PEERS, "rapidfuzz", "numpy"))
    return f"{cpu}, one thread; Python {platform.python_version()}; {packages}"


def draw(lines: list[Line], figures: dict[str, float]) -> None:
    task = ""
    for line in lines:
        if line.task != task:
            task, ours = line.task, line.seconds
            print(f"\n{task} ({line.pairs:,} pairs)")
        rate = line.pairs / line.seconds
        print(
            f"  {line.who:<28} {line.seconds * 1e3:12,.1f} ms {rate:14,.0f} pairs/s"
            f" {line.seconds / ours:9.1f} x"
        )
    print()
    for name, figure in figures.items():
        print(f"  {name:<38} {figure:10,.2f}")


def remember(lines: list[Line]) -> None:
    """Record how many times longer every other package took for the same task."""
    ours: Line | None = None
    for line in lines:
        if line.who == "yoyak":
            ours = line
        elif ours is not None and not line.who.startswith("yoyak"):
            name = f"score.{line.task}.{line.who}"
            history.record(name, *history.compare_times(line.turns, ours.turns))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--all", action="store_true", help="also what takes minutes")
    parser.add_argument("--json", action="store_true", help="one line of JSON instead of a table")
    chosen = parser.parse_args()
    texts = read_texts()
    many = texts.repeated(TRAIN_ROWS)
    lines = [
        *score_only(texts.first_reference(), with_peers=True),
        *score_only(texts, with_peers=True),
        *score_only(many, with_peers=chosen.all),
        *with_tokenising(texts.first_reference(), with_peers=True),
        *with_tokenising(texts, with_peers=True),
        *with_tokenising(many, with_peers=False, times=1),
        *all_pairs(texts, 20, with_peers=True),
        *all_pairs(texts, 64, with_peers=True),
    ]
    figures = resampling(texts) | processes(texts, everything=chosen.all)
    if chosen.json:
        record = {"machine": machine(), "texts": texts.source, "figures": figures}
        record["lines"] = [{**line._asdict(), "seconds": line.seconds} for line in lines]
        print(json.dumps(record, ensure_ascii=False))
    else:
        print(f"{texts.source}\n{machine()}")
        draw(lines, figures)
    remember(lines)


if __name__ == "__main__":
    main()

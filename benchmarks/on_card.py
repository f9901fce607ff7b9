"""What the benchmarks of a card share: each case in a process of its own, one JSON line a case."""

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import history

import torch  # noqa: TID253 -- a benchmark loads what it measures
from yoyak.engine.device import silence_libraries

GB = 1e9


def parse(
    parser: argparse.ArgumentParser, models: Sequence[str], cases: Sequence[str]
) -> argparse.Namespace:
    """The command line with the shared options; the process is held to the memory it names."""
    parser.add_argument("--case", action="append", choices=cases, help="several times; else all")
    parser.add_argument("--model", action="append", choices=models, help="several times; else all")
    parser.add_argument("--budget-gb", type=float, help="let the process have no more memory")
    parser.add_argument("--tiny", action="store_true", help="small, for the CPU")
    parser.add_argument("--repeats", type=int, default=3, help="measurements of each case")
    parser.add_argument("--limit-s", type=float, default=180, help="seconds a case may take")
    parser.add_argument("--here", action="store_true", help="one model and case in this process")
    chosen = parser.parse_args()
    chosen.model = chosen.model or list(models)
    chosen.case = chosen.case or list(cases)
    cuda = torch.cuda.is_available()
    if not cuda and not chosen.tiny:
        parser.error("no CUDA card is visible; --tiny runs every case on the CPU")
    if not cuda and chosen.budget_gb:
        parser.error("--budget-gb limits a CUDA card, and none is visible")
    if chosen.budget_gb and chosen.here:
        whole = torch.cuda.get_device_properties(0).total_memory / GB
        torch.cuda.set_per_process_memory_fraction(min(1.0, chosen.budget_gb / whole))
    if chosen.tiny:
        torch.set_num_threads(1)
    silence_libraries()
    return chosen


class Ratios(NamedTuple):
    """Which ratios the history keeps: rows/s of every other case to those of ``against``."""

    benchmark: str
    against: str

    def remember(self, model: str, rates: dict[str, float]) -> None:
        base = rates.pop(self.against, None)
        for case, rate in rates.items() if base else ():
            name = f"{self.benchmark}.{model}.{case} to {self.against}"
            machine = history.this_machine(torch.cuda.get_device_name())
            history.record(name, rate / base, None, machine)


def run_cases(
    script: str,
    chosen: argparse.Namespace,
    ratios: Ratios | None,
    others: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Run every case of every model in a process of its own and print its line when it ends.

    ``others`` names the scripts of cases that another one runs.

    A case that fails, runs out of memory or takes too long has a line that says so, and ends
    nothing else. The models come in the order given, most wanted first.
    """
    for model in chosen.model:
        rates: dict[str, float] = {}
        for case in chosen.case:
            line = _run_case(others.get(case, script), model, case, chosen)
            print(json.dumps(line, ensure_ascii=False), flush=True)
            if "rows_per_second" in line:
                rates[case] = line["rows_per_second"]
        if ratios is not None:
            ratios.remember(model, rates)


def _run_case(script: str, model: str, case: str, chosen: argparse.Namespace) -> dict:
    command = [sys.executable, script, "--here", "--model", model, "--case", case]
    for name in ("steps", "rows", "repeats", "budget_gb"):
        value = getattr(chosen, name, None)
        if value is not None:
            command += [f"--{name.replace('_', '-')}", str(value)]
    command += ["--tiny"] if chosen.tiny else []
    command += ["--explicit"] if getattr(chosen, "explicit", False) else []
    found = {"model": model, "case": case}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=chosen.limit_s, check=False
        )
    except subprocess.TimeoutExpired:
        return found | {"failed": f"took more than {chosen.limit_s:.0f} s"}
    lines = done.stdout.splitlines()
    if done.returncode == 0 and lines:
        return json.loads(lines[-1])
    problem = [line for line in done.stderr.splitlines() if line.strip()]
    return found | {"failed": problem[-1] if problem else f"exit status {done.returncode}"}


class Rates(NamedTuple):
    """Rows a second: the median of equal repeats, and how far apart the extremes are, as a share.

    What is so many a row, such as tokens, is counted at the median too: ``per_second``.
    """

    rows_per_second: float
    spread: float | None

    @classmethod
    def of(cls, rows: int, seconds: Sequence[float], repeats: int) -> "Rates":
        """Those of ``rows`` rows, all repeats together, from the seconds of each step in turn."""
        size = len(seconds) // repeats
        found = [
            rows / repeats / sum(seconds[one * size : (one + 1) * size]) for one in range(repeats)
        ]
        middle = statistics.median(found)
        return cls(middle, (max(found) - min(found)) / middle if repeats > 1 else None)

    def per_second(self, count: float, rows: int) -> float:
        """A rate of what ``rows`` rows have ``count`` of."""
        return count / rows * self.rows_per_second

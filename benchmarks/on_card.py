"""What the benchmarks of a card share: which models, how much memory, and one JSON line a case."""

import argparse
import gc
import json
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import history

import torch  # noqa: TID253 -- a benchmark loads what it measures
from yoyak.engine.device import silence_libraries

GB = 1e9


def parse(parser: argparse.ArgumentParser, models: Sequence[str]) -> argparse.Namespace:
    """The command line with the shared options; the process is held to the memory it names."""
    parser.add_argument("--model", action="append", choices=models, help="several times; else all")
    parser.add_argument("--budget-gb", type=float, help="let the process have no more memory")
    parser.add_argument("--tiny", action="store_true", help="small, for the CPU")
    chosen = parser.parse_args()
    chosen.model = chosen.model or models
    cuda = torch.cuda.is_available()
    if not cuda and not chosen.tiny:
        parser.error("no CUDA card is visible; --tiny runs every case on the CPU")
    if not cuda and chosen.budget_gb:
        parser.error("--budget-gb limits a CUDA card, and none is visible")
    if chosen.budget_gb:
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


def print_cases(
    models: Sequence[str],
    cases_of: Callable[[str], Iterator[dict[str, object]]],
    ratios: Ratios | None,
) -> None:
    """Every case of every model as it is done; one that does not fit does not end the rest."""
    for name in models:
        rates: dict[str, float] = {}
        try:
            for line in cases_of(name):
                print(json.dumps(line, ensure_ascii=False), flush=True)
                if "rows_per_second" in line:
                    rates[line["case"]] = line["rows_per_second"]
        except torch.OutOfMemoryError as error:
            print(json.dumps({"model": name, "failed": f"out of memory: {error}"}), flush=True)
        if ratios is not None:
            ratios.remember(name, rates)
        gc.collect()
        torch.cuda.empty_cache()

"""Train the real base of the shared folder three ways, each against the plain way: docs/win.md.

    python benchmarks/win.py tuned|folds|aligned --to FOLDER [--shared ../shared]

The data are the contest's shortest dialogues, 60 of train and 40 of dev, so that a base of half a
billion weights is trained on a CPU in minutes. FOLDER keeps base, data and workspace: a call that
was stopped goes on, and the plain runs are shared by the three. What is printed is what the
commands print, each with the seconds that it took.
"""

import argparse
import csv
import subprocess
import sys
import time
from pathlib import Path

SHORTEST = {"train": 60, "dev": 40, "test": 4}
"""Rows of each file."""
RECIPE = """\
about = "A base of 0.5B, LoRA, eight steps of four rows"
extends = "qwen25-7b"

[model]
base = "{base}"
quantisation = "none"

[base]
family = "Qwen2.5"
parameters = 375_700_000
licence = "Apache-2.0"

[lora]
lora_dropout = 0.0

[train]
epochs = 9
max_steps = 8
batch_size = 4
gradient_checkpointing = "off"

[evaluate]
every_epochs = "none"
rows = 8

[decode]
kind = "greedy"
max_new_tokens = 40

[search]
learning_rate = {{low = 1e-4, high = 2e-3, log = true}}
prune = false
"""
RATE = ["--set", "train.learning_rate=1e-3"]
ALIGN = {
    "method": "mrt",
    "samples": 4,
    "batch_size": 4,
    "max_steps": 6,
    "learning_rate": 2e-4,
    "evaluate_every_steps": 6,
}
ALIGNED = [part for name, value in ALIGN.items() for part in ("--set", f"align.{name}={value}")]
COMMANDS = {
    "tuned": [["tune", "train", "half.toml", "--trials", "3", "--seeds", "2", "--skip-plan"]],
    "folds": [
        ["run", "half.toml", "--skip-plan", *RATE],
        ["run", "half.toml", "--folds", "3", "--skip-plan", *RATE],
        ["submit", "--blend", "mbr"],
    ],
    "aligned": [
        ["run", "half.toml", "--skip-plan", *RATE],
        ["run", "half.toml", "--skip-plan", *RATE, *ALIGNED],
        ["compare"],
    ],
}


def write_shortest(contest: Path, to: Path) -> None:
    """Write the rows whose dialogues are shortest, in the order of the contest's files."""
    to.mkdir(exist_ok=True)
    for name, count in SHORTEST.items():
        with (contest / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            rows = list(reader)
        limit = sorted(len(row["dialogue"]) for row in rows)[count - 1]
        kept = [row for row in rows if len(row["dialogue"]) <= limit][:count]
        with (to / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, reader.fieldnames or [])
            writer.writeheader()
            writer.writerows(kept)


def prepare(shared: Path, to: Path) -> None:
    """Write base, rows and recipe into ``to`` where they are not there yet."""
    to.mkdir(parents=True, exist_ok=True)
    base = to / "base"
    if not (base / "config.json").is_file():
        unpack = [sys.executable, "unpack.py", ".", str(base.resolve())]
        subprocess.run(unpack, cwd=shared / "base", check=True)
    write_shortest(shared / "data" / "contest", to / "data")
    (to / "half.toml").write_text(RECIPE.format(base=base.resolve()), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("case", choices=COMMANDS)
    parser.add_argument("--to", type=Path, required=True)
    parser.add_argument("--shared", type=Path, default=Path(__file__).parents[2] / "shared")
    given = parser.parse_args()
    prepare(given.shared.resolve(), given.to)
    for arguments in COMMANDS[given.case]:
        # A workspace remembers its data folder, but the first command may be any of them.
        data = [] if arguments[0] in {"submit", "compare"} else ["--data", "data"]
        print("$ yoyak", *arguments, flush=True)
        began = time.perf_counter()
        command = [sys.executable, "-P", "-m", "yoyak", *arguments, *data]
        ended = subprocess.run(command, cwd=given.to, check=False)
        print(f"# exit {ended.returncode}, {time.perf_counter() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()

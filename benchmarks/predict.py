"""Kill a prediction job with a model again and again; compare with one that was left alone.

    python benchmarks/predict.py                       20,000 rows, tiny-bart, ten kills
    python benchmarks/predict.py --rows 2000 --kills 3

Trains the toy for four steps, summarises the file once undisturbed (prints its pace and the peak
of its memory), then once more while it is killed with SIGKILL at random times, and ends with an
error unless both outputs are equal byte for byte.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SHARD_ROWS = 200
SHORT = ("train.max_steps=4", "evaluate.every_epochs=none", "decode.max_new_tokens=8")
MEASURED = """
import re, sys
from pathlib import Path
from yoyak.cli import main
try:
    main(sys.argv[1:])
except SystemExit as ended:
    assert not ended.code, ended.code
print(re.search("VmHWM:\\\\s*([0-9]+) kB", Path("/proc/self/status").read_text())[1])
"""
"""Prints the peak of this program's own memory; ``ru_maxrss`` includes that of its parent."""


def dialogues(path: Path, rows: int) -> Path:
    with path.open("w", encoding="utf-8") as stream:
        stream.write("fname,dialogue\n")
        for n in range(rows):
            stream.write(f'row_{n},"#Person1#: {n}번 버스 언제 와?\n#Person2#: 곧 와요."\n')
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--recipe", default="tiny-bart")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measure(asked, Path(folder))


def measure(asked: argparse.Namespace, folder: Path) -> None:
    environment = {**os.environ, "YOYAK_LANG": "en", "PYTHONWARNINGS": "ignore"}
    yoyak = [sys.executable, "-m", "yoyak"]
    words = [word for spec in SHORT for word in ("--set", spec)]
    run = [*yoyak, "run", asked.recipe, *words]
    subprocess.run(run, cwd=folder, env=environment, check=True, capture_output=True)
    source = dialogues(folder / "in.csv", asked.rows)
    options = ["predict", source.name, "--shard-rows", str(SHARD_ROWS)]

    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *options, "--to", "whole", "--json"],
        cwd=folder, env=environment, check=True, capture_output=True, text=True,
    )  # fmt: skip
    said, kilobytes = done.stdout.splitlines()
    whole = json.loads(said)
    print(
        f"{asked.recipe}: {whole['rows']:,} rows, {whole['rows_per_second']:.0f} rows/s, "
        f"peak memory {int(kilobytes) / 1024:.0f} MB"
    )
    chance = random.Random(asked.seed)

    def made() -> int:
        return len(list((folder / "out" / "shards").glob("[0-9]*")))

    total = -(-asked.rows // SHARD_ROWS)
    for left in range(asked.kills, 0, -1):
        before = made()
        wanted = before + chance.randint(1, max(1, (total - before) // (left + 1)))
        process = subprocess.Popen(
            [*yoyak, *options, "--to", "out"], cwd=folder, env=environment,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        while process.poll() is None and made() < wanted:
            time.sleep(0.02)
        time.sleep(chance.uniform(0.0, whole["seconds"] / total))  # somewhere in the next shard
        process.send_signal(signal.SIGKILL)
        if process.wait() != -signal.SIGKILL:
            sys.exit(f"it was done with {left} kills to come: ask for more rows")
    subprocess.run(
        [*yoyak, *options, "--to", "out"], cwd=folder, env=environment, check=True,
        capture_output=True,
    )  # fmt: skip
    name = "predictions.csv"
    if (folder / "out" / name).read_bytes() != (folder / "whole" / name).read_bytes():
        sys.exit("the killed output differs from the undisturbed one")
    print(f"killed {asked.kills} times at random: equal byte for byte")


if __name__ == "__main__":
    main()

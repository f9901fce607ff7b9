"""What the benchmarks found before, on which machine, and whether that has changed.

Every benchmark records its ratios, never seconds: on a shared machine only the ratio of two things
that were measured in turns means something. One JSON line a ratio in ``benchmarks/history.jsonl``
(``YOYAK_BENCH_HISTORY`` names another file), committed with the change that moved it.
"""

import math
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

HISTORY = Path(__file__).parent / "history.jsonl"
# Below this, a change is not told from noise where no spread was measured.
SMALLEST_CHANGE = 0.10


class Machine(msgspec.Struct, frozen=True):
    """What ratios are compared within."""

    cpu: str
    cores: int | None
    gpu: str | None = None


class Entry(msgspec.Struct, frozen=True):
    """One ratio, larger is better; ``spread`` is its relative uncertainty, None if measured once.

    ``commit`` ends with ``+`` where the working tree had changes; None outside a checkout.
    """

    name: str
    ratio: float
    spread: float | None
    machine: Machine
    commit: str | None
    date: str


class Comparison(msgspec.Struct, frozen=True):
    """An entry beside the last one of the same name and machine, None if it is the first."""

    entry: Entry
    previous: Entry | None

    @property
    def change(self) -> float | None:
        """Relative change of the ratio, negative for slower."""
        return None if self.previous is None else self.entry.ratio / self.previous.ratio - 1

    @property
    def is_beyond_noise(self) -> bool:
        """Whether the change is larger than both spreads together, and than 10 %."""
        if self.previous is None or self.change is None:
            return False
        noise = (self.entry.spread or 0.0) + (self.previous.spread or 0.0)
        return abs(self.change) > max(noise, SMALLEST_CHANGE)

    def __str__(self) -> str:
        found = self.entry
        spread = "measured once" if found.spread is None else f"± {found.spread:.0%}"
        head = f"{found.name}: {found.ratio:.2f} x ({spread})"
        if self.previous is None or self.change is None:
            return f"{head}, the first on this machine"
        verdict = "within noise"
        if self.is_beyond_noise:
            verdict = "SLOWER" if self.change < 0 else "faster"
        return (
            f"{head}, {self.change:+.0%} on {self.previous.ratio:.2f} x of {self.previous.date}"
            f" at {self.previous.commit or 'an unknown commit'}: {verdict}"
        )


def this_machine(gpu: str | None = None) -> Machine:
    """Return the CPU's model and the number of its cores, and the GPU if the caller used one."""
    cpu, info = platform.processor() or platform.machine(), Path("/proc/cpuinfo")
    if info.is_file():
        named = [row for row in info.read_text().splitlines() if row.startswith("model name")]
        cpu = named[0].partition(":")[2].strip() if named else cpu
    return Machine(cpu, os.cpu_count(), gpu)


def compare_times(slow: Sequence[float], fast: Sequence[float]) -> tuple[float, float | None]:
    """Return the ratio of the best times, and by how much the medians lie above them.

    The spread is None where a side was measured once.
    """
    ratio = min(slow) / min(fast)
    if min(len(slow), len(fast)) < 2:
        return ratio, None
    above = [statistics.median(side) / min(side) - 1 for side in (slow, fast)]
    return ratio, sum(above)


def record(
    name: str,
    ratio: float,
    spread: float | None,
    machine: Machine | None = None,
    *,
    path: Path | None = None,
) -> Comparison:
    """Append a ratio to the history and tell on standard error how the last one compares.

    Args:
        name: of the ratio, ``benchmark.what``, the same in every run.
        ratio: how many times faster than what it is measured against; larger is better.
        spread: relative uncertainty of the ratio, None if measured once.
        machine: where it was measured, this one unless said otherwise.
        path: the history, unless ``YOYAK_BENCH_HISTORY`` or the committed file.
    """
    if not 0 < ratio < math.inf:
        raise ValueError(f"{name}: {ratio} is no ratio of two times")
    path = path or Path(os.environ.get("YOYAK_BENCH_HISTORY", HISTORY))
    date = datetime.now(UTC).date().isoformat()
    entry = Entry(name, ratio, spread, machine or this_machine(), _commit(), date)
    former = [one for one in read(path) if one.name == entry.name and one.machine == entry.machine]
    with path.open("ab") as file:
        file.write(msgspec.json.encode(entry) + b"\n")
    found = Comparison(entry, former[-1] if former else None)
    print(found, file=sys.stderr)
    return found


def read(path: Path) -> list[Entry]:
    """Return all entries, oldest first; none where the file does not exist.

    Raises:
        ValueError: a line that is no entry, by its number.
    """
    entries = []
    lines = path.read_bytes().splitlines() if path.is_file() else []
    for number, line in enumerate(lines, 1):
        try:
            entries.append(msgspec.json.decode(line, type=Entry))
        except msgspec.DecodeError as error:
            raise ValueError(f"{path}, line {number}: {error}") from error
    return entries


def _commit() -> str | None:
    """Return the short commit of the checkout, with ``+`` if tracked files differ from it."""
    words = ("git", "-C", str(HISTORY.parent), "describe", "--always", "--dirty=+", "--exclude=*")
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return done.stdout.strip() or None

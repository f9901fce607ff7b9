"""What this machine has: cards, drivers, libraries, models in the cache; no torch is imported.

A probe that cannot answer says ``None`` or nothing. The network gets two seconds, the driver's
tool ten: it may have to wake a card first.
"""

import os
import platform
import pwd
import re
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from importlib import metadata, util
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from yoyak.config.schema import Recipe
from yoyak.values import Value

NETWORK_SECONDS = 2.0
TOOL_SECONDS = 10.0
MIB = 2**20
GB = 1e9

_CARD_FIELDS = "index,name,driver_version,compute_cap,memory.total,memory.used,memory.free"
_REQUIREMENT = re.compile(r"([\w.-]+)\s*([^;]*?)\s*(?:;\s*extra == '(\w+)')?")
_BOUND = re.compile(r"(>=|<)\s*([\d.]+)")
_PART = re.compile(r"-of-(\d+)\.safetensors$")
_CUDA = re.compile(r"^cuda[^=]*=\s*'([\d.]+)'", re.MULTILINE)

DRIVER_OF_CUDA = {12: (525, 60), 13: (580, 65)}
"""Oldest Linux driver of each CUDA generation (NVIDIA, CUDA Toolkit release notes, table 3)."""


class Card(Value, frozen=True, kw_only=True):
    """One graphics card, as the driver's own tool describes it."""

    index: int
    name: str
    driver: str
    capability: float | None
    total_gb: float
    used_gb: float
    free_gb: float

    @property
    def has_bf16(self) -> bool | None:
        """Ampere (compute capability 8.0) and later compute in bfloat16."""
        return None if self.capability is None else self.capability >= 8.0


class CardUser(Value, frozen=True, kw_only=True):
    """A process that holds memory of a card; ``used_gb`` is unknown inside some containers."""

    pid: int
    name: str | None
    owner: str | None
    """Unknown where the process belongs to another container."""
    used_gb: float | None

    def __str__(self) -> str:
        found = (self.name, self.owner, None if self.used_gb is None else f"{self.used_gb:.1f} GB")
        known = ", ".join(each for each in found if each is not None)
        return f"{self.pid} ({known})" if known else str(self.pid)


class Requirement(NamedTuple):
    """One dependency as the package declares it: ``at_least`` <= version < ``below``."""

    name: str
    at_least: tuple[int, ...]
    below: tuple[int, ...] | None

    def admits(self, version: str) -> bool:
        """Whether ``version`` lies inside; a local part such as ``+cu130`` does not matter."""
        found = version_numbers(version)
        return self.at_least <= found and (self.below is None or found < self.below)

    def __str__(self) -> str:
        bounds = [f">={_dotted(self.at_least)}"]
        if self.below is not None:
            bounds.append(f"<{_dotted(self.below)}")
        return f"{self.name}{','.join(bounds)}"


def cards() -> tuple[Card, ...]:
    """Every card that the driver shows and whose memory it knows; none where there is no driver."""
    said = _said("nvidia-smi", f"--query-gpu={_CARD_FIELDS}", "--format=csv,noheader,nounits")
    found = map(read_card, (said or "").splitlines())
    return tuple(card for card in found if card is not None)


def read_card(line: str) -> Card | None:
    """One line of the driver's tool; ``None`` for a complaint, or memory that is ``[N/A]``."""
    cells = [cell.strip() for cell in line.split(",")]
    if len(cells) != _CARD_FIELDS.count(",") + 1 or None in map(_number, cells[-3:]):
        return None
    index, name, driver, capability, total, used, free = cells
    return Card(
        index=int(index),
        name=name,
        driver=driver,
        capability=_number(capability),
        total_gb=float(total) * MIB / GB,
        used_gb=float(used) * MIB / GB,
        free_gb=float(free) * MIB / GB,
    )


def card_users(index: int) -> tuple[CardUser, ...]:
    """Who holds memory of a card."""
    asked = "--query-compute-apps=pid,process_name,used_memory"
    said = _said("nvidia-smi", "-i", str(index), asked, "--format=csv,noheader,nounits")
    found = map(_card_user, (said or "").splitlines())
    return tuple(user for user in found if user is not None)


def _card_user(line: str) -> CardUser | None:
    pid, _, rest = line.partition(",")
    path, _, used = rest.rpartition(",")
    if not pid.strip().isdecimal():
        return None
    name = path.strip().rpartition("/")[2]
    mebibytes = _number(used)
    return CardUser(
        pid=int(pid),
        name=None if name.startswith("[") else name or None,  # [Not Found], [N/A]
        owner=_owner(int(pid)),
        used_gb=None if mebibytes is None else mebibytes * MIB / GB,
    )


def _owner(pid: int) -> str | None:
    try:
        return pwd.getpwuid(Path(f"/proc/{pid}").stat().st_uid).pw_name
    except (OSError, KeyError):
        return None


def processor() -> str:
    """The processor's name."""
    path = Path("/proc/cpuinfo")
    if path.is_file():
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def threads_for(recipe: Recipe) -> int:
    """How many threads a worker computes with: as the user says, else one a core.

    A toy's matrices are too small to share: a second thread gains a fifth on an idle machine and
    waits many times longer than it works on a busy one.
    """
    said = os.environ.get("OMP_NUM_THREADS", "")
    if said.isdecimal():
        return int(said)
    return 1 if recipe.model.scratch is not None else os.cpu_count() or 1


def torch_cuda() -> str | None:
    """The CUDA version that the installed torch was built for; ``None`` for a CPU build."""
    found = util.find_spec("torch")
    if found is None or found.origin is None:
        return None
    version = Path(found.origin).with_name("version.py")
    built = _CUDA.search(version.read_text(encoding="utf-8")) if version.is_file() else None
    return built[1] if built else None


def requirements(extra: str | None) -> Iterator[Requirement]:
    """What the package needs, always (``None``) or for one of its extras."""
    for line in metadata.requires("yoyak") or ():
        match = _REQUIREMENT.fullmatch(line)
        if match and match[3] == extra:
            bounds = {sign: version_numbers(text) for sign, text in _BOUND.findall(match[2])}
            yield Requirement(match[1], bounds.get(">=", ()), bounds.get("<"))


def installed(name: str) -> str | None:
    """The version of a distribution, ``None`` where it is not installed."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def version_numbers(version: str) -> tuple[int, ...]:
    """``2.13.0+cu130`` as (2, 13, 0)."""
    leading = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(map(int, leading[0].split("."))) if leading else ()


def hub_cache() -> Path:
    """Where the hub's client keeps models, by its own environment variables."""
    named = os.environ.get("HF_HUB_CACHE")
    if named:
        return Path(named)
    cache = os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache"))
    return Path(os.environ.get("HF_HOME", f"{cache}/huggingface")) / "hub"


def cached_model(base: str) -> Path | None:
    """The snapshot of ``base`` (``org/name``) that holds its configuration and whole weights."""
    folder = hub_cache() / f"models--{base.replace('/', '--')}" / "snapshots"
    for snapshot in sorted(folder.glob("*/")):
        if (snapshot / "config.json").exists() and _has_weights(snapshot):
            return snapshot
    return None


def _has_weights(snapshot: Path) -> bool:
    """Every part's name says how many there are; a download may have ended after some."""
    names = [path.name for path in snapshot.glob("*.safetensors") if path.exists()]
    wanted = {int(match[1]) for name in names if (match := _PART.search(name))}
    return bool(names) and all(len(names) >= count for count in wanted)


def hub_is_reachable() -> bool:
    """Whether the hub's host accepts a connection; no when its client has to stay offline."""
    if any(os.environ.get(name, "0") not in {"", "0"} for name in _OFFLINE):
        return False
    reached = threading.Event()
    # Looking a name up has no time limit of its own, so nobody waits for the thread to end.
    threading.Thread(target=_connect, args=(reached,), daemon=True).start()
    return reached.wait(NETWORK_SECONDS)


def _connect(reached: threading.Event) -> None:
    address = urlsplit(os.environ.get("HF_ENDPOINT", "https://huggingface.co"))
    port = address.port or (80 if address.scheme == "http" else 443)
    with (
        suppress(OSError),  # not reached: that is the answer
        socket.create_connection((address.hostname, port), timeout=NETWORK_SECONDS),
    ):
        reached.set()


_OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")


def korean_fonts() -> tuple[str, ...] | None:
    """Font families with Hangul; ``None`` where fontconfig is not there to ask."""
    said = _said("fc-list", ":lang=ko", "family")
    return None if said is None else tuple(sorted(set(said.splitlines())))


def _said(*words: str) -> str | None:
    """What a program prints, ``None`` where it is missing, fails or takes too long."""
    try:
        done = subprocess.run(
            words, capture_output=True, check=True, timeout=TOOL_SECONDS, text=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _number(cell: str) -> float | None:
    """A cell's number; the tool writes ``[N/A]`` where it has none."""
    try:
        return float(cell)
    except ValueError:
        return None


def _dotted(numbers: tuple[int, ...]) -> str:
    return ".".join(map(str, numbers))

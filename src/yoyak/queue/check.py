"""Is this machine ready? One line a thing: what was found, and the next command where it is not."""

import locale
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from yoyak.config.schema import Recipe
from yoyak.errors import YoyakError
from yoyak.files import disk_errors
from yoyak.messages import fill, text
from yoyak.queue import limits, machine, quota
from yoyak.runs.settings import ResourceLimits
from yoyak.runs.workspace import Workspace
from yoyak.values import Value

OLDEST_PYTHON = (3, 11)
LARGE_PARAMETERS = 1_000_000_000
BUSY_CARD_GB = 1.0
FEW_INODES = 10_000
"""A run makes some hundred files, a base in the cache some dozen."""
LITTLE_QUOTA_GB = 2.0


class Status(StrEnum):
    """``WARN`` works but may surprise; ``BAD`` will not work."""

    OK = "ok"
    WARN = "warn"
    BAD = "bad"


class CheckLine(Value, frozen=True, kw_only=True):
    """One thing that was looked at; ``next_step`` is what to do about it."""

    name: str
    status: Status
    found: str
    next_step: str | None = None


class Subject(NamedTuple):
    """What the machine has to be ready for."""

    workspace: Workspace
    data_folder: Path
    recipes: Sequence[Recipe]
    limits: ResourceLimits


def check(
    data_folder: Path, workspace: Workspace, limits_: ResourceLimits, recipes: Sequence[Recipe] = ()
) -> tuple[CheckLine, ...]:
    """Every line, in the order in which a first run would stumble over them.

    ``recipes`` are those that shall run here: large ones need a card, and bases to load.
    """
    subject = Subject(workspace, data_folder, recipes, limits_)
    return tuple(line for look in _LOOKS for line in look(subject))


def _line(name: str, status: Status, key: str, /, **fields: object) -> CheckLine:
    """A line from a sentence ``found → next command``, as the catalogue has it."""
    found, _, next_step = text(key, **fields).partition(" → ")
    return CheckLine(name=name, status=status, found=found, next_step=next_step or None)


def _refused(name: str, error: YoyakError) -> CheckLine:
    found, _, next_step = str(error).partition(" → ")
    return CheckLine(name=name, status=Status.BAD, found=found, next_step=next_step or None)


def _python(_: Subject) -> Iterator[CheckLine]:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info >= OLDEST_PYTHON:
        yield _line("python", Status.OK, "scheduler.check-python", version=version)
    else:
        yield _line("python", Status.BAD, "scheduler.check-python-old", version=version)


def _libraries(_: Subject) -> Iterator[CheckLine]:
    training = list(machine.requirements("train"))
    wanted = [*machine.requirements(None), *training]
    versions = {each.name: machine.installed(each.name) for each in wanted}
    missing = [name for name, version in versions.items() if version is None]
    unlike = [
        f"{each.name} {version} ({each})"
        for each in wanted
        if (version := versions[each.name]) is not None and not each.admits(version)
    ]
    listed = ", ".join(f"{each.name} {versions[each.name]}" for each in training)
    if unlike:
        yield _line(
            "libraries", Status.BAD, "scheduler.check-libraries-unlike", unlike="; ".join(unlike)
        )
    elif missing:
        names = ", ".join(missing)
        yield _line("libraries", Status.WARN, "scheduler.check-libraries-missing", missing=names)
    else:
        yield _line("libraries", Status.OK, "scheduler.check-libraries", versions=listed)


def _gpu(subject: Subject) -> Iterator[CheckLine]:
    found = machine.cards()
    large = [
        each.name for each in subject.recipes if (each.model.parameters or 0) >= LARGE_PARAMETERS
    ]
    if not found and large:
        yield _line("gpu", Status.BAD, "scheduler.check-gpu-needed", recipes=", ".join(large))
    elif not found:
        yield _line("gpu", Status.OK, "scheduler.check-gpu-none")
    for card in found:
        yield _card(card)
    if found:
        yield _torch_build(found[0])


def _card(card: machine.Card) -> CheckLine:
    fields = {
        "index": card.index,
        "name": card.name,
        "free": f"{card.free_gb:.1f}",
        "total": f"{card.total_gb:.1f}",
    }
    if card.has_bf16 is False:
        return _line("gpu", Status.WARN, "scheduler.check-gpu-no-bf16", **fields)
    if card.used_gb >= BUSY_CARD_GB:
        pids = ", ".join(map(str, machine.card_users(card.index))) or "?"
        return _line("gpu", Status.WARN, "scheduler.check-gpu-busy", pids=pids, **fields)
    return _line("gpu", Status.OK, "scheduler.check-gpu", **fields)


def _torch_build(card: machine.Card) -> CheckLine:
    cuda = machine.torch_cuda()
    if cuda is None:
        return _line("cuda", Status.BAD, "scheduler.check-cuda-none", driver=card.driver)
    needed = machine.DRIVER_OF_CUDA.get(machine.version_numbers(cuda)[0])
    if needed is not None and machine.version_numbers(card.driver) < needed:
        oldest = ".".join(map(str, needed))
        return _line(
            "cuda",
            Status.BAD,
            "scheduler.check-driver-old",
            cuda=cuda,
            driver=card.driver,
            oldest=oldest,
        )
    return _line("cuda", Status.OK, "scheduler.check-cuda", cuda=cuda, driver=card.driver)


def _disk_and_memory(subject: Subject) -> Iterator[CheckLine]:
    readings = limits.read(subject.workspace.folder)
    decision = limits.decide(readings, subject.limits)
    if isinstance(decision, limits.Fine):
        free = f"{readings.disk_free_gb:.1f}"
        ram = "?" if readings.ram_free_gb is None else f"{readings.ram_free_gb:.1f}"
        yield _line("room", Status.OK, "scheduler.check-room", disk=free, ram=ram)
    else:
        status = Status.WARN if isinstance(decision, limits.Warn) else Status.BAD
        yield _line("room", status, decision.key, **decision.fields)
    yield from _allowances(subject.workspace.folder)


def _allowances(folder: Path) -> Iterator[CheckLine]:
    """What can run out while the disk has room: places for files, and a user's quota."""
    inodes = disk_errors.free_inodes(folder)
    if inodes is not None and inodes < FEW_INODES:
        yield _line("room", Status.BAD, "scheduler.check-inodes", found=f"{inodes:,}")
    left = quota.left_gb(folder)
    if left is not None:
        little = left < LITTLE_QUOTA_GB
        key = "scheduler.check-quota-little" if little else "scheduler.check-quota"
        yield _line("room", Status.BAD if little else Status.OK, key, left=f"{left:.1f}")


def _workspace(subject: Subject) -> Iterator[CheckLine]:
    folder = subject.workspace.folder
    place = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    writable = place.is_dir() and os.access(place, os.W_OK | os.X_OK)
    key = "scheduler.check-workspace" if writable else "scheduler.check-workspace-refused"
    yield _line("workspace", Status.OK if writable else Status.BAD, key, folder=folder)


def _bases(subject: Subject) -> Iterator[CheckLine]:
    bases = {each.model.base: each for each in subject.recipes if each.model.base is not None}
    missing = [
        base for base in bases if not Path(base).is_dir() and machine.cached_model(base) is None
    ]
    if not missing:
        found = ", ".join(bases) or "-"
        yield _line("models", Status.OK, "scheduler.check-models", bases=found)
    elif machine.hub_is_reachable():
        names = ", ".join(missing)
        yield _line("models", Status.OK, "scheduler.check-models-download", bases=names)
    else:
        names = ", ".join(missing)
        yield _line("models", Status.BAD, "scheduler.check-models-unreachable", bases=names)


def _tokens(_: Subject) -> Iterator[CheckLine]:
    broken = [name for name in _TOKENS if not _TOKEN.fullmatch(os.environ.get(name, "unset"))]
    if broken:
        yield _line("tokens", Status.BAD, "scheduler.check-tokens-broken", name=", ".join(broken))
        return
    said = (text("scheduler.unset"), text("scheduler.set"))
    hub = "HF_TOKEN" in os.environ or (machine.hub_cache().parent / "token").is_file()
    tracker = "WANDB_API_KEY" in os.environ
    yield _line("tokens", Status.OK, "scheduler.check-tokens", hub=said[hub], tracker=said[tracker])


_TOKENS = ("HF_TOKEN", "WANDB_API_KEY")
_TOKEN = re.compile(r"[\w.-]+", re.ASCII)
"""No blank, quote or line break, which get into a variable by mistake and into no header at all."""


def _analyser(_: Subject) -> Iterator[CheckLine]:
    from yoyak.metrics import tokenizers

    try:
        yield _line("analyser", Status.OK, "scheduler.check-analyser", id=tokenizers.load().id)
    except YoyakError as error:
        yield _refused("analyser", error)


def _data(subject: Subject) -> Iterator[CheckLine]:
    from yoyak.data.audit import audit
    from yoyak.data.corpus import read_corpus

    try:
        corpus = read_corpus(subject.data_folder)
    except YoyakError as error:
        yield _refused("data", error)
        return
    rows = {split.name: len(split.dialogues) for split in (corpus.train, corpus.dev, corpus.test)}
    yield _line("data", Status.OK, "scheduler.check-data", folder=subject.data_folder, **rows)
    leaks = audit(corpus).leaks
    if leaks:
        first = fill(leaks[0].key, leaks[0].fields)
        yield _line("data", Status.WARN, "scheduler.check-leaks", count=len(leaks), first=first)


def _fonts(_: Subject) -> Iterator[CheckLine]:
    fonts = machine.korean_fonts()
    if fonts is None:
        yield _line("fonts", Status.WARN, "scheduler.check-fonts-unknown")
    elif fonts:
        yield _line("fonts", Status.OK, "scheduler.check-fonts", font=fonts[0], count=len(fonts))
    else:
        yield _line("fonts", Status.WARN, "scheduler.check-fonts-none")


def _locale(_: Subject) -> Iterator[CheckLine]:
    encoding = locale.getpreferredencoding(do_setlocale=False)
    plain = encoding.lower().replace("-", "") == "utf8"
    key = "scheduler.check-locale" if plain else "scheduler.check-locale-other"
    yield _line("locale", Status.OK if plain else Status.WARN, key, encoding=encoding)


def _locks(subject: Subject) -> Iterator[CheckLine]:
    try:
        runs = subject.workspace.runs()
    except YoyakError as error:
        yield _refused("runs", error)
        return
    held = [(run, holder) for run in runs if (holder := run.holder())]
    for run, holder in held:
        yield _line(
            "runs",
            Status.OK,
            "scheduler.check-running",
            run=run.name,
            pid=holder.pid,
            host=holder.host,
        )
    if not held:
        yield _line("runs", Status.OK, "scheduler.check-idle", count=len(runs))


_LOOKS: tuple[Callable[[Subject], Iterator[CheckLine]], ...] = (
    _python, _libraries, _gpu, _disk_and_memory, _workspace, _bases, _tokens, _analyser, _data,
    _fonts, _locale, _locks,
)  # fmt: skip

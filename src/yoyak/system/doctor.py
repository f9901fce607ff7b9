"""Check whether this machine is ready: one line per subject, with the next command if it is not."""

import locale
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from functools import cached_property
from pathlib import Path

from yoyak.config.project import ResourceLimits
from yoyak.config.schema import Recipe
from yoyak.engine.base_facts import hub_cache
from yoyak.errors import YoyakError
from yoyak.files import disk_errors
from yoyak.messages import text
from yoyak.runs.workspace import Workspace
from yoyak.system import limits, probe, quota
from yoyak.values import Corpus, Value

OLDEST_PYTHON = (3, 11)
LARGE_PARAMETERS = 1_000_000_000
BUSY_GPU_GB = 1.0
FEW_INODES = 10_000
"""A run writes some hundred files, a base in the cache some dozen."""
LITTLE_QUOTA_GB = 2.0


class CheckStatus(StrEnum):
    """``WARN`` works but may surprise; ``BAD`` will not work."""

    OK = "ok"
    WARN = "warn"
    BAD = "bad"


class CheckLine(Value, frozen=True, kw_only=True):
    """One result; ``next_step`` is what to do about it."""

    name: str
    status: CheckStatus
    found: str
    next_step: str | None = None


class DoctorContext:
    """What the machine has to be ready for."""

    def __init__(
        self,
        workspace: Workspace,
        data_folder: Path,
        recipes: Sequence[Recipe],
        limits_: ResourceLimits,
        allowed: Sequence[str] = (),
    ) -> None:
        self.workspace = workspace
        self.data_folder = data_folder
        self.recipes = recipes
        self.limits = limits_
        self.allowed = allowed

    @cached_property
    def corpus(self) -> Corpus:
        """The data, read once; raises the YoyakError that says what is wrong with it."""
        from yoyak.data.corpus import read_corpus

        return read_corpus(self.data_folder)


def check(
    data_folder: Path,
    workspace: Workspace,
    limits_: ResourceLimits,
    recipes: Sequence[Recipe] = (),
    allowed: Sequence[str] = (),
) -> tuple[CheckLine, ...]:
    """Return every line, in the order in which a first run would need them.

    ``recipes`` are those to run here; what keeps ``yoyak run`` from starting them is said here too.
    ``allowed`` are the contradictions in the data that runs may train on.
    """
    context = DoctorContext(workspace, data_folder, recipes, limits_, allowed)
    return tuple(line for look in _LOOKS for line in look(context))


def _line(name: str, status: CheckStatus, key: str, /, **fields: object) -> CheckLine:
    """Return a line from a message ``found → next command``."""
    found, _, next_step = text(key, **fields).partition(" → ")
    return CheckLine(name=name, status=status, found=found, next_step=next_step or None)


def _refused(name: str, error: YoyakError) -> CheckLine:
    found, _, next_step = str(error).partition(" → ")
    return CheckLine(name=name, status=CheckStatus.BAD, found=found, next_step=next_step or None)


def _python(_: DoctorContext) -> Iterator[CheckLine]:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info >= OLDEST_PYTHON:
        yield _line("python", CheckStatus.OK, "system.check-python", version=version)
    else:
        yield _line("python", CheckStatus.BAD, "system.check-python-old", version=version)


def _libraries(_: DoctorContext) -> Iterator[CheckLine]:
    training = list(probe.requirements("train"))
    wanted = [*probe.requirements(None), *training]
    versions = {each.name: probe.installed(each.name) for each in wanted}
    missing = [name for name, version in versions.items() if version is None]
    unlike = [
        f"{each.name} {version} ({each.name}{each.specifier})"
        for each in wanted
        if (version := versions[each.name]) is not None
        and not each.specifier.contains(version, prereleases=True)
    ]
    listed = ", ".join(f"{each.name} {versions[each.name]}" for each in training)
    if unlike:
        yield _line(
            "libraries", CheckStatus.BAD, "system.check-libraries-unlike", unlike="; ".join(unlike)
        )
    elif missing:
        names = ", ".join(missing)
        yield _line("libraries", CheckStatus.WARN, "system.check-libraries-missing", missing=names)
    else:
        yield _line("libraries", CheckStatus.OK, "system.check-libraries", versions=listed)


def _extras(_: DoctorContext) -> Iterator[CheckLine]:
    """Yield which optional parts can be used, and the command that adds the others."""
    found = {
        extra: all(probe.installed(each.name) for each in probe.requirements(extra))
        for extra in probe.extras()
        if extra != "train"  # the line of the libraries
    }
    installed = ", ".join(name for name, is_there in found.items() if is_there) or "-"
    missing = [name for name, is_there in found.items() if not is_there]
    if missing:
        yield _line(
            "extras",
            CheckStatus.OK,
            "system.check-extras-missing",
            installed=installed,
            missing=", ".join(missing),
            all=",".join(missing),
        )
    else:
        yield _line("extras", CheckStatus.OK, "system.check-extras", installed=installed)


def _gpu(context: DoctorContext) -> Iterator[CheckLine]:
    found = probe.visible_gpus()
    large = [
        each.name for each in context.recipes if (each.base.parameters or 0) >= LARGE_PARAMETERS
    ]
    if not found and large:
        yield _line("gpu", CheckStatus.WARN, "system.check-gpu-needed", recipes=", ".join(large))
    elif not found:
        yield _line("gpu", CheckStatus.OK, "system.check-gpu-none")
    for gpu in found:
        yield _gpu_line(gpu)
    if found:
        yield _torch_build(found[0])


def _gpu_line(gpu: probe.Gpu) -> CheckLine:
    fields = {
        "index": gpu.index,
        "name": gpu.name,
        "free": f"{gpu.free_gb:.1f}",
        "total": f"{gpu.total_gb:.1f}",
    }
    if gpu.has_bf16 is False:
        return _line("gpu", CheckStatus.WARN, "system.check-gpu-no-bf16", **fields)
    if gpu.used_gb >= BUSY_GPU_GB:
        pids = ", ".join(map(str, probe.gpu_processes(gpu))) or "?"
        return _line("gpu", CheckStatus.WARN, "system.check-gpu-busy", pids=pids, **fields)
    return _line("gpu", CheckStatus.OK, "system.check-gpu", **fields)


def _torch_build(gpu: probe.Gpu) -> CheckLine:
    from packaging.version import Version

    cuda = probe.torch_cuda()
    if cuda is None:
        return _line("cuda", CheckStatus.BAD, "system.check-cuda-none", driver=gpu.driver)
    oldest = probe.DRIVER_OF_CUDA.get(Version(cuda).major)
    if oldest is not None and Version(gpu.driver) < Version(oldest):
        return _line(
            "cuda",
            CheckStatus.BAD,
            "system.check-driver-old",
            cuda=cuda,
            driver=gpu.driver,
            oldest=oldest,
        )
    return _line("cuda", CheckStatus.OK, "system.check-cuda", cuda=cuda, driver=gpu.driver)


def _disk_and_memory(context: DoctorContext) -> Iterator[CheckLine]:
    readings = limits.read(context.workspace.folder)
    decision = limits.decide(readings, context.limits)
    if isinstance(decision, limits.WithinLimits):
        free = f"{readings.disk_free_gb:.1f}"
        ram = "?" if readings.ram_free_gb is None else f"{readings.ram_free_gb:.1f}"
        yield _line("resources", CheckStatus.OK, "system.check-resources", disk=free, ram=ram)
    else:
        status = CheckStatus.WARN if isinstance(decision, limits.NearLimit) else CheckStatus.BAD
        yield _line("resources", status, decision.key, **decision.fields)
    yield from _allowances(context.workspace.folder)


def _allowances(folder: Path) -> Iterator[CheckLine]:
    """Yield what can run out while the disk has room: inodes, and a user's quota."""
    inodes = disk_errors.free_inodes(folder)
    if inodes is not None and inodes < FEW_INODES:
        yield _line("resources", CheckStatus.BAD, "system.check-inodes", found=f"{inodes:,}")
    left = quota.left_gb(folder)
    if left is not None:
        little = left < LITTLE_QUOTA_GB
        key = "system.check-quota-little" if little else "system.check-quota"
        yield _line(
            "resources", CheckStatus.BAD if little else CheckStatus.OK, key, left=f"{left:.1f}"
        )


def _workspace(context: DoctorContext) -> Iterator[CheckLine]:
    folder = context.workspace.folder
    place = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    writable = place.is_dir() and os.access(place, os.W_OK | os.X_OK)
    key = "system.check-workspace" if writable else "system.check-workspace-refused"
    yield _line("workspace", CheckStatus.OK if writable else CheckStatus.BAD, key, folder=folder)


def _models(context: DoctorContext) -> Iterator[CheckLine]:
    """Yield what ``yoyak plan`` says of the recipes: their bases, and what does not fit."""
    from yoyak.planning.gpu_catalogue import installed_gpus
    from yoyak.planning.plan import plan, target_here

    bases = dict.fromkeys(each.model.base for each in context.recipes if each.model.base)
    if not context.recipes:
        yield _line("models", CheckStatus.OK, "system.check-models", bases="-")
        return
    try:
        corpus = context.corpus
        gpu = next(iter(installed_gpus()), None)
        target = target_here(context.workspace, context.limits, gpu)
    except YoyakError:
        return  # the lines of data and runs say why
    made = plan(context.recipes, corpus, target)
    for refusal in made.refusals:
        yield _refused("models", refusal.error)
    for note in made.notes:
        yield _line("models", CheckStatus.WARN, note.key, **note.fields)
    if not made.refusals:
        missing = sum({each.base: each.download_gb for each in made.recipes}.values())
        key = "system.check-models-download" if missing else "system.check-models"
        names = ", ".join(bases) or "-"
        yield _line("models", CheckStatus.OK, key, bases=names, size=f"{missing:.1f}")


def _tokens(_: DoctorContext) -> Iterator[CheckLine]:
    broken = [name for name in _TOKENS if not _TOKEN.fullmatch(os.environ.get(name, "unset"))]
    if broken:
        yield _line("tokens", CheckStatus.BAD, "system.check-tokens-broken", name=", ".join(broken))
        return
    said = (text("system.unset"), text("system.set"))
    hub = "HF_TOKEN" in os.environ or (hub_cache().parent / "token").is_file()
    tracker = "WANDB_API_KEY" in os.environ
    yield _line(
        "tokens", CheckStatus.OK, "system.check-tokens", hub=said[hub], tracker=said[tracker]
    )


_TOKENS = ("HF_TOKEN", "WANDB_API_KEY")
_TOKEN = re.compile(r"[\w.-]+", re.ASCII)
"""No blank, quote or line break: no HTTP header takes them."""


def _analyser(_: DoctorContext) -> Iterator[CheckLine]:
    from yoyak.metrics import tokenizers

    try:
        yield _line("analyser", CheckStatus.OK, "system.check-analyser", id=tokenizers.load().id)
    except YoyakError as error:
        yield _refused("analyser", error)


def _data(context: DoctorContext) -> Iterator[CheckLine]:
    from yoyak.data.audit import audit, refuse_contradictions

    try:
        corpus = context.corpus
    except YoyakError as error:
        yield _refused("data", error)
        return
    rows = {split.name: len(split.dialogues) for split in (corpus.train, corpus.dev, corpus.test)}
    yield _line("data", CheckStatus.OK, "system.check-data", folder=context.data_folder, **rows)
    audited = audit(corpus)
    try:
        refuse_contradictions(audited, context.allowed)
    except YoyakError as error:
        yield _refused("data", error)
    for finding in audited.findings:
        yield _line("data", CheckStatus.WARN, finding.key, **finding.fields)


def _fonts(_: DoctorContext) -> Iterator[CheckLine]:
    fonts = probe.korean_fonts()
    if fonts is None:
        yield _line("fonts", CheckStatus.WARN, "system.check-fonts-unknown")
    elif fonts:
        yield _line("fonts", CheckStatus.OK, "system.check-fonts", font=fonts[0], count=len(fonts))
    else:
        yield _line("fonts", CheckStatus.WARN, "system.check-fonts-none")


def _locale(_: DoctorContext) -> Iterator[CheckLine]:
    encoding = locale.getpreferredencoding(do_setlocale=False)
    plain = encoding.lower().replace("-", "") == "utf8"
    key = "system.check-locale" if plain else "system.check-locale-other"
    yield _line("locale", CheckStatus.OK if plain else CheckStatus.WARN, key, encoding=encoding)


def _locks(context: DoctorContext) -> Iterator[CheckLine]:
    try:
        runs, damaged = context.workspace.runs(), context.workspace.damaged_runs()
    except YoyakError as error:
        yield _refused("runs", error)
        return
    yield from (_refused("runs", error) for error in damaged.values())
    held = [(run, holder) for run in runs if (holder := run.holder())]
    for run, holder in held:
        yield _line(
            "runs",
            CheckStatus.OK,
            "system.check-running",
            run=run.name,
            pid=holder.pid,
            host=holder.host,
        )
    if not held and not damaged:
        yield _line("runs", CheckStatus.OK, "system.check-idle", count=len(runs))


_LOOKS: tuple[Callable[[DoctorContext], Iterator[CheckLine]], ...] = (
    _python, _libraries, _extras, _gpu, _disk_and_memory, _workspace, _models, _tokens, _analyser,
    _data, _fonts, _locale, _locks,
)  # fmt: skip

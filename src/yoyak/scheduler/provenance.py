"""Collect what a run was made with: code, packages, machine, data, command; no secrets."""

import os
import platform
import sys
from hashlib import sha256
from importlib.metadata import distributions
from pathlib import Path

from yoyak import __version__
from yoyak.config.schema import Recipe
from yoyak.data.training_rows import rows_by_source, training_split
from yoyak.engine.base_facts import find_folder, is_local
from yoyak.errors import CannotWrite, Unavailable
from yoyak.files import atomic
from yoyak.runs.git import git
from yoyak.runs.provenance import CodeVersion, Provenance
from yoyak.runs.redact import redact, redact_words
from yoyak.system import probe
from yoyak.values import Corpus

GIT_SECONDS = 10.0

ALLOWED_ENVIRONMENT = (
    "CUDA_DEVICE_ORDER",
    "CUDA_VISIBLE_DEVICES",
    "CUBLAS_WORKSPACE_CONFIG",
    "HF_HUB_OFFLINE",
    "LANG",
    "OMP_NUM_THREADS",
    "PYTORCH_CUDA_ALLOC_CONF",
    "TOKENIZERS_PARALLELISM",
    "TZ",
    "YOYAK_LANG",
)
"""Only these are recorded; any other variable may hold a secret."""


def gather(corpus: Corpus, recipe: Recipe | None = None) -> Provenance:
    """Return the provenance of a run of ``recipe`` created now, here, on this data."""
    split = corpus.train if recipe is None else training_split(corpus, recipe.data)
    is_changed = split is not corpus.train
    return Provenance(
        yoyak=__version__,
        python=platform.python_version(),
        platform=platform.platform(),
        processor=probe.processor(),
        cores=os.cpu_count(),
        threads=None if recipe is None else probe.threads_for(recipe),
        packages=dict(sorted(_packages())),
        gpus=_gpus(),
        code=_code(),
        command=redact_words(sys.argv),
        environment={name: os.environ[name] for name in ALLOWED_ENVIRONMENT if name in os.environ},
        data_folder=corpus.folder,
        data_sha256={
            split.name: split.fingerprint for split in (corpus.train, corpus.dev, corpus.test)
        },
        training_rows=rows_by_source(split) if is_changed else {},
        training_sha256=split.fingerprint if is_changed else None,
        base=None if recipe is None else _base(recipe),
    )


def _base(recipe: Recipe) -> str | None:
    base = recipe.model.base
    if base is None:
        return None
    folder = Path(base)
    if folder.is_dir():
        config = folder / "config.json"
        sizes = sorted((path.name, path.stat().st_size) for path in folder.iterdir())
        read = config.read_text(encoding="utf-8", errors="replace") if config.is_file() else ""
        return redact(f"{base}@{atomic.sha256_of(sizes, read)}")
    snapshot = None if is_local(base) else find_folder(base, recipe.model.revision)
    return base if snapshot is None else f"{base}@{snapshot.name}"


def _packages() -> set[tuple[str, str]]:
    return {(found.name.lower(), found.version) for found in distributions()}


def _gpus() -> tuple[str, ...]:
    """Return name, memory and driver of each GPU of the machine; none without a driver."""
    return tuple(
        f"{gpu.name}, {gpu.total_gb * probe.GB / 2**20:.0f} MiB, {gpu.driver}"
        for gpu in probe.gpus()
    )


def _code() -> CodeVersion | None:
    here = Path.cwd()
    try:
        commit = git(here, "rev-parse", "HEAD", seconds=GIT_SECONDS).decode().strip()
    except (CannotWrite, Unavailable):
        return None
    # Run neither an external diff program nor a git for each submodule.
    plain = ("--no-ext-diff", "--no-textconv", "--ignore-submodules=dirty", "--binary")
    try:
        changes = git(here, "diff", *plain, "HEAD", seconds=GIT_SECONDS)
    except CannotWrite:
        return CodeVersion(commit=commit, dirty_sha256="unknown")
    return CodeVersion(commit=commit, dirty_sha256=sha256(changes).hexdigest() if changes else None)

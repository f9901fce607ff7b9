"""Where a run comes from: code, packages, machine, data and command line, without secrets."""

import os
import platform
import subprocess
import sys
from hashlib import sha256
from importlib.metadata import distributions
from pathlib import Path

from yoyak import __version__
from yoyak.config.schema import Recipe
from yoyak.files import atomic
from yoyak.queue import machine
from yoyak.runs.redact import redact, redact_words
from yoyak.values import Corpus, Value

ALLOWED_ENVIRONMENT = (
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
"""Only these are ever written down; everything else may hold somebody's secret."""


class CodeVersion(Value, frozen=True, kw_only=True):
    """The commit of the working directory; ``dirty_sha256`` is of its uncommitted changes.

    ``None`` stands for no changes, ``unknown`` for changes that could not be read in time.
    """

    commit: str
    dirty_sha256: str | None


class Provenance(Value, frozen=True, kw_only=True):
    """Everything that may explain a number later."""

    yoyak: str
    python: str
    platform: str
    processor: str
    cores: int | None
    threads: int | None = None
    """Of the worker's arithmetic; another number may change the last bits of a sum."""
    packages: dict[str, str]
    gpus: tuple[str, ...]
    code: CodeVersion | None
    command: tuple[str, ...]
    environment: dict[str, str]
    data_folder: str
    data_sha256: dict[str, str]
    base: str | None = None
    """The base as found here: ``org/name@commit`` from the hub's cache, ``path@sha256`` of a local
    folder's configuration and file sizes, the bare name of one that is still to be downloaded."""


def gather(corpus: Corpus, recipe: Recipe | None = None) -> Provenance:
    """The provenance of a run of ``recipe`` that starts now, here, on this data."""
    return Provenance(
        yoyak=__version__,
        python=platform.python_version(),
        platform=platform.platform(),
        processor=machine.processor(),
        cores=os.cpu_count(),
        threads=None if recipe is None else machine.threads_for(recipe),
        packages=dict(sorted(_packages())),
        gpus=_gpus(),
        code=_code(),
        command=redact_words(sys.argv),
        environment={name: os.environ[name] for name in ALLOWED_ENVIRONMENT if name in os.environ},
        data_folder=corpus.folder,
        data_sha256={
            split.name: split.fingerprint for split in (corpus.train, corpus.dev, corpus.test)
        },
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
        read = config.read_text(encoding="utf-8") if config.is_file() else ""
        return redact(f"{base}@{atomic.sha256_of(sizes, read)}")
    snapshot = machine.cached_model(base)
    return base if snapshot is None else f"{base}@{snapshot.name}"


def _packages() -> set[tuple[str, str]]:
    return {(found.name.lower(), found.version) for found in distributions()}


def _gpus() -> tuple[str, ...]:
    """Name, memory and driver of each card, as the driver's own tool says; none without it."""
    said = _said(
        "nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"
    )
    return tuple(said.splitlines()) if said else ()


def _code() -> CodeVersion | None:
    commit = _said("git", "rev-parse", "HEAD")
    if commit is None:
        return None
    # Plain git: somebody's own program for showing differences is not run.
    changes = _output("git", "diff", "--no-ext-diff", "--no-textconv", "--binary", "HEAD")
    if changes is None:
        return CodeVersion(commit=commit, dirty_sha256="unknown")
    return CodeVersion(commit=commit, dirty_sha256=sha256(changes).hexdigest() if changes else None)


def _said(*words: str) -> str | None:
    output = _output(*words)
    return None if output is None else output.decode(errors="replace").strip()


def _output(*words: str) -> bytes | None:
    """What a program prints, ``None`` where it is missing, fails or takes too long."""
    try:
        return subprocess.run(words, capture_output=True, check=True, timeout=10).stdout
    except (OSError, subprocess.SubprocessError):
        return None

"""The record of where a run comes from, as stored in its ``provenance.json``."""

from yoyak.values import Value


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
    training_rows: dict[str, int] = {}
    """Rows trained on by source, where the recipe's ``[data]`` changes train; else empty."""
    training_sha256: str | None = None
    """Fingerprint of those rows."""
    base: str | None = None
    """The base as found here: ``org/name@commit`` from the hub's cache, ``path@sha256`` of a local
    folder's configuration and file sizes, the bare name of one that is still to be downloaded."""

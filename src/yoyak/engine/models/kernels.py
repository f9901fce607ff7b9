"""Other ways to the same gradient: packed rows, Liger's kernels, compiled blocks.

They hold only while a gradient is computed, so that evaluation and generation meet the model as it
is. Each has to prove itself before it is used: ``proof_switches`` compares it with the plain way.
"""

import importlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch  # noqa: TID253 -- this module is only ever imported by an engine at work
from yoyak.config.schema import TrainSettings
from yoyak.engine.device import Precision
from yoyak.engine.models.liger import liger_parts
from yoyak.engine.models.model import ModelBundle, blocks
from yoyak.engine.models.packing import obstacle, varlen_attention
from yoyak.errors import BadRecipe, Unavailable

COMPILERS = ("g++", "clang++")
GRAPHS = 32


class KernelOptions(NamedTuple):
    """Which ways are taken; all off is plain transformers."""

    packed: bool = False
    liger: bool = False
    compiled: bool = False

    @classmethod
    def of(cls, settings: TrainSettings) -> "KernelOptions":
        """What a recipe sets; whether rows are packed is not decided by it alone."""
        return cls(liger=settings.kernels == "liger", compiled=settings.compile)


class KernelPatches:
    """A model whose switches can be on for a while.

    Args:
        bundle: the model, adapters in place.
        switches: what is on inside ``on``; packing is asked for each time.

    Raises:
        Unavailable: Liger is not installed or does not know the model.
    """

    def __init__(self, bundle: ModelBundle, switches: KernelOptions) -> None:
        self._bundle = bundle
        self._parts: list[KernelPatch] = []
        if switches.liger:
            self._parts += [KernelPatch(*part) for part in liger_parts(bundle)]
        if switches.compiled:
            _allow_graphs()
            self._parts += [
                KernelPatch(block, "forward", _compiled(block)) for block in blocks(bundle.model)
            ]

    @contextmanager
    def on(self, *, packed: bool) -> Iterator[None]:
        """The switches are on inside the block, which has to hold the backward pass as well."""
        with _replaced(self._parts):
            if not packed:
                yield
                return
            with varlen_attention(self._bundle):
                yield


class KernelPatch(NamedTuple):
    """An attribute that is another one for a while."""

    owner: object
    name: str
    value: object


def refuse_impossible(bundle: ModelBundle, settings: TrainSettings, precision: Precision) -> None:
    """Checks that the switches a recipe sets can be set here.

    Raises:
        BadRecipe, Unavailable: one cannot; the message says why.
    """
    if settings.packing == "on":
        reason = obstacle(bundle, precision)
        if reason is not None:
            raise BadRecipe("engine.cannot-pack", reason=reason)
    if settings.kernels == "liger":
        liger_parts(bundle)
    # Triton, too, builds what starts its kernels with a C compiler.
    if settings.compile and not any(map(shutil.which, (os.environ.get("CXX", ""), *COMPILERS))):
        raise Unavailable("engine.no-compiler", known=", ".join(COMPILERS))


def _allow_graphs() -> None:
    # Proof and training, with and without padding or recomputation, first block and others: each
    # has its graph. Beyond torch's limit of 8 it would go on uncompiled without a word.
    config: Any = importlib.import_module("torch._dynamo.config")
    config.recompile_limit = max(GRAPHS, config.recompile_limit)


def _compiled(block: torch.nn.Module) -> Callable[..., Any]:
    # Lengths differ from pass to pass: one graph for all of them, and the same for every block.
    return torch.compile(block.forward, dynamic=True)


@contextmanager
def _replaced(parts: list[KernelPatch]) -> Iterator[None]:
    kept = [(owner, name, vars(owner).get(name)) for owner, name, _ in parts]
    for part in parts:
        setattr(*part)
    try:
        yield
    finally:
        for owner, name, value in kept:
            if value is None:
                delattr(owner, name)
            else:
                setattr(owner, name, value)

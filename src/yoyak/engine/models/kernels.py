"""Faster ways to the same gradient: packed rows, fused LoRA, Liger kernels, compiled blocks.

Generation uses fused LoRA alone; evaluation of losses runs plain transformers. Preflight compares
the gradient of each, and the logits of generation, with the plain ones before they are used.
"""

import importlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, NamedTuple

import torch  # noqa: TID253 -- this module is only ever imported by an engine at work
from yoyak.config.schema import TrainSettings
from yoyak.engine.device import Precision
from yoyak.engine.models.fused_lora import FusedLora
from yoyak.engine.models.liger import KernelPatch, liger_patches
from yoyak.engine.models.model import ModelBundle, transformer_blocks, unwrap_model
from yoyak.engine.models.packing import packing_obstacle, varlen_attention
from yoyak.errors import BadRecipe, Unavailable

COMPILERS = ("g++", "clang++")
COMPILED_GRAPHS = 32


class KernelOptions(NamedTuple):
    """Which kernels are used; with all of them off, it is plain transformers."""

    packed: bool = False
    fused: bool = False
    fused_groups: bool = True
    liger: bool = False
    compiled: bool = False

    @classmethod
    def of(cls, settings: TrainSettings) -> "KernelOptions":
        """Return what a recipe sets; packing also depends on the hardware and on a benchmark."""
        return cls(
            # Compiled blocks are the ones that PEFT wrote: the compiler fuses them itself.
            fused=settings.kernels in {"auto", "fused"} and not settings.compile,
            fused_groups=settings.kernels == "fused",
            liger=settings.kernels == "liger",
            compiled=settings.compile,
        )

    @property
    def plain(self) -> "KernelOptions":
        """The options without fused LoRA."""
        return self._replace(fused=False)


class KernelPatches:
    """Patch a model's kernels for a while.

    Args:
        bundle: the model, adapters in place.
        options: what ``active`` switches on; packing is asked for each time.

    Raises:
        Unavailable: Liger is not installed or does not know the model.
    """

    def __init__(self, bundle: ModelBundle, options: KernelOptions) -> None:
        self._bundle = bundle
        self._patches: list[KernelPatch] = []
        self._fused = FusedLora(bundle, groups=options.fused_groups) if options.fused else None
        if self._fused is not None:
            self._patches += self._fused.patches
        if options.liger:
            self._patches += liger_patches(bundle)
        if options.compiled:
            _raise_recompile_limit()
            self._patches += [
                KernelPatch(block, "forward", _compiled(block))
                for block in transformer_blocks(bundle.model)
            ]

    @property
    def empty(self) -> bool:
        """Whether nothing is replaced: the options do not apply to this model."""
        return not self._patches

    @contextmanager
    def active(self, *, packed: bool) -> Iterator[None]:
        """Use the kernels inside the block, which has to include the backward pass.

        No weight may change inside the block.
        """
        with _patched(self._patches):
            try:
                with varlen_attention(self._bundle) if packed else nullcontext():
                    yield
            finally:
                if self._fused is not None:
                    self._fused.reset()


class DecodeKernels:
    """Fuse the LoRA layers of a model while it generates, its weights unchanged.

    Adapters multiply in the dtype in which they do in training: on a GPU the base's, else their
    own.
    """

    def __init__(self, bundle: ModelBundle) -> None:
        dtype = unwrap_model(bundle.model).dtype if bundle.device.type == "cuda" else None
        fused = FusedLora(bundle, groups=False, dtype=dtype) if bundle.fuses_lora else None
        self._patches: list[KernelPatch] = [] if fused is None else fused.patches

    @property
    def empty(self) -> bool:
        """Whether nothing is replaced."""
        return not self._patches

    @contextmanager
    def active(self) -> Iterator[None]:
        """Use them inside the block."""
        with _patched(self._patches):
            yield


def refuse_unsupported_kernels(
    bundle: ModelBundle, settings: TrainSettings, precision: Precision
) -> None:
    """Check that the kernels a recipe asks for can be used with this model on this machine.

    Raises:
        BadRecipe: rows cannot be packed.
        Unavailable: Liger or a compiler is missing, or Liger does not know the model.
    """
    if settings.packing == "on":
        reason = packing_obstacle(bundle, precision)
        if reason is not None:
            raise BadRecipe("engine.cannot-pack", reason=reason)
    if settings.kernels == "liger":
        liger_patches(bundle)
    if settings.kernels == "fused" and not FusedLora(bundle).patches:
        raise Unavailable("engine.nothing-to-fuse")
    # Triton, too, builds its kernel launchers with a C compiler.
    if settings.compile and not any(map(shutil.which, (os.environ.get("CXX", ""), *COMPILERS))):
        raise Unavailable("engine.no-compiler", known=", ".join(COMPILERS))


def _raise_recompile_limit() -> None:
    # Preflight and training, with and without padding or recomputation, first block and others:
    # each has its graph. Beyond torch's limit of 8 it would silently run uncompiled.
    config: Any = importlib.import_module("torch._dynamo.config")
    config.recompile_limit = max(COMPILED_GRAPHS, config.recompile_limit)


def _compiled(block: torch.nn.Module) -> Callable[..., Any]:
    # Lengths differ from pass to pass: one graph for all of them, and the same for every block.
    return torch.compile(block.forward, dynamic=True)


@contextmanager
def _patched(patches: list[KernelPatch]) -> Iterator[None]:
    originals = [(owner, name, vars(owner).get(name)) for owner, name, _ in patches]
    for patch in patches:
        setattr(*patch)
    try:
        yield
    finally:
        for owner, name, value in originals:
            if value is None:
                delattr(owner, name)
            else:
                setattr(owner, name, value)

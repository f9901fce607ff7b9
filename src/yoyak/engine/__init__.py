"""Engines train models and generate with them: their protocol, and the table of engines.

This module imports no torch; each engine is a ``"module:attribute"`` that is loaded when a worker
needs it. An engine knows no run folder: it gets dialogues, a folder of its own and ``emit``. A
recipe may name an engine from outside the package in the same way: ``engine = "pkg.mod:Class"``.
"""

import gc
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import NamedTuple, Protocol

from yoyak.config.schema import Decode, Recipe
from yoyak.errors import BadRecipe, Unavailable
from yoyak.events import AnyEvent
from yoyak.values import Dialogue, Prediction, Split

Emit = Callable[[AnyEvent], None]

ENGINES = {
    "lead": "yoyak.engine.backends.lead:Lead",
    "seq2seq": "yoyak.engine.backends.finetuned:Seq2Seq",
    "qlora": "yoyak.engine.backends.finetuned:CausalLM",
}


class TrainJob(NamedTuple):
    """Input of ``Engine.train``.

    ``folder`` is the engine's own: it keeps ``checkpoints/`` and the final ``weights/`` there and
    resumes from the newest checkpoint that verifies. ``stop_asked`` is polled once a step.
    ``supervised`` is the folder of a job whose weights are trained on with the metric as reward;
    without it, training is supervised.
    """

    recipe: Recipe
    train: Split
    dev: Split
    folder: Path
    emit: Emit
    stop_asked: Callable[[], bool]
    supervised: Path | None = None


class GenerateJob(NamedTuple):
    """Input of ``Engine.generate``: the dialogues without a prediction, in file order.

    ``decode`` is apart from the recipe because the same weights are decoded in several ways.
    ``stop_asked`` is polled once a token. With ``smoke_check`` the first answers are checked for
    total failures before the others are generated. Without ``keep_rows`` nothing of the dialogues
    stays in memory for later jobs. ``on_text`` is called with a dialogue's id and its summary as
    far as it is written, where engine and decoding can tell.
    """

    recipe: Recipe
    decode: Decode
    dialogues: Sequence[Dialogue]
    train: Split
    folder: Path
    emit: Emit
    stop_asked: Callable[[], bool] = lambda: False
    smoke_check: bool = True
    keep_rows: bool = True
    on_text: Callable[[str, str], None] | None = None


class GenerationStopped(Exception):
    """Raised by ``Engine.generate`` when ``stop_asked`` became true before all rows were done."""


class Engine(Protocol):
    """Trains one family of models and generates with them."""

    def train(self, job: TrainJob) -> None:
        """Train to the recipe's end, writing checkpoints and finally ``weights/``.

        Raises:
            Interrupted: ``stop_asked`` became true; everything is saved.
            RunFailed: no result can be reached; the message names the cause.
        """

    def generate(self, job: GenerateJob) -> Iterator[Prediction]:
        """Yield one prediction for every dialogue of the job, as soon as it is ready, unordered.

        Raises:
            GenerationStopped: ``stop_asked`` became true; what was yielded stays valid.
        """


def load(name: str) -> Engine:
    """Load the engine called ``name`` in the table, or at ``name`` = ``"module:Class"``.

    Raises:
        BadRecipe: there is no such engine.
        Unavailable: a library that the engine needs is not installed.
    """
    module, _, attribute = ENGINES.get(name, name).partition(":")
    try:
        engine: Engine = getattr(import_module(module), attribute)()
    except ModuleNotFoundError as error:
        if name in ENGINES:
            raise Unavailable("engine.no-library", engine=name, library=error.name) from error
        raise BadRecipe("engine.unknown", engine=name, known=", ".join(ENGINES)) from error
    except (AttributeError, ValueError) as error:
        raise BadRecipe("engine.unknown", engine=name, known=", ".join(ENGINES)) from error
    return engine


def release_memory() -> None:
    """Free what only cycles of objects hold of models that are gone, on their device, too."""
    gc.collect()
    device = sys.modules.get("yoyak.engine.device")
    if device is not None:
        device.release_memory()

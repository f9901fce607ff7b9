"""Other decodings of a run's weights: which there are, and who decodes them.

The decoding itself needs the engine, so it is done by a process of its own
(``yoyak.scheduler.decode_worker``); this module imports no torch.
"""

import os
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

import msgspec

from yoyak.config.schema import BeamSearch, Decode, Greedy, Recipe, Sampling, shared_settings
from yoyak.errors import InputMissing, Interrupted, RunFailed, UsageError
from yoyak.files import atomic
from yoyak.runs.run import Run
from yoyak.scheduler.worker_process import PYTHON, worker_environment

DECODER = (*PYTHON, "-m", "yoyak.scheduler.decode_worker")
SWEEP = "sweep.json"
FROZEN = "frozen-decode.json"
OWN = "own"
"""Stands for the decoding of the run itself."""

_KNOWN = re.compile(r"greedy|beam(?P<beams>\d+)|sample(?:\*(?P<samples>\d+))?")


def parse_decodes(words: str, like: Decode) -> tuple[Decode, ...]:
    """The decodings of ``greedy,beam4,sample*4``.

    Caps and n-gram blocking are those of ``like``. Samples are drawn at temperature 0.7 and top_p
    0.9, and ``sample*4`` is four of them with seeds of their own.

    Raises:
        UsageError: a word is none of these.
    """
    return tuple(decode for word in words.split(",") for decode in _parsed(word.strip(), like))


def _parsed(word: str, like: Decode) -> Iterable[Decode]:
    found = _KNOWN.fullmatch(word)
    if found is None or found["beams"] in {"0", "1"} or found["samples"] == "0":
        raise UsageError("scheduler.no-decode", word=word)
    shared = shared_settings(like)
    if word == "greedy":
        return (Greedy(**shared),)
    if found["beams"]:
        return (BeamSearch(num_beams=int(found["beams"]), **shared),)
    count = int(found["samples"] or 1)
    return tuple(Sampling(seed=Sampling().seed + at, **shared) for at in range(count))


def decode_in_process(run: Run, data_folder: Path, *words: str) -> None:
    """Has the run's weights decoded by a process of its own and waits for it.

    Args:
        run: whose weights are there.
        data_folder: where its data lie now.
        words: what to decode, as ``yoyak.scheduler.decode_worker`` takes it.

    Raises:
        InputMissing: the run has not been brought to its end.
        Interrupted: somebody asked to stop; what was decoded is kept.
        RunFailed: the process failed; it has said why.
    """
    run.require_current_format()
    if run.scorecard("dev") is None:
        raise InputMissing("scheduler.not-finished", run=run.name)
    environment = worker_environment(run.recipe)
    # It shares our group, so that a Ctrl-C reaches it too: it saves and leaves by itself.
    places = (str(run.folder), str(data_folder.absolute()), str(os.getpid()))
    process = subprocess.Popen(
        [*DECODER, *places, *words], stdin=subprocess.DEVNULL, env=environment
    )
    try:
        code = process.wait()
    except KeyboardInterrupt:
        code = process.wait()
    if code == Interrupted.exit_code:
        raise Interrupted("scheduler.decoding-stopped", run=run.name)
    if code:
        raise RunFailed("scheduler.decoding-failed", run=run.name, code=code)


# --- the frozen decoding -------------------------------------------------------------------------


def freeze(run: Run, decode: Decode) -> None:
    """Makes ``decode`` the run's own; prediction and scoring are redone by the next ``yoyak run``.

    A ``--set decode.…`` still goes before it.
    """
    with run.lock():
        atomic.write_bytes(run.folder / FROZEN, msgspec.json.encode(decode))
        run.write_recipe(msgspec.structs.replace(run.recipe, decode=decode))


def with_frozen(run: Run, recipe: Recipe, sets: Iterable[str]) -> Recipe:
    """``recipe`` with the decoding that was frozen into the run, unless ``sets`` names one."""
    path = run.folder / FROZEN
    if not path.is_file() or any(spec.startswith("decode") for spec in sets):
        return recipe
    decode: Decode = msgspec.json.decode(path.read_bytes(), type=Decode)
    return msgspec.structs.replace(recipe, decode=decode)

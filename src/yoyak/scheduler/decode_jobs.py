"""Decode a run's weights in other ways: parse, start the process, freeze the winner.

The decoding itself needs torch and is done by a process of its own
(``yoyak.scheduler.decode_worker``).
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
"""The word for the decoding of the run itself."""

_KNOWN = re.compile(r"greedy|beam(?P<beams>\d+)|sample(?:\*(?P<samples>\d+))?")


def parse_decodes(words: str, like: Decode) -> tuple[Decode, ...]:
    """Parse words such as ``greedy,beam4,sample*4``.

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
    """Decode the run's weights in a process of its own, and wait for it.

    Args:
        run: whose weights are there.
        data_folder: where its data lie now.
        words: arguments of ``yoyak.scheduler.decode_worker``.

    Raises:
        InputMissing: the run has no scored predictions.
        Interrupted: a stop was requested; what was decoded is kept.
        RunFailed: the process failed; the reason is on stderr.
    """
    run.require_current_format()
    if run.scorecard("dev") is None:
        raise InputMissing("scheduler.not-finished", run=run.name)
    environment = worker_environment(run.recipe)
    # It shares our process group, so Ctrl-C reaches it too: it saves and exits by itself.
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
    """Make ``decode`` the run's decoding; the next ``yoyak run`` predicts and scores again.

    A ``--set decode.…`` takes precedence.
    """
    with run.lock():
        atomic.write_bytes(run.folder / FROZEN, msgspec.json.encode(decode))
        run.write_recipe(msgspec.structs.replace(run.recipe, decode=decode))


def with_frozen(run: Run, recipe: Recipe, sets: Iterable[str]) -> Recipe:
    """Return ``recipe`` with the run's frozen decoding, unless ``sets`` names one."""
    path = run.folder / FROZEN
    if not path.is_file() or any(spec.startswith("decode") for spec in sets):
        return recipe
    decode: Decode = msgspec.json.decode(path.read_bytes(), type=Decode)
    return msgspec.structs.replace(recipe, decode=decode)

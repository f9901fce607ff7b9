"""Write the winner of a study as a recipe file."""

import json
import tomllib
from pathlib import Path

from yoyak.errors import CannotWrite
from yoyak.experiments.trial_runs import SELECTION, run_name
from yoyak.files import atomic
from yoyak.runs.study import Study, StudyKind, Trial


def freeze(study: Study, winner: Trial, sets: tuple[str, ...], folder: Path) -> Path:
    """Write the winner's settings to ``<study>-tuned.toml`` in ``folder``; return its path.

    The file of a study of training has all settings of the winner's run, its name among them, so
    that ``yoyak run`` of it finds this run finished. A prompt was tried in short runs only: its
    file is a recipe to train.

    Args:
        study: of which the winner is a trial.
        winner: whose settings are written.
        sets: of the command line, which the trial's settings were laid over.
        folder: of the user.

    Raises:
        CannotWrite: another file of that name is there.
    """
    path = folder / f"{study.name}-tuned.toml"
    content = _written(study, winner, sets)
    if path.exists() and path.read_text(encoding="utf-8") != content:
        raise CannotWrite("experiments.frozen-exists", path=path.name)
    atomic.write_text(path, content)
    return path


def _written(study: Study, winner: Trial, sets: tuple[str, ...]) -> str:
    base = study.recipe
    if base.endswith(".toml"):
        base = str(Path(base).resolve())
    head = [
        f"# The winner of a study of {study.name}: trial {winner.number} of {len(study.trials)}.",
        f"extends = {json.dumps(base, ensure_ascii=False)}",
    ]
    own = (*sets, *winner.sets)
    if study.kind is StudyKind.TRAIN:
        head.append(f"name = {json.dumps(run_name(study, winner), ensure_ascii=False)}")
        own = (*own, SELECTION)
    tables: dict[str, list[str]] = {}
    for spec in own:
        key, _, value = spec.partition("=")
        section, _, name = key.rpartition(".")
        tables.setdefault(section, []).append(f"{name} = {_toml(value)}")
    top = tables.pop("", [])
    lines = [*head, *top]
    for section, body in tables.items():
        unique = {line.partition(" = ")[0]: line for line in body}
        lines += ["", f"[{section}]", *unique.values()]
    return "\n".join(lines) + "\n"


def _toml(value: str) -> str:
    """Return a value of ``--set`` as TOML: bare words there are text."""
    try:
        tomllib.loads(f"value = {value}")
    except tomllib.TOMLDecodeError:
        return json.dumps(value, ensure_ascii=False)
    return value

"""Outstanding work, each item as the exact command that does it."""

import json
import shlex
from collections.abc import Iterator, Sequence

from yoyak.config.load import resolve, settings_of
from yoyak.config.schema import Recipe
from yoyak.errors import BadRecipe, InputMissing
from yoyak.events import RunStatus
from yoyak.report.model.history import RunHistory
from yoyak.report.model.report import Sentence, Step


def next_steps(runs: Sequence[RunHistory], has_submission: bool) -> Iterator[Step]:
    """Yield the commands to run, most urgent first; runs that share a command share a step."""
    for status in (RunStatus.INTERRUPTED, RunStatus.STOPPED, RunStatus.FAILED, RunStatus.QUEUED):
        yield from _to_run([run for run in runs if run.status is status], status)
    if any(run.status is RunStatus.RUNNING for run in runs):
        yield Step(command="yoyak status", why=Sentence(key="report.next-running"))
    finished = [run for run in runs if run.status is RunStatus.FINISHED]
    bases = [run.quality.basis for run in finished if run.quality is not None]
    if len(bases) > len(set(bases)):
        yield Step(command="yoyak compare", why=Sentence(key="report.next-compare"))
    if finished and not has_submission:
        yield Step(command="yoyak submit", why=Sentence(key="report.next-submit"))
    if not runs:
        yield Step(command="yoyak run", why=Sentence(key="report.next-nothing"))


def _to_run(runs: Sequence[RunHistory], status: RunStatus) -> Iterator[Step]:
    alike: dict[tuple[str, ...], list[RunHistory]] = {}
    for run in runs:
        alike.setdefault(changes(run.recipe), []).append(run)
    for sets, found in alike.items():
        recipes = dict.fromkeys(run.recipe.argument for run in found)
        fields = {"names": ", ".join(run.name for run in found)}
        why = Sentence(key=f"report.next-{status.value}", fields=fields)
        yield Step(command=" ".join(("yoyak run", *recipes, *sets)), why=why)


def changes(recipe: Recipe) -> tuple[str, ...]:
    """Return the ``--set`` options that turn the recipe's file into the stored recipe.

    TOML has no null, so a removed setting cannot be expressed. Empty for a recipe whose file cannot
    be resolved.
    """
    try:
        file = dict(settings_of(resolve(recipe.file or recipe.name).recipe))
    except (BadRecipe, InputMissing):
        return ()
    return tuple(
        f"--set {shlex.quote(f'{key}={json.dumps(value, ensure_ascii=False)}')}"
        for key, value in settings_of(recipe)
        if value is not None
        and not key.startswith(("about", "file", "base."))
        and value != file.get(key)
    )

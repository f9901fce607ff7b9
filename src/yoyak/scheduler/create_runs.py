"""Find or create the run of each recipe in the workspace."""

import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import msgspec

from yoyak.config import load
from yoyak.config.project import Project
from yoyak.config.schema import Recipe
from yoyak.data.training_rows import with_file_hashes
from yoyak.engine import ENGINES
from yoyak.errors import BadRecipe
from yoyak.events import DataAudited, DataFinding, Planned, Queued, RunStatus
from yoyak.files.format import EVENTS
from yoyak.planning import gpu_catalogue
from yoyak.planning.plan import PlanTarget, plan
from yoyak.planning.workload import beams_of
from yoyak.runs.redact import redact
from yoyak.runs.run import Run
from yoyak.runs.workspace import Workspace
from yoyak.scheduler import provenance
from yoyak.scheduler.decode_jobs import with_frozen
from yoyak.scheduler.stages import generated_rows
from yoyak.submission.contest_rules import check_generated_rows
from yoyak.system.probe import GB
from yoyak.values import Corpus


class RunRequest(NamedTuple):
    """A recipe with settings that only this run of it has, over those of the command line."""

    recipe: str
    sets: tuple[str, ...] = ()


def create_runs(
    workspace: Workspace,
    corpus: Corpus,
    names: "Iterable[str | RunRequest]",
    project: Project,
    sets: Iterable[str],
    *,
    admit: Callable[[Sequence[tuple[Recipe, Run | None]]], None] | None = None,
) -> list[Run]:
    """Return the run of each recipe on this data, in order; every recipe is checked first.

    Args:
        workspace: where the runs are.
        corpus: the data.
        names: of the recipes, or requests with settings of their own.
        project: the settings of the folder.
        sets: settings of the command line.
        admit: called with each recipe and the run that there is of it, before one is created.

    Raises:
        BadRecipe: a recipe or setting is wrong, or one is named twice; nothing was written, as
            where ``admit`` raises.
    """
    sets = tuple(sets)
    resolve = partial(load.resolve, project=project.layers)
    requests = [RunRequest(name) if isinstance(name, str) else name for name in names]
    wanted = [(request.recipe, (*sets, *request.sets)) for request in requests]
    resolved = [resolve(name, sets=own).recipe for name, own in wanted]
    resolved = [_with_file_hashes(recipe, corpus) for recipe in resolved]
    _refuse_duplicates([recipe.name for recipe in resolved])
    for recipe in resolved:
        _check_engine(recipe)
        _refuse_secrets(recipe)
        check_generated_rows(corpus, recipe)
    if admit is not None:
        admit([(recipe, workspace.find(recipe, corpus)) for recipe in resolved])
    return [
        _run(workspace, corpus, recipe, own)
        for recipe, (_, own) in zip(resolved, wanted, strict=True)
    ]


def _with_file_hashes(recipe: Recipe, corpus: Corpus) -> Recipe:
    data = with_file_hashes(recipe.data, Path(corpus.folder))
    return msgspec.structs.replace(recipe, data=data)


def _run(workspace: Workspace, corpus: Corpus, recipe: Recipe, sets: tuple[str, ...]) -> Run:
    run = workspace.find_or_create(recipe, corpus, partial(_provenance, corpus, recipe))
    recipe = with_frozen(run, recipe, sets)
    if not run.log_path.exists():
        run.emit(Queued(at=time.time(), recipe=recipe.name, format=EVENTS.number))
    if run.recipe != recipe:
        with run.lock():  # a worker reads its recipe at each stage, so it must not change under one
            run.write_recipe(recipe)
    return run


def record_plans(runs: Iterable[Run], corpus: Corpus, workspace: Workspace) -> None:
    """Write what the plan expects into the log of each run that has not begun, unless it is there.

    Time is known where the pace was measured here or the GPU has a data sheet, sizes where the
    model's shape is known.
    """
    queued = {run: state for run in runs if (state := run.state()).status is RunStatus.QUEUED}
    if not queued:
        return
    gpu = next(iter(gpu_catalogue.installed_gpus()), None)
    target = PlanTarget(gpu, None, 0.0, runs=workspace.runs())
    planned = plan([run.recipe for run in queued], corpus, target).recipes
    for (run, state), one in zip(queued.items(), planned, strict=True):
        is_known = one.work is not None
        event = Planned(
            at=time.time(),
            low_seconds=None if one.time is None else one.time.low_seconds,
            high_seconds=None if one.time is None else one.time.high_seconds,
            download_bytes=one.download_gb * GB if is_known else None,
            checkpoint_bytes=None if one.checkpoint_gb is None else one.checkpoint_gb * GB,
            generated_rows=generated_rows(run.recipe, corpus),
            num_beams=beams_of(run.recipe),
            aligns=run.recipe.align is not None,
        )
        known = state.planned
        if known is None or msgspec.structs.replace(event, at=known.at) != known:
            run.emit(event)


def record_audit(
    runs: Iterable[Run], findings: tuple[DataFinding, ...], allowed: tuple[str, ...]
) -> None:
    """Write the findings of the data audit into the log of each run that is not done.

    A log that says the same already, and the log of a run that another process works on, are left
    alone.
    """
    for run in runs:
        state = run.state()
        if state.status is RunStatus.FINISHED or run.holder() is not None:
            continue
        event = DataAudited(at=time.time(), findings=findings, allowed=allowed)
        known = state.audit
        if known is None or msgspec.structs.replace(event, at=known.at) != known:
            run.emit(event)


def _provenance(corpus: Corpus, recipe: Recipe) -> bytes:
    return msgspec.json.format(msgspec.json.encode(provenance.gather(corpus, recipe)), indent=1)


def _refuse_secrets(recipe: Recipe) -> None:
    """Raise if a setting looks like a secret: recipes are stored, shown and reported."""
    for key, value in load.settings_of(recipe):
        if isinstance(value, str) and redact(value) != value:
            raise BadRecipe("scheduler.secret-in-recipe", recipe=recipe.name, key=key)


def _refuse_duplicates(names: list[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise BadRecipe("scheduler.recipe-twice", recipes=", ".join(twice))


def _check_engine(recipe: Recipe) -> None:
    if recipe.engine not in ENGINES and ":" not in recipe.engine:
        raise BadRecipe("engine.unknown", engine=recipe.engine, known=", ".join(ENGINES))

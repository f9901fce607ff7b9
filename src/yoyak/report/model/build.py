"""Pure construction of the report from the records of the runs: equal records, equal report."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from yoyak.config.load import settings_of
from yoyak.config.project import Budget
from yoyak.events import (
    BackendParityChecked,
    PreflightPassed,
    RunState,
    RunStatus,
    SystemMetrics,
    fold,
)
from yoyak.report.model import forecast, history
from yoyak.report.model.groups import front
from yoyak.report.model.history import RunHistory
from yoyak.report.model.next_steps import next_steps
from yoyak.report.model.report import (
    Blended,
    Cost,
    DiskSpace,
    Example,
    Fact,
    Floor,
    Pair,
    Proof,
    Report,
    RunProgress,
    SettingRow,
    SubmissionSummary,
    System,
    Tiles,
)
from yoyak.report.model.risks import disk_forecast, risks
from yoyak.runs.liveness import worker_health


class Rest(NamedTuple):
    """Inputs of the report other than the runs."""

    title: str
    workspace: str
    written_at: float
    floors: tuple[Floor, ...] = ()
    submissions: tuple[SubmissionSummary, ...] = ()
    provenance: tuple[Fact, ...] = ()
    examples: tuple[Example, ...] = ()
    pairs: tuple[Pair, ...] = ()
    blended: Blended | None = None
    disk: DiskSpace | None = None
    workspace_gb: float = 0.0
    budget: Budget = Budget()


def build(runs: Sequence[RunHistory], rest: Rest) -> Report:
    """Build the report of ``runs`` in order, without findings (``report.lint`` adds them)."""
    pairs = [(run, run.state or fold(run.events)) for run in runs]
    systems = front([_system(run, state) for run, state in pairs], rest.budget)
    open_runs = [pair for pair in pairs if pair[0].status is not RunStatus.FINISHED]
    progress = {run.id: history.progress(run, state) for run, state in open_runs}
    coming = forecast.pending_runs(progress.values())
    happened = [one for run, state in pairs for one in history.incidents(run, state)]
    disk = None if rest.disk is None else disk_forecast(runs, rest.disk, rest.workspace_gb)
    return Report(
        title=rest.title,
        workspace=rest.workspace,
        written_at=rest.written_at,
        events=sum(len(run.events) for run in runs),
        last_event_at=max((run.events[-1].at for run in runs if run.events), default=None),
        tiles=_tiles(runs, systems, coming, rest),
        systems=systems,
        floors=rest.floors,
        baseline=_baseline(runs),
        budget=rest.budget,
        progress=tuple(progress.values()),
        curves=tuple(map(history.curve, runs)),
        proofs=tuple(_proofs(runs)),
        incidents=tuple(sorted(happened, key=lambda incident: incident.at)),
        risks=tuple(risks(runs, disk)),
        disk=disk,
        timeline=(
            *(span for run in runs for span in history.spans(run)),
            *forecast.planned(coming, rest.written_at),
        ),
        next_steps=tuple(next_steps(runs, bool(rest.submissions))),
        examples=rest.examples,
        pairs=rest.pairs,
        blended=rest.blended,
        submissions=rest.submissions,
        provenance=rest.provenance,
    )


def _proofs(runs: Sequence[RunHistory]) -> Iterator[Proof]:
    """Yield the latest preflight checks of each run that has any, with its backend comparisons."""
    for run in runs:
        wanted = {f"parity-{value}" for value in msgspec.structs.astuple(run.recipe.generate)}
        comparisons = [
            (at, each.check)
            for at, each in run.of(BackendParityChecked)
            if each.check.name in wanted
        ]
        compared = {check.name: check for _, check in comparisons}
        preflights = [(index, card.checks) for index, card in run.of(PreflightPassed)[-1:]]
        preflights = preflights or [(index, ()) for index, _ in comparisons[-1:]]
        for index, checks in preflights:
            lines = (*checks, *compared.values())
            yield Proof(run=run.id, name=run.name, checks=lines, record=run.at(index))


def _baseline(runs: Sequence[RunHistory]) -> str | None:
    """Return the display name of the run that the others were compared with."""
    names = {run.id: run.name for run in runs}
    found = next((run.difference.baseline for run in runs if run.difference), None)
    return None if found is None else names.get(found, found)


def _system(run: RunHistory, state: RunState) -> System:
    prepared, model = state.prepared, run.recipe.model
    return System(
        run=run.id,
        recipe=run.recipe.name,
        name=run.name,
        status=run.status,
        standing=worker_health(run.status, run.events),
        toy=model.scratch is not None,
        parameters=prepared.parameters if prepared else model.parameters,
        trainable_parameters=prepared.trainable_parameters if prepared else None,
        quantisation=model.quantisation,
        licence=model.licence,
        quality=run.quality,
        difference=run.difference,
        tied_with_best=run.tied_with_best,
        cost=_cost(run, state),
        step=state.step,
        stage=state.stage,
        started_at=state.started_at,
        ended_at=state.last_at if run.status is RunStatus.FINISHED else None,
        settings=tuple(
            SettingRow(key=key, value="none" if value is None else str(value))
            for key, value in settings_of(run.recipe)
        ),
        record=run.log,
    )


def _cost(run: RunHistory, state: RunState) -> Cost:
    vram = [event.vram_used_gb for _, event in run.of(SystemMetrics)]
    return Cost(
        train_seconds=state.stage_seconds.get("train") if state.prepared else None,
        decode_seconds_per_100=run.decode_seconds_per_100,
        peak_vram_gb=max((value for value in vram if value is not None), default=None),
        tokens_per_character=run.tokens_per_character,
    )


def _tiles(
    runs: Sequence[RunHistory],
    systems: Sequence[System],
    coming: Sequence[RunProgress],
    rest: Rest,
) -> Tiles:
    scored = [(each.quality.mean, each.name) for each in systems if each.quality is not None]
    best_mean, best = max(scored, key=lambda one: one[0].value, default=(None, None))
    samples = [event for run in runs for _, event in run.of(SystemMetrics)]
    latest = max(samples, key=lambda event: event.at, default=SystemMetrics(at=0.0))
    forecasts = [each.forecast for each in coming if each.forecast is not None]
    return Tiles(
        done=sum(each.status is RunStatus.FINISHED for each in systems),
        total=len(systems),
        best=best,
        best_mean=best_mean,
        left=forecast.until_all(forecasts, forecast.places(coming)),
        without_pace=len(coming) - len(forecasts),
        disk_free_gb=latest.disk_free_gb if rest.disk is None else rest.disk.free_gb,
        disk_total_gb=None if rest.disk is None else rest.disk.total_gb,
        vram_free_gb=_minus(latest.vram_total_gb, latest.vram_used_gb),
        vram_total_gb=latest.vram_total_gb,
    )


def _minus(whole: float | None, part: float | None) -> float | None:
    return None if whole is None or part is None else whole - part

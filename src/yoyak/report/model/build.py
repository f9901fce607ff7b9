"""Pure construction of the report from the records of the runs: equal records, equal report."""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import msgspec

from yoyak.config.load import settings_of
from yoyak.config.project import Budget
from yoyak.events import (
    BackendParityChecked,
    CheckpointSaved,
    DataAudited,
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
    Basis,
    Blended,
    CopiedText,
    Cost,
    DataIssue,
    DiskSpace,
    Example,
    Fact,
    FoldSummary,
    Pair,
    PlanCheck,
    Proof,
    RatedPair,
    Report,
    RunProgress,
    SettingRow,
    StudySummary,
    SubmissionSummary,
    System,
    SystemGroup,
    Tiles,
)
from yoyak.report.model.risks import disk_forecast, risks
from yoyak.runs.liveness import worker_health
from yoyak.runs.replicates import SeedNoise


class Compared(NamedTuple):
    """What a group's answers say together."""

    pairs: tuple[Pair, ...] = ()
    examples: tuple[Example, ...] = ()
    copied: tuple[CopiedText, ...] = ()


class Rest(NamedTuple):
    """Inputs of the report other than the runs."""

    title: str
    workspace: str
    written_at: float
    submissions: tuple[SubmissionSummary, ...] = ()
    provenance: tuple[Fact, ...] = ()
    compared: Mapping[Basis, Compared] = MappingProxyType({})
    blended: Blended | None = None
    studies: tuple[StudySummary, ...] = ()
    seeds: tuple[SeedNoise, ...] = ()
    folds: tuple[FoldSummary, ...] = ()
    ratings: tuple[RatedPair, ...] = ()
    disk: DiskSpace | None = None
    workspace_gb: float = 0.0
    budget: Budget = Budget()


def build(runs: Sequence[RunHistory], rest: Rest) -> Report:
    """Build the report of ``runs`` in order, without the findings of ``consistency``."""
    pairs = [(run, run.state or fold(run.events)) for run in runs]
    groups = _groups(runs, rest.compared)
    by_run = {run.id: _system(run, state) for run, state in pairs}
    for group in groups:
        marked = front([by_run[run] for run in group.runs], rest.budget)
        by_run |= {system.run: system for system in marked}
    systems = tuple(by_run.values())
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
        tiles=_tiles(runs, systems, groups, coming, rest),
        systems=systems,
        groups=groups,
        budget=rest.budget,
        progress=tuple(progress.values()),
        curves=tuple(curve for run in runs for curve in history.curves(run)),
        proofs=tuple(_proofs(runs)),
        data_issues=tuple(_data_issues(runs)),
        incidents=tuple(sorted(happened, key=lambda incident: incident.at)),
        risks=tuple(risks(runs, disk)),
        disk=disk,
        timeline=(
            *(span for run in runs for span in history.spans(run)),
            *forecast.planned(coming, rest.written_at),
        ),
        plan_checks=tuple(_plan_checks(pairs)),
        next_steps=tuple(next_steps(runs, bool(rest.submissions))),
        blended=rest.blended,
        studies=rest.studies,
        seeds=rest.seeds,
        folds=rest.folds,
        ratings=rest.ratings,
        submissions=rest.submissions,
        provenance=rest.provenance,
    )


def _data_issues(runs: Sequence[RunHistory]) -> Iterator[DataIssue]:
    """Yield what the last audit of each run found in its data; what several say, once."""
    known: set[tuple[str, str, str]] = set()
    for run in runs:
        for index, event in run.of(DataAudited)[-1:]:
            for finding in event.findings:
                key = (run.data, run.dev_sha256, finding.found)
                if key not in known:
                    known.add(key)
                    yield DataIssue(data=run.data, finding=finding, record=run.at(index))


def _plan_checks(pairs: Sequence[tuple[RunHistory, RunState]]) -> Iterator[PlanCheck]:
    """Yield the finished runs whose time was planned."""
    for run, state in pairs:
        plan = state.planned
        if run.status is not RunStatus.FINISHED or plan is None:
            continue
        if plan.low_seconds is None or plan.high_seconds is None:
            continue
        saved = [event.size_bytes for _, event in run.of(CheckpointSaved)]
        yield PlanCheck(
            run=run.id,
            name=run.name,
            low_seconds=plan.low_seconds,
            high_seconds=plan.high_seconds,
            seconds=sum(state.stage_seconds.values()),
            planned_checkpoint_bytes=plan.checkpoint_bytes,
            checkpoint_bytes=max(saved, default=None),
            record=run.log,
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


def _groups(
    runs: Sequence[RunHistory], compared: Mapping[Basis, Compared]
) -> tuple[SystemGroup, ...]:
    """Return the scored runs by what their scores share, the newest scored run's group first."""
    members: dict[Basis, list[RunHistory]] = {}
    for run in reversed(runs):
        if run.quality is not None:
            members.setdefault(run.quality.basis, []).insert(0, run)
    return tuple(
        _group(basis, found, compared.get(basis, Compared())) for basis, found in members.items()
    )


def _group(basis: Basis, runs: Sequence[RunHistory], compared: Compared) -> SystemGroup:
    qualities = {run.id: run.quality for run in runs if run.quality is not None}
    names = {run.id: run.name for run in runs}
    against = next((run.difference.baseline for run in runs if run.difference), None)
    return SystemGroup(
        basis=basis,
        data=runs[-1].data,
        runs=tuple(sorted(qualities, key=lambda run: -qualities[run].mean.value)),
        baseline=None if against is None else names.get(against, against),
        floors=qualities[runs[0].id].floors,
        pairs=compared.pairs,
        examples=compared.examples,
        copied=compared.copied,
    )


def _system(run: RunHistory, state: RunState) -> System:
    prepared, model = state.prepared, run.recipe.model
    return System(
        run=run.id,
        recipe=run.recipe.name,
        name=run.name,
        status=run.status,
        standing=worker_health(run.status, run.events),
        toy=model.scratch is not None,
        parameters=prepared.parameters if prepared else run.recipe.base.parameters,
        trainable_parameters=prepared.trainable_parameters if prepared else None,
        quantisation=model.quantisation,
        licence=run.recipe.base.licence,
        quality=run.quality,
        second=run.second,
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
    groups: Sequence[SystemGroup],
    coming: Sequence[RunProgress],
    rest: Rest,
) -> Tiles:
    by_run = {each.run: each for each in systems}
    best = by_run[groups[0].runs[0]] if groups else None
    samples = [event for run in runs for _, event in run.of(SystemMetrics)]
    latest = max(samples, key=lambda event: event.at, default=SystemMetrics(at=0.0))
    forecasts = [each.total for each in coming if each.total is not None]
    return Tiles(
        done=sum(each.status is RunStatus.FINISHED for each in systems),
        total=len(systems),
        best=best.name if best else None,
        best_is_toy=best.toy if best else False,
        best_data=groups[0].data if len(groups) > 1 else None,
        best_mean=best.quality.mean if best and best.quality else None,
        left=forecast.until_all(forecasts, forecast.places(coming)),
        without_pace=len(coming) - len(forecasts),
        disk_free_gb=latest.disk_free_gb if rest.disk is None else rest.disk.free_gb,
        disk_used_gb=latest.disk_used_gb if rest.disk is None else rest.disk.used_gb,
        disk_total_gb=None if rest.disk is None else rest.disk.total_gb,
        vram_free_gb=_minus(latest.vram_total_gb, latest.vram_used_gb),
        vram_total_gb=latest.vram_total_gb,
    )


def _minus(whole: float | None, part: float | None) -> float | None:
    return None if whole is None or part is None else whole - part

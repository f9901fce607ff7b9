"""Summaries of studies: what each trial scored, how good the best was so far, and the verdict."""

from collections.abc import Sequence

from yoyak.metrics.selection_bias import ChanceGain, chance_gains
from yoyak.report.model.report import Measured, StudySummary, StudyTrial
from yoyak.runs.study import Study, StudyKind, Trial, TrialState, read_studies
from yoyak.runs.workspace import Workspace


def summarise(study: Study, record: str, *, intervals: bool = True) -> StudySummary:
    """Return the summary of a study; without ``intervals`` no statistics are computed."""
    best = study.best
    winner = None if study.verdict is None else study.trial(study.verdict.winner)
    shown = winner or best
    first = study.baseline
    others = [one for one in study.last_round if one != first]
    scored = [] if first is None else [first, *others]
    return StudySummary(
        name=study.name,
        kind=study.kind,
        recipe=study.recipe,
        planned=study.trials_planned,
        seeds=study.seeds,
        selection_rows=study.selection_rows,
        judging_rows=study.judging_rows,
        trials=tuple(_rows(study, intervals=intervals)),
        confirmed=sum(one.state is TrialState.FINISHED for one in study.confirmations),
        chance=_chance(scored) if intervals else (),
        verdict=study.verdict,
        winner=None if shown is None else shown.label,
        seconds=study.seconds,
        record=record,
    )


def _chance(trials: Sequence[Trial]) -> tuple[ChanceGain, ...]:
    import numpy as np

    if len(trials) < 2:
        return ()
    return chance_gains(np.array([one.scores for one in trials], dtype=np.float64).T)


def _rows(study: Study, *, intervals: bool) -> list[StudyTrial]:
    is_screen = study.kind is StudyKind.SCREEN
    known = [one for one in study.finished if one.candidate == 0 and not is_screen]
    baselines = {one.rung: one for one in known}
    best: dict[int, float] = {}
    rows = []
    for trial in study.trials:
        if trial.mean is not None:
            best[trial.rung] = max(best.get(trial.rung, trial.mean), trial.mean)
        baseline = baselines.get(trial.rung)
        other = None if baseline is None or baseline.number == trial.number else baseline
        rows.append(
            StudyTrial(
                number=trial.number,
                label=trial.label,
                rung=trial.rung,
                state=trial.state,
                mean=_measured(trial, None, intervals=intervals),
                difference=None if other is None else _measured(trial, other, intervals=intervals),
                best_so_far=best.get(trial.rung),
                seconds=trial.seconds,
                problem=trial.problem,
                record="" if trial.run is None else f"runs/{trial.run}/events.jsonl",
            )
        )
    return rows


def _measured(trial: Trial, other: Trial | None, *, intervals: bool) -> Measured | None:
    """Return the mean of a trial, or of its difference from ``other``, row by row."""
    if not trial.scores:
        return None
    theirs = other.scores if other is not None else (0.0,) * len(trial.scores)
    values = [one - two for one, two in zip(trial.scores, theirs, strict=True)]
    mean = sum(values) / len(values)
    if not intervals:
        return Measured(value=mean)
    import numpy as np

    from yoyak.metrics.bootstrap import mean_intervals

    [interval] = mean_intervals(np.array(values)[:, None], seed=42, resamples=1_000)
    return Measured(value=mean, interval=interval)


def gather_studies(workspace: Workspace, *, intervals: bool) -> tuple[StudySummary, ...]:
    """Return every study of a workspace whose record can be read."""
    return tuple(
        summarise(study, workspace.relative(path), intervals=intervals)
        for study, path in read_studies(workspace.studies_folder)[0]
    )

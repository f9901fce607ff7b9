"""The sections of studies: trials, the best so far beside chance, and the verdict."""

from collections.abc import Iterator, Sequence

from yoyak.config.schema import SearchRange
from yoyak.messages import text
from yoyak.report.model.report import Measured, Report, StudySummary, StudyTrial
from yoyak.report.sections import format
from yoyak.report.sections.blocks import Badge, Block, Bullets, Cell, Chart, Link, Note, table
from yoyak.report.sections.model_table import difference_cell
from yoyak.runs.study import Study, StudyKind, TrialState

_BADGES = {
    TrialState.ASKED: "queued",
    TrialState.FINISHED: "finished",
    TrialState.PRUNED: "stopped",
    TrialState.FAILED: "failed",
}


def plan(study: Study, run_seconds: float | None) -> Iterator[Block]:
    """Yield what a study will vary and cost, before it starts or goes on."""
    ended = sum(one.state is not TrialState.ASKED for one in study.trials)
    confirmations = 2 * study.seeds
    runs = study.trials_planned + confirmations
    fields = {
        "study": study.name,
        "trials": study.trials_planned,
        "runs": runs,
        "confirmations": confirmations,
        "ended": ended,
        "selection": study.selection_rows,
        "judging": study.judging_rows,
    }
    key = "experiments.plan-screen" if study.kind is StudyKind.SCREEN else "experiments.plan"
    yield Note(text(key, **fields))
    if run_seconds is not None:
        each, all_ = format.duration(run_seconds), format.duration(runs * run_seconds)
        yield Note(text("experiments.plan-time", each=each, all=all_))
    rows = ((name, _range(range_)) for name, range_ in study.ranges.items())
    yield from table(("setting", "setting-value"), rows)


def _range(range_: SearchRange) -> str:
    if range_.values:
        return ", ".join(f"{value:g}" for value in range_.values)
    key = "experiments.range-log" if range_.log else "experiments.range"
    return text(key, low=f"{range_.low:g}", high=f"{range_.high:g}")


def studies(view: Report) -> Iterator[Block]:
    """Yield every study of the workspace."""
    for place, one in enumerate(view.studies):
        yield from study(one, place)


def progress(view: Report) -> Iterator[Block]:
    """Yield one row per study."""
    rows = (
        (
            Link(f"{one.kind} {one.name}", one.record),
            _progress(one),
            _best(one),
            verdict(one),
            format.duration(one.seconds),
        )
        for one in view.studies
    )
    columns = ("study", "progress", "best-so-far", "verdict", "seconds")
    yield from table(columns, rows, text("experiments.section"))


def _progress(one: StudySummary) -> str:
    ended = len(one.trials) - one.count(TrialState.ASKED)
    parts = [f"{ended}/{one.planned}" if one.planned else str(ended)]
    counts = {state: one.count(state) for state in (TrialState.PRUNED, TrialState.FAILED)}
    parts += [text(f"experiments.count-{state}", count=n) for state, n in counts.items() if n]
    return ", ".join(parts)


def _best(one: StudySummary) -> str:
    known = [each.best_so_far for each in one.trials if each.best_so_far is not None]
    return format.score(known[-1]) if known else format.UNKNOWN


def verdict(one: StudySummary) -> str:
    """Return the verdict in a word or two; a dash where there is none yet."""
    if one.verdict is None:
        return format.UNKNOWN
    if one.verdict.comparison is None:
        return text("experiments.verdict-baseline")
    key = "better" if one.verdict.comparison.proven else "not-proven"
    return text(f"report.verdict-{key}")


def study(one: StudySummary, place: int = 0) -> Iterator[Block]:
    """Yield one study: its trials, the chart, and the verdict with what it cost."""
    is_rounds = any(each.rung for each in one.trials)
    columns = ("trial", "status", "settings", "mean", "difference", "best-so-far", "seconds")
    title = text(f"experiments.title-{one.kind}", study=one.name, rows=one.selection_rows)
    rows = (_row(each, is_rounds) for each in one.trials)
    yield from table(columns, rows, title)
    if one.kind is StudyKind.TRAIN and one.chance:
        yield Chart("study", place)
    problems = [
        f"{each.number}: {each.problem.splitlines()[0]}" for each in one.trials if each.problem
    ]
    if problems:
        yield Bullets(tuple(problems[:10]))
    yield from map(Note, _sentences(one))


def _row(one: StudyTrial, is_rounds: bool) -> Sequence[Cell]:
    number = f"{one.rung + 1}.{one.number}" if is_rounds else str(one.number)
    return (
        Link(number, one.record),
        Badge(_BADGES[one.state], text(f"experiments.state-{one.state}")),
        one.label or text("experiments.as-it-is"),
        _score(one.mean),
        format.UNKNOWN if one.difference is None else _difference(one.difference),
        format.score(one.best_so_far),
        format.duration(one.seconds),
    )


def _score(found: Measured | None) -> Cell:
    if found is None:
        return format.UNKNOWN
    return Link(format.score(found.value), note=format.score_interval(found.interval))


def _difference(found: Measured) -> Cell:
    if found.interval is None:
        return format.points(found.value)
    return difference_cell(found.value, found.interval)


def _sentences(one: StudySummary) -> Iterator[str]:
    if one.chance:
        last = one.chance[-1]
        yield text(
            "experiments.chance",
            trials=last.trials,
            gain=format.points(last.expected),
            high=format.points(last.interval.high),
        )
    found = one.verdict
    winner = one.winner or text("experiments.as-it-is")
    if found is None:
        if one.seeds == 0 and one.trials:
            is_screen = one.kind is StudyKind.SCREEN
            yield text(f"experiments.{'screened' if is_screen else 'no-verdict'}")
    elif found.comparison is None:
        yield text("experiments.baseline-won")
    else:
        known = found.comparison
        fields = {
            "winner": winner,
            "rows": known.rows,
            "seeds": known.seeds,
            "mean": format.score(known.mean),
            "baseline": format.score(known.baseline_mean),
            "gain": format.points(known.difference),
            "interval": format.points_interval(known.interval),
            "deviation": format.score(known.seed_deviation),
            "detectable": format.score(known.detectable),
            "level": "95" if known.interval is None else f"{100 * known.interval.level:.4g}",
        }
        key = "single-seed" if known.interval is None else "proven" if known.proven else "null"
        yield text(f"experiments.verdict-{key}", **fields)
        if found.looks > 1:
            yield text("experiments.looks", looks=found.looks)
    yield text("experiments.cost", time=format.duration(one.seconds))

"""The JSON that ``yoyak score``, ``compare`` and ``status`` print; scales are named."""

from collections.abc import Collection

import msgspec

from yoyak.metrics.baselines import TrivialBaselines
from yoyak.metrics.scorecard import Scorecard
from yoyak.metrics.significance import Comparison, ScorecardGroup
from yoyak.report.model.report import Basis, Report
from yoyak.values import Rouge, Value


class Figures(Value, frozen=True, kw_only=True):
    """ROUGE scores, each 0 to 100, and their sum, 0 to 300."""

    rouge1: float
    rouge2: float
    rougeL: float
    mean: float
    sum: float


class ScoreFile(Figures, frozen=True, kw_only=True):
    """Output of ``yoyak score --json``; ``card`` holds the full data, as fractions 0 to 1."""

    scale: str = "rouge1, rouge2, rougeL, mean: 0 to 100; sum: 0 to 300; card: 0 to 1"
    interval: tuple[float, float]
    """Confidence interval of the mean, at the card's level."""
    rows: int
    signature: str
    floors: dict[str, Figures]
    alarms: tuple[str, ...]
    card: Scorecard


def score_file(card: Scorecard) -> ScoreFile:
    """Return the JSON output for ``card``."""
    return ScoreFile(
        **msgspec.structs.asdict(figures(card.rouge)),
        interval=(100 * card.interval.low, 100 * card.interval.high),
        rows=card.n,
        signature=card.protocol.signature,
        floors=floor_figures(card.floors),
        alarms=tuple(alarm.key for alarm in card.alarms),
        card=card,
    )


def comparison_json(compared: Comparison, group: ScorecardGroup, toys: Collection[str]) -> str:
    """Return the output of ``yoyak compare --json`` for one group, on one line.

    To the comparison (fractions 0 to 1) are added the floors (0 to 100), the keys of each system's
    alarms, and the systems that are toys.
    """
    card = group[compared.standings[0].system]
    return msgspec.json.encode(
        msgspec.to_builtins(compared)
        | {
            "floors": msgspec.to_builtins(floor_figures(card.floors)),
            "alarms": {name: [one.key for one in group[name].alarms] for name in group},
            "toys": sorted(toys),
        }
    ).decode()


def floor_figures(floors: TrivialBaselines | None) -> dict[str, Figures]:
    """Return the trivial baselines that were computed, times 100."""
    known = {} if floors is None else floors.known
    return {name: figures(rouge) for name, rouge in known.items()}


def figures(rouge: Rouge) -> Figures:
    """Return ``rouge`` times 100."""
    return Figures(**{name: 100 * getattr(rouge, name) for name in Figures.__struct_fields__})


class RunStanding(Value, frozen=True, kw_only=True):
    """One run in the output of ``yoyak status --json``; scores are fractions."""

    run: str
    recipe: str
    status: str
    stage: str | None
    done: int | None
    of: int | None
    seconds_left: float | None
    """To the end of the run; ``None`` where a part of it cannot be estimated."""
    slow_seconds_left: float | None
    """At the pace of the slowest 10 %."""
    mean: float | None
    basis: Basis | None
    """What ``mean`` was scored on: only means of one basis can be compared."""


def status_json(view: Report) -> str:
    """Return ``{"runs": […], "studies": […]}`` for ``yoyak status --json``, in line-up order."""
    doing = {one.run: one for one in view.progress}
    runs = []
    for one in view.systems:
        now = doing.get(one.run)
        forecast = now.total if now else None
        runs.append(
            RunStanding(
                run=one.run,
                recipe=one.recipe,
                status=one.standing.value,
                stage=one.stage,
                done=now.done if now else None,
                of=now.of if now else None,
                seconds_left=forecast.p50_seconds if forecast else None,
                slow_seconds_left=forecast.p90_seconds if forecast else None,
                mean=one.quality.mean.value if one.quality else None,
                basis=one.quality.basis if one.quality else None,
            )
        )
    return msgspec.json.encode({"runs": runs, "studies": view.studies}).decode()

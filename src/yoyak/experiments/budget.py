"""How many trials fit a number of minutes: fixed before the first one starts."""

from yoyak.config.project import ResourceLimits
from yoyak.config.schema import Recipe
from yoyak.errors import UsageError
from yoyak.planning.gpu_catalogue import installed_gpus
from yoyak.planning.plan import plan, target_here
from yoyak.planning.time_estimate import TimeEstimate
from yoyak.runs.workspace import Workspace
from yoyak.values import Corpus


def run_time(
    recipe: Recipe, corpus: Corpus, workspace: Workspace, limits: ResourceLimits
) -> TimeEstimate | None:
    """Return how long one run of the recipe takes here; ``None`` where that is not known."""
    target = target_here(workspace, limits, next(iter(installed_gpus()), None))
    [planned] = plan([recipe], corpus, target).recipes
    return planned.time


def trials_within(
    minutes: float, time: TimeEstimate | None, *, seeds: int, least: int, recipe: str
) -> int:
    """Return the trials that fit beside the runs of the verdict, at the middle of the estimate.

    Raises:
        UsageError: the time of a run is not known, or fewer than ``least`` trials fit.
    """
    if time is None:
        raise UsageError("experiments.no-pace", recipe=recipe)
    seconds = (time.low_seconds + time.high_seconds) / 2
    runs = int(60 * minutes / seconds)
    if runs - 2 * seeds < least:
        needed = (least + 2 * seeds) * seconds / 60
        raise UsageError(
            "experiments.too-few-minutes",
            minutes=f"{minutes:g}",
            each=f"{seconds / 60:.1f}",
            runs=least + 2 * seeds,
            needed=f"{needed:.0f}",
        )
    return runs - 2 * seeds

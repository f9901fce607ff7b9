"""A study without training: scores of each run are drawn from a truth that the test states."""

import random
from collections.abc import Callable, Sequence

import msgspec

from yoyak.config.schema import SearchRange
from yoyak.experiments.begin_study import SEED
from yoyak.experiments.study_loop import StudyContext, TrialJob, TrialResult
from yoyak.runs.study import Study, StudyKind, Trial, TrialState

RATED = """[train]
learning_rate = 1e-4
[search]
learning_rate = {low = 1e-6, high = 1e-2, log = true}
"""
"""Settings of the engine ``doubles:Rated`` for a study: better rates, and far worse ones."""
RATE = SearchRange(low=1e-5, high=1e-3, log=True)
ROWS = [f"dev_{at}" for at in range(120)]
SELECTION, JUDGING = ROWS[::2], ROWS[1::2]


class Killed(BaseException):
    """What a process that is killed leaves no time for."""


class DrawnRuns:
    """Completes trials at once: row scores are difficulty + quality(params) + luck of the seed.

    The same trial always has the same scores, as a run that is resumed does. ``kill_at`` raises
    ``Killed`` before that call is answered.
    """

    def __init__(
        self,
        quality: Callable[[dict[str, float]], float],
        *,
        luck: float = 0.01,
        noise: float = 0.1,
        truth: int = 1,
        kill_at: int | None = None,
    ) -> None:
        self.quality, self.luck, self.noise, self.truth = quality, luck, noise, truth
        self.kill_at = kill_at
        self.asked: list[TrialJob] = []

    def __call__(self, jobs: Sequence[TrialJob]) -> list[TrialResult]:
        self.asked += jobs
        if self.kill_at is not None and len(self.asked) >= self.kill_at:
            raise Killed
        return [self._result(job) for job in jobs]

    def _result(self, job: TrialJob) -> TrialResult:
        trial = job.trial
        draw = random.Random(f"{self.truth}/{trial.sets}/{trial.params}")
        mean = 0.4 + self.quality(trial.params) + draw.gauss(0, self.luck)
        hard = random.Random(self.truth)
        scores = {row: mean + hard.gauss(0, 0.15) + draw.gauss(0, self.noise) for row in ROWS}
        name = f"{trial.number}-{trial.repeats}"
        return TrialResult(TrialState.FINISHED, name, scores, (mean,), seconds=1.0)


class Records:
    """Keeps what was written last, and can die before or after a write."""

    def __init__(self, study: Study, kill_at: int | None = None) -> None:
        self.study, self.kill_at, self.writes = study, kill_at, 0

    def __call__(self, study: Study) -> None:
        self.writes += 1
        if self.writes == self.kill_at:
            raise Killed
        self.study = study


def context_of(runs: DrawnRuns, records: Records) -> StudyContext:
    return StudyContext(runs, records, SELECTION, JUDGING)


def train_study(trials: int = 8, seeds: int = 3, width: int = 1, **changes: object) -> Study:
    known = {
        "name": "x", "kind": StudyKind.TRAIN, "recipe": "kobart", "sha256": "", "train_sha256": "",
        "dev_sha256": "", "trials_planned": trials, "seeds": seeds, "seed": SEED, "width": width,
        "ranges": {"learning_rate": RATE}, "selection_rows": len(SELECTION),
        "judging_rows": len(JUDGING),
    }  # fmt: skip
    return Study(**(known | changes))


def scored_study(*means: float) -> Study:
    """A study whose trials have finished with these means on three rows."""
    trials = [
        Trial(
            number=at, candidate=at, recipe="kobart", sets=(), label=f"r {8 * at}" if at else "",
            state=TrialState.FINISHED, run=f"run-{at}", seconds=60.0,
            scores=(mean - 0.1, mean + 0.02 * at, mean + 0.1 - 0.02 * at),
        )
        for at, mean in enumerate(means)
    ]  # fmt: skip
    return msgspec.structs.replace(train_study(trials=len(trials)), trials=tuple(trials))

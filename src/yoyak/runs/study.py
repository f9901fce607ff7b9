"""The record of a study: candidates, the runs that tried them, and the verdict.

::

    studies/<kind>-<name>/study.json  optuna.db  study.lock

``study.json`` is the truth: it is rewritten whole before a run starts and after it has ended, so a
study that is killed at any point goes on from there. ``optuna.db`` says the same to other tools.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path

import msgspec

from yoyak.config.schema import SearchRange
from yoyak.errors import BadData, Interrupted
from yoyak.files import atomic
from yoyak.files.format import STUDY, decode_record
from yoyak.metrics.seed_comparison import SeedComparison
from yoyak.runs.workspace import ascii_name
from yoyak.values import Value

RECORD = "study.json"


class StudyKind(StrEnum):
    """What a study compares."""

    TRAIN = "train"
    """Settings of training."""
    PROMPT = "prompt"
    """Prompts."""
    SCREEN = "screen"
    """Bases."""


class TrialState(StrEnum):
    """How far a trial is."""

    ASKED = "asked"
    """Its settings are decided and recorded; its run may not have begun."""
    FINISHED = "finished"
    PRUNED = "pruned"
    """Stopped early, clearly behind earlier trials."""
    FAILED = "failed"


class Trial(Value, frozen=True, kw_only=True):
    """One run of a study: the settings that it tries and what came of it."""

    number: int
    recipe: str
    """Recipe that the settings are laid over."""
    sets: tuple[str, ...]
    """Settings as ``a.b=value``; empty for the recipe as it is."""
    params: dict[str, float] = {}
    """Values of the searched ranges by name."""
    label: str = ""
    """The settings on one line; empty for the recipe as it is."""
    candidate: int
    """Number of the first trial with these settings; 0 is the recipe as it is."""
    rung: int = 0
    """Round of successive halving; every trial of a hyper-parameter study is in the first."""
    round_sets: tuple[str, ...] = ()
    """Settings of the round, over ``sets``."""
    repeats: int | None = None
    """Number of the trial that it repeats with another seed, to judge; ``None`` in the search."""
    state: TrialState = TrialState.ASKED
    run: str | None = None
    scores: tuple[float, ...] = ()
    """ROUGE mean (0 to 1) of each row: of the selection half, or of the judging half where it
    ``repeats`` another trial."""
    evaluations: tuple[float, ...] = ()
    """Metric of each evaluation in training, more being better, up to where it was stopped."""
    seconds: float | None = None
    """Time of its run, from the start of each worker to its last event."""
    problem: str = ""

    @property
    def mean(self) -> float | None:
        """Mean of the scores; ``None`` without any."""
        return sum(self.scores) / len(self.scores) if self.scores else None


class StudyVerdict(Value, frozen=True, kw_only=True):
    """The winner against the recipe as it is, on the half of dev that chose nothing."""

    winner: int
    """Number of the trial; 0 where the recipe as it is came out best, and nothing was judged."""
    comparison: SeedComparison | None = None
    looks: int = 0
    """How many winners were judged on these rows so far; the level is divided by it."""


class Study(Value, frozen=True, kw_only=True):
    """A study as recorded."""

    format: int = STUDY.number
    name: str
    kind: StudyKind
    recipe: str
    """Recipe whose settings are the baseline, as named on the command line."""
    sha256: str
    """Hash of all that must be the same for the study to be continued."""
    train_sha256: str
    dev_sha256: str
    trials_planned: int
    """At most: a round may have fewer."""
    seeds: int
    """Fresh seeds with which winner and baseline are trained to be judged."""
    seed: int
    """Seed of the sampler."""
    width: int = 1
    """Trials that run at a time; they are asked for together."""
    ranges: dict[str, SearchRange] = {}
    queue: tuple[dict[str, float], ...] = ()
    """Values to try first, from another study."""
    selection_rows: int
    judging_rows: int
    trials: tuple[Trial, ...] = ()
    confirmations: tuple[Trial, ...] = ()
    """Runs of winner and baseline with fresh seeds, scored on the judging half."""
    verdict: StudyVerdict | None = None

    @property
    def finished(self) -> tuple[Trial, ...]:
        """Trials with a score."""
        return tuple(one for one in self.trials if one.state is TrialState.FINISHED)

    @property
    def best(self) -> Trial | None:
        """The best trial of the last round on the selection half; the earliest of equals."""
        return max(self.last_round, key=lambda one: one.mean or 0.0, default=None)

    @property
    def baseline(self) -> Trial | None:
        """The recipe as it is, in the last round; a screen of bases has none."""
        if self.kind is StudyKind.SCREEN:
            return None
        return next((one for one in self.last_round if one.candidate == 0), None)

    @property
    def last_round(self) -> tuple[Trial, ...]:
        """Finished trials of the last round that has any."""
        last = max((one.rung for one in self.finished), default=0)
        return tuple(one for one in self.finished if one.rung == last)

    @property
    def runs(self) -> frozenset[str]:
        """Ids of all its runs."""
        return frozenset(
            one.run for one in (*self.trials, *self.confirmations) if one.run is not None
        )

    @property
    def seconds(self) -> float:
        """Time of all its runs together."""
        return sum(one.seconds or 0.0 for one in (*self.trials, *self.confirmations))

    def trial(self, number: int) -> Trial:
        """Return the trial of that number."""
        return next(one for one in self.trials if one.number == number)


class StudyFolder:
    """The folder of a study in a workspace."""

    def __init__(self, studies: Path, kind: StudyKind, name: str) -> None:
        plain = ascii_name(name)
        digest = "" if plain == name else f"-{atomic.sha256_of(name)[:4]}"
        self.path = studies / atomic.checked_name(f"{kind}-{plain}{digest}")
        self.optuna_path = self.path / "optuna.db"

    def read(self) -> Study | None:
        """Return the record, ``None`` where there is none.

        Raises:
            BadData: it cannot be read, or a newer version wrote it.
        """
        return _read(self.path / RECORD)

    def write(self, study: Study) -> None:
        """Replace the record."""
        content = msgspec.json.format(msgspec.json.encode(study), indent=1) + b"\n"
        atomic.write_bytes(self.path / RECORD, content)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the study inside the block; the kernel lets go of it when the process dies.

        Raises:
            Interrupted: another process works on it.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        handle = os.open(self.path / "study.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise Interrupted("experiments.locked", study=self.path.name) from error
            yield
        finally:
            os.close(handle)


def read_studies(folder: Path) -> tuple[list[tuple[Study, Path]], list[tuple[Path, BadData]]]:
    """Return the studies below ``folder`` with the paths of their records, and those damaged."""
    found, damaged = [], []
    for path in sorted(folder.glob(f"*/{RECORD}")):
        try:
            study = _read(path)
        except BadData as error:
            damaged.append((path, error))
        else:
            found += [(study, path)] if study is not None else []
    return found, damaged


def _read(path: Path) -> Study | None:
    if not path.is_file():
        return None
    try:
        return decode_record(path.read_bytes(), Study, STUDY, path)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadData("runs.bad-record", path=path, problem=error) from error


def hidden_runs(folder: Path) -> frozenset[str]:
    """Return the runs that only their study shows: all but a winner whose gain is proven.

    A dozen trials in every table would bury the systems that a team compares, and a comparison of
    the best of them on all of dev would include the rows that chose it.
    """
    hidden: frozenset[str] = frozenset()
    for study, _ in read_studies(folder)[0]:
        shown = set()
        found = study.verdict
        if found is not None and found.comparison is not None and found.comparison.proven:
            shown = {study.trial(found.winner).run}
        hidden |= study.runs - (shown if study.kind is StudyKind.TRAIN else set())
    return hidden

"""Ask Optuna's TPE sampler for the next trial; read and write Optuna's own storage.

The only module that imports optuna. What is asked is a pure function of (ranges, trials so far,
seed, number): a fresh sampler is seeded for each trial, so a study that was killed asks for the
same trials as one that was not.
"""

import hashlib
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from yoyak.config.schema import SearchRange
from yoyak.errors import CannotWrite, InputMissing, Unavailable
from yoyak.experiments.search_space import contains, is_integer
from yoyak.messages import listed
from yoyak.runs.study import Trial, TrialState

STARTUP_TRIALS = 4
"""Trials before TPE has something to model; until then values are drawn at random."""
STUDY_NAME = "yoyak"

Ranges = Mapping[str, SearchRange]


def require_optuna() -> Any:
    """Return the library, quiet about what is logged elsewhere.

    Raises:
        Unavailable: it is not installed; the message has the command.
    """
    try:
        import optuna
    except ImportError as error:
        raise Unavailable("experiments.no-optuna") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def suggest(ranges: Ranges, trials: Sequence[Trial], *, seed: int, number: int) -> dict[str, float]:
    """Return the values that trial ``number`` should try, to three significant digits."""
    optuna = require_optuna()
    digest = hashlib.sha256(f"{seed}/{number}".encode()).digest()
    sampler = optuna.samplers.TPESampler(
        seed=int.from_bytes(digest[:4]), n_startup_trials=STARTUP_TRIALS, multivariate=False
    )
    study = optuna.create_study(direction="maximize", sampler=sampler)
    for trial in trials:
        study.add_trial(_frozen(optuna, ranges, trial))
    asked = study.ask(_distributions(optuna, ranges)).params
    return {name: _rounded(ranges[name], float(asked[name])) for name in ranges}


def write_storage(path: Path, ranges: Ranges, trials: Sequence[Trial]) -> None:
    """Append the trials that have ended to the SQLite file, in their order, unless they are there.

    It is what ``optuna-dashboard`` and ``optuna.load_study`` read; the study itself does not.

    Raises:
        CannotWrite: the file is damaged, or cannot be written.
    """
    optuna = require_optuna()
    from sqlalchemy.exc import SQLAlchemyError

    try:
        storage = optuna.storages.RDBStorage(f"sqlite:///{path}")
        study = optuna.create_study(
            study_name=STUDY_NAME, storage=storage, direction="maximize", load_if_exists=True
        )
        for trial in trials[len(study.trials) :]:
            study.add_trial(_frozen(optuna, ranges, trial))
        storage.remove_session()
        storage.engine.dispose()
    except (SQLAlchemyError, optuna.exceptions.OptunaError) as error:
        problem = str(error).splitlines()[0]
        raise CannotWrite("experiments.storage-failed", path=path, problem=problem) from error


def best_settings(address: str, ranges: Ranges, count: int) -> tuple[dict[str, float], ...]:
    """Return the values of the best ``count`` trials of another study that the ranges contain.

    Args:
        address: an SQLite file or a URL of Optuna, then ``#`` and the study's name where the
            storage has several.
        ranges: parameters of the other study count where they have these names, alone or after
            ``train.`` or ``lora.``.
        count: at most so many, the best first.

    Raises:
        InputMissing: there is no such study, or none of its trials fits.
    """
    optuna = require_optuna()
    where, _, name = address.partition("#")
    url = where if "://" in where else f"sqlite:///{where}"
    if "://" not in where and not Path(where).is_file():
        raise InputMissing("experiments.no-storage", address=where)
    known = [one.study_name for one in optuna.get_all_study_summaries(url)]
    if not (name in known or (not name and len(known) == 1)):
        raise InputMissing("experiments.no-study-in-storage", address=where, known=listed(known))
    study = optuna.load_study(study_name=name or known[0], storage=url)
    maximise = study.direction is optuna.study.StudyDirection.MAXIMIZE
    done = [one for one in study.trials if one.state.is_finished() and one.value is not None]
    ranked = sorted(done, key=lambda one: one.value, reverse=maximise)
    found = [fitting for one in ranked if (fitting := _fitting(one.params, ranges))]
    if not found:
        raise InputMissing("experiments.nothing-fits", address=where, names=", ".join(ranges))
    unique = {tuple(sorted(one.items())): one for one in found}
    return tuple(unique.values())[:count]


def _fitting(params: Mapping[str, object], ranges: Ranges) -> dict[str, float]:
    plain = {name.removeprefix("train.").removeprefix("lora."): params[name] for name in params}
    return {
        name: float(value)
        for name, range_ in ranges.items()
        if isinstance(value := plain.get(name), int | float) and contains(name, range_, value)
    }


def _rounded(range_: SearchRange, value: float) -> float:
    if range_.values:
        return value
    low, high = range_.low or 0.0, range_.high or 0.0
    return min(max(float(f"{value:.3g}"), low), high)


def _distributions(optuna: Any, ranges: Ranges) -> dict[str, Any]:
    return {name: _distribution(optuna, name, range_) for name, range_ in ranges.items()}


def _distribution(optuna: Any, name: str, range_: SearchRange) -> Any:
    kinds = optuna.distributions
    if range_.values:
        return kinds.CategoricalDistribution(range_.values)
    if is_integer(name):
        return kinds.IntDistribution(int(range_.low or 0), int(range_.high or 0), log=range_.log)
    return kinds.FloatDistribution(range_.low, range_.high, log=range_.log)


def _frozen(optuna: Any, ranges: Ranges, trial: Trial) -> Any:
    """Return a trial that has ended as Optuna's; a failed one has settings and no value."""
    states = optuna.trial.TrialState
    state = {
        TrialState.FINISHED: states.COMPLETE,
        TrialState.PRUNED: states.PRUNED,
    }.get(trial.state, states.FAIL)
    is_done = state is states.COMPLETE
    evaluations = dict(enumerate(trial.evaluations, start=1))
    params = {name: value for name, value in trial.params.items() if name in ranges}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of 8.0 where the range has whole numbers
        return optuna.trial.create_trial(
            state=state,
            value=trial.mean if is_done else None,
            params={
                name: int(value) if is_integer(name) and not ranges[name].values else value
                for name, value in params.items()
            },
            distributions={name: _distribution(optuna, name, ranges[name]) for name in params},
            intermediate_values=evaluations,
            user_attrs={"run": trial.run, "settings": list(trial.sets)},
        )

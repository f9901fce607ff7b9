"""A frozen winner is a recipe that resolves to exactly what the trial ran."""

import msgspec
import pytest

from support.studies import train_study
from yoyak.config import load
from yoyak.errors import CannotWrite
from yoyak.experiments.frozen_recipe import freeze
from yoyak.experiments.trial_runs import SELECTION, run_name
from yoyak.runs.study import Trial

SETS = ("prompt.instruction=요약 #1", "train.epochs=2", "model.revision=main")
TRIAL = Trial(
    number=3,
    candidate=3,
    recipe="kobart",
    sets=("train.learning_rate=3e-05", "train.epochs=4", "train.batch_size=16"),
)


def test_the_file_resolves_to_the_recipe_of_the_winners_run(tmp_path):
    study = train_study()
    path = freeze(study, TRIAL, SETS, tmp_path)
    named = f'name="{run_name(study, TRIAL)}"'
    ran = load.resolve("kobart", sets=[*SETS, *TRIAL.sets, SELECTION, named]).recipe
    frozen = load.resolve(str(path)).recipe
    assert (frozen.name, frozen.full_hash) == (ran.name, ran.full_hash)
    assert frozen.learning_hash == ran.learning_hash
    assert freeze(study, TRIAL, SETS, tmp_path) == path


def test_a_recipe_file_is_extended_wherever_the_winner_is_used(tmp_path, monkeypatch):
    (tmp_path / "mine.toml").write_text('extends = "kobart"\n[train]\nweight_decay = 0.3\n')
    monkeypatch.chdir(tmp_path)
    path = freeze(msgspec.structs.replace(train_study(), recipe="mine.toml"), TRIAL, (), tmp_path)
    monkeypatch.chdir("/")
    assert load.resolve(str(path)).recipe.train.weight_decay == 0.3


def test_a_file_of_the_users_is_not_overwritten(tmp_path):
    (tmp_path / "x-tuned.toml").write_text("mine")
    with pytest.raises(CannotWrite, match="not overwritten"):
        freeze(train_study(), TRIAL, SETS, tmp_path)
    assert (tmp_path / "x-tuned.toml").read_text() == "mine"

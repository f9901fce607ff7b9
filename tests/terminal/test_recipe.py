"""Every setting of a recipe stands beside its value and the layer that set it; secrets do not."""

import pytest

from yoyak import messages
from yoyak.config import load
from yoyak.terminal import recipe

TOKEN = "hf_" + "a1B2" * 8


@pytest.fixture
def shown():
    """The settings as shown; each of them as (value, origin)."""

    def draw(resolved):
        (table,) = recipe.settings(resolved)
        return {name: (value, origin) for name, value, origin in table.rows}

    return draw


def test_each_layer_is_the_origin_of_what_it_says_last(shown, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ours.toml").write_text(
        'extends = "tiny-bart"\n[train]\nepochs = 3\nbatch_size = 4\n[decode]\nnum_beams = 4\n',
        encoding="utf-8",
    )
    project = {"recipes": {"ours": {"train": {"batch_size": 2, "warmup_ratio": 0.2}}}}
    settings = shown(load.resolve("ours.toml", project=project, sets=["train.warmup_ratio=0.3"]))
    assert settings["model.scratch.width"] == ("64", "recipes/tiny-bart.toml")
    assert settings["train.epochs"] == ("3", "ours.toml")
    assert settings["decode.num_beams"] == ("4", "ours.toml")
    assert settings["train.batch_size"] == ("2", "yoyak.toml")
    assert settings["train.warmup_ratio"] == ("0.3", "--set train.warmup_ratio=0.3")
    assert settings["model.base"] == ("none", "default"), "unknown is neither empty nor None"


@pytest.mark.parametrize("name", load.names())
def test_no_setting_is_left_out(shown, name):
    resolved = load.resolve(name)
    assert {key for key, _ in load.settings_of(resolved.recipe)} <= set(shown(resolved))


@pytest.mark.parametrize("columns", [80, 300])
def test_a_secret_is_hidden_in_the_value_and_in_the_origin(drawn, monkeypatch, columns):
    monkeypatch.setenv("OUR_API_KEY", "correct-horse-battery")
    sets = (f"model.base=https://me:{TOKEN}@hub/m", "model.revision=correct-horse-battery")
    said = "".join(drawn(recipe.settings(load.resolve("lead", sets=sets)), columns).split())
    assert TOKEN not in said
    assert "correct-horse" not in said
    assert said.count("[redacted]") == 4


def test_a_value_in_brackets_is_no_markup(drawn):
    resolved = load.resolve("lead", sets=["base.licence=[bold]MIT[/bold]"])
    assert "[bold]MIT[/bold]" in drawn(recipe.settings(resolved), 120)


def test_the_list_names_each_recipe_its_base_and_what_it_is_for(drawn):
    recipes = [load.resolve(name).recipe for name in ("lead", "kobart")]
    with messages.speaking("en"):
        head, _, lead, kobart = drawn(recipe.recipes(recipes), 300).splitlines()
    assert head.split() == ["recipe", "base", "model", "about"]
    assert lead.split()[:2] == ["lead", "–"], "it has no base model"
    assert lead.rstrip().endswith("the floor that every model has to beat")
    assert kobart.split()[:2] == ["kobart", recipes[1].model.base]

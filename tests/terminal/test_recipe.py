"""Every setting of a recipe stands beside its value and the layer that set it; secrets do not."""

import pytest

from yoyak import messages
from yoyak.config import load
from yoyak.planning.model_shapes import shape_of
from yoyak.planning.workload import largest_forward_pass, workload_of
from yoyak.terminal import recipe
from yoyak.values import Corpus, Dialogue, Split, Turn

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


def lines_of(drawn, found, width):
    with messages.speaking("en"):
        return drawn(recipe.recipes(found), width).splitlines()


def test_the_list_has_size_memory_licence_and_base_by_family_and_size(drawn):
    names = ("kobart", "qwen3-8b", "lead", "qwen3-0.6b", "exaone4-1.2b", "kanana-1.5-8b")
    found = [load.resolve(name).recipe for name in names]
    head, _, *rows = lines_of(drawn, found, 300)
    assert head.split() == ["recipe", "weights", "GPU", "GB", "gated", "licence", "base", "model"]
    words = [row.split() for row in rows[:6]]
    assert [each[0] for each in words] == [
        "lead", "exaone4-1.2b", "kanana-1.5-8b", "qwen3-0.6b", "qwen3-8b", "kobart",
    ]  # fmt: skip
    assert words[0][1:5] == ["–"] * 4, "it has no base model"
    assert words[1][1] == "1.3B", "counted from its configuration"
    assert words[2][1:3] == ["8.0B", "–"], "its configuration is not stated, so it is not guessed"
    assert words[4] == ["qwen3-8b", "8.2B", "9.1", "no", "Apache-2.0", "Qwen/Qwen3-8B"]


@pytest.mark.parametrize("width", [80, 120])
def test_no_line_of_all_recipes_is_wider_than_the_terminal_and_names_are_whole(drawn, width):
    found = [load.resolve(name).recipe for name in load.names()]
    lines = lines_of(drawn, found, width)
    assert all(len(line) <= width for line in lines)
    said = {line.split()[0] for line in lines if line.strip() and line[0] != " "}
    assert set(load.names()) <= said


def long_rows(rows=3, characters=4_000):
    """A corpus whose rows are longer than any recipe reads."""
    turn = Turn(speaker="#Person1#", text="가" * characters)
    row = Dialogue(id="train_0", turns=(turn,), references=("나" * 400,))
    splits = {
        name: Split(name=name, fingerprint=name, dialogues=(row,) * rows)
        for name in ("train", "dev", "test")
    }
    return Corpus(folder="data", **splits)


def test_what_fits_is_what_the_planner_can_train():
    found = [load.resolve(name).recipe for name in load.names()]
    eight = {one.name for one in recipe.fitting(found, 8)}
    assert {"kobart", "qwen3-4b", "gemma3-1b"} <= eight
    assert not {"qwen3-14b", "pko-t5-large", "lead", "kanana-1.5-8b"} & eight
    assert eight < {one.name for one in recipe.fitting(found, 24)}
    for name, gib in (("qwen3-4b", 8), ("qwen3-14b", 8)):
        one = load.resolve(name).recipe
        corpus, shape = long_rows(), shape_of(one)
        fits = largest_forward_pass(shape, one, workload_of(one, shape, corpus), gib * 2**30 / 1e9)
        assert (fits is not None) is (name in eight)


@pytest.mark.parametrize("name", load.names())
def test_every_bundled_recipe_is_described_in_both_languages(name):
    found = load.resolve(name).recipe
    with messages.speaking("en"):
        assert recipe.about(found) == messages.text(f"recipes.{name}") == found.about
    with messages.speaking("ko"):
        assert recipe.about(found) == messages.text(f"recipes.{name}") != found.about


def test_a_recipe_of_the_users_keeps_its_own_description(shown):
    own = load.resolve("kobart", sets=["about=mine"])
    with messages.speaking("ko"):
        assert shown(own)["about"] == ("mine", "--set about=mine")
        assert shown(own)["train.packing"][1] == "기본값"

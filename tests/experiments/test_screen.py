"""Which bases are screened, with what settings."""

from yoyak.config import load
from yoyak.experiments.screen import new_study, rounds, trials_of


def test_recipes_are_screened_as_they_are_and_bases_in_a_template():
    assert [(one.recipe, one.sets) for one in trials_of(["kobart", "pko-t5-base"], None)] == [
        ("kobart", ()), ("pko-t5-base", ()),
    ]  # fmt: skip
    [base] = trials_of(["org/name", "org/name"], "qwen3-4b")
    assert load.resolve(base.recipe, sets=base.sets).recipe.model.base == "org/name"
    assert base.label == "org/name"


def test_examples_are_shown_in_the_first_round_only():
    first, second = rounds(50, 3)
    recipe = load.resolve("qwen3-4b", sets=first).recipe
    assert (recipe.train.epochs, recipe.prompt.examples) == (0, 3)
    recipe = load.resolve("qwen3-4b", sets=second).recipe
    assert (recipe.train.max_steps, recipe.prompt.examples) == (50, 0)
    assert recipe.evaluate.every_epochs is None
    assert rounds(0, 0) == (("train.epochs=0",),)


def test_another_round_or_base_is_another_screen(corpus):
    trials = trials_of(["kobart", "pko-t5-base"], None)
    resolved = [load.resolve(one.recipe).recipe for one in trials]
    studies = [
        new_study(resolved, corpus, trials, rounds(steps, 0), name="x", width=1)
        for steps in (50, 100)
    ]
    assert studies[0].sha256 != studies[1].sha256
    assert studies[0].seeds == 0
    assert studies[0].trials_planned == 2 + 2

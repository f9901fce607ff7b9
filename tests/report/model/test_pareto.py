"""The front and the smallest tied model follow from quality and cost; unknowns decide nothing."""

import msgspec
import pytest

from yoyak import messages
from yoyak.config.project import Budget
from yoyak.report.model import pareto
from yoyak.report.model.report import Cost
from yoyak.report.render import markdown


@pytest.fixture
def model(view, make):
    toy = view.systems[1]

    def build(name, mean, parameters, seconds, vram=None, tied=True):
        return msgspec.structs.replace(
            toy, run=name, name=name, toy=False, parameters=parameters, tied_with_best=tied,
            quality=make.quality(mean, mean, mean, "x"),
            cost=Cost(train_seconds=seconds, peak_vram_gb=vram),
        )  # fmt: skip

    return build


def on_front(systems):
    return [one.name for one in pareto.front(systems) if one.on_front]


def test_a_model_that_another_beats_in_everything_is_off_the_front(model):
    small, big = model("small", 0.40, 10, 100), model("big", 0.39, 20, 200)
    assert on_front([small, big]) == ["small"]


def test_better_but_dearer_models_share_the_front(model):
    assert on_front([model("small", 0.40, 10, 100), model("big", 0.41, 20, 200)]) == [
        "small",
        "big",
    ]


def test_what_was_not_measured_decides_nothing(model):
    known, unknown = model("a", 0.40, 10, 100, vram=8.0), model("b", 0.40, 10, 100)
    assert on_front([known, unknown]) == ["a", "b"]


def test_toys_and_floors_are_not_judged(view):
    assert [one.on_front for one in pareto.front(view.systems)] == [None, None, None]


def test_the_smallest_tied_model_has_the_fewest_weights(model):
    models = [model("best", 0.45, 8_000, 1), model("tied", 0.44, 120, 1)]
    models.append(model("worse", 0.30, 10, 1, tied=False))
    found = pareto.smallest_tied(models)
    assert found is not None
    assert found.name == "tied"
    assert pareto.smallest_tied([]) is None


def test_a_model_over_the_budget_is_off_the_front_and_leaves_room_for_another(model):
    best, small = model("best", 0.45, 8_000, 7_200, vram=22.0), model("small", 0.44, 120, 600)
    budget = Budget(train_minutes=60, vram_gb=24)
    marked = {one.name: one.on_front for one in pareto.front([best, small], budget)}
    assert marked == {"best": False, "small": True}
    assert pareto.smallest_tied([best], budget) is None
    assert pareto.is_within(small, Budget(vram_gb=8)), "its VRAM was not measured"


@pytest.mark.parametrize("language", messages.LANGUAGES)
def test_the_card_says_under_which_budget(model, view, language):
    systems = pareto.front([model("small", 0.44, 120, 600)])
    budget = Budget(train_minutes=60)
    stated = msgspec.structs.replace(view, systems=systems, progress=(), budget=budget)
    with messages.speaking(language):
        said = markdown.render(stated)
        unsaid = markdown.render(msgspec.structs.replace(stated, budget=Budget()))
    assert {"en": "training 60 min", "ko": "학습 60분"}[language] in said
    assert "yoyak.toml" in unsaid

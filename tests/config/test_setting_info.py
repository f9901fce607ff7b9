"""A form of every setting: its type, range, meaning in both languages, value and origin."""

import pytest

from yoyak import messages
from yoyak.config import load
from yoyak.config.setting_info import FACTS, describe


def infos(name="kobart", sets=()):
    return {one.name: one for one in describe(load.resolve(name, sets=sets))}


def test_types_and_ranges_are_those_of_the_schema():
    found = infos(sets=["train.epochs=3"])
    epochs = found["train.epochs"]
    assert (epochs.kind, epochs.low, epochs.high, epochs.value) == ("integer", 0, None, 3)
    assert (epochs.default, epochs.origin, epochs.is_optional) == (1, "--set train.epochs=3", False)
    rate = found["train.learning_rate"]
    assert (rate.kind, rate.low, rate.low_is_excluded) == ("number", 0, True)
    assert found["train.max_steps"].is_optional
    assert found["train.deterministic"].kind == "yes-no"
    assert set(found["train.lr_scheduler"].choices) > {"cosine", "linear"}
    assert found["train.packing"].choices == ("auto", "off", "on")
    assert found["decode.num_beams"].section == "decode"


def test_a_section_that_is_off_can_be_brought_in_by_a_setting():
    rank = infos("kobart")["lora.r"]
    assert (rank.value, rank.default, rank.is_optional) == (None, 16, True)
    assert infos("kobart")["align.method"].choices[:1] == ("brio",)
    assert infos("kobart", ["lora.r=8"])["lora.r"].value == 8
    assert infos("kobart", ["align.method=mrt"])["align.method"].value == "mrt"


@pytest.mark.parametrize("language", messages.LANGUAGES)
@pytest.mark.parametrize("name", load.names())
def test_every_setting_of_every_recipe_has_a_meaning(name, language):
    with messages.speaking(language):
        found = infos(name)
    assert [one.name for one in found.values() if not one.meaning] == []
    assert not {one.name.split(".")[0] for one in found.values()} & set(FACTS)


@pytest.mark.parametrize("name", load.names())
def test_every_value_is_within_its_range_and_can_be_set_again(name):
    resolved = load.resolve(name)
    for one in describe(resolved):
        if isinstance(one.value, int | float) and not isinstance(one.value, bool):
            assert one.low is None or one.value >= one.low
            assert one.high is None or one.value <= one.high
        if one.choices and one.value is not None:
            assert one.value in one.choices

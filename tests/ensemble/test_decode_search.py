"""A decode search on models whose best decoding is known."""

import random

import msgspec
import pytest

from yoyak.config.schema import BeamSearch, Greedy, Sampling
from yoyak.ensemble.candidates import name_of
from yoyak.ensemble.decode_search import AXES, VariantAnswers, search_decodes
from yoyak.errors import BadData
from yoyak.files.atomic import checked_name
from yoyak.values import Dialogue, Prediction, Split, StopReason, Turn

WORDS = ["비가", "눈이", "해가", "달이", "별이", "강이", "산이", "꽃이", "길이", "집이"]


def dev(rows=160) -> Split:
    draw = random.Random(5)
    dialogues = tuple(
        Dialogue(
            id=f"dev_{row}",
            turns=(Turn(speaker="#Person1#", text=f"{row * 7919 + 1} {row * 104729 + 3}"),),
            references=(" ".join(draw.choices(WORDS, k=10)),),
        )
        for row in range(rows)
    )
    return Split(name="dev", dialogues=dialogues, fingerprint="x")


class Model:
    """Says the reference with a share of words wrong that depends on the decoding."""

    def __init__(self, wrong):
        self.wrong = wrong
        self.asked = []

    def __call__(self, decode, dialogues):
        self.asked.append((name_of(decode), {one.id for one in dialogues}))
        return VariantAnswers([self._say(decode, one) for one in dialogues], seconds=2.0)

    def _say(self, decode, dialogue):
        draw = random.Random(f"{name_of(decode)}{dialogue.id}")
        words = dialogue.references[0].split()
        share = self.wrong(decode)
        text = " ".join(draw.choice(WORDS) if draw.random() < share else word for word in words)
        return Prediction(id=dialogue.id, text=text, raw=text)


def peaked(decode):
    if not isinstance(decode, BeamSearch):
        return 0.6
    return (
        0.2 + 0.3 * abs(decode.length_penalty - 1.2) + 0.02 * abs(decode.no_repeat_ngram_size - 3)
    )


def test_the_best_decoding_is_found_and_holds_on_the_other_half():
    model = Model(peaked)
    found = search_decodes(dev(), Greedy(), model, starts=[BeamSearch()])
    assert isinstance(found.winner, BeamSearch)
    assert found.winner.length_penalty in {1.0, 1.2}
    assert found.worth_freezing
    assert found.checked.difference > 0.1
    assert found.seconds == 2.0 * len(model.asked)


def test_only_the_winner_and_the_baseline_speak_on_the_second_half():
    model = Model(peaked)
    found = search_decodes(dev(), Greedy(), model, starts=[BeamSearch()])
    first = model.asked[0][1]
    second = [name for name, ids in model.asked if ids.isdisjoint(first)]
    assert sorted(second) == sorted([name_of(found.winner), "greedy"])
    assert (found.searched_rows, found.checked_rows) == (80, 80)


def test_nothing_is_decoded_twice():
    model = Model(peaked)
    search_decodes(dev(), BeamSearch(), model, starts=[BeamSearch(), Greedy()])
    asked = [(name, min(ids)) for name, ids in model.asked]
    assert len(asked) == len(set(asked))


def test_a_gain_inside_the_noise_is_not_worth_freezing():
    frozen = [
        search_decodes(dev(60), Greedy(), Model(lambda _: 0.4), seed=seed).worth_freezing
        for seed in range(12)
    ]
    assert sum(frozen) <= 2


def test_a_decoding_that_cannot_be_bettered_stays():
    found = search_decodes(dev(40), Greedy(), Model(lambda one: 0.0 if one == Greedy() else 0.9))
    assert found.winner == Greedy()
    assert found.checked is None
    assert not found.worth_freezing


def test_a_model_that_stays_silent_is_an_error():
    with pytest.raises(BadData, match="gave no summary for 30 rows"):
        search_decodes(dev(60), Greedy(), lambda decode, rows: VariantAnswers([], 0.0))


def test_too_few_rows_to_cut_in_two():
    with pytest.raises(BadData, match="3 rows"):
        search_decodes(dev(3), Greedy(), Model(peaked))


@pytest.mark.parametrize("kind", AXES)
def test_every_decoding_of_the_search_has_a_name_of_its_own(kind):
    names = {name_of(kind())}
    for setting, values in AXES[kind].items():
        for value in values:
            names.add(name_of(msgspec.structs.replace(kind(), **{setting: value})))
    assert all(checked_name(name) == name for name in names)
    assert len(names) == 1 + sum(len(values) - 1 for values in AXES[kind].values())


def test_a_cap_by_dialogue_length_competes_like_any_setting_and_says_what_it_cuts():
    def wrong(decode):
        return 0.4 - 0.3 * (decode.length_cap_quantile == 0.9)

    class Capped(Model):
        def _say(self, decode, dialogue):
            cut = decode.length_cap_quantile is not None and int(dialogue.id[4:]) % 4 == 0
            said = super()._say(decode, dialogue)
            return msgspec.structs.replace(
                said, stop=StopReason.LENGTH if cut else StopReason.STOP_TOKEN
            )

    found = search_decodes(dev(), Greedy(), Capped(wrong))
    assert found.winner.length_cap_quantile == 0.9
    assert found.worth_freezing
    cuts = {name_of(trial.decode): trial.cut for trial in found.trials}
    assert cuts["greedy"] == 0.0
    assert 0.1 < cuts[name_of(found.winner)] < 0.4


def test_where_a_model_does_not_say_how_it_stopped_nothing_is_claimed():
    assert search_decodes(dev(20), Greedy(), Model(peaked)).trials[0].cut is None


def test_seeds_of_samples_are_told_apart():
    assert name_of(Sampling(seed=1)) != name_of(Sampling(seed=2))

"""Only what was scored alike is compared; costs and quality decide what is on the front."""

from pathlib import Path

import msgspec
import pytest

from yoyak import messages
from yoyak.config.project import Budget
from yoyak.data import sample
from yoyak.data.corpus import read_corpus
from yoyak.errors import BadData
from yoyak.metrics.scorecard import evaluate
from yoyak.metrics.significance import ScorecardGroup, Verdict
from yoyak.report.model import groups
from yoyak.report.model.report import Cost
from yoyak.report.render import markdown
from yoyak.runs.workspace import Workspace
from yoyak.values import Rouge

WORKSPACE = Workspace(Path(__file__).parents[3] / "docs" / "example" / "finished")


@pytest.fixture(scope="module")
def runs():
    """The recorded runs of the docs: lead, tiny-bart, tiny-qlora."""
    return WORKSPACE.runs()


@pytest.fixture(scope="module")
def cards(runs):
    return {run.name: run.scorecard("dev") for run in runs}


def scored(card, means):
    """``card`` as if its rows had these means (all three measures alike)."""
    rows = tuple(
        msgspec.structs.replace(row, rouge=Rouge(rouge1=mean, rouge2=mean, rougeL=mean))
        for row, mean in zip(card.rows, means, strict=True)
    )
    whole = sum(means) / len(means)
    rouge = Rouge(rouge1=whole, rouge2=whole, rougeL=whole)
    return msgspec.structs.replace(card, rows=rows, rouge=rouge)


def elsewhere(card):
    """``card`` as scored against other references."""
    other = msgspec.structs.replace(card.protocol, data_sha256="f" * 64)
    return msgspec.structs.replace(card, protocol=other)


@pytest.fixture
def three(cards):
    """Systems of known standing: ``close`` wins as often as it loses, ``low`` always loses."""
    card = next(iter(cards.values()))
    top = [0.3 + 0.004 * number for number in range(card.n)]
    close = [mean + (0.02 if number % 2 else -0.021) for number, mean in enumerate(top)]
    low = [mean - 0.2 for mean in top]
    return {name: scored(card, of) for name, of in (("top", top), ("close", close), ("low", low))}


def test_the_interval_of_each_measure_is_its_own_and_holds_it(cards):
    for card in cards.values():
        found = groups.quality(card, "d", "x/scores/dev.json")
        for measure in (found.rouge1, found.rouge2, found.rougeL, found.mean):
            assert measure.interval.low <= measure.value <= measure.interval.high
        assert found.mean.interval == card.interval
        assert found.rouge == card.rouge
    bart = groups.quality(cards[next(name for name in cards if "tiny-bart" in name)], "d", "x")
    assert bart.rouge1.interval != bart.rouge2.interval


def test_without_intervals_the_figures_are_the_same_and_the_intervals_unknown(cards):
    card = next(iter(cards.values()))
    found = groups.quality(card, "d", "x", intervals=False)
    assert found.rouge == card.rouge
    assert (found.rouge1.interval, found.rouge2.interval, found.rougeL.interval) == (None,) * 3


def test_the_baseline_is_a_copy_of_the_first_turns_wherever_it_stands(three):
    group = ScorecardGroup(three)
    assert groups.baseline(group, {"low"}) == "low"
    assert groups.baseline(group, set()) == "top", "else the oldest that was scored"


def test_differences_are_those_of_the_means_with_their_sign(three):
    found = groups.differences(ScorecardGroup(three), "top")
    assert found.keys() == {"close", "low"}
    assert found["low"].mean.value == pytest.approx(-0.2)
    assert found["low"].verdict is Verdict.WORSE
    assert found["low"].mean.interval.high < 0
    assert found["close"].verdict is not Verdict.WORSE
    assert found["close"].mean.interval.low < 0 < found["close"].mean.interval.high
    assert all(one.baseline == "top" for one in found.values())


def test_the_tied_are_the_best_and_what_the_rows_cannot_tell_from_it(three):
    assert groups.tied_with_best(ScorecardGroup(three)) == {"top", "close"}


@pytest.mark.parametrize("stranger", ["top", "close", "low"])
def test_scores_on_other_data_or_protocols_make_no_group_and_so_no_comparison(three, stranger):
    mixed = {**three, stranger: elsewhere(three[stranger])}
    with pytest.raises(BadData, match="different references"):
        ScorecardGroup(mixed)
    apart = ScorecardGroup.split(mixed)
    assert sorted(map(sorted, apart)) == sorted([sorted({*three} - {stranger}), [stranger]])


def test_answers_to_other_dialogues_make_no_group_though_ids_and_references_are_the_same(three):
    dialogues = {"top": "d1", "low": "d2"}
    with pytest.raises(BadData, match="top and low answered different dialogues"):
        ScorecardGroup(three, dialogues)
    apart = ScorecardGroup.split(three, dialogues | {"close": "d1"})
    assert [list(group) for group in apart] == [["top", "close"], ["low"]]


def test_floors_stand_with_the_score_as_far_as_they_could_be_computed(cards):
    card = next(iter(cards.values()))
    floors = msgspec.structs.replace(card.floors, unrelated=None, lead=card.rouge)
    found = groups.quality(msgspec.structs.replace(card, floors=floors), "d", "x").floors
    assert [(one.name, one.record) for one in found] == [("constant", "x"), ("lead", "x")]


@pytest.fixture(scope="module")
def halves():
    dev = read_corpus(sample.folder()).dev
    references = {one.id: one.references[0] for one in dev.dialogues}
    empty = dict.fromkeys(references, "아무 말")
    half = {key: text if place % 2 else empty[key]
            for place, (key, text) in enumerate(references.items())}  # fmt: skip
    other = {key: empty[key] if place % 2 else text
             for place, (key, text) in enumerate(references.items())}  # fmt: skip
    texts = {"half": half, "other": other, "empty": empty}
    return {name: evaluate(said, dev, resamples=100) for name, said in texts.items()}


def test_two_halves_make_a_whole(halves):
    (pair, *rest) = groups.pairs(ScorecardGroup(halves))
    assert {pair.one, pair.other} == {"half", "other"}
    whole = sum(
        max(one.rouge.mean, two.rouge.mean)
        for one, two in zip(halves["half"].rows, halves["other"].rows, strict=True)
    ) / len(halves["half"].rows)
    best = max(halves["half"].rouge.mean, halves["other"].rouge.mean)
    assert pair.oracle_gain == pytest.approx(whole - best)
    assert pair.oracle_gain > 0.2
    assert 0.4 < pair.other_better < 0.6
    assert [one.oracle_gain for one in rest] == pytest.approx([0.0, 0.0], abs=1e-9)


def test_a_system_gains_nothing_from_itself(halves):
    (pair,) = groups.pairs(ScorecardGroup({"a": halves["half"], "b": halves["half"]}))
    assert pair.oracle_gain == pytest.approx(0.0, abs=1e-12)
    assert pair.other_better == 0.0


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
    return [one.name for one in groups.front(systems) if one.on_front]


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
    assert [one.on_front for one in groups.front(view.systems)] == [None, None, None]


def test_the_smallest_tied_model_has_the_fewest_weights(model):
    models = [model("best", 0.45, 8_000, 1), model("tied", 0.44, 120, 1)]
    models.append(model("worse", 0.30, 10, 1, tied=False))
    found = groups.smallest_tied(models)
    assert found is not None
    assert found.name == "tied"
    assert groups.smallest_tied([]) is None


def test_a_model_over_the_budget_is_off_the_front_and_leaves_room_for_another(model):
    best, small = model("best", 0.45, 8_000, 7_200, vram=22.0), model("small", 0.44, 120, 600)
    budget = Budget(train_minutes=60, vram_gb=24)
    marked = {one.name: one.on_front for one in groups.front([best, small], budget)}
    assert marked == {"best": False, "small": True}
    assert groups.smallest_tied([best], budget) is None
    assert groups.is_within(small, Budget(vram_gb=8)), "its VRAM was not measured"


@pytest.mark.parametrize("language", messages.LANGUAGES)
def test_the_card_says_under_which_budget(model, view, language):
    systems = groups.front([model("small", 0.44, 120, 600)])
    budget = Budget(train_minutes=60)
    group = msgspec.structs.replace(view.groups[0], runs=("small",), pairs=())
    stated = msgspec.structs.replace(
        view, systems=systems, groups=(group,), progress=(), budget=budget
    )
    with messages.speaking(language):
        said = markdown.render(stated)
        unsaid = markdown.render(msgspec.structs.replace(stated, budget=Budget()))
    assert {"en": "training 60 min", "ko": "학습 60분"}[language] in said
    assert "yoyak.toml" in unsaid

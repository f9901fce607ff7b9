"""Differences are proven or not proven, by tests whose error rates are known."""

import msgspec
import numpy as np  # noqa: TID253 -- the oracle
import pytest

from yoyak.errors import BadData, UsageError
from yoyak.metrics import scorecard
from yoyak.metrics.diagnostics.error_report import ScoredSystem, most_different
from yoyak.metrics.protocol import Definition
from yoyak.metrics.scorecard import RowScore
from yoyak.metrics.significance import (
    ScorecardGroup,
    Verdict,
    compare,
    compare_pairs,
    paired_tests,
    unlike,
)
from yoyak.values import ReferenceMode, Rouge


def rows(values):
    return tuple(
        RowScore(id=f"dev_{number}", rouge=Rouge(rouge1=value, rouge2=value, rougeL=value))
        for number, value in enumerate(np.asarray(values).tolist())
    )


@pytest.fixture
def compared(judged):
    """Compares systems given by their rows, each (system, baseline) of ``pairs``."""

    def compare_rows(pairs=(("new", "old"),), **systems):
        cards = {
            name: msgspec.structs.replace(judged, rows=values) for name, values in systems.items()
        }
        return compare_pairs(ScorecardGroup(cards), pairs)

    return compare_rows


def drawn(random, sets, size, shift):
    """Scores of two systems on the same rows; the true difference is ``shift`` exactly."""
    difficulty = random.beta(4, 5, size=(sets, size)) * 0.6
    ours = difficulty + random.beta(2, 6, size=(sets, size)) * 0.3 + shift
    theirs = difficulty + random.beta(2, 6, size=(sets, size)) * 0.3
    return ours, theirs


def test_wins_ties_and_losses_are_of_rows(compared):
    (found,) = compared(new=rows([0.5, 0.4, 0.3]), old=rows([0.4, 0.4, 0.5]))
    assert (found.wins, found.ties, found.losses) == (1, 1, 1)
    assert found.verdict is Verdict.NOT_PROVEN
    assert found.difference.mean == pytest.approx(-0.1 / 3)


def test_rows_are_paired_by_id_and_not_by_place(compared):
    values = np.random.default_rng(1).random(50)
    (found,) = compared(new=rows(values), old=rows(values)[::-1])
    assert found.ties == 50
    assert found.p_value == 1
    assert found.verdict is Verdict.AS_GOOD
    assert (found.interval.low, found.interval.high) == (0, 0)


@pytest.mark.parametrize(
    ("shift", "rows_", "verdict"),
    [
        (0.05, 300, Verdict.BETTER),
        (-0.05, 300, Verdict.WORSE),
        (0.0005, 300, Verdict.NOT_PROVEN),
        (0.0005, 3000, Verdict.AS_GOOD),
        (-0.0049, 300, Verdict.NOT_PROVEN),
    ],
)
def test_the_verdict_follows_the_evidence(compared, shift, rows_, verdict):
    ours, theirs = drawn(np.random.default_rng(4), 1, rows_, 0.0)
    ours += shift - (ours - theirs).mean()  # the observed difference is the true one
    (found,) = compared(new=rows(ours[0]), old=rows(theirs[0]))
    assert found.verdict is verdict
    assert found.interval.low < found.difference.mean < found.interval.high
    excludes_zero = found.interval.low > 0 or found.interval.high < 0
    assert excludes_zero == (verdict in {Verdict.BETTER, Verdict.WORSE})


def test_a_smaller_margin_asks_for_more_evidence(judged):
    differences = np.random.default_rng(2).normal(0, 0.05, size=(2000, 1))
    differences -= differences.mean()
    kinds = [
        paired_tests(differences, alpha=0.05, margin=margin, seed=1, resamples=2000)[0].verdict
        for margin in (0.005, 0.0005)
    ]
    assert kinds == [Verdict.AS_GOOD, Verdict.NOT_PROVEN]


def test_the_rates_of_error_are_those_that_are_promised():
    """Three systems against one baseline: the truth is known, so false verdicts can be counted."""
    random, sets, size, margin = np.random.default_rng(17), 400, 150, 0.005
    wrong = {"different": 0, "as good": 0, "disagreeing": 0}
    for number in range(sets):
        base = random.normal(0, 0.03, size=(size, 3))
        equal = paired_tests(base, alpha=0.05, margin=margin, seed=number, resamples=800)
        wrong["different"] += any(one.verdict in {Verdict.BETTER, Verdict.WORSE} for one in equal)
        # Worse by exactly the margin is the hardest case in which "as good" is false.
        behind = paired_tests(base - margin, alpha=0.05, margin=margin, seed=number, resamples=800)
        wrong["as good"] += any(one.p_as_good < 0.025 for one in behind)
        wrong["disagreeing"] += sum(
            (one.interval.low > 0 or one.interval.high < 0)
            != (one.verdict in {Verdict.BETTER, Verdict.WORSE})
            for one in (*equal, *behind)
        )
    # Binomial shares of 400 sets: 5 % plus 3.3 standard errors, 2.5 % plus 3.3.
    assert wrong["different"] / sets < 0.05 + 0.036
    assert wrong["as good"] / sets < 0.025 + 0.026
    assert wrong["disagreeing"] == 0


def test_many_comparisons_raise_the_bar(compared):
    ours, theirs = drawn(np.random.default_rng(6), 1, 100, 0.006)
    noise = drawn(np.random.default_rng(7), 9, 100, 0.0)
    systems = {"new": rows(ours[0]), "old": rows(theirs[0])}
    others = {f"noise{number}": rows(one) for number, one in enumerate(noise[0])}
    others |= {f"base{number}": rows(one) for number, one in enumerate(noise[1])}
    pairs = [(f"noise{number}", f"base{number}") for number in range(9)]
    alone = compared(**systems)[0]
    among = compared((("new", "old"), *pairs), **systems, **others)[0]
    assert alone.p_value == pytest.approx(among.p_value)
    assert alone.verdict is Verdict.BETTER
    assert among.verdict is Verdict.AS_GOOD, "still no worse by the margin"
    assert among.interval.low < alone.interval.low


def test_a_line_up_is_ranked_and_every_pair_is_tested(judged, good, split):
    worse = scorecard.evaluate({key: text[: len(text) // 2] for key, text in good.items()}, split)
    found = compare({"half": worse, "good": judged, "copy": judged})
    assert [standing.system for standing in found.standings] == ["good", "copy", "half"]
    assert len(found.contrasts) == 3
    against = compare({"half": worse, "good": judged, "copy": judged}, "half")
    assert {(one.system, one.baseline) for one in against.contrasts} == {
        ("good", "half"), ("copy", "half"),
    }  # fmt: skip
    assert found.contrasts[0].verdict is Verdict.AS_GOOD, "a copy is as good"
    assert all(one.verdict is Verdict.BETTER for one in against.contrasts)
    again = msgspec.json.decode(msgspec.json.encode(found), type=type(found))
    assert again == found
    assert "holm:3|alpha:0.05|margin:0.5" in found.signature


def test_unlike_protocols_are_refused_and_what_differs_is_named(judged, good, split):
    characters = scorecard.evaluate(good, split, Definition(analyser="char"), resamples=10)
    assert unlike(judged.protocol, characters.protocol) == ("analyser",)
    with pytest.raises(BadData, match=r"analyser: .*mecab.* \| char-1|char-1 \| .*mecab"):
        compare({"a": judged, "b": characters})
    best = scorecard.evaluate(good, split, Definition(references=ReferenceMode.MAX), resamples=10)
    with pytest.raises(BadData, match=r"references: "):
        compare({"a": judged, "b": best})


def test_other_rows_are_another_protocol(judged, good, split):
    fewer = msgspec.structs.replace(split, dialogues=split.dialogues[:-1])
    some = scorecard.evaluate({row.id: good[row.id] for row in fewer.dialogues}, fewer)
    with pytest.raises(BadData, match="items: "):
        compare({"all": judged, "some": some})


def test_a_comparison_needs_two_systems_and_a_known_baseline(judged):
    with pytest.raises(UsageError, match="two systems or more, 1 given"):
        compare({"only": judged})
    with pytest.raises(UsageError, match="no system is called 'c'"):
        compare({"a": judged, "b": judged}, "c")


def test_a_group_holds_one_protocol_only_and_mixed_scorecards_are_split(judged, good, split):
    characters = scorecard.evaluate(good, split, Definition(analyser="char"), resamples=10)
    cards = {"a": judged, "b": characters, "c": judged}
    assert [list(group) for group in ScorecardGroup.split(cards)] == [["a", "c"], ["b"]]
    with pytest.raises(BadData, match="a and b were not scored alike"):
        ScorecardGroup(cards)
    mecab, char = (ScoredSystem(card=card, texts=good) for card in (judged, characters))
    with pytest.raises(BadData, match="not scored alike"):
        most_different(mecab, char, {})
    assert ScorecardGroup.split({}) == ()
    assert len(ScorecardGroup({})) == 0

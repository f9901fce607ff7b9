"""Differences are proven or not proven, by tests whose error rates are known."""

import msgspec
import numpy as np  # noqa: TID253 -- the oracle
import pytest

from yoyak.errors import BadData, UsageError
from yoyak.metrics import scorecard
from yoyak.metrics.protocol import Definition
from yoyak.metrics.scorecard import RowScore
from yoyak.metrics.significance import Verdict, compare, compare_pair, unlike
from yoyak.values import ReferenceMode, Rouge


def rows(values):
    return [
        RowScore(id=f"dev_{number}", rouge=Rouge(rouge1=value, rouge2=value, rougeL=value))
        for number, value in enumerate(np.asarray(values).tolist())
    ]


def drawn(random, sets, size, shift):
    """Scores of two systems on the same rows; the true difference is ``shift`` exactly."""
    difficulty = random.beta(4, 5, size=(sets, size)) * 0.6
    ours = difficulty + random.beta(2, 6, size=(sets, size)) * 0.3 + shift
    theirs = difficulty + random.beta(2, 6, size=(sets, size)) * 0.3
    return ours, theirs


def test_wins_ties_and_losses_are_of_rows():
    (found,) = compare_pair([("new", "old", rows([0.5, 0.4, 0.3]), rows([0.4, 0.4, 0.5]))])
    assert (found.wins, found.ties, found.losses) == (1, 1, 1)
    assert found.verdict is Verdict.NOT_PROVEN
    assert found.difference.mean == pytest.approx(-0.1 / 3)


def test_rows_are_paired_by_id_and_not_by_place():
    random = np.random.default_rng(1)
    values = random.random(50)
    (found,) = compare_pair([("a", "b", rows(values), rows(values)[::-1])])
    assert found.ties == 50
    assert found.p_value == 1
    assert found.verdict is Verdict.NOT_PROVEN


@pytest.mark.parametrize(
    ("shift", "verdict"),
    [(0.05, Verdict.BETTER), (-0.05, Verdict.WORSE), (0.0005, Verdict.NOT_PROVEN)],
)
def test_the_verdict_follows_the_evidence(shift, verdict):
    ours, theirs = drawn(np.random.default_rng(4), 1, 300, shift)
    (found,) = compare_pair([("new", "old", rows(ours[0]), rows(theirs[0]))])
    assert found.verdict is verdict
    assert found.interval.low < found.difference.mean < found.interval.high


def test_many_comparisons_raise_the_bar():
    ours, theirs = drawn(np.random.default_rng(6), 1, 100, 0.006)
    pair = ("new", "old", rows(ours[0]), rows(theirs[0]))
    noise = drawn(np.random.default_rng(7), 9, 100, 0.0)
    others = [
        (f"noise{number}", "old", rows(one), rows(two))
        for number, (one, two) in enumerate(zip(*noise, strict=True))
    ]
    alone, among = compare_pair([pair])[0], compare_pair([pair, *others])[0]
    assert alone.p_value == among.p_value
    assert alone.verdict is Verdict.BETTER
    assert among.verdict is Verdict.NOT_PROVEN


def test_a_line_up_is_ranked_and_every_pair_is_tested(judged, good, split):
    worse = scorecard.evaluate({key: text[: len(text) // 2] for key, text in good.items()}, split)
    found = compare({"half": worse, "good": judged, "copy": judged})
    assert [standing.system for standing in found.standings] == ["good", "copy", "half"]
    assert len(found.contrasts) == 3
    against = compare({"half": worse, "good": judged, "copy": judged}, "half")
    assert {(one.system, one.baseline) for one in against.contrasts} == {
        ("good", "half"), ("copy", "half"),
    }  # fmt: skip
    assert all(one.verdict is Verdict.BETTER for one in against.contrasts)
    again = msgspec.json.decode(msgspec.json.encode(found), type=type(found))
    assert again == found
    assert "holm:3" in found.signature


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

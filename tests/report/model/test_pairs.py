"""The oracle gain is the ceiling of choosing between two systems."""

import msgspec
import pytest

from yoyak.data import sample
from yoyak.data.corpus import read_corpus
from yoyak.metrics.scorecard import evaluate
from yoyak.report.model import pairs


@pytest.fixture(scope="module")
def cards():
    dev = read_corpus(sample.folder()).dev
    references = {one.id: one.references[0] for one in dev.dialogues}
    empty = dict.fromkeys(references, "아무 말")
    half = {key: text if place % 2 else empty[key]
            for place, (key, text) in enumerate(references.items())}  # fmt: skip
    other = {key: empty[key] if place % 2 else text
             for place, (key, text) in enumerate(references.items())}  # fmt: skip
    texts = {"half": half, "other": other, "empty": empty}
    return {name: evaluate(said, dev, resamples=100) for name, said in texts.items()}


def test_two_halves_make_a_whole(cards):
    (pair, *rest) = pairs.pairs(cards)
    assert {pair.one, pair.other} == {"half", "other"}
    whole = sum(
        max(one.rouge.mean, two.rouge.mean)
        for one, two in zip(cards["half"].rows, cards["other"].rows, strict=True)
    ) / len(cards["half"].rows)
    best = max(cards["half"].rouge.mean, cards["other"].rouge.mean)
    assert pair.oracle_gain == pytest.approx(whole - best)
    assert pair.oracle_gain > 0.2
    assert 0.4 < pair.other_better < 0.6
    assert [one.oracle_gain for one in rest] == pytest.approx([0.0, 0.0], abs=1e-9)


def test_a_system_gains_nothing_from_itself(cards):
    (pair,) = pairs.pairs({"a": cards["half"], "b": cards["half"]})
    assert pair.oracle_gain == pytest.approx(0.0, abs=1e-12)
    assert pair.other_better == 0.0


def test_systems_judged_unlike_make_no_pair(cards):
    half = cards["half"]
    strange = msgspec.structs.replace(half.protocol, data_sha256="0" * 64)
    assert pairs.pairs({"a": half, "b": msgspec.structs.replace(half, protocol=strange)}) == ()

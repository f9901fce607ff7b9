"""The rows worth a look come first, with every candidate and what was chosen."""

import msgspec
import pytest

from yoyak.ensemble.candidates import Candidate, Lineage
from yoyak.ensemble.member_selection import EnsembleConfig
from yoyak.ensemble.review import review_rows
from yoyak.metrics.scorecard import evaluate
from yoyak.values import Dialogue, Prediction, Split, Turn

REFERENCES = ("아이가 비를 맞습니다.", "어른이 눈을 치웁니다.", "개가 공원에서 뜁니다.")
SAID = {
    "a": (REFERENCES[0], "고양이가 잡니다.", REFERENCES[2]),
    "b": (REFERENCES[0], REFERENCES[1], "모두 집에 갑니다."),
    "c": (REFERENCES[0], REFERENCES[1], REFERENCES[2]),
}


@pytest.fixture(scope="module")
def dev() -> Split:
    dialogues = tuple(
        Dialogue(id=f"dev_{at}", turns=(Turn(speaker="", text="네."),), references=(text,))
        for at, text in enumerate(REFERENCES)
    )
    return Split(name="dev", dialogues=dialogues, fingerprint="x")


@pytest.fixture(scope="module")
def three(dev):
    found = []
    for name, texts in SAID.items():
        said = tuple(
            Prediction(id=f"dev_{at}", text=text, raw=text) for at, text in enumerate(texts)
        )
        lineage = Lineage(system=name, decode="greedy")
        found.append(Candidate(lineage, evaluate(said, dev), said, None, (name,)))
    return found


CONSENSUS = EnsembleConfig(method="mbr", votes={"a": 1.0, "b": 1.0, "c": 1.0})


def test_rows_where_all_agree_come_last(three, dev):
    rows = review_rows(three, dev, CONSENSUS)
    assert rows[-1].id == "dev_0"
    assert rows[-1].disagreement == pytest.approx(0)
    assert rows[0].disagreement > 0.3


def test_every_candidate_is_there_and_one_is_chosen(three, dev):
    for row in review_rows(three, dev, CONSENSUS):
        assert [option.system for option in row.options] == ["a", "b", "c"]
        assert sum(option.chosen for option in row.options) == 1
        assert row.chosen.text == row.references[0]  # two of three are right everywhere
        assert row.chosen.score == pytest.approx(1)
        assert row.regret == pytest.approx(0)
        assert row.chosen.expected == max(option.expected for option in row.options)


def test_the_dearest_mistakes_of_a_single_system_come_first(three, dev):
    first, *others = review_rows(
        three, dev, EnsembleConfig(method="best", column="a/greedy"), order="regret"
    )
    assert (first.id, first.chosen.text) == ("dev_1", "고양이가 잡니다.")
    assert first.regret > 0.5
    assert [row.regret for row in others] == pytest.approx([0, 0])
    [worst] = review_rows(
        three, dev, EnsembleConfig(method="best", column="b/greedy"), order="worst", limit=1
    )
    assert worst.id == "dev_2"


def test_without_references_there_is_no_score_and_no_regret(three, dev):
    bare = tuple(msgspec.structs.replace(row, references=()) for row in dev.dialogues)
    rows = review_rows(
        three, msgspec.structs.replace(dev, dialogues=bare), CONSENSUS, order="regret"
    )
    assert all(row.regret is None for row in rows)
    assert rows[-1].id == "dev_0"

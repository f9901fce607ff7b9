"""What the report says of human ratings, in both languages."""

import pytest

from yoyak import messages
from yoyak.metrics.rater_agreement import Preferred, preferences
from yoyak.report.model.report import RatedPair
from yoyak.report.sections.blocks import shown
from yoyak.report.sections.ratings import ratings, sentences

TIES = {f"dev_{place}": {"a": Preferred.TIE} for place in range(3)}
WON = {f"dev_{place}": {"a": Preferred.OTHER, "b": Preferred.OTHER} for place in range(8)}
WON["dev_8"] = {"a": Preferred.ONE, "b": Preferred.OTHER}


@pytest.fixture
def pairs():
    return tuple(
        RatedPair(data="data", split="dev", one="kobart", other=other, preference=preference)
        for other, preference in zip(("solar", "lead"), preferences([WON, TIES]), strict=True)
    )


def test_a_proven_preference_names_the_system_and_an_unproven_one_says_so(pairs):
    table, note = ratings(pairs)
    first, second = ([shown(cell) for cell in row] for row in table.rows)
    assert "solar is preferred" in first
    assert "0 : 8" in first
    assert "0 % (0–37 %)" in first
    assert "not proven" in second
    assert second.count("–") == 2  # neither a share nor an agreement
    assert "Krippendorff" in note.text
    assert list(ratings(())) == []


def test_the_explorers_sentences_say_the_same(pairs):
    english, _ = sentences(pairs)
    assert "solar is preferred. 0 : 8 of 9 rows, 2 raters" in english
    with messages.speaking("ko"):
        korean, _ = sentences(pairs)
    assert "solar를 더 선호합니다" in korean

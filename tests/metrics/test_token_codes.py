"""Texts as code strings: reversible, remembered, and bounded."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yoyak.metrics import token_codes
from yoyak.metrics.tokenizers import MorphemeAnalyser
from yoyak.values import TagMode

TEXTS = st.lists(st.lists(st.text(max_size=3), max_size=20), max_size=10)


@given(TEXTS)
def test_codes_stand_for_their_tokens(token_lists):
    vocabulary = token_codes.TokenCodes()
    codes = vocabulary.encode(token_lists)
    assert [len(code) for code in codes] == [len(tokens) for tokens in token_lists]
    assert vocabulary.decode(codes) == token_lists


@pytest.fixture
def counted():
    """A word analyser that remembers what it was asked to cut."""
    asked = []

    def cut(texts):
        asked.extend(texts)
        return [text.split() for text in texts]

    return MorphemeAnalyser("counted-1", cut), asked


def test_a_text_is_cut_once(counted):
    analyser, asked = counted
    encoder = token_codes.Encoder(analyser, TagMode.SPLIT)
    first, _ = encoder.encode(["우산 하나", "가방 하나", "우산 하나"])
    again, _ = encoder.encode(["가방 하나", "우산 둘"])
    assert asked == ["우산 하나", "가방 하나", "우산 둘"]
    assert first[0] == first[2]
    assert first[1] == again[0]


def test_memory_is_bounded_by_forgetting(counted, monkeypatch):
    analyser, asked = counted
    monkeypatch.setattr(token_codes, "_CACHED_CHARACTERS", 10)
    encoder = token_codes.Encoder(analyser, TagMode.SPLIT)
    before, old = encoder.encode(["우산 하나"])
    encoder.encode(["가방 둘 셋"])
    after, new = encoder.encode(["우산 하나"])
    assert asked == ["우산 하나", "가방 둘 셋", "우산 하나"]
    assert old.decode(before) == new.decode(after) == [["우산", "하나"]]


@pytest.mark.parametrize(
    ("mode", "tokens"),
    [
        (TagMode.SPLIT, ["#Person1#은", "간다"]),
        (TagMode.ATOMIC, ["#Person1#", "은", "간다"]),
        (TagMode.STRIP, ["은", "간다"]),
        (TagMode.SPACED, ["#Person1#", "은", "간다"]),
    ],
)
def test_what_happens_to_tags(counted, mode, tokens):
    assert token_codes.Encoder(counted[0], mode).tokens(["#Person1#은 간다"]) == [tokens]

"""A file of summaries is counted as a whole, beside its references."""

import pytest

from yoyak.metrics.diagnostics.statistics import items, novelty, tags_found, text_statistics
from yoyak.metrics.protocol import OFFICIAL


def test_repeated_texts_and_tags_are_counted():
    texts = {"a": "#Person1#은 잔다.", "b": "#Person1#은 잔다. ", "c": "둘은 잔다."}
    rows = items(texts, dict.fromkeys(texts, ("#Person1#은 #Person2#와 잔다.",)), None)
    found = text_statistics(rows, {}, OFFICIAL)
    assert (found.rows, found.tagged, found.identical, found.most_common) == (3, 2, 2, 2)
    assert found.characters_per_dialogue_character is None
    assert found.novelty is None
    assert tags_found(rows) == pytest.approx(2 / 6)


def test_novelty_counts_what_the_dialogue_lacks():
    found = novelty(["abcd", "xyz"], ["abcdef", "abcdef"])
    assert (found.unigrams, found.bigrams, found.trigrams, found.copied) == (0.5, 0.5, 0.5, 1)
    assert novelty(["ab"], ["abc"]) is None
    half = novelty(["abzc"], ["abc"])
    assert half.unigrams == 0.25
    assert half.bigrams == pytest.approx(2 / 3)

"""Sorted sequences and their longest common subsequence against counting."""

from collections import Counter
from itertools import pairwise

import numpy as np  # noqa: TID253 -- a test loads what it compares
from hypothesis import given
from hypothesis import strategies as st

from yoyak.metrics import overlap

TEXTS = st.lists(st.text(alphabet="abcde\ud800\U0010ffff", max_size=12), min_size=2, max_size=6)


@given(TEXTS)
def test_shared_ngrams_are_the_clipped_counts(codes):
    forms = overlap.forms(codes)
    for first, second in pairwise(range(len(codes))):
        unigrams = overlap.common([forms.unigrams[first]], [forms.unigrams[second]])
        bigrams = overlap.common([forms.bigrams[first]], [forms.bigrams[second]])
        left, right = codes[first], codes[second]
        assert unigrams[0] == (Counter(left) & Counter(right)).total()
        both = Counter(pairwise(left)) & Counter(pairwise(right))
        assert bigrams[0] == both.total()


@given(st.lists(st.integers(0, 2**42 - 1) | st.integers(0, 5), max_size=300))
def test_equal_labels_mean_equal_keys(keys):
    labels = overlap._labels(np.array(keys, np.int64))
    assert [keys[label] for label in labels] == keys
    assert len(set(labels.tolist())) == len(set(keys))

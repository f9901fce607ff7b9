"""The longest copied run is that of a brute force over all pairs of positions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yoyak.metrics.diagnostics.copied_text import DialogueWords

WORDS = st.lists(st.sampled_from("가나다라"), max_size=12)


@given(WORDS, WORDS)
def test_it_is_the_longest_common_run_of_words(dialogue, summary):
    known = {
        tuple(dialogue[start:end])
        for start in range(len(dialogue))
        for end in range(start + 1, len(dialogue) + 1)
    }
    lengths = [
        end - start
        for start in range(len(summary))
        for end in range(start + 1, len(summary) + 1)
        if tuple(summary[start:end]) in known
    ]
    found = DialogueWords(" ".join(dialogue)).longest_copied(" ".join(summary))
    assert found.words == max(lengths, default=0)
    assert (found.position is None) == (found.words == 0)


@pytest.mark.parametrize(
    ("summary", "words", "position"),
    [
        ("하나 둘", 2, 0.25),
        ("새 셋 넷", 2, 0.75),
        ("넷", 1, 0.875),
        ("새 말", 0, None),
        ("셋 말 하나", 1, 0.625),
        ("", 0, None),
    ],
)
def test_the_position_is_the_middle_of_the_run(summary, words, position):
    found = DialogueWords("하나 둘 셋 넷").longest_copied(summary)
    assert (found.words, found.position) == (words, position)

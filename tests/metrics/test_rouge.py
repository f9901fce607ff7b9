"""The official definition against two independent implementations, and against its algebra."""

import itertools
import random
import subprocess
import sys
from collections import Counter

import fast_rouge
import numpy as np  # noqa: TID253 -- a test loads what it compares
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rouge_score import rouge_scorer

from yoyak.errors import BadData
from yoyak.metrics import protocol, rouge, token_codes
from yoyak.values import Profile, ReferenceMode

METRICS = ("rouge1", "rouge2", "rougeL")
MAX = protocol.parse("official-max")


class _Listed:
    """The tokenizer hook of rouge-score, fed with tokens joined by a unit separator."""

    def tokenize(self, text):
        return text.split("\x1f") if text else []


SCORER = rouge_scorer.RougeScorer(list(METRICS), tokenizer=_Listed())


def google(hypothesis, reference):
    found = SCORER.score("\x1f".join(reference), "\x1f".join(hypothesis))
    return [list(found[metric]) for metric in METRICS]


def rust(hypotheses, references):
    """rouge-rust reads ASCII words only, so every token is handed over as a number."""
    numbers = {}
    as_words = [
        [" ".join(str(numbers.setdefault(token, len(numbers))) for token in text) for text in side]
        for side in (references, hypotheses)
    ]
    found = fast_rouge.score_batch_flat(*as_words)
    columns = [
        getattr(found, f"{metric}_{part}")
        for metric in METRICS
        for part in ("precision", "recall", "fmeasure")
    ]
    return np.array(columns).T.reshape(-1, 3, 3)


def random_pairs(count):
    """Short texts over few tokens: many repeats, many empties, many of one token."""
    draw = random.Random(7)
    texts = [
        [draw.choice("가나다라마바사") for _ in range(draw.choice((0, 1, 1, 2, 3, 5, 8, 13)))]
        for _ in range(2 * count)
    ]
    return texts[:count], texts[count:]


def score(hypotheses, references, wish=protocol.OFFICIAL):
    return rouge.score_tokens(hypotheses, [(text,) for text in references], wish)


def test_the_contest_pages_worked_example():
    wish = protocol.parse("official,tok=space")
    found = rouge.score_rows(
        ["the cat was under the bed"], [("under the bed there was the cat",)], wish
    )
    assert found[0, :, :2].tolist() == [[1, 6 / 7], [3 / 5, 3 / 6], [3 / 6, 3 / 7]]


def test_bit_identical_to_rouge_score_and_rouge_rust_on_random_pairs(long):
    hypotheses, references = random_pairs(20_000 if long else 2_000)
    found = score(hypotheses, references)
    assert np.array_equal(found, rust(hypotheses, references))
    expected = [google(ours, theirs) for ours, theirs in zip(hypotheses, references, strict=True)]
    assert np.array_equal(found, np.array(expected))


TOKENS = st.text(st.characters(exclude_characters="\x1f"), min_size=1, max_size=3)
TEXTS = st.lists(TOKENS | st.sampled_from(["가", "나", "다", "#"]), max_size=30)
FEW = st.lists(st.sampled_from("abcd"), max_size=25)


@given(TEXTS, TEXTS)
def test_bit_identical_on_any_unicode(hypothesis, reference):
    found = score([hypothesis], [reference])
    assert found[0].tolist() == google(hypothesis, reference)
    assert np.array_equal(found, rust([hypothesis], [reference]))


@given(st.lists(TEXTS, min_size=1, max_size=8), st.integers(1, 40))
def test_batches_do_not_change_a_score(texts, size):
    references = [(text, text[::-1]) for text in reversed(texts)]
    whole = rouge.score_tokens(texts, references)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rouge, "_BATCH", size)
        assert np.array_equal(rouge.score_tokens(texts, references), whole)


@given(FEW, FEW)
def test_algebra_of_one_pair(ours, theirs):
    rouge1, rouge2, rouge_l = score([ours], [theirs])[0, :, 2]
    m, n = len(ours), len(theirs)
    assert rouge_l <= rouge1, "a common subsequence is a common sub-multiset"
    if m + n > 2:
        assert rouge2 <= rouge1 * (m + n) / (m + n - 2) + 1e-12, "a shared bigram shares its first"
    assert score([theirs], [ours])[0, :, 2].tolist() == [rouge1, rouge2, rouge_l], "F1 is symmetric"
    renamed = [[{"a": "x1", "b": "x2", "c": "x3", "d": "x4"}[t] for t in s] for s in (ours, theirs)]
    assert score([renamed[0]], [renamed[1]])[0, :, 2].tolist() == [rouge1, rouge2, rouge_l]


@given(st.lists(TOKENS, min_size=2, max_size=30))
def test_a_text_against_itself_scores_one(text):
    assert score([text], [text]).min() == 1.0


def test_an_empty_side_scores_zero_and_one_token_has_no_bigram():
    found = score([[], ["가"], [], ["가"]], [["가"], [], [], ["가"]])
    assert found[:3].max() == 0.0
    assert found[3].tolist() == [[1, 1, 1], [0, 0, 0], [1, 1, 1]]


@given(st.lists(st.tuples(FEW, st.lists(FEW, min_size=1, max_size=4)), min_size=1, max_size=6))
def test_mean_and_max_over_references(items):
    """Both modes against one-reference scores; rows may have unlike numbers of references."""
    hypotheses = [ours for ours, _ in items]
    references = [tuple(theirs) for _, theirs in items]
    mean = rouge.score_tokens(hypotheses, references)
    best = rouge.score_tokens(hypotheses, references, MAX)
    for row, (ours, theirs) in enumerate(items):
        single = np.array([google(ours, text) for text in theirs])
        assert np.array_equal(mean[row], sum(single) / len(single))
        for metric in range(3):
            chosen = max(single[:, metric].tolist(), key=lambda score: score[2])
            assert best[row, metric].tolist() == chosen, (
                "P and R come from the pair with the best F"
            )
    assert (mean[:, :, 2] <= best[:, :, 2] + 1e-15).all()


@given(st.permutations(range(12)))
def test_the_order_of_the_rows_does_not_matter(order):
    hypotheses, references = random_pairs(12)
    rows = score(hypotheses, references)
    assert np.array_equal(
        score([hypotheses[i] for i in order], [references[i] for i in order]), rows[order]
    )
    assert np.array_equal(rouge.corpus_mean(rows[order]), rouge.corpus_mean(rows))


def test_corpus_mean_of_rouge101_adds_in_file_order():
    rows = np.random.default_rng(3).random((1000, 3, 3))
    total = 0.0
    for value in rows[:, 0, 2].tolist():
        total = total + value
    found = rouge.corpus_mean(rows, protocol.parse("rouge101"))
    assert found[0, 2] == total / 1000


def test_texts_go_through_the_analyser_and_the_tags_mode():
    ours, theirs = "#Person1#이 우산을 산다", "#Person2#가 우산을 산다"
    split = rouge.score_rows([ours], [(theirs,)])[0, 0, 2]
    atomic = rouge.score_rows([ours], [(theirs,)], protocol.parse("official,tags=atomic"))
    strip = rouge.score_rows([ours], [(theirs,)], protocol.parse("official,tags=strip"))
    # # Person 1 # 이 우산 을 산다: 6 of 8 shared; as one token 3 of 5; without it 3 of 4.
    assert (split, atomic[0, 0, 2], strip[0, 0, 2]) == (6 / 8, 3 / 5, 3 / 4)


def test_bad_input_is_refused_with_its_row():
    with pytest.raises(BadData, match="2 predictions stand against the references of 1 rows"):
        rouge.score_rows(["가", "나"], [("가",)])
    with pytest.raises(BadData, match=r"row 1 .* has no reference"):
        rouge.score_rows(["가", "나"], [("가",), ()])
    with pytest.raises(BadData, match=r"row 0 .* not a summary"):
        rouge.score_rows(["가" * token_codes.LIMIT], [("가",)])
    with pytest.raises(BadData, match="no rows"):
        rouge.corpus_mean(rouge.score_rows([], []))


@pytest.mark.parametrize("profile", list(Profile))
@pytest.mark.parametrize("mode", list(ReferenceMode))
def test_no_text_can_break_a_score(profile, mode):
    odd = ["", " ", "\0", "가\0나", "\ud800", "😀👨‍👩‍👧", "학교에", ".", "...", "가" * 2000]
    wish = protocol.Definition(profile=profile, references=mode)
    found = rouge.score_rows(odd, [("가 나", text) for text in odd], wish)
    assert found.shape == (len(odd), 3, 3)
    assert ((found >= 0) & (found <= 1)).all()


def test_100000_characters():
    long = "오늘은 비가 와서 우산을 챙겼다. " * 5556
    assert len(long) > 100_000
    found = rouge.score_rows([long], [(long,)], protocol.parse("official,tok=char"))
    assert found.min() == 1.0


@given(st.lists(st.tuples(st.integers(0, 900), st.integers(0, 900)), max_size=300))
def test_batches_are_bounded_and_leave_no_row_out(lengths):
    """Memory follows the batch and not the file."""
    hypotheses = ["가" * ours for ours, _ in lengths]
    references = [("나" * theirs,) for _, theirs in lengths]
    batches = list(rouge._batches(hypotheses, references))
    assert [row for batch in batches for row in range(len(lengths))[batch]] == [
        *range(len(lengths))
    ]
    assert all(sum(map(sum, lengths[batch])) <= rouge._BATCH for batch in batches)


@pytest.mark.process
def test_the_first_score_loads_nothing_heavy():
    code = (
        "import sys; from yoyak.metrics.rouge import score_rows;"
        "score_rows(['우산을 산다'], [('우산을 판다',)]);"
        "print(sorted({'torch', 'transformers', 'scipy', 'pandas', 'rich'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --- overlaps ---

CODES = st.lists(st.text(alphabet="abcde\ud800\U0010ffff", max_size=12), min_size=2, max_size=6)


@given(CODES)
def test_shared_ngrams_are_the_clipped_counts(codes):
    forms = rouge.forms(codes)
    for first, second in itertools.pairwise(range(len(codes))):
        unigrams = rouge.common([forms.unigrams[first]], [forms.unigrams[second]])
        bigrams = rouge.common([forms.bigrams[first]], [forms.bigrams[second]])
        left, right = codes[first], codes[second]
        assert unigrams[0] == (Counter(left) & Counter(right)).total()
        both = Counter(itertools.pairwise(left)) & Counter(itertools.pairwise(right))
        assert bigrams[0] == both.total()


@given(st.lists(st.integers(0, 2**42 - 1) | st.integers(0, 5), max_size=300))
def test_equal_labels_mean_equal_keys(keys):
    labels = rouge._labels(np.array(keys, np.int64))
    assert [keys[label] for label in labels] == keys
    assert len(set(labels.tolist())) == len(set(keys))


# --- all pairs of candidates ---

CANDIDATES = [
    [
        "#Person1#은 우산을 두고 왔다고 말한다.",
        "#Person2#는 우산을 빌려준다.",
        "#Person1#은 우산을 두고 왔다고 말한다.",
        "",
    ],
    ["버스가 늦었다.", "지하철이 늦어서 회의에 늦는다. 버스도 늦었다."],
    ["하나뿐인 후보"],
    [],
]


@pytest.mark.parametrize("wish", ["official", "rouge101", "baseline-notebook", "official,tok=char"])
def test_every_cell_is_the_score_of_its_pair(wish):
    chosen = protocol.parse(wish)
    tables = rouge.pairwise(CANDIDATES, chosen)
    assert [table.shape for table in tables] == [(4, 4, 3), (2, 2, 3), (1, 1, 3), (0, 0, 3)]
    for texts, table in zip(CANDIDATES, tables, strict=True):
        for row, hypothesis in enumerate(texts):
            for column, reference in enumerate(texts):
                single = rouge.score_rows([hypothesis], [(reference,)], chosen)[0, :, 2]
                assert np.array_equal(table[row, column], single)


def test_the_official_table_is_symmetric_and_twins_have_equal_rows():
    table = rouge.pairwise(CANDIDATES)[0]
    assert np.array_equal(table, table.transpose(1, 0, 2))
    assert np.array_equal(table[0], table[2])
    assert table[0, 2].tolist() == [1.0, 1.0, 1.0]
    assert table[3].max() == 0.0


def test_what_cannot_be_a_summary_is_refused():
    with pytest.raises(BadData, match=r"row 1 .* not a summary"):
        rouge.pairwise([["우산"], ["가" * token_codes.LIMIT, "우산"]])

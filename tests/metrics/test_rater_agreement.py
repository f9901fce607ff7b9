"""Agreement against published examples, preferences against exact tests."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yoyak.metrics.rater_agreement import Preferred, krippendorff_alpha, preferences
from yoyak.metrics.significance import Verdict

ONE, OTHER, TIE = Preferred.ONE, Preferred.OTHER, Preferred.TIE


def units(*raters):
    """The units of a table with one line of answers per rater; a dot is no answer."""
    answers = [line.split() for line in raters]
    return [[one for one in unit if one != "."] for unit in zip(*answers, strict=True)]


def test_alpha_is_that_of_the_published_examples():
    # Krippendorff (2011), Computing Krippendorff's Alpha-Reliability, example C.
    published = units(
        "1 2 3 3 2 1 4 1 2 . . .",
        "1 2 3 3 2 2 4 1 2 5 . 3",
        ". 3 3 3 2 3 4 2 2 5 1 .",
        "1 2 3 3 2 4 4 1 2 5 1 .",
    )
    assert krippendorff_alpha(published) == pytest.approx(0.743, abs=5e-4)
    # Krippendorff (1980), as in later software.
    three = units(
        ". . . . . 3 4 1 2 1 1 3 3 . 3",
        "1 . 2 1 3 3 4 3 . . . . . . .",
        ". . 2 1 3 4 4 . 2 1 1 3 3 . 4",
    )
    assert krippendorff_alpha(three) == pytest.approx(0.691, abs=5e-4)


ANSWERS = st.lists(st.lists(st.sampled_from("abc"), max_size=4), max_size=8)


def by_coincidences(rated):
    """Alpha from the definition: every ordered pair of answers within units, and over all."""
    shared = [unit for unit in rated if len(unit) > 1]
    everything = [one for unit in shared for one in unit]
    observed = sum(
        2 * sum(one != other for one, other in combinations(unit, 2)) / (len(unit) - 1)
        for unit in shared
    )
    expected = 2 * sum(one != other for one, other in combinations(everything, 2))
    if not expected:
        return None
    return 1 - observed / (expected / (len(everything) - 1))


@given(ANSWERS)
def test_alpha_is_its_definition(rated):
    wanted = by_coincidences(rated)
    assert krippendorff_alpha(rated) == (None if wanted is None else pytest.approx(wanted))


def rows(*votes):
    return {f"dev_{place}": row for place, row in enumerate(votes)}


def test_a_row_counts_once_by_the_majority_of_its_raters():
    votes = rows(
        {"a": ONE, "b": ONE, "c": OTHER},
        {"a": ONE, "b": OTHER},
        {"a": OTHER},
        {"a": TIE, "b": ONE},
    )
    (found,) = preferences([votes])
    assert (found.one_better, found.other_better, found.ties, found.raters) == (2, 1, 1, 3)


def test_five_of_five_prove_nothing_and_six_of_six_do():
    """Two-sided, 2·0.5⁵ is above 5 % and 2·0.5⁶ below it."""
    five, six = (rows(*[{"a": ONE}] * count) for count in (5, 6))
    assert preferences([five])[0].verdict is Verdict.NOT_PROVEN
    assert preferences([six])[0].verdict is Verdict.BETTER
    worse = rows(*[{"a": OTHER}] * 6)
    assert preferences([worse])[0].verdict is Verdict.WORSE


def test_the_interval_is_exact_and_excludes_a_half_where_one_pair_is_proven():
    votes = rows(*[{"a": ONE}] * 15, *[{"a": OTHER}] * 4, *[{"a": TIE}] * 30)
    (found,) = preferences([votes])
    from scipy.stats import beta

    limits = beta.ppf(0.025, 15, 5), beta.ppf(0.975, 16, 4)  # Clopper & Pearson by their quantiles
    assert (found.share.low, found.share.high) == pytest.approx(limits)
    assert found.share.low > 0.5
    assert found.verdict is Verdict.BETTER


def test_several_pairs_are_corrected_together():
    from scipy.stats import binomtest

    six = rows(*[{"a": ONE}] * 6)
    nothing = rows({"a": TIE})
    corrected = preferences([six, nothing, rows({"a": ONE}, {"a": OTHER})])
    assert [one.verdict for one in corrected] == [Verdict.NOT_PROVEN] * 3
    assert corrected[0].p_holm == pytest.approx(3 * binomtest(6, 6).pvalue)
    assert corrected[1].share is None
    assert preferences([]) == ()

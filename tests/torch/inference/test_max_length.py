"""Caps by dialogue length: the line through train, and answers that end there."""

import math
import random
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yoyak.config.schema import BeamSearch, Greedy, Sampling
from yoyak.engine.inference import generate, max_length
from yoyak.engine.tokenization.encode import EncodedRow, encode_rows
from yoyak.values import StopReason

pytestmark = pytest.mark.torch


def row(source, answer=0, name="x"):
    return EncodedRow(name, (5,) * source, (6,) * answer, shortened=False)


def pinball(line, rows, quantile):
    """What quantile regression minimises."""
    total = 0.0
    for one in rows:
        over = len(one.answer_ids) - height(line, one)
        total += quantile * over if over > 0 else (quantile - 1) * over
    return total


def height(line, one):
    return line.intercept + line.slope * len(one.source_ids)


points = st.lists(
    st.tuples(st.integers(1, 60), st.integers(1, 40)), min_size=2, max_size=9, unique=True
)


@given(points, st.sampled_from([0.3, 0.5, 0.75, 0.9]))
def test_no_line_through_two_of_the_rows_fits_better(points, quantile):
    rows = [row(*point) for point in points]
    line = max_length.fit_length_cap(rows, quantile)
    assert line.slope >= 0
    if line.slope == 0:
        return  # a falling line was made flat
    best = pinball(line, rows, quantile)
    for (x1, y1), (x2, y2) in product(points, points):
        if x1 != x2:
            slope = (y2 - y1) / (x2 - x1)
            other = max_length.LengthCap(y1 - slope * x1, slope)
            assert best <= pinball(other, rows, quantile) + 1e-6


def test_the_share_of_training_answers_below_the_line_is_the_quantile():
    luck = random.Random(3)
    lengths = [luck.randint(40, 600) for _ in range(800)]
    rows = [row(n, 8 + n // 8 + luck.randint(0, n // 6)) for n in lengths]
    for quantile in (0.5, 0.9):
        line = max_length.fit_length_cap(rows, quantile)
        short, long = (
            [one for one in rows if (len(one.source_ids) > 300) is side] for side in (False, True)
        )
        for part in (short, long):
            share = sum(len(one.answer_ids) <= height(line, one) for one in part) / len(part)
            assert share == pytest.approx(quantile, abs=0.06)


def test_a_falling_line_is_made_flat():
    assert max_length.fit_length_cap([row(10, 30), row(100, 10)], 0.9) == max_length.LengthCap(
        30.0, 0.0
    )


def test_caps_rise_in_steps_and_are_never_zero():
    line = max_length.LengthCap(-10.0, 0.1)
    caps = [line.tokens(row(length)) for length in range(1, 400)]
    assert caps == sorted(caps)
    assert min(caps) == max_length.STEP_TOKENS
    assert all(cap % max_length.STEP_TOKENS == 0 for cap in caps)
    assert all(cap >= math.ceil(0.1 * n - 10) for n, cap in enumerate(caps, 1))


@pytest.mark.parametrize("decoding", [Greedy(), BeamSearch(num_beams=2), Sampling()])
@pytest.mark.parametrize("architecture", ["bart", "qwen3"])
def test_each_row_says_what_it_says_alone_under_its_own_cap(
    architecture, decoding, taught, dialogues
):
    model = taught(architecture)
    rows = encode_rows(model.tokenizer, dialogues[:8], model.recipe.prompt, with_answers=False)

    def cap(row):
        return 4 + len(row.source_ids) // 20

    said = list(generate.generate(model, rows, decoding, max_new_tokens=9, row_cap=cap))
    assert sorted(one.id for one in said) == sorted(one.id for one in rows)
    by_id = {one.id: one for one in said}
    assert len({min(9, cap(row)) for row in rows}) > 1
    for each in rows:
        lowest = min(9, cap(each))
        [alone] = generate.generate(model, [each], decoding, max_new_tokens=lowest)
        assert (by_id[each.id].raw, by_id[each.id].stop) == (alone.raw, alone.stop)
        assert by_id[each.id].tokens <= lowest
    assert StopReason.LENGTH in {one.stop for one in said}


def test_the_cap_covers_all_but_one_answer_in_a_thousand():
    lengths = [*range(10, 60)] * 40 + [500]
    assert max_length.default_max_new_tokens(lengths) == 76  # ceil(59 x 1.15) + 8
    assert max_length.default_max_new_tokens([40]) == 54
    assert max_length.default_max_new_tokens([*[40] * 10, 90]) == 112

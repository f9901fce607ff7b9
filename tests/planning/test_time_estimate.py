"""Time is taken from what was measured here; before that it is arithmetic."""

import msgspec
import pytest

from yoyak.config import load
from yoyak.config.schema import Greedy, Recompute
from yoyak.events import AlignStep, PredictionProgress, TrainStep
from yoyak.planning.gpu_catalogue import GPUS, GpuSpec
from yoyak.planning.model_shapes import shape_of
from yoyak.planning.plan import PlanTarget, plan
from yoyak.planning.time_estimate import (
    TimeEstimate,
    align_time,
    generation_time,
    measured_align,
    measured_generation,
    measured_training,
    training_flops,
    training_time,
)
from yoyak.planning.workload import Workload
from yoyak.system import probe

WORK = Workload(
    rows=1000, rows_shortened=0, tokens_per_epoch=320_000, supervised_per_epoch=45_000,
    longest_row=900, answer_tokens_p99=100, steps_per_epoch=125, steps=1250,
    generated_rows=998, mean_source_tokens=275.0,
)  # fmt: skip
CARD = GPUS["RTX 3090"]


def recipe_and_shape(name, *sets):
    recipe = load.resolve(name, sets=sets).recipe
    return recipe, shape_of(recipe)


def step(number, seconds, tokens=2560):
    return TrainStep(
        at=float(number), step=number, epoch=0.0, loss=1.0, learning_rate=1e-4, grad_norm=1.0,
        tokens=tokens, supervised_tokens=1, rows=8, seconds=seconds,
    )  # fmt: skip


def test_work_of_the_3b_by_hand():
    recipe, shape = recipe_and_shape("llama32-ko-3b")
    # 4 per weight and token: 2.8187 billion weights over 3.2 million tokens, and the head of
    # 394 million weights over the 450,000 supervised ones.
    by_hand = 4 * (2_818_747_392 * 3_200_000 + 394_002_432 * 450_000)
    assert training_flops(shape, recipe, WORK, Recompute.NOTHING) == pytest.approx(by_hand)
    half = training_flops(shape, recipe, WORK, Recompute.ALTERNATE)
    assert half == pytest.approx(by_hand * 5 / 4)
    twice = training_flops(shape, recipe, WORK, Recompute.EVERYTHING)
    assert twice == pytest.approx(1.5 * by_hand)


def test_a_model_that_learns_whole_needs_half_as_much_again():
    recipe, shape = recipe_and_shape("kobart")
    body = (shape.parameters - shape.embedding_parameters) * 3_200_000
    head = 30_000 * 768 * 450_000
    assert training_flops(shape, recipe, WORK, Recompute.NOTHING) == pytest.approx(
        6 * (body + head)
    )


def test_time_is_work_by_speed():
    recipe, shape = recipe_and_shape("llama32-ko-3b")
    span = training_time(shape, recipe, WORK, CARD, Recompute.NOTHING)
    seconds = training_flops(shape, recipe, WORK, Recompute.NOTHING) / 71e12
    assert (span.low_seconds, span.high_seconds) == pytest.approx((seconds / 0.55, seconds / 0.25))
    assert not span.measured


def test_generation_reads_all_weights_for_each_token_of_a_batch():
    recipe, shape = recipe_and_shape("llama32-ko-3b")
    span = generation_time(shape, recipe, WORK, CARD)
    # 2.24 GB packed, then 2.82 billion weights at 4 bytes both ways.
    weights = 2.2425e9 + 4 * 2.8186e9
    # 28 layers, 8 heads of 128 keys and values at 2 bytes.
    token = 28 * 8 * 128 * 2 * 2
    # Dev and test, 499 rows each: the 22.27 GB beside base, adapters and reserve, of which 0.85
    # are filled, hold 440 rows of 375 tokens. An answer is half written when its row is read.
    batches, fitting = 4, 0.85 * 22.27e9 / (375 * token)
    assert fitting == pytest.approx(440, abs=1)
    read = batches * 100 * weights + 998 * 100 * (275 + 50) * token
    # 2 FLOP a weight and token at 0.55 of 71 TFLOP/s, and the head for new tokens only.
    flop = 2 * 2_818_747_392 * 998 * (275 + 100) + 2 * 394_002_432 * 998 * 100
    assert span.low_seconds == pytest.approx(read / 936e9 / 0.7 + flop / 71e12 / 0.55, rel=0.001)


def test_generation_takes_less_time_where_more_rows_fit_and_more_with_more_sets_of_rows():
    recipe, shape = recipe_and_shape("llama32-ko-3b")
    small = msgspec.structs.replace(CARD, memory_gb=8.0)
    often = msgspec.structs.replace(WORK, generations=10)
    seconds = [
        generation_time(shape, recipe, work, card).low_seconds
        for work, card in ((WORK, CARD), (WORK, small), (often, CARD))
    ]
    assert seconds[0] < min(seconds[1:])


def test_of_a_toy_and_of_an_unknown_card_no_time_is_claimed():
    recipe, shape = recipe_and_shape("tiny-qlora")
    assert training_time(shape, recipe, WORK, CARD, Recompute.NOTHING) is None
    recipe, shape = recipe_and_shape("kobart")
    unknown = GpuSpec(name="?", memory_gb=24)
    assert training_time(shape, recipe, WORK, unknown, Recompute.NOTHING) is None
    assert generation_time(shape, recipe, WORK, unknown) is None


@pytest.fixture
def run(workspace, corpus):
    recipe = load.resolve("tiny-bart").recipe
    origin = b'{"processor": "Some CPU", "gpus": ["NVIDIA GeForce RTX 3090, 24576 MiB, 580.65"]}'
    return workspace.find_or_create(recipe, corpus, lambda: origin)


def test_what_was_measured_here_goes_before_arithmetic(run):
    for number in range(1, 23):
        # The first two warm up; of the other twenty two are four times as slow.
        run.emit(step(number, 10.0 if number < 3 else 4.0 if number > 20 else 1.0))
    span = measured_training([run], run.recipe, WORK, "RTX 3090")
    assert span.measured
    assert span.low_seconds == pytest.approx(WORK.trained_tokens / 2560)
    assert span.low_seconds < span.high_seconds <= 4 * span.low_seconds


def test_another_model_another_card_or_too_few_steps_measure_nothing(run):
    for number in range(1, 10):
        run.emit(step(number, 1.0))
    assert measured_training([run], run.recipe, WORK, "RTX 3090") is None
    for number in range(10, 30):
        run.emit(step(number, 1.0))
    assert measured_training([run], run.recipe, WORK, "RTX 3090") is not None
    assert measured_training([run], run.recipe, WORK, "RTX 4090") is None
    other = load.resolve("tiny-bart", sets=["model.scratch.width=128"]).recipe
    assert measured_training([run], other, WORK, "RTX 3090") is None


def test_spans_add_up_and_remember_what_was_guessed():
    total = TimeEstimate(low_seconds=1, high_seconds=2, measured=True) + TimeEstimate(
        low_seconds=3, high_seconds=5
    )
    assert (total.low_seconds, total.high_seconds, total.measured) == (4, 7, False)


def test_generation_that_was_measured_here_goes_before_arithmetic(run):
    # Dev at a second a row, then test, whose clock begins anew, at two.
    for split, pace in (("dev", 1.0), ("test", 2.0)):
        for done in (10, 20, 30, 40):
            run.emit(PredictionProgress(at=0.0, split=split, done=done, of=40, seconds=pace * done))
    span = measured_generation([run], run.recipe, WORK, "RTX 3090")
    assert span.measured
    assert (span.low_seconds, span.high_seconds) == pytest.approx((499 * 1.5, 499 * 2)), (
        "two beams a row"
    )
    beams = load.resolve("tiny-bart", sets=["decode.num_beams=4"]).recipe
    assert measured_generation([run], beams, WORK, "RTX 3090") is None
    assert measured_generation([run], run.recipe, WORK, "RTX 4090") is None


def test_a_processor_is_measured_like_a_card_if_it_had_the_same_threads(
    workspace, corpus, monkeypatch
):
    recipe = load.resolve("tiny-bart").recipe
    origin = b'{"processor": "Some CPU", "threads": 1, "gpus": []}'
    run = workspace.find_or_create(recipe, corpus, lambda: origin)
    for number in range(1, 30):
        run.emit(step(number, 1.0))
    monkeypatch.setattr(probe, "processor", lambda: "Some CPU")
    here = PlanTarget(None, 100.0, 2.0, runs=[run])
    measured = plan([recipe], corpus, here).recipes[0].training_time
    assert measured.measured
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    assert plan([recipe], corpus, here).recipes[0].training_time is None


def test_metric_aware_training_samples_and_passes_forward_beside_its_gradients():
    asked = ("align.method=grpo", "align.samples=4")
    recipe, shape = recipe_and_shape("kobart", *asked)
    span = align_time(shape, recipe, WORK, CARD, Recompute.NOTHING)
    gradients = training_time(shape, recipe, WORK, CARD, Recompute.NOTHING)
    greedy = msgspec.structs.replace(recipe, decode=Greedy())
    sampling = generation_time(shape, greedy, WORK, CARD)
    # 6 for the gradient of all weights, 2 for each of two forward passes.
    expected = gradients.low_seconds * 10 / 6 + sampling.low_seconds
    assert span.low_seconds == pytest.approx(expected)
    alone, _ = recipe_and_shape("kobart", *asked, "align.kl=0")
    span = align_time(shape, alone, WORK, CARD, Recompute.NOTHING)
    assert span.low_seconds == pytest.approx(gradients.low_seconds * 8 / 6 + sampling.low_seconds)


def test_its_pace_is_measured_on_runs_of_the_same_method(workspace, corpus):
    recipe = load.resolve("tiny-bart", sets=["align.method=mrt"]).recipe
    origin = b'{"gpus": ["NVIDIA GeForce RTX 3090, 24576 MiB, 580.65"]}'
    run = workspace.find_or_create(recipe, corpus, lambda: origin)
    for number in range(1, 13):
        run.emit(
            AlignStep(
                at=float(number), step=number, epoch=0.0, loss=0.1, reward=0.4, reward_spread=0.1,
                kl=0.0, learning_rate=1e-6, grad_norm=1.0, groups=8, tokens=1_000, seconds=2.0,
                sampled_seconds=1.0, waited_seconds=0.0,
            )
        )  # fmt: skip
    span = measured_align([run], recipe, WORK, "RTX 3090")
    assert span.low_seconds == pytest.approx(WORK.trained_tokens / 500)
    assert measured_training([run], recipe, WORK, "RTX 3090") is None
    other = load.resolve("tiny-bart", sets=["align.method=grpo"]).recipe
    assert measured_align([run], other, WORK, "RTX 3090") is None

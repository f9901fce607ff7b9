"""What a run has to do, and the largest forward pass that a GPU holds."""

import pytest

from yoyak.config.schema import Recompute
from yoyak.planning.gpu_catalogue import GPUS
from yoyak.planning.memory_estimate import ForwardPass, training_memory
from yoyak.planning.model_shapes import shape_of
from yoyak.planning.time_estimate import generation_time
from yoyak.planning.workload import align_workload, largest_forward_pass, workload_of

LLMS = ["llama32-ko-3b", "qwen3-4b", "qwen25-7b", "llama3-ko-8b"]
RTX_3090 = GPUS["RTX 3090"]


@pytest.mark.parametrize("name", LLMS)
def test_the_four_llms_fit_a_24_gib_card_and_the_next_larger_pass_does_not(name, contest, resolved):
    (recipe,) = resolved(name)
    shape = shape_of(recipe)
    work = workload_of(recipe, shape, contest)
    passed = largest_forward_pass(shape, recipe, work, RTX_3090.memory_gb)
    assert passed is not None
    assert passed.recompute is Recompute.NOTHING

    def needed(tokens):
        rows = tokens // work.longest_row
        return training_memory(
            shape, recipe, ForwardPass(tokens, rows * work.answer_tokens_p99, Recompute.NOTHING)
        ).total_gb

    assert needed(passed.tokens) <= RTX_3090.memory_gb
    if passed.tokens < work.pass_tokens(recipe):
        assert needed(2 * passed.tokens) > RTX_3090.memory_gb


def test_a_small_card_gets_activations_computed_twice(contest, resolved):
    (recipe,) = resolved("llama3-ko-8b")
    shape = shape_of(recipe)
    work = workload_of(recipe, shape, contest)
    needed = {
        recompute: min(
            card_gb
            for card_gb in range(4, 40)
            if getattr(largest_forward_pass(shape, recipe, work, float(card_gb)), "recompute", "")
            == recompute
        )
        for recompute in Recompute
    }
    assert needed["on"] < needed["selective"] < needed["off"], "every second block comes first"
    off = resolved("llama3-ko-8b", sets=["train.gradient_checkpointing=off"])[0]
    assert not largest_forward_pass(shape, off, work, 10.0)


def test_rows_that_will_be_shortened_are_counted_per_tokenizer(long_rows, resolved):
    for name, shortened in (("llama32-ko-3b", 0), ("qwen3-4b", 10)):
        (recipe,) = resolved(name, sets=["prompt.max_source_tokens=1450"])
        assert workload_of(recipe, shape_of(recipe), long_rows(2_400)).rows_shortened == shortened


def test_examples_are_read_before_every_row(contest, resolved):
    def work(examples):
        sets = ["train.epochs=0", f"prompt.examples={examples}", "prompt.max_source_tokens=8192"]
        (recipe,) = resolved("qwen3-4b", sets=sets)
        return recipe, workload_of(recipe, shape_of(recipe), contest)

    recipe, none = work(0)
    _, three = work(3)
    ratio = shape_of(recipe).tokens_per_character
    # Three dialogues of 400 characters, the instruction with each, and answers of 80.
    by_hand = 3 * ratio * (400 + len(recipe.prompt.instruction) + 80)
    assert three.mean_source_tokens - none.mean_source_tokens == pytest.approx(by_hand, rel=0.06)
    assert (three.steps, three.trained_tokens) == (0, 0)
    times = [generation_time(shape_of(recipe), recipe, work, RTX_3090) for work in (none, three)]
    assert times[0].low_seconds < times[1].low_seconds


def test_metric_aware_training_learns_from_samples_and_generates_them(contest, resolved):
    (recipe,) = resolved("kobart", sets=["align.method=grpo", "align.max_steps=100"])
    work = align_workload(recipe, shape_of(recipe), contest)
    assert (work.steps, work.generations) == (100, 100 + 3)
    rows = min(recipe.evaluate.rows, len(contest.dev.dialogues))
    assert work.generated_rows == 100 * 8 * 8 + 3 * rows
    (plain,) = resolved("kobart")
    each = workload_of(plain, shape_of(plain), contest).tokens_per_epoch
    assert work.tokens_per_epoch == 8 * each
    (ranked,) = resolved("kobart", sets=["align.method=dpo", "align.epochs=5"])
    work = align_workload(ranked, shape_of(ranked), contest)
    assert work.tokens_per_epoch == 2 * each
    evaluations = work.generations - 1
    assert work.generated_rows == 8 * work.rows + evaluations * rows, "each row is sampled once"


def test_the_supervised_model_is_a_copy_in_memory(resolved):
    (plain,), (held,), (free,) = (
        resolved("kobart", sets=sets)
        for sets in ([], ["align.method=grpo"], ["align.method=grpo", "align.kl=0"])
    )
    passed = ForwardPass(2_048, 256, Recompute.NOTHING)
    shape = shape_of(plain)
    without = training_memory(shape, plain, passed).learned_gb
    assert training_memory(shape, free, passed).learned_gb == without
    copy = training_memory(shape, held, passed).learned_gb - without
    assert copy == pytest.approx(4 * shape.parameters / 1e9)

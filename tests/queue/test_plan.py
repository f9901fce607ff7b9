"""The plan says no before a GPU second is spent, and what would fit instead."""

import pytest

from yoyak.config import load
from yoyak.config.schema import Recompute
from yoyak.queue import machine
from yoyak.queue.devices import DEVICES, named
from yoyak.queue.disk_plan import Held
from yoyak.queue.memory import Load, training_memory
from yoyak.queue.plan import Place, largest_setting, plan
from yoyak.queue.shapes import shape_of
from yoyak.queue.workload import workload_of
from yoyak.values import Corpus, Dialogue, Split, Turn

LLMS = ["llama32-ko-3b", "qwen3-4b", "qwen25-7b", "llama3-ko-8b"]
RTX_3090 = DEVICES["RTX 3090"]


def split(name, rows, characters=400):
    turn = Turn(speaker="#Person1#", text="가" * (characters - len("#Person1#: ")))
    return Split(
        name=name,
        fingerprint=name,
        dialogues=tuple(
            Dialogue(id=f"{name}_{row}", turns=(turn,), references=("나" * 80,))
            for row in range(rows)
        ),
    )


@pytest.fixture
def contest():
    """A corpus of the contest's size: 12,457 rows of 400 characters, summaries of 80."""
    return Corpus(
        folder="data", train=split("train", 12_457), dev=split("dev", 499), test=split("test", 499)
    )


def resolved(*names, sets=()):
    return [load.resolve(name, sets=sets).recipe for name in names]


def place(**changes):
    return Place(RTX_3090, disk_free_gb=200.0, disk_keep_gb=2.0)._replace(**changes)


def test_ten_epochs_of_the_3b_in_forty_minutes_is_a_contradiction(contest):
    made = plan(resolved("llama32-ko-3b"), contest, place(minutes=40))
    (refusal,) = made.refusals
    assert refusal.error.exit_code == 69
    assert "--set train.epochs" in str(refusal.error)
    # By hand: 12,457 rows × about 345 tokens × 10 epochs × 4 × 2.82e9 FLOP, at all of 71 TFLOP/s,
    # are 1.9 hours: no loop however good comes near forty minutes.
    work = made.recipes[0].work
    assert work.steps == 10 * 1558
    at_full_speed = work.trained_tokens * 4 * 2.82e9 / 71e12
    assert at_full_speed > 1.5 * 3600
    assert made.span.low_seconds == pytest.approx(at_full_speed / 0.55, rel=0.03)


def test_forty_gigabytes_for_three_pending_bases_is_a_contradiction(contest):
    pending = resolved("qwen3-4b", "qwen25-7b", "llama3-ko-8b")
    made = plan(pending, contest, place(disk_free_gb=40.0))
    (refusal,) = made.refusals
    assert refusal.error.exit_code == 74
    # By hand: 8.045 + 15.231 + 16.061 GB of bases, one best adapter checkpoint and one final
    # adapter of each of the first two, four checkpoints and the final adapter of the last.
    kept = (0.396 + 0.132) + (0.484 + 0.161) + (4 * 0.503 + 0.168)
    assert made.peak_disk_gb == pytest.approx(39.337 + kept, abs=0.01)
    assert "8.0 + 15.2 + 16.1" in str(refusal.error)


def test_purging_each_base_after_its_run_makes_the_same_three_fit(contest):
    pending = resolved("qwen3-4b", "qwen25-7b", "llama3-ko-8b")
    made = plan(pending, contest, place(disk_free_gb=40.0, purge_bases=True))
    assert made.refusals == ()
    assert [step.what for step in made.disk if step.recipe == "qwen3-4b"] == [
        "download", "checkpoints", "weights", "purge-checkpoints", "purge-base",
    ]  # fmt: skip


def test_a_base_that_is_needed_again_is_downloaded_once_and_kept(contest):
    twins = resolved("qwen3-4b", sets=["name=one"]) + resolved("qwen3-4b", sets=["name=two"])
    made = plan(twins, contest, place(purge_bases=True))
    assert [step.recipe for step in made.disk if step.what == "download"] == ["one"]
    assert [step.recipe for step in made.disk if step.what == "purge-base"] == ["two"]


def test_a_disk_that_cannot_be_measured_counts_as_full(contest):
    made = plan(resolved("kobart"), contest, place(disk_free_gb=None))
    assert [refusal.error.exit_code for refusal in made.refusals] == [74]


@pytest.mark.parametrize("name", LLMS)
def test_the_four_llms_fit_a_24_gib_card_and_the_next_larger_pass_does_not(name, contest):
    (recipe,) = resolved(name)
    shape = shape_of(recipe)
    work = workload_of(recipe, shape, contest)
    setting = largest_setting(shape, recipe, work, RTX_3090.memory_gb)
    assert setting is not None
    assert setting.recompute is Recompute.NOTHING

    def needed(tokens):
        rows = tokens // work.longest_row
        return training_memory(
            shape, recipe, Load(tokens, rows * work.usual_answer, Recompute.NOTHING)
        ).total_gb

    assert needed(setting.pass_tokens) <= RTX_3090.memory_gb
    if setting.pass_tokens < work.pass_tokens(recipe):
        assert needed(2 * setting.pass_tokens) > RTX_3090.memory_gb


def test_a_small_card_gets_activations_computed_twice(contest):
    (recipe,) = resolved("llama3-ko-8b")
    shape = shape_of(recipe)
    work = workload_of(recipe, shape, contest)
    needed = {
        recompute: min(
            card_gb
            for card_gb in range(4, 40)
            if getattr(largest_setting(shape, recipe, work, float(card_gb)), "recompute", "")
            == recompute
        )
        for recompute in Recompute
    }
    assert needed["on"] < needed["selective"] < needed["off"], "every second block comes first"
    off = resolved("llama3-ko-8b", sets=["train.gradient_checkpointing=off"])[0]
    assert not largest_setting(shape, off, work, 10.0)


def test_a_model_that_cannot_fit_is_refused_with_its_parts(contest):
    small = RTX_3090.__class__(name="tiny", memory_gb=4.0, tflops=1, bandwidth_gb_per_second=1)
    made = plan(resolved("llama3-ko-8b"), contest, place(device=small))
    (refusal,) = made.refusals
    assert refusal.error.exit_code == 69
    assert refusal.fields["weights"] == "5.7"
    assert made.recipes[0].setting is None


def test_merged_weights_are_planned_at_two_bytes_each_and_refused_where_they_do_not_fit(contest):
    (recipe,) = resolved("llama3-ko-8b", sets=["generate.weights=merged"])
    made = plan([recipe], contest, place())
    assert made.refusals == ()
    assert made.recipes[0].generation.weights_gb == pytest.approx(16.06, abs=0.01)
    assert plan(resolved("llama3-ko-8b"), contest, place()).recipes[0].generation.weights_gb < 6
    card = RTX_3090.__class__(name="16", memory_gb=16, tflops=71, bandwidth_gb_per_second=936)
    small = plan([recipe], contest, place(device=card))
    (refusal,) = small.refusals
    assert refusal.key == "scheduler.plan-merged-memory"


def test_rows_that_will_be_shortened_are_counted_per_tokenizer(contest):
    long = Corpus(
        folder="data", train=split("train", 10, 2_400), dev=split("dev", 5), test=split("test", 5)
    )
    for name, shortened in (("llama32-ko-3b", 0), ("qwen3-4b", 10)):
        (recipe,) = resolved(name, sets=["prompt.max_source_tokens=1450"])
        assert workload_of(recipe, shape_of(recipe), long).rows_shortened == shortened


def test_the_floor_takes_nothing_and_is_never_in_the_way(contest):
    made = plan(resolved("lead"), contest, place())
    assert made.recipes[0].work is None
    assert (made.peak_disk_gb, made.refusals) == (0.0, ())
    full = place(disk_free_gb=1.0, disk_keep_gb=2.0)
    assert plan(resolved("lead"), contest, full).refusals == ()
    (refusal,) = plan(resolved("lead", "tiny-bart"), contest, full).refusals
    assert (refusal.key, refusal.fields["downloads"]) == ("scheduler.plan-disk", "0")


def test_a_card_is_known_by_its_whole_name():
    assert named("NVIDIA GeForce RTX 3090").name == "RTX 3090"
    assert named("NVIDIA A100-SXM4-40GB").name == "A100"
    assert named("NVIDIA L40S").name == "L40S"
    assert named("Quadro P400") is None


def test_the_end_is_a_range_of_clock_times(contest):
    made = plan(resolved("llama32-ko-3b", "qwen3-4b"), contest, place())
    earliest, latest = made.finishes(1_000.0)
    assert earliest < latest
    assert earliest - 1_000 == pytest.approx(sum(each.span.low_seconds for each in made.recipes))


def test_the_epochs_that_are_named_do_keep_the_time_and_one_more_does_not(contest):
    (refusal,) = plan(resolved("llama32-ko-3b"), contest, place(minutes=60)).refusals
    fitting = int(refusal.fields["fitting"])
    assert fitting >= 1

    def refused(epochs):
        fewer = resolved("llama32-ko-3b", sets=[f"train.epochs={epochs}"])
        return plan(fewer, contest, place(minutes=60)).refusals != ()

    assert not refused(fitting)
    assert refused(fitting + 1)


def test_no_epoch_fits_into_a_minute(contest):
    (refusal,) = plan(resolved("llama32-ko-3b"), contest, place(minutes=1)).refusals
    assert refusal.key == "scheduler.plan-time-never"


def test_the_length_that_is_named_does_fit_the_card_and_the_next_does_not(contest):
    long = Corpus(
        folder="data", train=split("train", 10, 4_000), dev=contest.dev, test=contest.test
    )
    card = RTX_3090.__class__(name="tiny", memory_gb=8.6, tflops=1, bandwidth_gb_per_second=1)
    (refusal,) = plan(resolved("llama3-ko-8b"), long, place(device=card)).refusals
    fitting = int(refusal.fields["fitting"])
    for tokens, fits in ((fitting, True), (fitting + 128, False)):
        sets = [f"prompt.max_source_tokens={tokens}"]
        made = plan(resolved("llama3-ko-8b", sets=sets), long, place(device=card))
        assert (made.refusals == ()) is fits


def test_without_purging_the_runs_that_fit_are_named(contest):
    pending = resolved("qwen3-4b", "qwen25-7b", "llama3-ko-8b")
    made = plan(pending, contest, place(disk_free_gb=14.0, purge_bases=True))
    assert made.refusals[0].fields["first"] == "qwen3-4b"
    made = plan(pending, contest, place(disk_free_gb=3.0))
    assert made.refusals[0].key == "scheduler.plan-disk-none"


def test_a_base_that_is_in_the_cache_is_not_downloaded_again(contest, monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    snapshot = tmp_path / "models--gogamza--kobart-base-v2" / "snapshots" / "0"
    snapshot.mkdir(parents=True)
    assert plan(resolved("kobart"), contest, place()).recipes[0].download_gb > 0.4
    (snapshot / "config.json").write_text(
        '{"model_type": "bart", "d_model": 768, "encoder_layers": 6, "encoder_ffn_dim": 3072,'
        ' "encoder_attention_heads": 16, "vocab_size": 30000, "max_position_embeddings": 1026}'
    )
    (snapshot / "model.safetensors").touch()
    made = plan(resolved("kobart"), contest, place())
    assert made.recipes[0].download_gb == 0
    assert "download" not in [step.what for step in made.disk]


def test_a_pinned_base_is_not_planned_to_go(contest):
    pinned = resolved("qwen3-4b", sets=["model.revision=0123abcd"])
    made = plan(pinned, contest, place(purge_bases=True))
    assert "purge-base" not in [step.what for step in made.disk]


def test_what_a_run_that_goes_on_has_on_the_disk_is_not_counted_again(contest):
    (recipe,) = resolved("qwen3-4b")

    def peak(held):
        return plan([recipe], contest, place(held={"qwen3-4b": held})).peak_disk_gb

    fresh, half = peak(Held()), peak(Held(size_bytes=0.9e9))
    assert half == pytest.approx(fresh - 0.9)
    # 8.045 GB of base are all that a run with its weights still takes, to answer.
    assert peak(Held(size_bytes=0.5e9, trained=True)) == pytest.approx(8.045, abs=0.01)


def test_a_base_of_which_a_part_is_missing_is_still_to_be_downloaded(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    snapshot = tmp_path / "models--org--large" / "snapshots" / "0"
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").touch()
    (snapshot / "model-00001-of-00002.safetensors").touch()
    assert machine.cached_model("org/large") is None
    (snapshot / "model-00002-of-00002.safetensors").touch()
    assert machine.cached_model("org/large") == snapshot


def test_examples_are_read_before_every_row(contest):
    def work(examples):
        sets = ["train.epochs=0", f"prompt.examples={examples}", "prompt.max_source_tokens=8192"]
        (recipe,) = resolved("qwen3-4b", sets=sets)
        return recipe, workload_of(recipe, shape_of(recipe), contest)

    recipe, none = work(0)
    _, three = work(3)
    ratio = shape_of(recipe).tokens_per_character
    # Three dialogues of 400 characters, the instruction with each, and answers of 80.
    by_hand = 3 * ratio * (400 + len(recipe.prompt.instruction) + 80)
    assert three.usual_source - none.usual_source == pytest.approx(by_hand, rel=0.06)
    assert (three.steps, three.trained_tokens) == (0, 0)
    spans = [plan([each], contest, place()).recipes[0].span for each in (recipe, work(3)[0])]
    assert spans[0].low_seconds < spans[1].low_seconds

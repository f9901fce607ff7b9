"""The plan says no before a GPU second is spent, and what would fit instead."""

import pytest

from support.hub import base_files
from yoyak.config import load
from yoyak.config.project import ResourceLimits
from yoyak.errors import DiskFull, Unavailable
from yoyak.planning.disk_estimate import peak_gb
from yoyak.planning.gpu_catalogue import GPUS, GpuSpec
from yoyak.planning.plan import PendingRun, PlanTarget, admit, plan
from yoyak.system import limits, probe

RTX_3090 = GPUS["RTX 3090"]


def target(**changes):
    return PlanTarget(RTX_3090, disk_free_gb=200.0, disk_keep_gb=2.0)._replace(**changes)


def test_ten_epochs_of_the_3b_in_forty_minutes_is_a_contradiction(contest, resolved):
    made = plan(resolved("llama32-ko-3b"), contest, target(minutes=40))
    (refusal,) = made.refusals
    assert refusal.error.exit_code == 69
    assert "--set train.epochs" in str(refusal.error)
    # By hand: 12,457 rows × about 345 tokens × 10 epochs × 4 × 2.82e9 FLOP, at all of 71 TFLOP/s,
    # are 1.9 hours: no loop however good comes near forty minutes.
    work = made.recipes[0].work
    assert work.steps == 10 * 1558
    at_full_speed = work.trained_tokens * 4 * 2.82e9 / 71e12
    assert at_full_speed > 1.5 * 3600
    assert made.time.low_seconds == pytest.approx(at_full_speed / 0.55, rel=0.03)


def test_forty_gigabytes_for_three_pending_bases_is_a_contradiction(contest, resolved):
    pending = resolved("qwen3-4b", "qwen25-7b", "llama3-ko-8b")
    made = plan(pending, contest, target(disk_free_gb=40.0))
    (refusal,) = made.refusals
    assert refusal.error.exit_code == 74
    # By hand: 8.045 + 15.231 + 16.061 GB of bases, one best adapter checkpoint and one final
    # adapter of each of the first two, four checkpoints and the final adapter of the last.
    kept = (0.396 + 0.132) + (0.484 + 0.161) + (4 * 0.503 + 0.168)
    assert peak_gb(made.disk) == pytest.approx(39.337 + kept, abs=0.01)
    assert "8.0 + 15.2 + 16.1" in str(refusal.error)


def test_a_disk_that_cannot_be_measured_counts_as_full(contest, resolved):
    made = plan(resolved("kobart"), contest, target(disk_free_gb=None))
    assert [refusal.error.exit_code for refusal in made.refusals] == [74]


def test_a_model_that_cannot_fit_is_refused_with_its_parts(contest, resolved):
    small = GpuSpec(name="tiny", memory_gb=4.0, tflops=1, bandwidth_gb_per_second=1)
    made = plan(resolved("llama3-ko-8b"), contest, target(gpu=small))
    (refusal,) = made.refusals
    assert refusal.error.exit_code == 69
    assert refusal.fields["weights"] == "5.7"
    assert made.recipes[0].forward_pass is None


def test_merged_weights_are_planned_at_two_bytes_each_and_refused_where_they_do_not_fit(
    contest, resolved
):
    (recipe,) = resolved("llama3-ko-8b", sets=["generate.weights=merged"])
    made = plan([recipe], contest, target())
    assert made.refusals == ()
    assert made.recipes[0].generation.weights_gb == pytest.approx(16.06, abs=0.01)
    assert plan(resolved("llama3-ko-8b"), contest, target()).recipes[0].generation.weights_gb < 6
    card = GpuSpec(name="16", memory_gb=16, tflops=71, bandwidth_gb_per_second=936)
    small = plan([recipe], contest, target(gpu=card))
    (refusal,) = small.refusals
    assert refusal.key == "planning.merged-memory"


def test_the_floor_takes_nothing_and_is_never_in_the_way(contest, resolved):
    made = plan(resolved("lead"), contest, target())
    assert made.recipes[0].work is None
    assert (peak_gb(made.disk), made.refusals) == (0.0, ())
    full = target(disk_free_gb=1.0, disk_keep_gb=2.0)
    assert plan(resolved("lead"), contest, full).refusals == ()
    (refusal,) = plan(resolved("lead", "tiny-bart"), contest, full).refusals
    assert (refusal.key, refusal.fields["downloads"]) == ("planning.disk", "0")


def test_the_end_is_a_range_of_clock_times(contest, resolved):
    made = plan(resolved("llama32-ko-3b", "qwen3-4b"), contest, target())
    earliest, latest = made.finishes(1_000.0)
    assert earliest < latest
    assert earliest - 1_000 == pytest.approx(sum(each.time.low_seconds for each in made.recipes))


def test_the_epochs_that_are_named_do_keep_the_time_and_one_more_does_not(contest, resolved):
    (refusal,) = plan(resolved("llama32-ko-3b"), contest, target(minutes=60)).refusals
    fitting = int(refusal.fields["fitting"])
    assert fitting >= 1

    def refused(epochs):
        fewer = resolved("llama32-ko-3b", sets=[f"train.epochs={epochs}"])
        return plan(fewer, contest, target(minutes=60)).refusals != ()

    assert not refused(fitting)
    assert refused(fitting + 1)


def test_no_epoch_fits_into_a_minute(contest, resolved):
    (refusal,) = plan(resolved("llama32-ko-3b"), contest, target(minutes=1)).refusals
    assert refusal.key == "planning.time-never"


def test_the_length_that_is_named_does_fit_the_card_and_the_next_does_not(long_rows, resolved):
    card = GpuSpec(name="tiny", memory_gb=8.6, tflops=1, bandwidth_gb_per_second=1)
    (refusal,) = plan(resolved("llama3-ko-8b"), long_rows(4_000), target(gpu=card)).refusals
    fitting = int(refusal.fields["fitting"])
    for tokens, fits in ((fitting, True), (fitting + 128, False)):
        sets = [f"prompt.max_source_tokens={tokens}"]
        made = plan(resolved("llama3-ko-8b", sets=sets), long_rows(4_000), target(gpu=card))
        assert (made.refusals == ()) is fits


def test_without_purging_the_runs_that_fit_are_find_spec(contest, resolved):
    pending = resolved("qwen3-4b", "qwen25-7b", "llama3-ko-8b")
    made = plan(pending, contest, target(disk_free_gb=14.0, purge_bases=True))
    assert made.refusals[0].fields["first"] == "qwen3-4b"
    made = plan(pending, contest, target(disk_free_gb=3.0))
    assert made.refusals[0].key == "planning.disk-none"


def test_a_base_that_no_run_could_load_is_refused_with_its_own_exit_code(
    contest, resolved, tmp_path
):
    (recipe,) = resolved("qwen3-4b", sets=[f"model.base={tmp_path / 'gone'}"])
    (refusal,) = plan([recipe], contest, target()).refusals
    assert (refusal.key, refusal.error.exit_code) == ("bases.missing", 66)
    assert str(tmp_path / "gone") in str(refusal.error)


def test_what_only_this_machine_cannot_reach_is_a_note_on_a_plan_for_another(contest, offline):
    recipes = [load.resolve(name).recipe for name in ("qwen3-4b", "kobart")]
    here = plan(recipes, contest, target())
    assert [refusal.key for refusal in here.refusals] == ["bases.unreachable"] * 2
    assert here.refusals[0].error.exit_code == 69
    there = plan(recipes, contest, target(elsewhere=True))
    assert there.refusals == ()
    (note,) = there.notes
    assert (note.key, str(note.error).count("kobart-base-v2")) == ("planning.not-reached", 1)
    assert there.time == here.time is not None, "planned from what the publisher states"


@pytest.mark.parametrize(("has_bf16", "notes"), [(False, 1), (True, 0), (None, 0)])
def test_four_bits_without_native_bf16_are_slow_and_said_to_be(
    contest, resolved, monkeypatch, has_bf16, notes
):
    monkeypatch.setattr(probe, "computes_bf16", lambda: has_bf16)
    made = plan(resolved("qwen3-4b", "kobart", "tiny-qlora"), contest, target())
    assert len(made.notes) == notes
    assert all("--set model.quantisation=none" in str(note.error) for note in made.notes)


def test_a_base_is_inspected_once_for_all_its_recipes(contest, resolved, fake_hub):
    twins = resolved("qwen3-4b", sets=["name=one"]) + resolved("qwen3-4b", sets=["name=two"])
    plan(twins, contest, target(minutes=40))
    assert len([path for path in fake_hub.asked if path.startswith("/api/")]) == 1


# --- admission: the plan of what is still to do ---------------------------------------------------


@pytest.fixture
def half_done(contest, resolved, workspace, fake_gpus, monkeypatch):
    """A run of the 4B without a GPU, and how many GB more the disk may take."""
    fake_gpus()
    run = workspace.find_or_create(resolved("qwen3-4b")[0], contest, lambda: b"{}")

    def admit_with(room_gb, *, trained):
        monkeypatch.setattr(limits, "room_gb", lambda *_: room_gb)
        pending = [PendingRun(run.recipe, run, trained)]
        admit(pending, contest, workspace, ResourceLimits(disk_free_gb=0.0))

    return run, admit_with


def test_what_a_resumed_run_holds_counts_as_room(half_done):
    run, admit_with = half_done
    needed = 8.045 + 4 * 0.396 + 0.132
    with pytest.raises(DiskFull, match="--skip-plan"):
        admit_with(needed - 0.1, trained=False)
    admit_with(needed + 0.1, trained=False)
    folder = run.engine_folder / "checkpoints" / "step-000001"
    folder.mkdir(parents=True)
    with (folder / "moments.safetensors").open("wb") as file:
        file.truncate(200_000_000)
    admit_with(needed - 0.1, trained=False)


def test_a_trained_run_only_needs_its_base(half_done):
    _, admit_with = half_done
    admit_with(8.1, trained=True)
    with pytest.raises(DiskFull):
        admit_with(8.0, trained=True)


def test_a_base_is_inspected_once_though_a_full_disk_is_looked_at_twice(
    contest, resolved, workspace, fake_gpus, fake_hub
):
    fake_gpus()
    fake_hub.models["Qwen/Qwen3-4B-Instruct-2507"] = base_files()
    (recipe,) = resolved("qwen3-4b")
    with pytest.raises(DiskFull):
        admit(
            [PendingRun(recipe, None, False)],
            contest,
            workspace,
            ResourceLimits(disk_free_gb=10.0**9),
        )
    assert len([path for path in fake_hub.asked if path.startswith("/api/")]) == 1


def test_a_run_that_was_trained_whole_needs_no_base_to_predict(
    contest, workspace, fake_gpus, offline
):
    fake_gpus()

    def pending(name, *, trained):
        return PendingRun(load.resolve(name).recipe, None, trained)

    roomy = ResourceLimits(disk_free_gb=0.0)
    admit([pending("kobart", trained=True)], contest, workspace, roomy)
    with pytest.raises(Unavailable, match="hub cannot be reached"):
        admit([pending("kobart", trained=False)], contest, workspace, roomy)
    with pytest.raises(Unavailable, match="Qwen3-4B"):
        admit([pending("qwen3-4b", trained=True)], contest, workspace, roomy)

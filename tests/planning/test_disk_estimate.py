"""The disk fills run by run: bases once, checkpoints, weights, and what is deleted in between."""

import pytest

from support.hub import FakeHub, base_files, write_base
from yoyak.planning.disk_estimate import peak_gb, plan_disk
from yoyak.planning.model_shapes import look_up


def steps_of(recipes, *, purge_bases=False):
    return plan_disk(look_up(recipes), purge_bases=purge_bases)


def test_purging_each_base_after_its_run_makes_the_same_three_fit(resolved):
    pending = resolved("qwen3-4b", "qwen25-7b", "llama3-ko-8b")
    steps = steps_of(pending, purge_bases=True)
    assert peak_gb(steps) < 38 < peak_gb(steps_of(pending))
    assert [step.what for step in steps if step.recipe == "qwen3-4b"] == [
        "download", "checkpoints", "weights", "purge-checkpoints", "purge-base",
    ]  # fmt: skip


def test_a_base_that_is_needed_again_is_downloaded_once_and_kept(resolved):
    twins = resolved("qwen3-4b", sets=["name=one"]) + resolved("qwen3-4b", sets=["name=two"])
    steps = steps_of(twins, purge_bases=True)
    assert [step.recipe for step in steps if step.what == "download"] == ["one"]
    assert [step.recipe for step in steps if step.what == "purge-base"] == ["two"]


def test_a_base_that_is_in_the_cache_is_not_downloaded_again(resolved, tmp_path):
    cached = tmp_path / "hub-cache" / "models--gogamza--kobart-base-v2"
    assert steps_of(resolved("kobart"))[0].change_gb > 0.4
    write_base(cached / "snapshots" / FakeHub.COMMIT, base_files("bart"))
    assert "download" not in [step.what for step in steps_of(resolved("kobart"))]


def test_a_pinned_base_is_not_planned_to_go(resolved):
    pinned = resolved("qwen3-4b", sets=["model.revision=0123abcd"])
    assert "purge-base" not in [step.what for step in steps_of(pinned, purge_bases=True)]


def test_a_run_that_trains_nothing_only_takes_its_base(resolved):
    steps = steps_of(resolved("qwen3-4b", sets=["train.epochs=0"]))
    assert [step.what for step in steps] == ["download"]
    assert peak_gb(steps) == pytest.approx(8.045, abs=0.01)

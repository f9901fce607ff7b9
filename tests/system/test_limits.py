"""When the guard says stop: one table, and probes that say when they do not know."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yoyak.config.project import ResourceLimits
from yoyak.messages import fill
from yoyak.system import limits
from yoyak.system.limits import NearLimit, OverLimit, Readings, WithinLimits, decide

WELL = Readings(
    disk_free_gb=100.0, disk_used_gb=50.0, ram_free_gb=16.0, ram_used_gb=4.0,
    vram_used_gb=4.0, vram_total_gb=24.0,
)  # fmt: skip
LIMITS = ResourceLimits(disk_used_gb=150.0, disk_free_gb=2.0, ram_free_gb=0.5, vram_free_gb=1.0)


def but(**changes):
    return Readings(**{name: getattr(WELL, name) for name in WELL.__struct_fields__} | changes)


@pytest.mark.parametrize(
    ("readings", "kind", "key"),
    [
        (WELL, WithinLimits, None),
        # A disk that cannot be measured counts as full, whatever else is known.
        (but(disk_free_gb=None), OverLimit, "scheduler.disk-unknown"),
        (but(disk_used_gb=None), OverLimit, "scheduler.disk-unknown"),
        (Readings(), OverLimit, "scheduler.disk-unknown"),
        (but(disk_free_gb=1.99), OverLimit, "scheduler.disk-free"),
        (but(disk_free_gb=2.0), NearLimit, "scheduler.disk-free"),
        (but(disk_free_gb=2.99), NearLimit, "scheduler.disk-free"),
        (but(disk_free_gb=3.0), WithinLimits, None),
        (but(disk_free_gb=0.0), OverLimit, "scheduler.disk-free"),
        # The absolute limit stands beside the free space: 100 GB are free all the while.
        (but(disk_used_gb=148.1), OverLimit, "scheduler.disk-used"),
        (but(disk_used_gb=151.0), OverLimit, "scheduler.disk-used"),
        (but(disk_used_gb=147.5), NearLimit, "scheduler.disk-used"),
        (but(ram_free_gb=0.4), OverLimit, "scheduler.ram-free"),
        (but(ram_free_gb=0.6), NearLimit, "scheduler.ram-free"),
        (but(ram_free_gb=None), WithinLimits, None),
        (but(vram_used_gb=23.5), OverLimit, "scheduler.vram-free"),
        (but(vram_used_gb=22.6), NearLimit, "scheduler.vram-free"),
        (but(vram_used_gb=None), WithinLimits, None),
        # A stop is said before a warning about something else.
        (but(disk_free_gb=2.5, ram_free_gb=0.1), OverLimit, "scheduler.ram-free"),
    ],
)
def test_the_table_of_decisions(readings, kind, key):
    decision = decide(readings, LIMITS)
    assert type(decision) is kind
    if key is not None:
        assert decision.key == key
        assert "→" in fill(decision.key, decision.fields)


def test_a_limit_that_was_not_set_stops_nothing():
    crowded = but(disk_used_gb=10_000.0, vram_used_gb=24.0)
    assert isinstance(decide(crowded, ResourceLimits()), WithinLimits)


GB = st.one_of(st.none(), st.floats(0, 300))
READINGS = st.builds(
    Readings, disk_free_gb=GB, disk_used_gb=GB, ram_free_gb=GB, vram_used_gb=GB, vram_total_gb=GB
)
RANK = {WithinLimits: 0, NearLimit: 1, OverLimit: 2}


@given(READINGS, st.floats(0, 300))
def test_less_free_disk_is_never_safer(readings, free):
    if readings.disk_free_gb is None or readings.disk_free_gb < free:
        return
    less = Readings(
        **{name: getattr(readings, name) for name in readings.__struct_fields__}
        | {"disk_free_gb": free}
    )
    assert RANK[type(decide(less, LIMITS))] >= RANK[type(decide(readings, LIMITS))]


def test_what_is_read_is_what_the_system_says(tmp_path):
    found = limits.read(tmp_path / "not" / "yet")
    statistics = os.statvfs(tmp_path)
    assert found.disk_free_gb == pytest.approx(
        statistics.f_bavail * statistics.f_frsize / 1e9, 0.05
    )
    assert found.ram_free_gb > 0


def test_a_disk_that_cannot_be_asked_is_unknown_and_stops(tmp_path, monkeypatch):
    def refuse(_):
        raise PermissionError

    monkeypatch.setattr("shutil.disk_usage", refuse)
    found = limits.read(tmp_path)
    assert (found.disk_free_gb, found.disk_used_gb) == (None, None)
    assert isinstance(decide(found, ResourceLimits()), OverLimit)


@pytest.mark.parametrize(
    ("visible", "used"), [(None, 1.0), ("1", 9.0), ("GPU-1,0", 9.0), ("7", None), ("", None)]
)
def test_the_gpu_that_counts_is_the_first_visible_one(
    fake_gpus, monkeypatch, tmp_path, visible, used
):
    fake_gpus({"memory": (24_000, 1_000)}, {"memory": (24_000, 9_000)})
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    found = limits.read(tmp_path).vram_used_gb
    assert found == (None if used is None else pytest.approx(used, rel=0.05))


@pytest.mark.parametrize(
    ("free", "used", "limit", "room"),
    [(50.0, 110.0, None, 50.0), (50.0, 110.0, 150.0, 40.0), (30.0, 110.0, 150.0, 30.0),
     (None, 110.0, 150.0, None)],
)  # fmt: skip
def test_the_room_to_plan_with_is_the_smaller_of_what_is_free_and_what_is_allowed(
    free, used, limit, room
):
    readings = limits.Readings(disk_free_gb=free, disk_used_gb=used)
    assert limits.room_gb(readings, ResourceLimits(disk_used_gb=limit)) == room


def test_a_worker_s_own_gpu_is_measured_by_index_or_uuid(tmp_path, fake_gpus, monkeypatch):
    fake_gpus({"memory": (24576, 312)}, {"memory": (81920, 500)})
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    first, second = 24576 * 2**20 / 1e9, 81920 * 2**20 / 1e9
    assert limits.read(tmp_path).vram_total_gb == first
    assert limits.read(tmp_path, "1").vram_total_gb == second
    assert limits.read(tmp_path, "GPU-1a0b").vram_total_gb == second
    assert limits.read(tmp_path, "GPU-f").vram_total_gb is None


@pytest.mark.parametrize("visible", ["0,1", "1,0"])
def test_of_a_run_s_gpus_the_fullest_is_measured(tmp_path, fake_gpus, visible):
    fake_gpus({"memory": (24576, 1000)}, {"memory": (24576, 24000)}, {"memory": (24576, 24500)})
    found = limits.read(tmp_path, visible).vram_used_gb
    assert found == pytest.approx(24000 * 2**20 / 1e9)

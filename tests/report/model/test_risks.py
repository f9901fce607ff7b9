"""The disk and the card, from what was measured and what is to come."""

import math

import msgspec

from yoyak.config import load
from yoyak.events import Planned, Queued, RunStatus, SystemMetrics
from yoyak.report.model.history import RunHistory
from yoyak.report.model.report import DiskSpace
from yoyak.report.model.risks import disk_forecast, risks


def waiting(name, download_gb=None, checkpoint_gb=None):
    plan = Planned(
        at=0.0,
        download_bytes=None if download_gb is None else download_gb * 1e9,
        checkpoint_bytes=None if checkpoint_gb is None else checkpoint_gb * 1e9,
    )
    return RunHistory(
        id=name, folder=f"runs/{name}", recipe=load.resolve(name).recipe,
        events=(Queued(at=0.0, recipe=name), plan), status=RunStatus.QUEUED,
    )  # fmt: skip


def on_disk(runs, **room):
    disk = DiskSpace(used_gb=room["total_gb"] - room["free_gb"], **room)
    return list(risks(runs, disk_forecast(runs, disk, workspace_gb=0.001)))


def test_the_parts_of_the_disk_are_the_whole_disk(make):
    disk = DiskSpace(free_gb=40, used_gb=110, total_gb=150)
    room = disk_forecast([make.cut_run(), waiting("qwen3-4b", 8.0)], disk, workspace_gb=5.0)
    assert room.used_gb == 105.0
    parts = msgspec.structs.astuple(room)
    assert math.isclose(sum(parts), disk.total_gb)


def levels(found):
    return [risk.level for risk in found]


def test_three_bases_of_39_gb_do_not_fit_beside_40_gb_of_150():
    sizes = {"qwen3-4b": 8.0, "qwen25-7b": 15.2, "llama3-ko-8b": 16.1}
    runs = [waiting(name, size, 0.5) for name, size in sizes.items()]
    (risk,) = on_disk(runs, free_gb=40, total_gb=150)
    assert risk.level == "danger", "the bases alone would fit"
    assert "39.3 GB of downloads and 1.0 GB of checkpoints" in risk.what.text
    (risk,) = on_disk(runs, free_gb=45, total_gb=150)
    assert risk.level == "watch"


def test_a_base_that_two_runs_share_is_downloaded_once():
    twice = [waiting("qwen3-4b", 8.0), waiting("qwen3-4b", 8.0)]
    room = disk_forecast(twice, DiskSpace(free_gb=20, used_gb=130, total_gb=150), workspace_gb=0.0)
    assert room.downloads_gb == 8.0


def test_what_is_downloaded_needs_no_room():
    (risk,) = on_disk([waiting("qwen3-4b", 0.0)], free_gb=20, total_gb=150)
    assert risk.level == "ok"


def test_without_a_recorded_plan_nothing_is_forecast():
    assert on_disk([waiting("qwen3-4b")], free_gb=20, total_gb=150) == []


def test_checkpoints_to_come_count_only_while_something_is_open(make):
    cut, done = make.cut_run(), make.toy_run()
    room = {"free_gb": 0.005, "total_gb": 0.01}
    assert levels(on_disk([cut], **room)) == ["danger"], "two checkpoints of 4 MB, 5 MB free"
    first, *_ = on_disk([done], **room)
    assert first.level == "ok"


def test_a_card_that_is_nearly_full_is_named_with_its_sample(make):
    run = make.cut_run()
    full = SystemMetrics(at=make.noon + 300, vram_used_gb=23.5, vram_total_gb=24.0)
    run = run._replace(events=(*run.events, full, SystemMetrics(at=make.noon + 301)))
    (risk,) = risks([run], None)
    assert risk.level == "danger"
    assert "23.5 of 24.0 GB" in risk.what.text
    assert risk.record.endswith(f"#L{len(run.events) - 1}")

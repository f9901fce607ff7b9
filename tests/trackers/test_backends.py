"""Each tracker's own reader gives back every point of a mirrored run, once."""

import os
import struct
from collections import Counter
from importlib.util import find_spec

import msgspec
import pytest

from support.trackers import append, end, folder_of, resumed, workspace_of
from yoyak.events import Evaluated, Scored, SystemMetrics, TrainStep
from yoyak.trackers import backends
from yoyak.trackers.mirror import mirror


def needs(module):
    return pytest.mark.skipif(find_spec(module) is None, reason=f"{module} is not installed")


def expected(run):
    """(step, name, value) of everything the log says, each step and evaluation once: the oracle."""
    steps, evaluations, last, found = {}, {}, 0, []
    for event in run.events():
        last = max(
            last, getattr(event, "step", 0) if isinstance(event, TrainStep | Evaluated) else 0
        )
        match event:
            case TrainStep():
                steps[event.step] = event
            case Evaluated():
                evaluations[event.step] = event
            case Scored():
                rouge = event.rouge
                scores = (rouge.rouge1, rouge.rouge2, rouge.rougeL, rouge.mean)
                names = ("rouge1", "rouge2", "rougeL", "mean")
                found += [
                    (last, f"dev/{name}", 100 * value)
                    for name, value in zip(names, scores, strict=True)
                ]
            case SystemMetrics():
                found += [(last, "machine/disk_used_gb", event.disk_used_gb)]
                found += [(last, "machine/vram_used_gb", event.vram_used_gb)]
    for step, event in steps.items():
        found += [
            (step, "train/loss", event.loss),
            (step, "train/grad_norm", event.grad_norm),
            (step, "train/learning_rate", event.learning_rate),
            (step, "train/epoch", event.epoch),
            (step, "train/seconds_per_step", event.seconds),
        ]
    for step, event in evaluations.items():
        rouge = event.rouge
        found += [
            (step, "dev_part/rouge1", 100 * rouge.rouge1),
            (step, "dev_part/rouge2", 100 * rouge.rouge2),
            (step, "dev_part/rougeL", 100 * rouge.rougeL),
            (step, "dev_part/mean", 100 * rouge.mean),
        ]
    return rounded(found)


def rounded(found):
    """TensorBoard keeps 32 bits of a value, so six figures are compared."""
    return Counter((step, name, f"{value:.6g}") for step, name, value in found)


@pytest.mark.process
def test_a_run_is_named_by_its_settings_and_time(run, tmp_path):
    changed = {"epochs": 12, "batch_size": 8, "learning_rate": 0.0005}
    train = msgspec.structs.replace(run.recipe.train, **changed)
    recipe = msgspec.structs.replace(run.recipe, train=train)
    name = backends.run_name(backends.TrackerRun(run, recipe, tmp_path))
    assert name == "tiny-bart_ep12_bs8_lr0.0005_" + "-".join(run.name.split("-")[:2])


def name_of(run):
    return backends.run_name(backends.TrackerRun(run, run.recipe, run.folder))


def twice(run, make, tracker):
    """Mirrors the first attempt, then the second and the end."""
    mirror(workspace_of(run), tracker)
    append(run, resumed(make))
    end(run, make)
    mirror(workspace_of(run), tracker)


@pytest.mark.process
@needs("tensorboard")
@pytest.mark.filterwarnings("ignore")
def test_tensorboard_reads_every_point_back_once(run, make):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util.tensor_util import make_ndarray

    twice(run, make, "tensorboard")
    # One folder a run, because TensorBoard takes every folder for a run of its own.
    folder = folder_of(run, "tensorboard")
    read = EventAccumulator(str(folder), size_guidance={"tensors": 0}).Reload()
    points = [(tag, point) for tag in read.Tags()["tensors"] for point in read.Tensors(tag)]
    found = [(point.step, tag, float(make_ndarray(point.tensor_proto))) for tag, point in points]
    assert rounded(found) == expected(run)
    assert {point.wall_time for _, point in points} <= {event.at for event in run.events()}


@pytest.fixture
def offline(monkeypatch, tmp_path):
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_PROJECT", "WANDB_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "no-netrc"))


@needs("wandb")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.slow
def test_wandb_is_offline_without_a_key_and_holds_every_point_once(run, make, learnt, offline):
    from wandb.proto import wandb_internal_pb2

    twice(run, make, "wandb")
    folder = folder_of(run, "wandb")
    (file,) = folder.rglob("*.wandb")
    found, named = [], None
    for data in records(file):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        if record.WhichOneof("record_type") == "run":
            named = record.run
        elif record.WhichOneof("record_type") == "history":
            row = {"/".join(item.nested_key) or item.key: item for item in record.history.item}
            values = {name: float(item.value_json) for name, item in row.items()}
            step = int(values.pop("train/step"))
            found += [
                (step, name, value) for name, value in values.items() if not name.startswith("_")
            ]
    assert rounded(found) == expected(run)
    assert named.display_name == name_of(run)
    assert (named.run_id, named.run_group) == (run.name, "seq2seq")
    assert set(named.tags) == {"seq2seq", "toy"}
    said = learnt.train.dialogues[0].turns[0].text.encode()
    assert not any(said in path.read_bytes() for path in folder.rglob("*") if path.is_file())


def records(file):
    """The records of a W&B file: LevelDB's log format in 32 KiB blocks, after a 7-byte header."""
    data, place, whole = file.read_bytes(), 7, b""
    while place + 7 <= len(data):
        if 32_768 - place % 32_768 < 7:
            place += 32_768 - place % 32_768
            continue
        _, length, kind = struct.unpack_from("<IHB", data, place)
        whole += data[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in {1, 4}:  # whole, or the last part of several
            yield whole
            whole = b""


@needs("trackio")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.slow
def test_trackio_reads_every_point_back_once(run, make, monkeypatch):
    folder = workspace_of(run).report_folder / "mirrors" / "trackio"
    monkeypatch.setitem(os.environ, "TRACKIO_DIR", str(folder))
    from trackio import Api, sqlite_storage

    monkeypatch.setattr(sqlite_storage, "TRACKIO_DIR", folder)  # it is read once a process
    twice(run, make, "trackio")
    (held,) = Api().runs(backends.PROJECT)
    assert held.name == name_of(run)
    assert held.config["_Group"] == "seq2seq"
    rows = sqlite_storage.SQLiteStorage.get_logs(backends.PROJECT, held.name)
    found = [
        (row["step"], name, value)
        for row in rows
        for name, value in row.items()
        if name not in {"step", "timestamp"}
    ]
    assert rounded(found) == expected(run)

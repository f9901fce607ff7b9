"""A log replayed into a tracker gives every point once, whoever kills the mirror."""

import os
import struct
from importlib.util import find_spec

import msgspec
import pytest

from yoyak import recipes
from yoyak.data import sample
from yoyak.data.corpus import read_corpus
from yoyak.errors import Unavailable, UsageError
from yoyak.events import Evaluated, Started, Stepped
from yoyak.queue import provenance
from yoyak.report import mirror
from yoyak.store.workspace import Workspace


def needs(module):
    return pytest.mark.skipif(find_spec(module) is None, reason=f"{module} is not installed")


@pytest.fixture
def run(tmp_path, make):
    corpus = read_corpus(sample.folder())
    record = msgspec.json.encode(provenance.gather(corpus))
    workspace = Workspace(tmp_path / "workspace")
    run = workspace.find_or_create(recipes.resolve("tiny-bart").recipe, corpus, lambda: record)
    append(run, make.training(24, 17))
    return run


def append(run, events):
    with run.log_path.open("ab") as log:
        log.writelines(msgspec.json.encode(event) + b"\n" for event in events)


def resumed(make):
    """The second attempt after a kill at step 17: on from the checkpoint of step 10."""
    again = [event for event in make.training(24, 24) if getattr(event, "step", 0) > 10]
    return [Started(at=make.noon + 500, pid=9, host="box", attempt=2), *again]


class Remembered:
    """A tracker that keeps what it is given in its piece's folder."""

    def __call__(self, replay):
        lines = [f"{point.step} {min(point.values)}\n" for point in replay.points]
        (replay.folder / "points.txt").write_text("".join(lines), encoding="utf-8")


@pytest.fixture
def remembered(monkeypatch):
    monkeypatch.setitem(mirror.MIRRORS, "memory", Remembered())


def workspace_of(run):
    return Workspace(run.folder.parents[1])


def told(run, tracker="memory"):
    folder = workspace_of(run).report_folder / "mirrors" / tracker / run.name
    pieces = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    return [line for piece in pieces for line in (piece / "points.txt").read_text().splitlines()]


def test_every_step_is_told_once_over_two_attempts_and_three_mirrors(run, make, remembered):
    assert mirror.mirror(workspace_of(run), "memory") == {run.name: 18}, "17 steps, 1 evaluation"
    assert mirror.mirror(workspace_of(run), "memory") == {run.name: 0}
    append(run, resumed(make))
    mirror.mirror(workspace_of(run), "memory")
    steps = [int(line.split()[0]) for line in told(run) if "train/" in line]
    assert steps == list(range(1, 25))
    assert sum("dev_part/" in line for line in told(run)) == 2


def test_a_mirror_that_is_killed_leaves_nothing_and_the_next_goes_on(run, monkeypatch):
    class Dies(Remembered):
        def __call__(self, replay):
            super().__call__(replay)
            raise KeyboardInterrupt

    monkeypatch.setitem(mirror.MIRRORS, "memory", Dies())
    before = run.log_path.read_bytes()
    with pytest.raises(KeyboardInterrupt):
        mirror.mirror(workspace_of(run), "memory")
    assert told(run) == []
    assert run.log_path.read_bytes() == before
    monkeypatch.setitem(mirror.MIRRORS, "memory", Remembered())
    mirror.mirror(workspace_of(run), "memory")
    assert len(told(run)) == 18
    folder = workspace_of(run).report_folder / "mirrors" / "memory" / run.name
    assert [path.name for path in folder.iterdir()] == ["00000000-00000023"]


def test_names_are_as_the_team_gives_them(run):
    name = mirror.run_name(run, run.recipe)
    assert name.startswith("tiny-bart_ep12_bs8_lr0.00")
    assert name.endswith("-".join(run.name.split("-")[:2]))


def test_scores_are_on_the_scale_of_people(make):
    (point,) = [
        point for point in mirror.points(make.training(24, 12)) if "dev_part/mean" in point.values
    ]
    assert point.values["dev_part/mean"] == pytest.approx(100 * (0.21 + 0.08 + 0.17) / 3)


def test_unknown_and_missing_trackers_say_what_to_do(run, monkeypatch):
    with pytest.raises(UsageError, match="tensorboard"):
        mirror.mirror(workspace_of(run), "mlflow")

    def missing(_):
        raise ModuleNotFoundError

    monkeypatch.setitem(mirror.MIRRORS, "wandb", missing)
    with pytest.raises(Unavailable, match="pip install wandb"):
        mirror.mirror(workspace_of(run), "wandb")
    folder = workspace_of(run).report_folder / "mirrors" / "wandb" / run.name
    assert list(folder.iterdir()) == []


@needs("tensorboard")
@pytest.mark.filterwarnings("ignore")
def test_tensorboard_reads_every_point_back(run, make):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    mirror.mirror(workspace_of(run), "tensorboard")
    append(run, resumed(make))
    mirror.mirror(workspace_of(run), "tensorboard")
    folder = workspace_of(run).report_folder / "mirrors" / "tensorboard" / run.name
    steps = []
    for piece in sorted(folder.iterdir()):
        read = EventAccumulator(str(piece), size_guidance={"tensors": 0}).Reload()
        steps += [point.step for point in read.Tensors("train/loss")]
    assert steps == list(range(1, 25))


@needs("wandb")
@pytest.mark.filterwarnings("ignore")
def test_wandb_offline_holds_every_point_and_no_text(run, make, monkeypatch):
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("WANDB_MODE", "offline")
    mirror.mirror(workspace_of(run), "wandb")
    append(run, resumed(make))
    mirror.mirror(workspace_of(run), "wandb")
    folder = workspace_of(run).report_folder / "mirrors" / "wandb" / run.name
    files = sorted(folder.rglob("*.wandb"))
    assert len(files) == 2
    steps = [step for file in files for step in trained_steps(file)]
    assert steps == list(range(1, 25))
    dialogue = read_corpus(sample.folder()).train.dialogues[0].turns[0].text.encode()
    assert not any(dialogue in file.read_bytes() for file in folder.rglob("*") if file.is_file())


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


def trained_steps(file):
    """The steps of a run's training rows."""
    from wandb.proto import wandb_internal_pb2

    for data in records(file):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        if record.WhichOneof("record_type") == "history":
            values = {
                item.key or "/".join(item.nested_key): item.value_json
                for item in record.history.item
            }
            if "train/loss" in values:
                yield int(float(values["train/step"]))


@needs("trackio")
@pytest.mark.filterwarnings("ignore")
def test_trackio_takes_the_points_into_its_own_folder(run, monkeypatch):
    monkeypatch.setitem(os.environ, "TRACKIO_DIR", "")
    assert mirror.mirror(workspace_of(run), "trackio") == {run.name: 18}
    folder = workspace_of(run).report_folder / "mirrors" / "trackio" / run.name
    assert any(path.suffix == ".db" for path in folder.rglob("*"))


def test_every_kind_of_point_is_covered(make):
    kinds = {type(event) for event in make.training(24, 12)}
    assert {Stepped, Evaluated} <= kinds

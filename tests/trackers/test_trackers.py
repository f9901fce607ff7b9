"""A log told to a tracker gives every point once, whoever kills the mirror."""

import os
import struct
from collections import Counter
from importlib.util import find_spec

import msgspec
import pytest

from yoyak.config import load
from yoyak.data import sample
from yoyak.data.corpus import read_corpus
from yoyak.errors import Unavailable, UsageError
from yoyak.events import Evaluated, Finished, Scored, Started, SystemMetrics, TrainStep
from yoyak.runs.workspace import Workspace
from yoyak.scheduler import provenance
from yoyak.trackers import trackers
from yoyak.trackers.metrics import TrackerMetrics


def needs(module):
    return pytest.mark.skipif(find_spec(module) is None, reason=f"{module} is not installed")


@pytest.fixture(scope="session")
def learnt():
    return read_corpus(sample.folder())


@pytest.fixture
def run(tmp_path, make, learnt):
    record = msgspec.json.encode(provenance.gather(learnt))
    workspace = Workspace(tmp_path / "workspace")
    run = workspace.find_or_create(load.resolve("tiny-bart").recipe, learnt, lambda: record)
    append(run, make.training(24, 17))
    return run


def append(run, events):
    with run.log_path.open("ab") as log:
        log.writelines(msgspec.json.encode(event) + b"\n" for event in events)


def resumed(make):
    """The second attempt after a kill at step 17: on from the checkpoint of step 10."""
    again = [event for event in make.training(24, 24) if getattr(event, "step", 0) > 10]
    return [Started(at=make.noon + 500, pid=9, host="box", attempt=2), *again]


def workspace_of(run):
    return Workspace(run.folder.parents[1])


def folder_of(run, tracker):
    return workspace_of(run).report_folder / "mirrors" / tracker / run.name


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


def end(run, make):
    toy = make.toy_run().events
    append(run, [one for one in toy if isinstance(one, SystemMetrics | Scored | Finished)])


# --- whatever the tracker ------------------------------------------------------------------------


class Remembered:
    """A tracker that keeps what it is told in the run's folder."""

    def __enter__(self):
        return Remembered.Run

    def __exit__(self, *_):
        pass

    class Run:
        def __init__(self, target):
            target.folder.mkdir()
            self.file = target.folder / "points.txt"

        def __enter__(self):
            return self.tell

        def __exit__(self, *_):
            pass

        def tell(self, points):
            with self.file.open("a", encoding="utf-8") as file:
                file.writelines(f"{one.step} {min(one.values)} {one.number}\n" for one in points)


@pytest.fixture
def remembered(monkeypatch):
    monkeypatch.setitem(trackers.MIRRORS, "memory", lambda _: Remembered())


def told(run):
    return (folder_of(run, "memory") / "points.txt").read_text().splitlines()


def test_every_step_is_told_once_over_two_attempts_and_three_mirrors(run, make, remembered):
    assert trackers.mirror(workspace_of(run), "memory") == {run.name: 18}, "17 steps, 1 evaluation"
    assert trackers.mirror(workspace_of(run), "memory") == {run.name: 0}
    append(run, resumed(make))
    assert trackers.mirror(workspace_of(run), "memory") == {run.name: 26}
    steps = [int(line.split()[0]) for line in told(run) if "train/" in line]
    assert steps == list(range(1, 25))
    assert sum("dev_part/" in line for line in told(run)) == 2
    assert [int(line.split()[2]) for line in told(run)] == list(range(26))


def test_a_mirror_that_stays_tells_only_what_is_new(run, make, remembered):
    with trackers.Mirror(workspace_of(run), "memory") as follower:
        assert follower() == {run.name: 18}
        assert follower() == {run.name: 0}
        append(run, resumed(make))
        with run.log_path.open("ab") as log:
            log.write(b'{"event": "stepp')  # a worker in the middle of a line
        assert follower() == {run.name: 8}
    assert len(told(run)) == 26


def test_a_run_that_ends_while_it_is_followed_is_closed_and_not_told_again(run, make, remembered):
    with trackers.Mirror(workspace_of(run), "memory") as follower:
        follower()
        append(run, resumed(make))
        end(run, make)
        assert follower() == {run.name: 8 + 2}, "one look at the machine and one score"
        assert folder_of(run, "memory").with_suffix(".told").is_file()
        assert follower() == {run.name: 0}
    assert trackers.mirror(workspace_of(run), "memory") == {run.name: 0}


def test_a_mirror_that_is_killed_leaves_no_note_and_the_next_tells_it_whole(
    run, remembered, monkeypatch
):
    def dies(self, points):
        Remembered.Run.told_half(self, list(points)[:7])
        raise KeyboardInterrupt

    before = run.log_path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(Remembered.Run, "told_half", Remembered.Run.tell, raising=False)
        patch.setattr(Remembered.Run, "tell", dies)
        with pytest.raises(KeyboardInterrupt):
            trackers.mirror(workspace_of(run), "memory")
    assert len(told(run)) == 7
    assert run.log_path.read_bytes() == before
    assert trackers.mirror(workspace_of(run), "memory") == {run.name: 18}
    assert len(told(run)) == 18


def test_names_are_as_the_team_gives_them(run, tmp_path):
    name = trackers.run_name(trackers.Target(run, run.recipe, tmp_path))
    assert name.startswith("tiny-bart_ep12_bs8_lr0.00")
    assert name.endswith("-".join(run.name.split("-")[:2]))


def test_scores_are_on_the_scale_of_people(make):
    (point,) = [
        point
        for point in TrackerMetrics()(make.training(24, 12))
        if "dev_part/mean" in point.values
    ]
    assert point.values["dev_part/mean"] == pytest.approx(100 * (0.21 + 0.08 + 0.17) / 3)


def test_unknown_and_missing_trackers_say_what_to_do(run, monkeypatch):
    with pytest.raises(UsageError, match="tensorboard"):
        trackers.mirror(workspace_of(run), "mlflow")

    def missing(_):
        raise ModuleNotFoundError

    monkeypatch.setitem(trackers.MIRRORS, "wandb", missing)
    with pytest.raises(Unavailable, match=r"pip install 'yoyak\[wandb\]'"):
        trackers.mirror(workspace_of(run), "wandb")
    assert not folder_of(run, "wandb").exists()


# --- read back with the trackers' own formats ----------------------------------------------------


def twice(run, make, tracker):
    """Mirrors the first attempt, then the second and the end."""
    trackers.mirror(workspace_of(run), tracker)
    append(run, resumed(make))
    end(run, make)
    trackers.mirror(workspace_of(run), tracker)


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
    assert named.display_name.startswith("tiny-bart_ep12_bs8_lr")
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
    (held,) = Api().runs(trackers.PROJECT)
    assert held.name.startswith("tiny-bart_ep12_bs8_lr")
    assert held.config["_Group"] == "seq2seq"
    rows = sqlite_storage.SQLiteStorage.get_logs(trackers.PROJECT, held.name)
    found = [
        (row["step"], name, value)
        for row in rows
        for name, value in row.items()
        if name not in {"step", "timestamp"}
    ]
    assert rounded(found) == expected(run)

"""A run with a log, and what happens to it later."""

import msgspec
import pytest

from yoyak.config import load
from yoyak.data import sample
from yoyak.data.corpus import read_corpus
from yoyak.events import Finished, Scored, Started, SystemMetrics
from yoyak.runs.workspace import Workspace
from yoyak.scheduler import provenance


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


def end(run, make):
    toy = make.toy_run().events
    append(run, [one for one in toy if isinstance(one, SystemMetrics | Scored | Finished)])

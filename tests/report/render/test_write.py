"""From a real workspace on disk to its report; runs are made by the queue's own code."""

import json

import msgspec
import pytest

from yoyak.config import load
from yoyak.data import sample
from yoyak.data.corpus import read_corpus
from yoyak.events import Queued, Started
from yoyak.report.model.load import gather
from yoyak.report.model.report import Report
from yoyak.report.render import markdown, write
from yoyak.runs.workspace import Workspace
from yoyak.scheduler import provenance
from yoyak.scheduler.stages import StageContext, run_stages


@pytest.fixture(scope="module")
def corpus():
    return read_corpus(sample.folder())


@pytest.fixture
def workspace(tmp_path, corpus):
    workspace = Workspace(tmp_path / "workspace")
    recipe = load.resolve("lead").recipe
    record = msgspec.json.encode(provenance.gather(corpus))
    run = workspace.find_or_create(recipe, corpus, lambda: record)
    run.emit(Queued(at=1.0, recipe="lead"))
    run.emit(Started(at=2.0, pid=1, host="box", attempt=1))
    run_stages(StageContext(run, corpus, lambda: False))
    return workspace


def test_the_report_holds_what_the_judge_stored(workspace, corpus):
    view = gather(workspace)
    card = workspace.runs()[0].scorecard()
    ((system, quality),) = view.scored
    assert system.status.value == "finished"
    assert quality.rouge == card.rouge
    assert quality.mean.interval == card.interval
    assert quality.rouge1.interval.low < card.rouge.rouge1 < quality.rouge1.interval.high
    assert quality.signature == card.protocol.signature
    assert (workspace.folder / quality.record).is_file()
    assert {floor.name for floor in view.floors} == {"constant", "unrelated"}
    assert view.findings == ()
    assert len({example.id for example in view.examples}) == len(view.examples) > 3


def test_every_record_of_the_view_is_on_disk(workspace, corpus):
    view = gather(workspace)
    records = {system.record for system in view.systems} | {
        fact.record for fact in view.provenance if fact.record
    }
    assert all((workspace.folder / record).is_file() for record in records)


def test_the_files_are_written_and_json_reads_back(workspace, corpus):
    path = write.write_report(workspace, gather(workspace)).html
    assert path == workspace.report_folder / "index.html"
    names = sorted(one.name for one in workspace.report_folder.iterdir())
    assert names == ["index.html", write.STEM + ".json", write.STEM + ".md", "systems.csv"]
    data = (workspace.report_folder / (write.STEM + ".json")).read_bytes()
    assert msgspec.json.decode(data, type=Report).systems[0].name == "lead"


def test_dialogues_are_in_the_page_but_not_in_what_a_repository_gets(workspace, corpus):
    path = write.write_report(workspace, gather(workspace)).html
    said = corpus.dev.dialogues[0].references[0]
    shown = {example.id for example in gather(workspace).examples}
    words = [one.references[0] for one in corpus.dev.dialogues if one.id in shown]
    page = path.read_text("utf-8")
    assert all(word in page.replace("&#39;", "'").replace("&#34;", '"') for word in words)
    repository = path.with_name(write.STEM + ".md").read_text("utf-8")
    assert not any(word in repository for word in [*words, said])


def test_status_for_machines_names_recipe_and_status(workspace):
    (run,) = json.loads(write.status_json(gather(workspace, compared=False)))["runs"]
    assert (run["recipe"], run["status"]) == ("lead", "finished")


def test_data_that_changed_or_went_needs_checking(workspace, tmp_path):
    run = workspace.runs()[0]
    path = run.folder / "identity.json"
    other = msgspec.structs.replace(run.identity, dev_sha256="0" * 64)
    path.write_bytes(msgspec.json.encode(other))
    assert [one.rule for one in gather(workspace).findings] == ["data-changed"]
    gone = msgspec.structs.replace(run.identity, data_folder=str(tmp_path / "gone"))
    path.write_bytes(msgspec.json.encode(gone))
    view = gather(workspace)
    assert [one.rule for one in view.findings] == ["data-gone"]
    assert view.examples == ()


def test_a_log_with_a_broken_line_needs_checking(workspace, corpus):
    log = workspace.runs()[0].log_path
    log.write_bytes(b'{"event": "stepp\n' + log.read_bytes())
    view = gather(workspace)
    (finding,) = view.findings
    assert finding.rule == "garbled-log"
    assert "events.jsonl#L" not in markdown.render(view), "the lines' numbers are not the events'"


def test_two_runs_of_one_recipe_are_told_apart(workspace, corpus):
    recipe = load.resolve("lead", sets=["train.seed=7"]).recipe
    record = msgspec.json.encode(provenance.gather(corpus))
    run = workspace.find_or_create(recipe, corpus, lambda: record)
    run.emit(Queued(at=1.0, recipe="lead"))
    names = [system.name for system in gather(workspace).systems]
    assert len(set(names)) == 2
    assert names[1] == run.name

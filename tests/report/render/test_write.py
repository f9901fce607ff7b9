"""From a real workspace on disk to its report; runs are made by the queue's own code."""

import json

import msgspec

from yoyak.report.model.load import gather, gather_with_rows
from yoyak.report.model.report import Report
from yoyak.report.render import write
from yoyak.report.render.json import status_json


def test_the_files_are_written_and_json_reads_back(workspace, corpus):
    path = write.write_report(workspace, *gather_with_rows(workspace)).html
    assert path == workspace.report_folder / "index.html"
    names = sorted(one.name for one in workspace.report_folder.iterdir())
    assert names == ["index.html", write.STEM + ".json", write.STEM + ".md", "systems.csv"]
    data = (workspace.report_folder / (write.STEM + ".json")).read_bytes()
    assert msgspec.json.decode(data, type=Report).systems[0].name == "lead"


def test_dialogues_are_in_the_page_but_not_in_what_a_repository_gets(workspace, corpus):
    path = write.write_report(workspace, *gather_with_rows(workspace)).html
    said = corpus.dev.dialogues[0].references[0]
    shown = {example.id for example in gather(workspace).groups[0].examples}
    words = [one.references[0] for one in corpus.dev.dialogues if one.id in shown]
    page = path.read_text("utf-8")
    assert all(word in page.replace("&#39;", "'").replace("&#34;", '"') for word in words)
    repository = path.with_name(write.STEM + ".md").read_text("utf-8")
    assert not any(word in repository for word in [*words, said])


def test_status_for_machines_names_recipe_and_status(workspace):
    (run,) = json.loads(status_json(gather(workspace, compared=False)))["runs"]
    assert (run["recipe"], run["status"]) == ("lead", "finished")

"""A bundle is the report with everything that it links to, and nothing that looks like a secret."""

import re
import shutil
import zipfile
from urllib.parse import unquote

import pytest

from yoyak.cli import main
from yoyak.errors import BadData
from yoyak.export.bundle import bundle
from yoyak.report.model.load import gather_with_rows
from yoyak.report.render.write import write_report
from yoyak.runs.workspace import Workspace


@pytest.fixture
def recorded(example, tmp_path):
    """A copy of the documents' finished line-up."""
    folder, _ = example("finished")
    return Workspace(shutil.copytree(folder, tmp_path / "workspace"))


def test_every_link_of_the_unpacked_page_leads_somewhere(recorded, tmp_path):
    report = write_report(recorded, *gather_with_rows(recorded))
    names = bundle(recorded, report, tmp_path / "b.zip")
    with zipfile.ZipFile(tmp_path / "b.zip") as packed:
        assert tuple(packed.namelist()) == names
        packed.extractall(tmp_path / "there")
    page = tmp_path / "there" / "report" / "index.html"
    found = set(re.findall(r'<a href="([^"#]+)', page.read_text(encoding="utf-8")))
    assert any(one.startswith("../runs/") for one in found)
    assert {"report.json", "report.md", "systems.csv"} <= found
    assert [one for one in found if not (page.parent / unquote(one)).resolve().is_file()] == []
    assert [one for one in names if "predictions" in one] == [], "texts are in the page alone"
    first = (tmp_path / "b.zip").read_bytes()
    bundle(recorded, report, tmp_path / "b.zip")
    assert (tmp_path / "b.zip").read_bytes() == first


def test_a_record_with_a_secret_stops_it_and_leaves_no_file(recorded, tmp_path):
    report = write_report(recorded, *gather_with_rows(recorded))
    (log, *_) = recorded.folder.glob("runs/*/events.jsonl")
    log.write_text(log.read_text() + '{"token": "hf_' + "a" * 34 + '"}\n', encoding="utf-8")
    with pytest.raises(BadData, match="looks like a secret"):
        bundle(recorded, report, tmp_path / "b.zip")
    assert not (tmp_path / "b.zip").exists()


def test_a_link_out_of_the_workspace_is_not_followed(recorded, tmp_path):
    report = write_report(recorded, *gather_with_rows(recorded))
    (tmp_path / "outside.json").write_text("{}")
    page = report.html.read_text(encoding="utf-8")
    report.html.write_text(page + '<a href="../../outside.json">x</a>', encoding="utf-8")
    assert "../outside.json" not in bundle(recorded, report, tmp_path / "b.zip")


def test_the_command_names_the_archive(recorded, tmp_path, capsys):
    target = tmp_path / "b.zip"
    with pytest.raises(SystemExit) as ended:
        main(["report", "--workspace", str(recorded.folder), "--bundle", str(target)])
    assert not ended.value.code
    assert "b.zip" in capsys.readouterr().out.splitlines()[-1]
    assert zipfile.is_zipfile(target)

"""The notebook for Colab and Kaggle runs from top to bottom, and is kept without its outputs."""

import os
import re
import sys
from pathlib import Path

import nbformat
import pytest

from support.documents import DOCS
from support.shell import commands, problem_of

FILE = DOCS / "notebook.ipynb"
SKIPPED = "skip-execution"
COLOUR = re.compile(r"\x1b\[[\d;]*m")  # Jupyter asks programs for colours


@pytest.fixture
def notebook():
    return nbformat.read(FILE, as_version=4)


def test_it_is_valid_and_has_no_outputs(notebook):
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.id for cell in code if cell.outputs or cell.execution_count is not None] == []
    assert sum(SKIPPED in cell.metadata.get("tags", ()) for cell in code) == 2


def test_its_commands_are_those_of_the_command_line(notebook):
    shell = [cell.source for cell in notebook.cells if cell.source.startswith("%%bash")]
    found = [words for source in shell for words in commands(source.partition("\n")[2])]
    assert {"run", "score", "compare", "submit"} <= {words[1] for words in found}
    assert [problem_of(words) for words in found if problem_of(words)] == []


@pytest.mark.process
@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.filterwarnings("default")
def test_it_runs_from_top_to_bottom(notebook, tmp_path, monkeypatch):
    from nbclient import NotebookClient

    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("YOYAK_LANG", "en")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    client = NotebookClient(
        notebook,
        timeout=1200,
        startup_timeout=600,
        kernel_name="python3",
        skip_cells_with_tag=SKIPPED,
        resources={"metadata": {"path": str(tmp_path)}},
    )
    client.execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    said = COLOUR.sub("", "".join(output.get("text", "") for output in outputs))
    assert "ROUGE mean 0.6058" in said
    assert "lead: finished" in said
    assert "▲ better" in said
    assert "pass all" in said
    assert "srcdoc" in str(notebook.cells[12].outputs)

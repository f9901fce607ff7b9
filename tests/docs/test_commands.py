"""Every command that the documents show is run, in the order in which a reader types them.

The tutorial is run in an empty folder, and each other page in a copy of what it leaves. A block
with a file's name as its title is written to that file; any other title is the reason why a block
is not run, which the reader sees too. Korean pages have the same blocks (test_languages.py), and
sessions of Python (``>>>``) are run by tests/contract/test_python_api.py.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.documents import DOCS, ROOT, Fence, fences, pages

pytestmark = [pytest.mark.process, pytest.mark.slow, pytest.mark.timeout(3600)]

TUTORIAL = DOCS / "tutorial.md"
SHOWN = [
    page
    for page in (ROOT / "README.md", *pages())
    if page != TUTORIAL and any(one.language == "sh" and not one.title for one in fences(page))
]


def script_of(blocks: tuple[Fence, ...]) -> str:
    """One script of all blocks; it names each on standard error before it begins."""
    lines = ["set -euo pipefail", "shopt -s nullglob"]
    for number, one in enumerate(blocks, 1):
        lines.append(f"echo '--- block {number}' >&2")
        if one.language == "sh" and one.title is None:
            lines.append(one.body)
        elif one.language == "python" and one.title is None and not one.body.startswith(">>>"):
            lines.append(f"python - <<'END_OF_BLOCK'\n{one.body}END_OF_BLOCK")
        elif one.language != "sh" and one.title and Path(one.title).suffix:
            lines.append(f"mkdir -p {Path(one.title).parent}")
            lines.append(f"cat > {one.title} <<'END_OF_BLOCK'\n{one.body}END_OF_BLOCK")
    return "\n".join(lines)


def run(page: Path, folder: Path, home: Path) -> None:
    """Run a page's blocks in ``folder``; none of them may fail."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("YOYAK_")},
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(home),
        "HF_HUB_OFFLINE": "1",
        "CUDA_VISIBLE_DEVICES": "",
        "YOYAK_LANG": "en",
        "LANG": "C.UTF-8",
    }
    done = subprocess.run(
        ["bash", "-c", script_of(fences(page))],
        check=False,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"


@pytest.fixture(scope="session")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="session")
def tutorial(tmp_path_factory, home):
    """The folder that the tutorial leaves."""
    folder = tmp_path_factory.mktemp("tutorial")
    run(TUTORIAL, folder, home)
    return folder


def test_the_tutorial_ends_with_a_report_and_a_checked_submission(tutorial):
    assert (tutorial / "workspace" / "report" / "index.html").is_file()
    assert (tutorial / "workspace" / "submissions" / "1" / "submission.csv").is_file()


@pytest.mark.parametrize("page", SHOWN, ids=lambda page: page.stem)
def test_every_command_of_a_page_runs(page, tutorial, tmp_path, home):
    folder = tmp_path / "here"
    shutil.copytree(tutorial, folder, symlinks=True)
    run(page, folder, home)


def test_enough_is_run():
    """A title hides a command from this test, so what is hidden stays the smaller part."""
    blocks = [one for page in (TUTORIAL, *SHOWN) for one in fences(page) if one.language == "sh"]
    assert sum(one.title is None for one in blocks) > 2 * sum(
        one.title is not None for one in blocks
    )

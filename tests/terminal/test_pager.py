"""Long output a page at a time, where somebody sits at a terminal."""

import os
import pty
import subprocess
import sys

import pytest

from yoyak.terminal.pager import paged

CODE = (
    "from yoyak.terminal.pager import paged\n"
    "from yoyak.terminal.render import show\n"
    "from yoyak.report.sections.blocks import Note\n"
    "import sys\n"
    "with paged():\n"
    "    print('first')\n"
    "    show([Note('가나다')], sys.stdout)\n"
)


def test_what_is_no_terminal_gets_it_at_once(capsys):
    with paged():
        print("said")
        assert capsys.readouterr().out == "said\n"


@pytest.mark.process
@pytest.mark.parametrize("ending", ["", "    raise SystemExit(3)\n"])
def test_a_terminal_gets_it_through_the_pager_even_before_an_error(tmp_path, ending):
    seen = tmp_path / "seen"
    parent, child = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-c", CODE + ending], stdin=child, stdout=child, check=False,
        env=os.environ | {"PAGER": f"cat > {seen}", "TERM": "xterm"},
    )  # fmt: skip
    os.close(parent)
    os.close(child)
    assert done.returncode == (3 if ending else 0)
    assert seen.read_text(encoding="utf-8").split() == ["first", "가나다"]

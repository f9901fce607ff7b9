"""The public Python interface is what docs/python-api.md says, example by example."""

import doctest
import re
import subprocess
import sys
from pathlib import Path

import pytest

from yoyak import metrics

DOCS = Path(__file__).parents[2] / "docs"
PAGES = ("python-api.md", "python-api.ko.md")
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: str) -> list[str]:
    return BLOCK.findall((DOCS / page).read_text("utf-8"))


@pytest.mark.parametrize("page", PAGES)
def test_every_example_does_what_the_page_shows(page):
    examples = doctest.DocTestParser().get_doctest("\n".join(blocks(page)), {}, page, page, 0)
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS, verbose=False)
    shown: list[str] = []
    assert runner.run(examples, out=shown.append).failed == 0, "".join(shown)
    assert runner.tries > 25


def test_both_languages_show_the_same_code():
    every = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
    english, korean = (every.findall((DOCS / page).read_text("utf-8")) for page in PAGES)
    assert english == korean


@pytest.mark.parametrize("page", PAGES)
def test_every_public_name_is_listed_and_no_other(page):
    rows = re.findall(r"^\| `(\w+)", (DOCS / page).read_text("utf-8"), re.MULTILINE)
    assert sorted(rows) == sorted(metrics.__all__)


@pytest.mark.slow  # mypy reads the package and its libraries
@pytest.mark.process
def test_a_program_that_uses_it_is_typed(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        "from yoyak.metrics import RougeMetric, Scorecard, Verdict\n"
        "from yoyak.metrics import assert_rouge_at_least, compare, score\n"
        "card: Scorecard = score(['a'], [['a', 'b']])\n"
        "card = score({'x': 'a'}, {'x': 'a'}, protocol='official')\n"
        "verdict: Verdict = compare({'a': card, 'b': card}).contrasts[0].verdict\n"
        "means: dict[str, float] = RougeMetric()(['a'], ['a'])\n"
        "assert_rouge_at_least(['a'], ['a'], 0.5)\n"
        "score([1], ['a'])\n",
        encoding="utf-8",
    )
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", program],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    found = [line for line in done.stdout.splitlines() if "error" in line and "Found" not in line]
    assert [re.search(r"py:(\d+)", line)[1] for line in found] == ["8"], done.stdout

"""What is inlined is what the policy's hashes name; data stay in their block and come back."""

import base64
import json
import re
import zlib
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yoyak.report.render import assets
from yoyak.report.render.html import render


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Let the page have one script whose content the test writes."""

    def write(content):
        (tmp_path / "page").mkdir(exist_ok=True)
        (tmp_path / "page" / "one.js").write_text(content, encoding="utf-8")
        assets.assets.cache_clear()

    monkeypatch.setattr(assets, "files", lambda _: tmp_path)
    monkeypatch.setattr(assets, "SCRIPTS", ("one.js",))
    monkeypatch.setattr(assets, "STYLES", ())
    yield write
    assets.assets.cache_clear()


def test_every_inline_script_of_the_page_is_allowed_by_its_hash_and_no_other(view, written):
    written("window.ran = 1 < 2;\n")
    page = render(view)
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page).group(1)
    policy = policy.replace("&#39;", "'")
    allowed = re.search("script-src ([^;]*);", policy).group(1).split()
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    found = [base64.b64encode(sha256(one.encode()).digest()).decode() for one in scripts]
    assert allowed == [f"'sha256-{one}'" for one in found]
    assert len(found) == len(assets.SCRIPTS)


@pytest.mark.parametrize("content", ["x = '</SCRIPT>'", "// <!-- "])
def test_a_script_that_would_end_its_element_is_refused(written, content):
    written(content)
    with pytest.raises(ValueError, match=r"one\.js"):
        assets.assets()


FOLDER = Path(assets.__file__).parent / "page"
PINNED = {
    "uPlot-1.6.32.min.js": "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f",
    "uPlot-1.6.32.min.css": "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
}
"""Of dist/ in uplot-1.6.32.tgz from npm."""


@pytest.mark.parametrize("name", PINNED)
def test_vendored_files_are_those_that_npm_has(name):
    assert sha256((FOLDER / name).read_bytes()).hexdigest() == PINNED[name]


@given(st.text())
def test_data_come_back_and_cannot_end_their_block(text):
    block = str(assets.json_block("x", {"a": text}))
    inner = re.fullmatch(r'<script type="application/json" id="x">(.*)</script>', block, re.DOTALL)
    assert not re.search("[<>&\u2028\u2029]", inner.group(1))
    assert json.loads(inner.group(1)) == {"a": text}


@given(st.text())
def test_packed_text_comes_back(text):
    packed = re.search(">(.*)<", str(assets.packed_block("x", text))).group(1)
    assert zlib.decompress(base64.b64decode(packed), wbits=-15).decode() == text


def test_the_address_of_rows_is_a_query_in_the_hash():
    address = assets.row_address(fault="invented_name", topic="점심 약속", length="26-310")
    assert address.startswith("#rows?fault=invented_name&topic=")
    assert " " not in address

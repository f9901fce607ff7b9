"""What is inlined is what the policy's hashes name."""

import base64
import re
from hashlib import sha256

import pytest

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

"""The site is built without a warning, every link leads somewhere, and no page fetches anything."""

import os
import re
import subprocess
import sys

import pytest

from support.documents import ROOT, pages

pytestmark = pytest.mark.process

# What a browser fetches by itself. Links for people may lead anywhere.
FETCHED = re.compile(
    r"<(?:script|img|iframe|source)\b[^>]*\bsrc=[\"']?(?:https?:)?//[^\s>\"']*"
    r"|<link\b(?![^>]*rel=\"?(?:canonical|alternate))[^>]*\bhref=[\"']?(?:https?:)?//[^\s>\"']*"
    r"|(?:@import|url\()\s*[\"']?(?:https?:)?//[^\s)\"']*"
)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The built site; every warning, a dead link or anchor among them, is an error."""
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--site-dir", folder],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
    )
    said = [line for line in done.stderr.splitlines() if not line.startswith("INFO")]
    assert (done.returncode, said) == (0, [])
    return folder


def test_every_page_is_built_in_both_languages(site):
    for page in pages():
        name = page.relative_to(ROOT / "docs").with_suffix(".html")
        assert (site / name).is_file()
        assert (site / "ko" / name).is_file()
    assert 'lang="ko"' in (site / "ko" / "index.html").read_text("utf-8")


def test_no_page_fetches_anything_from_the_network(site):
    files = [path for path in site.rglob("*") if path.suffix in {".html", ".css"}]
    assert len(files) > 50
    found = {match[0] for path in files for match in FETCHED.finditer(path.read_text("utf-8"))}
    assert found == set()

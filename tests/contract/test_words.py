"""The project speaks only of itself: no machine's paths, no registry hosts, no secrets."""

import re
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.process

ROOT = Path(__file__).parents[2]
FORBIDDEN = re.compile(
    r"/(?:work|root|home|opt/pypi)[/-]"
    r"|pypi\.org|pythonhosted|npmjs\.(?:org|com)|deb\.debian\.org|download\.pytorch\.org"
    r"|--(?:extra-)?index-url[ =]"
    r"|hf_[A-Za-z0-9]{20}|ghp_[A-Za-z0-9]{20}"
)


def tracked() -> list[Path]:
    listing = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return [ROOT / name for name in listing.stdout.split("\0") if name]


def test_no_tracked_file_names_a_machine_or_a_host():
    found = [
        f"{path.relative_to(ROOT)}: {match.group()}"
        for path in tracked()
        if path.is_file()
        and path.suffix not in {".png", ".svg"}
        and path.name != Path(__file__).name
        for match in FORBIDDEN.finditer(path.read_text("utf-8", errors="ignore"))
    ]
    assert found == []


def test_no_tracked_file_is_over_a_mebibyte():
    assert [path.name for path in tracked() if path.is_file() and path.stat().st_size > 2**20] == []

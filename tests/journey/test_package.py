"""The package is built the same twice, holds what it needs, and names nobody's machine."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from yoyak.cli.topics import TOPICS

ROOT = Path(__file__).parents[2]
EPOCH = "1767574800"


def build(source: Path, out: Path, target: str, umask: int) -> Path:
    """Build offline, with the backend that pyproject.toml names."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", out],
        cwd=source, check=True, capture_output=True, umask=umask,
        env={**os.environ, "SOURCE_DATE_EPOCH": EPOCH},
    )  # fmt: skip
    (built,) = out.glob("*.whl" if target == "wheel" else "*.tar.gz")
    return built


def checkout(to: Path, *, umask: int, time: int) -> Path:
    """Copy what git tracks, as another clone would have it: other modes, other times."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--", ".", ":!tests", ":!docs/images"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    for name in filter(None, listing.split("\0")):
        if (ROOT / name).is_file():
            copy = to / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, copy)
            copy.chmod((0o777 if os.access(ROOT / name, os.X_OK) else 0o666) & ~umask)
            os.utime(copy, (time, time))
    return to


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> tuple[Path, Path]:
    """Wheel and sdist of one checkout."""
    folder = tmp_path_factory.mktemp("built")
    source = checkout(folder / "one", umask=0o022, time=1_700_000_000)
    return tuple(build(source, folder / kind, kind, 0o022) for kind in ("wheel", "sdist"))


def test_another_checkout_builds_the_same_bytes(built, tmp_path):
    """The sdist directly, and the wheel from the other checkout's sdist."""
    wheel, sdist = built
    source = checkout(tmp_path / "elsewhere" / "two", umask=0o077, time=1_750_000_000)
    again = build(source, tmp_path / "sdist", "sdist", 0o077)
    assert (again.name, again.read_bytes()) == (sdist.name, sdist.read_bytes())
    with tarfile.open(again) as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    assert build(unpacked, tmp_path / "wheel", "wheel", 0o022).read_bytes() == wheel.read_bytes()


def test_the_wheel_holds_every_file_of_the_package_and_no_test(built):
    with zipfile.ZipFile(built[0]) as wheel:
        held = set(wheel.namelist())
    tracked = subprocess.run(
        ["git", "ls-files", "src/yoyak"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split("\n")
    expected = {name.removeprefix("src/") for name in tracked if name and (ROOT / name).is_file()}
    assert expected - held == set()
    assert {name for name in held if name.startswith("tests")} == set()
    assert {"yoyak/py.typed", "yoyak/data/sample/dev.csv"} <= held
    assert {f"yoyak/docs/{topic.page}.md" for topic in TOPICS.values()} <= held
    assert {name for name in held if "/docs/example" in name or "/docs/adr" in name} == set()


def test_the_description_names_no_machine_and_every_python(built):
    with zipfile.ZipFile(built[0]) as wheel:
        (name,) = [one for one in wheel.namelist() if one.endswith("/METADATA")]
        described = wheel.read(name).decode()
    assert str(ROOT) not in described
    tested = re.search(
        r"test:.*?python: \[(.*?)\]", (ROOT / ".github/workflows/ci.yml").read_text(), re.DOTALL
    )
    for version in re.findall(r"[\d.]+", tested[1]):
        assert f"Python :: {version}\n" in described

"""The image is built from files that are sent to the builder, and its comment names its targets."""

import fnmatch
import re
import shlex
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "Dockerfile").read_text("utf-8")
STAGES = re.findall(r"^FROM \S+ AS (\S+)", TEXT, re.MULTILINE)


def test_every_copied_file_is_there_and_sent_to_the_builder():
    sent = [line[1:] for line in (ROOT / ".dockerignore").read_text().split() if line[0] == "!"]
    copies = re.findall(r"^COPY (?!--from)(.+)$", TEXT, re.MULTILINE)
    sources = [source for copy in copies for source in shlex.split(copy)[:-1]]
    assert "src" in sources
    for source in sources:
        assert (ROOT / source).exists(), source
        assert any(fnmatch.fnmatch(source, pattern) for pattern in sent), source


def test_the_stages_that_are_named_exist_and_the_last_is_for_the_cpu():
    named = re.findall(r"--target (\S+)", TEXT) + re.findall(
        r"^COPY --from=(\S+)", TEXT, re.MULTILINE
    )
    assert {"cuda", "build-cpu"} <= set(named) <= set(STAGES)
    assert STAGES[-1] == "cpu"
    assert (ROOT / ".devcontainer/devcontainer.json").read_text().count('"target": "dev"') == 1
    assert "dev" in STAGES


def test_torch_is_the_one_of_the_makefile():
    assert TEXT.count("sed -n 's/^TORCH := //p' Makefile") == 2
    assert re.search(r"^TORCH := torch==\S+$", (ROOT / "Makefile").read_text(), re.MULTILINE)

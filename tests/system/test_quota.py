"""A quota is read as the tool prints it."""

import os

import pytest

from yoyak.system import quota

pytestmark = pytest.mark.process


@pytest.mark.parametrize(
    ("printed", "left"),
    [
        ("     /dev/sda1 1000000* 900000 900000 0 77 0 0 0", 0.0),
        ("     /dev/sda1 1000000 21000000 21000000 0 77 0 0 0", 20.48),
        ("     /dev/sda1 1000000 0 0 0 77 0 0 0", None),
        ("Disk quotas for user kim (uid 1000): none", None),
    ],
)
def test_what_is_left_of_a_quota(monkeypatch, tmp_path, printed, left):
    tool = tmp_path / "quota"
    tool.write_text(f"#!/bin/sh\necho '{printed}'\nexit 1\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    found = quota.left_gb(tmp_path / "not" / "yet")
    assert found == (None if left is None else pytest.approx(left))


def test_without_the_tool_no_quota_is_known(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert quota.left_gb(tmp_path) is None

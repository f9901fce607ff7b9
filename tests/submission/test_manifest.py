"""A submission is a numbered folder; its manifest is read back, or refused by name."""

import pytest

from yoyak.errors import BadData
from yoyak.submission.manifest import manifests, read_manifest, submission_numbers
from yoyak.submission.write import write_submission


def test_only_numbered_folders_are_submissions(draft, evidence, tmp_path):
    for _ in range(11):
        write_submission(draft, evidence, tmp_path)
    for name in ("1-backup", "007", "²", "notes"):
        (tmp_path / name).mkdir()
    assert submission_numbers(tmp_path) == list(range(1, 12))
    assert [path.parent.name for path in manifests(tmp_path)] == [str(n) for n in range(1, 12)]
    assert manifests(tmp_path / "none") == []


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b"[1]"])
def test_a_damaged_manifest_is_named(content, tmp_path):
    path = tmp_path / "manifest.json"
    path.write_bytes(content)
    with pytest.raises(BadData, match=r"manifest\.json"):
        read_manifest(path)

"""A folder is whole only if every byte, every file and the manifest itself are as written."""

import hashlib
import json
import random

import pytest

from yoyak.errors import BadData
from yoyak.files import atomic
from yoyak.files.manifest import MANIFEST, MARKER, is_ours, read_manifest, verify_folder

OLD, NEW = b"old " * 400, b"brand new " * 700


def fill(path, content):
    with atomic.whole_folder(path, notes={"step": str(len(content))}) as folder:
        (folder / "weights.bin").write_bytes(content)
        (folder / "deep").mkdir()
        (folder / "deep" / "moments.bin").write_bytes(content[::-1])


def harmful(path):
    """The files of a folder in which no bit may change unnoticed."""
    return sorted(each for each in path.rglob("*") if each.is_file() and each.name != MARKER)


def test_a_hundred_flipped_bits_are_all_caught(memory):
    path = memory / "weights"
    fill(path, NEW)
    generator = random.Random(7)
    before = verify_folder(path)
    caught = 0
    for number in range(100):
        file = harmful(path)[number % 3]
        original = file.read_bytes()
        place = generator.randrange(len(original))
        flipped = bytearray(original)
        flipped[place] ^= 1 << generator.randrange(8)
        file.write_bytes(flipped)
        # A manifest may be written with other blanks and still say the same.
        found = verify_folder(path)
        caught += found is None or (file.name == MANIFEST and found == before)
        assert found is None or found == before
        file.write_bytes(original)
    assert caught == 100
    assert verify_folder(path) == before


def test_twenty_truncations_are_all_caught(tmp_path):
    path = tmp_path / "weights"
    fill(path, NEW)
    generator = random.Random(7)
    for number in range(20):
        file = harmful(path)[number % 3]
        original = file.read_bytes()
        file.write_bytes(original[: generator.randrange(len(original) - 1)])
        assert verify_folder(path) is None, file
        file.write_bytes(original)
    assert verify_folder(path) is not None


@pytest.mark.parametrize("change", ["more", "less", "link", "folder"])
def test_a_file_more_or_less_or_of_another_kind_is_caught(tmp_path, change):
    path = tmp_path / "weights"
    fill(path, NEW)
    file = path / "weights.bin"
    if change == "more":
        (path / "pytorch_model.bin").write_bytes(b"cold dish")
    else:
        file.unlink()
    if change == "link":
        (tmp_path / "elsewhere").write_bytes(NEW)
        file.symlink_to(tmp_path / "elsewhere")
    if change == "folder":
        file.mkdir()
    assert verify_folder(path) is None


def test_equal_folders_have_equal_fingerprints_whatever_was_noted(tmp_path):
    for name, content, note in (("a", OLD, "1"), ("b", OLD, "2"), ("c", NEW, "1")):
        with atomic.whole_folder(tmp_path / name, notes={"note": note}) as folder:
            (folder / "weights.bin").write_bytes(content)
    one, two, other = (verify_folder(tmp_path / name).fingerprint for name in "abc")
    assert one == two != other


def test_a_manifest_lists_sizes_hashes_and_notes(tmp_path):
    fill(tmp_path / "weights", NEW)
    found = read_manifest(tmp_path / "weights")
    assert {record.name: (record.size_bytes, record.sha256) for record in found.files} == {
        "weights.bin": (7000, hashlib.sha256(NEW).hexdigest()),
        "deep/moments.bin": (7000, hashlib.sha256(NEW[::-1]).hexdigest()),
    }
    assert found.size_bytes == 14_000
    assert found.notes == {"step": "7000"}


def test_notes_that_were_changed_by_hand_break_the_seal(tmp_path):
    path = tmp_path / "weights"
    fill(path, NEW)
    fields = json.loads((path / MANIFEST).read_bytes())
    fields["notes"]["step"] = "7001"
    (path / MANIFEST).write_text(json.dumps(fields), "utf-8")
    assert read_manifest(path) is None
    assert verify_folder(path) is None


def test_a_folder_of_a_newer_version_is_refused_and_not_taken_for_a_damaged_one(tmp_path):
    path = tmp_path / "weights"
    fill(path, NEW)
    fields = json.loads((path / MANIFEST).read_bytes())
    newer = fields | {"format": fields["format"] + 1, "seal": "that of other fields"}
    (path / MANIFEST).write_text(json.dumps(newer), "utf-8")
    with pytest.raises(BadData, match="newer"):
        verify_folder(path)


@pytest.mark.parametrize("bit", range(8))
def test_a_flipped_bit_of_the_format_number_is_damage_and_not_a_newer_version(tmp_path, bit):
    path = tmp_path / "weights"
    fill(path, NEW)
    content = (path / MANIFEST).read_bytes()
    place = content.index(b'"format": ') + len(b'"format": ')
    flipped = bytes([content[place] ^ 1 << bit])
    (path / MANIFEST).write_bytes(content[:place] + flipped + content[place + 1 :])
    assert verify_folder(path) is None


def test_ours_is_a_folder_with_our_marker_or_manifest_and_never_a_link(tmp_path):
    mine, foreign, link = tmp_path / "weights", tmp_path / "photos", tmp_path / "link"
    fill(mine, NEW)
    foreign.mkdir()
    (foreign / MANIFEST).write_text("{}", "utf-8")  # other programs use that name, too
    link.symlink_to(mine)
    assert [is_ours(path) for path in (mine, foreign, link, tmp_path / "gone")] == [
        True, False, False, False,
    ]  # fmt: skip
    (mine / MARKER).unlink(missing_ok=True)
    assert is_ours(mine)

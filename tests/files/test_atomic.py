"""What a kill or a full disk leaves behind, and what is never removed."""

import errno
import shutil
import subprocess

import pytest

from yoyak.errors import BadData, CannotWrite, DiskFull
from yoyak.files import atomic

OLD, NEW = b"old " * 400, b"brand new " * 700


def fill(path, content):
    with atomic.whole_folder(path, notes={"step": str(len(content))}) as folder:
        (folder / "weights.bin").write_bytes(content)
        (folder / "deep").mkdir()
        (folder / "deep" / "moments.bin").write_bytes(content[::-1])


def names(folder):
    return sorted(each.name for each in folder.iterdir())


def content_of(path):
    assert atomic.verify_folder(path) is not None
    return (path / "weights.bin").read_bytes()


@pytest.mark.process
def test_a_kill_at_any_step_leaves_the_old_file_or_the_new_one(memory, crashes):
    path = memory / "value.json"
    seen = set()
    for _ in crashes(lambda: path.write_bytes(OLD), lambda: atomic.write_bytes(path, NEW)):
        seen.add(path.read_bytes())
        atomic.clear_leftovers(memory)
        assert names(memory) == ["value.json"]
    assert crashes.steps >= 4
    assert seen == {OLD, NEW}
    assert path.read_bytes() == NEW


@pytest.mark.process
def test_a_kill_at_any_step_leaves_the_old_folder_or_the_new_one(memory, crashes):
    path = memory / "weights"

    def prepare():
        shutil.rmtree(path, ignore_errors=True)
        fill(path, OLD)

    seen = set()
    for _ in crashes(prepare, lambda: fill(path, NEW)):
        seen.add(content_of(path))
        atomic.clear_leftovers(memory)
        assert names(memory) == ["weights"]
    assert crashes.steps >= 20
    assert seen == {OLD, NEW}
    assert content_of(path) == NEW


@pytest.mark.process
def test_a_kill_at_any_step_of_a_first_write_leaves_a_whole_folder_or_none(memory, crashes):
    path = memory / "weights"
    for _ in crashes(lambda: shutil.rmtree(path, ignore_errors=True), lambda: fill(path, NEW)):
        assert not path.exists() or content_of(path) == NEW
        atomic.clear_leftovers(memory)
        assert names(memory) in ([], ["weights"])
    assert content_of(path) == NEW


@pytest.mark.process
def test_a_removal_that_was_cut_off_goes_on_later(memory, crashes):
    path = memory / "step-000001"
    for _ in crashes(lambda: path.exists() or fill(path, OLD), lambda: atomic.remove_folder(path)):
        if path.exists():
            assert content_of(path) == OLD
        atomic.clear_leftovers(memory)
        assert names(memory) in ([], ["step-000001"])
    assert names(memory) == []


def test_without_an_exchange_of_names_the_new_folder_stands_all_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(atomic, "swap_rename", lambda one, other: False)
    fill(tmp_path / "weights", OLD)
    fill(tmp_path / "weights", NEW)
    assert content_of(tmp_path / "weights") == NEW
    assert names(tmp_path) == ["weights"]


def test_an_error_while_filling_leaves_what_was_there(tmp_path):
    fill(tmp_path / "weights", OLD)
    with pytest.raises(TypeError):
        fill(tmp_path / "weights", "no bytes")
    assert content_of(tmp_path / "weights") == OLD
    assert names(tmp_path) == ["weights"]


# --- room ----------------------------------------------------------------------------------------


@pytest.mark.process
@pytest.mark.parametrize("limit", [0, 1, 100, 2000, 4095, 6999])
def test_a_file_that_does_not_fit_leaves_the_old_one(tmp_path, without_room, limit):
    path = tmp_path / "value.json"
    path.write_bytes(OLD)
    assert without_room(limit, lambda: atomic.write_bytes(path, NEW)) == errno.ENOSPC
    assert path.read_bytes() == OLD
    assert names(tmp_path) == ["value.json"]


@pytest.mark.process
def test_a_folder_that_does_not_fit_leaves_the_old_one(tmp_path, without_room):
    fill(tmp_path / "weights", OLD)
    for limit in (0, 200, 1600, 3000, 6999):
        assert without_room(limit, lambda: fill(tmp_path / "weights", NEW)) == errno.ENOSPC, limit
        assert content_of(tmp_path / "weights") == OLD
        assert names(tmp_path) == ["weights"]


@pytest.fixture
def small_disk(tmp_path):
    """A real file system of 64 KiB."""
    place = tmp_path / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting is not allowed here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.mark.process
def test_a_full_file_system_leaves_old_or_new_at_every_size(small_disk):
    path = small_disk / "weights"
    full = 0
    for padding in range(0, 50_001, 2500):
        for each in small_disk.iterdir():
            shutil.rmtree(each) if each.is_dir() else each.unlink()
        fill(path, OLD)
        atomic.write_bytes(small_disk / "padding", bytes(padding))
        try:
            fill(path, NEW)
        except DiskFull:
            full += 1
            assert names(small_disk) == ["padding", "weights"]
            assert content_of(path) == OLD
        else:
            assert content_of(path) == NEW
    assert 3 <= full <= 18


# --- what is not ours ----------------------------------------------------------------------------


def test_only_our_own_folders_are_removed(tmp_path):
    foreign, mine = tmp_path / "photos", tmp_path / "weights"
    foreign.mkdir()
    (foreign / "holiday.jpg").write_bytes(b"sea")
    fill(mine, OLD)
    link = tmp_path / "link"
    link.symlink_to(mine)
    for path in (foreign, link):
        with pytest.raises(CannotWrite):
            atomic.remove_folder(path)
    with pytest.raises(CannotWrite), atomic.whole_folder(foreign) as folder:
        (folder / "weights.bin").write_bytes(NEW)
    assert (foreign / "holiday.jpg").read_bytes() == b"sea"
    atomic.remove_folder(mine)
    assert names(tmp_path) == ["link", "photos"]


def test_leftovers_of_others_stay(tmp_path):
    foreign = tmp_path / ".trash-of-the-desktop"
    foreign.mkdir()
    (foreign / "letter.txt").write_text("dear")
    atomic.clear_leftovers(tmp_path)
    assert (foreign / "letter.txt").exists()


@pytest.mark.parametrize("name", ["..", "a/b", "", ".hidden", "가", "x" * 81, "a b", "a\n"])
def test_names_that_could_lead_elsewhere_are_refused(name):
    with pytest.raises(BadData):
        atomic.checked_name(name)

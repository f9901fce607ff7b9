"""Whatever a user names is read as text or named for what it is, with the command that helps."""

import gzip
import hashlib
import os
import subprocess
import threading
import zipfile
from pathlib import Path

import pytest

from yoyak import messages
from yoyak.data.rows import read_rows
from yoyak.data.text_file import read_text_file
from yoyak.errors import BadData, InputMissing

OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
TEXT = "fname,summary\na,첫째 요약입니다.\n"


def workbook(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("xl/workbook.xml", "<workbook/>")
    return path.read_bytes()


def zipped(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("train.csv", TEXT)
        archive.writestr("dev.csv", TEXT)
    return path.read_bytes()


@pytest.mark.parametrize(
    ("content", "key", "says"),
    [
        (workbook, "data.excel", "CSV UTF-8"),
        (zipped, "data.archive", "train.csv, dev.csv"),
        (lambda path: zipped(path)[:60], "data.broken-archive", "unzip -t"),
        (OLE + "Workbook".encode("utf-16-le"), "data.excel", "CSV UTF-8"),
        (OLE + b"\0" * 8, "data.binary", "HWP"),
        (b"\x89PNG\r\n\x1a\n", "data.binary", "PNG"),
        (gzip.compress(TEXT.encode(), mtime=0), "data.compressed", "gzip -dc"),
        (b"BZh91AY", "data.compressed", "bzip2 -dc"),
        (b"PAR1\x15\x04", "data.binary-table", "read_parquet"),
        (b"%PDF-1.7", "data.binary", "PDF"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
            "data.pointer",
            "git lfs pull",
        ),
        (b"/annex/objects/SHA256E-s12--4d7a.csv\n", "data.pointer", "git annex get"),
        (b"\n<!DOCTYPE html><html lang=ko>", "data.web-page", "logged in"),
        (b"", "data.empty-file", "empty"),
        ("\ufeff\r\n \n".encode(), "data.empty-file", "empty"),
    ],
)
def test_what_is_no_text_is_named_with_the_next_command(file, tmp_path, content, key, says):
    written = content if isinstance(content, bytes) else content(tmp_path / "made")
    path = file("dev.csv", written)
    with pytest.raises(BadData) as caught:
        read_text_file(path)
    assert caught.value.key == key
    assert says in str(caught.value)
    for language in messages.LANGUAGES:
        with messages.speaking(language):
            assert str(path) in str(caught.value)
            assert " → " in str(caught.value)


@pytest.mark.process
def test_the_command_for_a_compressed_file_makes_it_readable(file):
    path = file("내 dev.csv.gz", gzip.compress(TEXT.encode()))
    with pytest.raises(BadData) as caught:
        read_text_file(path)
    subprocess.run(str(caught.value).split(" → ")[1], shell=True, check=True)
    assert read_text_file(path.with_suffix("")).text == TEXT


def test_a_folder_is_named_with_at_most_ten_of_its_files(tmp_path):
    for number in range(12):
        (tmp_path / f"{number:02}.csv").touch()
    with pytest.raises(InputMissing, match=r"is a folder.*09\.csv, … \(\+2\)"):
        read_text_file(tmp_path)


def test_a_device_is_not_read():
    with pytest.raises(BadData, match="device"):
        read_text_file(Path("/dev/zero"))


def test_a_pipe_is_read_once_and_hashed_as_it_was_read(tmp_path):
    pipe = tmp_path / "pipe.csv"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(TEXT.encode(),))
    writer.start()
    first = read_rows(pipe)
    writer.join()
    assert first.sha256 == hashlib.sha256(TEXT.encode()).hexdigest()
    assert read_rows(pipe) == first, "nobody writes any more: the content was kept"

"""``contest.toml``: nothing is limited without it, and a mistake is named with file and key."""

from datetime import UTC, datetime, timedelta

import pytest

from yoyak import messages
from yoyak.data.contest import Contest, contest_of, read_contest
from yoyak.data.corpus import split_file
from yoyak.errors import BadData, InputMissing


def write(folder, text):
    (folder / "contest.toml").write_text(text, encoding="utf-8")
    return folder


def test_without_a_file_nothing_is_limited(tmp_path):
    contest = read_contest(tmp_path)
    assert contest == Contest()
    assert (contest.uploads_per_day, contest.time_zone, contest.closes_at) == (None, None, None)
    assert contest.forbidden_sources == ()
    assert not contest.forbid_test_in_training


def test_what_is_written_is_read(tmp_path):
    contest = read_contest(
        write(
            tmp_path,
            'uploads_per_day = 12\nutc_offset = "+09:00"\ncloses_at = 2025-10-15T19:00:00+09:00\n'
            'forbidden_sources = ["dialog sum"]\nforbid_test_in_training = true\n',
        )
    )
    assert contest.uploads_per_day == 12
    assert contest.time_zone.utcoffset(None) == timedelta(hours=9)
    assert contest.closes_at == datetime(2025, 10, 15, 10, tzinfo=UTC)
    assert contest.forbidden_sources == ("dialog sum",)
    assert contest.forbid_test_in_training


def test_columns_are_declared_by_name(tmp_path):
    contest = read_contest(write(tmp_path, '[columns]\nid = "no"\nsummary = ["a", "b"]\n'))
    assert contest.columns is not None
    assert (contest.columns.id, contest.columns.dialogue) == ("no", None)
    assert contest.columns.summaries == ("a", "b")
    [one] = read_contest(write(tmp_path, '[columns]\nsummary = "a"\n')).columns.summaries
    assert one == "a"


@pytest.mark.parametrize("language", messages.LANGUAGES)
@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("upload_per_day = 12", "upload_per_day"),
        ('uploads_per_day = 0\nutc_offset = "+09:00"', "uploads_per_day"),
        ("uploads_per_day = 12", "utc_offset"),
        ('uploads_per_day = "12"', "uploads_per_day"),
        ('utc_offset = "KST"', "utc_offset"),
        ("closes_at = 2025-10-15T19:00:00", "closes_at"),
        ('forbidden_sources = "dialog sum"', "forbidden_sources"),
        ('forbidden_sources = [" - "]', "forbidden_sources"),
        ("= 12", "line 1"),
        ("[columns]\nsummary = 3", "columns.summary"),
        ('[columns]\nid = "a"\nsummary = ["a"]', "'a' twice"),
        ('[columns]\nfname = "a"', "fname"),
    ],
)
def test_a_mistake_is_refused_with_file_and_key(tmp_path, text, key, language):
    with messages.speaking(language), pytest.raises(BadData) as caught:
        read_contest(write(tmp_path, text))
    with messages.speaking(language):
        said = str(caught.value)
    assert str(tmp_path / "contest.toml") in said
    assert key in said.partition("→")[0]
    assert caught.value.exit_code == 65


def test_another_encoding_is_refused_and_not_guessed(tmp_path):
    (tmp_path / "contest.toml").write_bytes('forbidden_sources = ["대화"]'.encode("cp949"))
    with pytest.raises(BadData, match=r"contest\.toml.*looks like cp949"):
        read_contest(tmp_path)
    (tmp_path / "contest.toml").write_bytes("\ufeffuploads_per_day = 3".encode())
    with pytest.raises(BadData, match="utc_offset"):
        read_contest(tmp_path)


def test_declared_files_are_the_splits_and_a_missing_one_is_named(tmp_path):
    (tmp_path / "raw").mkdir()
    write(tmp_path, '[files]\ndev = "raw/valid.csv"\n')
    with pytest.raises(InputMissing, match=r"valid\.csv"):
        split_file(tmp_path, "dev")
    (tmp_path / "raw/valid.csv").write_text("x", encoding="utf-8")
    (tmp_path / "dev.csv").write_text("x", encoding="utf-8")
    assert split_file(tmp_path, "dev") == tmp_path / "raw/valid.csv"
    assert contest_of(tmp_path / "raw/valid.csv") == read_contest(tmp_path)
    assert contest_of(tmp_path / "raw/other.csv") is None
    assert contest_of(tmp_path / "test.csv") == read_contest(tmp_path)

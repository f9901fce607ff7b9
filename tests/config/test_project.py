"""``yoyak.toml``: every default without it, and no limit that could never fire."""

import pytest

from yoyak.config.project import Project, ResourceLimits, read_project
from yoyak.errors import BadRecipe


def write(folder, text):
    (folder / "yoyak.toml").write_text(text, encoding="utf-8")
    return folder


def test_without_a_file_every_default_holds(tmp_path):
    assert read_project(tmp_path) == Project()
    assert read_project(tmp_path).limits == ResourceLimits(disk_used_gb=None, disk_free_gb=2.0)


def test_what_is_written_is_read(tmp_path):
    project = read_project(
        write(
            tmp_path,
            "[data]\nfolder = '자료'\n[workspace]\nfolder = 'runs'\n"
            "[limits]\ndisk_used_gb = 150\n[recipes.kobart.train]\nepochs = 3\n",
        )
    )
    assert (project.data.folder, project.workspace.folder) == ("자료", "runs")
    assert project.limits.disk_used_gb == 150
    assert project.layers == {"recipes": {"kobart": {"train": {"epochs": 3}}}}


@pytest.mark.parametrize(
    "text",
    [
        "[limits]\ndisk_usd_gb = 150",
        "[limits]\ndisk_free_gb = nan",
        "[limits]\ndisk_used_gb = inf",
        "[limits]\nram_free_gb = -1",
        "[limits]\ndisk_free_gb = '2 GB'",
        "[limits",
        "colour = 'red'",
    ],
)
def test_a_mistake_is_refused_by_file_and_place(tmp_path, text):
    with pytest.raises(BadRecipe, match=r"yoyak\.toml") as caught:
        read_project(write(tmp_path, text))
    assert caught.value.exit_code == 78


def test_another_encoding_is_refused_and_not_guessed(tmp_path):
    (tmp_path / "yoyak.toml").write_bytes("[data]\nfolder = '자료'".encode("cp949"))
    with pytest.raises(BadRecipe, match=r"yoyak\.toml"):
        read_project(tmp_path)


def test_the_highest_priority_goes_first_and_equals_as_they_were_named(tmp_path):
    (tmp_path / "yoyak.toml").write_text(
        '[lineup]\nrecipes = ["a", "b"]\npriority = { c = 5, b = -1 }\n', encoding="utf-8"
    )
    lineup = read_project(tmp_path).lineup
    assert lineup.recipes == ("a", "b")
    assert lineup.in_order(["b", "a", "my/c.toml", "d"]) == ("my/c.toml", "a", "d", "b")

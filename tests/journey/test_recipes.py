"""What the command line says about settings and recipes of other names."""

import os

import pytest


@pytest.fixture
def mine(yoyak):
    """A recipe with a Korean name and spaces, and settings as transformers names them."""
    path = yoyak.folder / "우리 요약.toml"
    path.write_text(
        'extends = "lead"\n[train]\nbatch_rows = 4\nnum_train_epochs = 1\n', encoding="utf-8"
    )
    return path.name


@pytest.mark.parametrize("verb", ["show", "plan", "check", "run"])
def test_each_former_setting_is_named_once_with_its_file(yoyak, mine, data, verb):
    given = () if verb == "show" else ("--data", data)
    done = yoyak(verb, mine, *given, check=False)
    lines = done.stderr.splitlines()
    assert lines.count(f"train.batch_rows is now train.batch_size (in {mine})") == 1
    assert lines.count(f"train.num_train_epochs is now train.epochs (in {mine})") == 1
    assert "is now" not in done.stdout


def test_it_is_said_in_korean_as_well(yoyak, mine):
    said = yoyak("--lang", "ko", "show", mine).stderr
    assert f"train.batch_rows의 이름은 이제 train.batch_size입니다 ({mine})" in said


def test_a_recipe_of_a_korean_name_runs(yoyak, mine, data):
    yoyak("run", mine, "--data", data)
    assert "우리 요약" in yoyak("status").stdout
    (run,) = (yoyak.folder / "workspace" / "runs").iterdir()
    assert run.name.isascii()


def test_a_wrong_recipe_beside_a_right_one_leaves_nothing(yoyak, data):
    (yoyak.folder / "bad.toml").write_text('extends = "lead"\n[train]\nepochs = -1\n', "utf-8")
    done = yoyak("run", "lead", "bad.toml", "--data", data, check=False)
    assert done.returncode == 78
    assert "bad.toml" in done.stderr
    assert not (yoyak.folder / "workspace" / "runs").exists()


@pytest.mark.parametrize("option", ["--workspace", "--data"])
def test_a_folder_whose_name_is_not_utf_8_is_refused_before_anything_is_written(yoyak, option):
    name = os.fsdecode(b"w\xff")
    done = yoyak("run", "lead", option, name, check=False)
    assert done.returncode == 2
    assert r"w\xff is not UTF-8" in done.stderr
    assert list(yoyak.folder.iterdir()) == []


def test_the_next_command_for_a_recipe_in_a_file_is_one_that_works(yoyak, data):
    (yoyak.folder / "pko.toml").write_text('extends = "tiny-bart"\n', encoding="utf-8")
    (yoyak.folder / "yoyak.toml").write_text("[limits]\ndisk_free_gb = 1e9\n", encoding="utf-8")
    stop = ("run", "./pko.toml", "--data", data, "--skip-plan")
    stopped = yoyak.in_a_process(*stop, check=False)
    assert stopped.returncode == 74, stopped.stderr
    assert "yoyak run ./pko.toml" in yoyak("status").stdout
    (yoyak.folder / "yoyak.toml").unlink()
    yoyak("run", "./pko.toml", "--set", "engine=lead", "--set", "model.scratch=none")

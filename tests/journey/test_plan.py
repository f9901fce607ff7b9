"""``yoyak plan`` keeps to the limits of yoyak.toml and names its exit code."""

import shutil

import pytest


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        # Three bases in 40 GB: the disk's own room does not matter, --disk-gb stands for it.
        ("", 74),
        ("prune_hub = true", 0),
    ],
)
def test_purging_decides_over_forty_gigabytes(yoyak, data, limits, code):
    (yoyak.folder / "yoyak.toml").write_text(f"[limits]\n{limits}\n", encoding="utf-8")
    words = ("plan", "qwen3-4b", "qwen25-7b", "llama3-ko-8b", "--card", "RTX 3090")
    done = yoyak(*words, "--disk-gb", "40", "--data", data, check=False)
    assert done.returncode == code, done.stderr
    assert ("base model removed" in done.stdout) is (code == 0)


def test_an_absolute_limit_of_the_disk_refuses_what_the_disk_would_hold(yoyak, data):
    used = shutil.disk_usage(yoyak.folder).used / 1e9
    (yoyak.folder / "yoyak.toml").write_text(
        f"[limits]\ndisk_used_gb = {used + 3:.1f}\ndisk_free_gb = 0\n", encoding="utf-8"
    )
    done = yoyak("plan", "qwen3-4b", "--card", "RTX 3090", "--data", data, check=False)
    assert done.returncode == 74, done.stderr
    assert "are available" in done.stderr


@pytest.fixture
def large(yoyak):
    """A recipe that needs what an 8B needs, by its settings, and answers at once all the same."""
    path = yoyak.folder / "large.toml"
    path.write_text('extends = "llama3-ko-8b"\nengine = "lead"\n', encoding="utf-8")
    return path.name


@pytest.fixture
def room(yoyak, monkeypatch, data):
    """Sets data and how many GB more the disk may hold, in yoyak.toml; the hub's cache is empty."""
    monkeypatch.setenv("HF_HUB_CACHE", str(yoyak.folder / "hub"))

    def leave(gb: float) -> None:
        used = shutil.disk_usage(yoyak.folder).used / 1e9
        limits = f"[limits]\ndisk_used_gb = {used + gb:.2f}\ndisk_free_gb = 0\n"
        text = f'{limits}[data]\nfolder = "{data}"\n'
        (yoyak.folder / "yoyak.toml").write_text(text, encoding="utf-8")

    return leave


def events(yoyak):
    return [
        line.split('"')[3]
        for path in sorted((yoyak.folder / "workspace" / "runs").glob("*/events.jsonl"))
        for line in path.read_text("utf-8").splitlines()
    ]


def test_three_bases_in_forty_gigabytes_are_refused_before_anything_starts(yoyak, room):
    room(40)
    done = yoyak.in_a_process("run", "qwen3-4b", "qwen25-7b", "llama3-ko-8b", check=False)
    assert done.returncode == 74, done.stderr
    assert "8.0 + 15.2 + 16.1" in done.stderr
    assert "prune_hub = true" in done.stderr
    assert "yoyak run --skip-plan" in done.stderr
    assert events(yoyak) == [], "no run was created"
    assert not (yoyak.folder / "hub").exists()
    assert not (yoyak.folder / "workspace" / "report").exists()


def test_whoever_knows_better_starts_all_the_same(yoyak, room, large):
    room(10)
    assert yoyak("run", large, check=False).returncode == 74
    assert events(yoyak) == []
    assert "--skip-plan" in yoyak("run", large, "--unplanned").stderr, "the old name says the new"
    assert "finished" in events(yoyak)
    # What is done needs no room, so nobody is asked whether there is some.
    assert "already done" in yoyak("run", large).stderr


def test_a_gpu_that_is_too_small_is_refused_with_the_parts_of_its_memory(
    yoyak, room, large, fake_gpus
):
    fake_gpus({"name": "Tesla T4", "capability": (7, 5), "memory": (4096, 100)})
    room(100)
    done = yoyak("run", large, check=False)
    assert done.returncode == 69, done.stderr
    assert "5.7 weights" in done.stderr
    assert events(yoyak) == []


@pytest.mark.parametrize("verb", ["plan", "run"])
def test_a_base_folder_that_does_not_exist_is_an_error_before_anything_starts(yoyak, data, verb):
    (yoyak.folder / "mine.toml").write_text(
        'extends = "qwen3-4b"\nengine = "lead"\nmodel.base = "./gone"\n', encoding="utf-8"
    )
    done = yoyak(verb, "mine.toml", "--data", data, check=False)
    assert done.returncode == 66, done.stderr
    assert "./gone" in done.stderr
    assert "--set model.base" in done.stderr
    assert "started" not in events(yoyak)

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
def test_purging_decides_over_forty_gigabytes(yoyak, limits, code):
    (yoyak.folder / "yoyak.toml").write_text(f"[limits]\n{limits}\n", encoding="utf-8")
    words = ("plan", "qwen3-4b", "qwen25-7b", "llama3-ko-8b", "--card", "RTX 3090")
    done = yoyak(*words, "--disk-gb", "40", check=False)
    assert done.returncode == code, done.stderr
    assert ("the base goes" in done.stdout) is (code == 0)


def test_an_absolute_limit_of_the_disk_refuses_what_the_disk_would_hold(yoyak):
    used = shutil.disk_usage(yoyak.folder).used / 1e9
    (yoyak.folder / "yoyak.toml").write_text(
        f"[limits]\ndisk_used_gb = {used + 3:.1f}\ndisk_free_gb = 0\n", encoding="utf-8"
    )
    done = yoyak("plan", "qwen3-4b", "--card", "RTX 3090", check=False)
    assert done.returncode == 74, done.stderr
    assert "may be taken" in done.stderr

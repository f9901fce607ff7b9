"""The shells complete verbs, options, recipes, settings and protocols."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from yoyak.cli import completion, main
from yoyak.config import load


def completed(capsys, monkeypatch, words: str) -> list[str]:
    """What bash offers after ``words``, asked as its script asks."""
    monkeypatch.setenv("_YOYAK_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(len(words.split(" ")) - 1))
    with pytest.raises(SystemExit):
        main([])
    return capsys.readouterr().out.split()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("yoyak sc", ["score", "screen"]),
        ("yoyak score --proto", ["--protocol"]),
        ("yoyak run tiny", ["tiny-bart", "tiny-qlora"]),
        ("yoyak doctor lead exa", ["exaone4-1.2b"]),
        ("yoyak plan --set train.lab", ["train.label_smoothing="]),
        ("yoyak score --protocol official", ["official", "official-max"]),
    ],
)
def test_what_a_user_begins_to_type_is_completed(capsys, monkeypatch, words, expected):
    assert completed(capsys, monkeypatch, words) == expected


def test_a_completed_setting_can_be_set():
    for offered in completion.setting_names("decode.num_beams"):
        recipe = load.resolve("tiny-bart", sets=[f"{offered}2"]).recipe
        assert recipe.decode.num_beams == 2


SHELLS = {
    "bash": (
        'eval "$(_YOYAK_COMPLETE=source_bash yoyak)"; COMP_WORDS=(yoyak run tiny); COMP_CWORD=2; '
        '_yoyak_completion yoyak; printf "%s\\n" "${COMPREPLY[@]}"'
    ),
    "fish": '_YOYAK_COMPLETE=source_fish yoyak | source; complete -C "yoyak run tiny"',
    "zsh": (
        'eval "$(_YOYAK_COMPLETE=source_zsh yoyak | grep -v ^compdef)"; '
        "compadd() { :; }; _describe() { :; }; _arguments() { print -l ${*[-1]//[^a-z -]/ }; }; "
        "words=(yoyak run tiny); CURRENT=3; _yoyak_completion"
    ),
}
"""What each shell does with the script that docs/install.md tells to install."""


@pytest.mark.process
@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_of_the_shell_completes(shell):
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [shell, "-c", SHELLS[shell]],
        capture_output=True, text=True, check=False, timeout=60, env={**os.environ, "PATH": path},
    )  # fmt: skip
    assert {"tiny-bart", "tiny-qlora"} <= set(done.stdout.split()), done.stderr

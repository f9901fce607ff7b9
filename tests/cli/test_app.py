"""Every verb can be loaded by its name, in both languages, and the old words still work."""

import os
import subprocess
import sys

import pytest

from yoyak import messages
from yoyak.cli import main
from yoyak.cli.app import ALIASES, VERBS, load_verb


@pytest.mark.parametrize("verb", [*VERBS, *ALIASES])
def test_every_verb_has_help(verb, capsys):
    with pytest.raises(SystemExit) as ended:
        main([verb, "--help"])
    assert not ended.value.code
    assert f"Usage: yoyak {verb}" in capsys.readouterr().out


def test_help_lists_every_verb_once_and_no_alias(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    listed = [
        line.split()[0]
        for line in capsys.readouterr().out.split("Commands:")[1].splitlines()
        if line
    ]
    assert listed == list(VERBS)


def test_doctor_is_check():
    with messages.speaking("en"):
        assert load_verb("doctor").callback.__wrapped__ is load_verb("check").callback.__wrapped__


def test_a_mistyped_verb_is_a_usage_error_with_a_suggestion(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["sumbit"])
    assert ended.value.code == 2
    assert "'submit'" in capsys.readouterr().err


def test_an_unknown_language_is_a_usage_error(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--lang", "fr", "status"])
    assert ended.value.code == 2
    assert "ko" in capsys.readouterr().err


@pytest.mark.process
@pytest.mark.parametrize("encoding", ["ascii", "cp949", "euc_kr"])
def test_output_in_any_encoding_ends_in_no_traceback(encoding, tmp_path):
    """Signs that an encoding lacks are written as escapes."""
    done = subprocess.run(
        [sys.executable, "-m", "yoyak", "--lang", "ko", "status"],
        cwd=tmp_path, capture_output=True, check=False, timeout=60,
        env={**os.environ, "PYTHONIOENCODING": encoding},
    )  # fmt: skip
    assert done.returncode == 0
    assert done.stderr == b""
    assert b"\\u" in done.stdout if encoding == "ascii" else "실행".encode(encoding) in done.stdout


def test_no_word_shows_the_help_and_no_traceback(capsys):
    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code in {0, 2}
    assert "Usage: yoyak" in "".join(capsys.readouterr())

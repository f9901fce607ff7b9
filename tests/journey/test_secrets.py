"""Secrets planted wherever a user may have them come out in no byte: said, drawn or stored."""

import pytest

SHAPED = "hf_" + "Zz9" * 10
"""A secret by its shape."""
PLAIN = "quite-plain-words"
"""A secret only because a variable called so holds it."""

ENGINE = f"""
import os
from yoyak.engine.backends.lead import Lead

class Leaky(Lead):
    def train(self, job):
        print("logging in with", os.environ["DOUBLES_TOKEN"], "{SHAPED}", flush=True)
        raise RuntimeError("could not log in as {SHAPED} with " + os.environ["DOUBLES_TOKEN"])
"""


@pytest.fixture
def bytes_of(yoyak, monkeypatch):
    """Runs a command with the secrets in its environment; all that it said and left behind."""
    (yoyak.folder / "leaky.py").write_text(ENGINE, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(yoyak.folder), prepend=":")
    monkeypatch.setenv("DOUBLES_TOKEN", PLAIN)
    monkeypatch.setenv("HF_TOKEN", SHAPED)

    def call(*words, code):
        done = yoyak.in_a_process(*words, check=False)
        assert done.returncode == code, done.stderr
        return done.stdout.encode() + done.stderr.encode() + left_behind(yoyak.folder)

    return call


def left_behind(folder):
    """The bytes of every file of the workspace."""
    files = [path for path in (folder / "workspace").rglob("*") if path.is_file()]
    return b"".join(path.read_bytes() for path in files)


def assert_clean(found):
    assert SHAPED.encode() not in found
    assert PLAIN.encode() not in found


def test_what_a_library_prints_and_raises_is_redacted_everywhere(yoyak, bytes_of, data):
    recipe = yoyak.folder / "leaky.toml"
    recipe.write_text('extends = "lead"\nengine = "leaky:Leaky"\n', encoding="utf-8")
    found = bytes_of("run", "leaky.toml", "--data", data, code=70)
    assert b"could not log in" in found
    assert b"logging in with [redacted] [redacted]" in found
    assert_clean(found)
    for words in (("report",), ("status", "--json")):
        said = yoyak(*words)
        assert_clean(said.stdout.encode() + said.stderr.encode())
    assert_clean(left_behind(yoyak.folder))


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("run", SHAPED), 78),
        (("run", "lead", "--set", f"about={SHAPED}"), 78),
        (("run", "lead", "--set", f"train.epochs={SHAPED}"), 78),
        (("run", "lead", "--set", f"{PLAIN}=1"), 78),
        (("run", "lead", "--data", f"no/{SHAPED}"), 66),
        (("show", "lead", "--set", "name=a", "--set", f"about={SHAPED}", "--json"), 0),
        (("check", SHAPED), 78),
    ],
)
def test_what_a_user_types_by_mistake_is_not_said_again(yoyak, monkeypatch, words, code):
    monkeypatch.setenv("HF_TOKEN", SHAPED)
    monkeypatch.setenv("DOUBLES_TOKEN", PLAIN)
    said = yoyak(*words, check=False)
    assert said.returncode == code
    assert_clean(said.stdout.encode() + said.stderr.encode() + left_behind(yoyak.folder))


def assert_refused(yoyak, *words):
    said = yoyak(*words, check=False)
    assert said.returncode == 78
    assert_clean(said.stdout.encode() + said.stderr.encode() + left_behind(yoyak.folder))


def test_a_secret_in_the_project_file_is_refused_and_not_shown(yoyak):
    (yoyak.folder / "yoyak.toml").write_text(f'[recipes.lead]\nabout = "{SHAPED}"\n', "utf-8")
    assert_refused(yoyak, "run", "lead")
    (yoyak.folder / "yoyak.toml").write_text(f'[limits]\ndisk_free_gb = "{SHAPED}"\n', "utf-8")
    assert_refused(yoyak, "run", "lead")
    (yoyak.folder / "yoyak.toml").write_text(f"[limits]\n{SHAPED} = 1\n", "utf-8")
    assert_refused(yoyak, "status")

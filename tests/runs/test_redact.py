"""Secrets in no byte that is written down, and nothing else lost."""

import pytest

from yoyak.events import BackendParityChecked, CheckResult, Failed, PreflightPassed, Warned
from yoyak.runs.redact import HIDDEN, redact, redact_event, redact_words

# Put together here, so that no file of ours looks as if it held a secret.
SECRETS = {
    "hub": "hf_" + "aB3" * 11,
    "git": "ghp_" + "x1Y" * 12,
    "fine-grained git": "github_pat_" + "11AA_" * 8,
    "model service": "sk-" + "proj-" + "z9" * 14,
    "cloud": "AKIA" + "Q7" * 8,
}


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS)
@pytest.mark.parametrize(
    "around", ["{}", "token={},", '"{}"', "로그인 {} 실패", "({})", "a\n{}\nb"]
)
def test_a_secret_is_hidden_by_its_shape_wherever_it_stands(secret, around):
    said = redact(around.format(secret))
    assert secret not in said
    assert HIDDEN in said


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("https://somebody:pass-word@host/repo", "pass-word"),
        ("WANDB_API_KEY=" + "0a" * 20, "0a" * 20),
        ("Authorization: Bearer " + "abcd" * 6, "abcd" * 6),
        ("aws_secret_access_key = " + "Ab1/" * 10, "Ab1/" * 10),
    ],
)
def test_a_secret_is_hidden_by_what_stands_before_it(text, secret):
    assert secret not in redact(text)


def test_what_the_environment_calls_a_secret_is_hidden_whatever_its_shape(monkeypatch):
    monkeypatch.setenv("TRACKER_TOKEN", "plain words 12")
    monkeypatch.setenv("TRACKER_TOKEN_LONGER", "plain words 12 and more")
    monkeypatch.setenv("SHORT_KEY", "no")
    said = redact("it said: plain words 12 and more; plain words 12; no")
    assert said == f"it said: {HIDDEN}; {HIDDEN}; no"


@pytest.mark.parametrize(
    "text",
    [
        "prompt.max_source_tokens=768 train.seed=42",
        "commit 8b0ed98c4c1b2f0e9c9d8e7f6a5b4c3d2e1f0a9b",
        "#Person1#은 열쇠(key)를 찾았고 #Person2#는 기뻐했다.",
        "https://host/path?x=1 and a@b.example",
        "--max-new-tokens 48",
        "stop_token at step 12",
    ],
)
def test_what_is_no_secret_stays(text):
    assert redact(text) == text


def test_redacting_twice_changes_nothing_more():
    once = redact(" ".join(SECRETS.values()))
    assert redact(once) == once


def test_a_command_line_keeps_its_words():
    words = (
        "yoyak",
        "run",
        "--set",
        "prompt.system=두 단어",
        "",
        "--token",
        "geheim",
        "--api-key=x1",
    )
    assert redact_words(words) == (
        "yoyak", "run", "--set", "prompt.system=두 단어", "", "--token", HIDDEN,
        f"--api-key={HIDDEN}",
    )  # fmt: skip


def test_events_say_no_secret_and_keep_the_rest():
    secret = SECRETS["hub"]
    failed = redact_event(Failed(at=1.0, kind="x", message=f"a {secret}", trace=f"b {secret}"))
    assert (failed.message, failed.trace) == (f"a {HIDDEN}", f"b {HIDDEN}")
    warned = redact_event(Warned(at=1.0, key="queue.silent", fields={"minutes": secret}))
    assert warned.fields == {"minutes": HIDDEN}
    broke = {"kind": "OSError", "problem": f"401 for {secret}"}
    line = CheckResult(name="rehearsal", passed=False, key="engine.found-breakdown", fields=broke)
    said = (
        redact_event(PreflightPassed(at=1.0, checks=(line,))),
        redact_event(BackendParityChecked(at=1.0, check=line)),
    )
    assert [said[0].checks[0].found, said[1].check.found] == [
        f"broke off with OSError: 401 for {HIDDEN}"
    ] * 2

"""Secrets in no byte that is written down, and nothing else lost."""

import json
from urllib.parse import quote

import pytest

from yoyak.events import (
    BackendParityChecked,
    CheckResult,
    DataAudited,
    DataFinding,
    Failed,
    PreflightCheck,
    PreflightPassed,
    Warned,
)
from yoyak.runs.redact import HIDDEN, redact, redact_event, redact_words, secret_line
from yoyak.values import Severity

# Put together here, so that no file of ours looks as if it held a secret.
SECRETS = {
    "hub": "hf_" + "aB3" * 11,
    "git": "ghp_" + "x1Y" * 12,
    "fine-grained git": "github_pat_" + "11AA_" * 8,
    "model service": "sk-" + "proj-" + "z9" * 14,
    "cloud": "AKIA" + "Q7" * 8,
    "GitLab": "glpat-" + "a_B-" * 5,
    "Google": "AIza" + "Sy_-9" * 7,
    "Google OAuth": "ya29." + "a0Af" * 8,
    "Slack": "xoxb-" + "12345-" * 4,
    "npm": "npm_" + "aB3" * 12,
    "PyPI": "pypi-" + "AgEI" * 10,
    "JWT": "eyJ" + "hbGc" * 5 + ".eyJ" + "zdWI" * 5 + "." + "x-_9" * 8,
    "W&B": "wandb_v1_" + "aB3" * 20,
    "PEM": "-----BEGIN RSA " + "PRIVATE KEY-----\nMIIE\n" + "-----END RSA PRIVATE KEY-----",
}


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS)
@pytest.mark.parametrize(
    "around", ["{}", "token={},", '"{}"', "로그인 {} 실패", "토큰은{}입니다", "({})", "a\n{}\nb"]
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
        ("Authorization: Basic " + "dXNlcjpw" * 2 + "==", "dXNlcjpw"),
        ("password=hunter22", "hunter22"),
        ("MYSQL_ROOT_PASSWORD: hunter22", "hunter22"),
        ("https://host/?a=1&access_token=abcd1234&b=2", "abcd1234"),
        ('{"api_key": "abcd-1234"}', "abcd-1234"),
        ('{\\"client_secret\\": \\"abcd-1234\\"}', "abcd-1234"),
        ("machine api.wandb.ai login user password " + "0a" * 20, "0a" * 20),
        ("비밀번호는password=hunter22입니다", "hunter22"),
        ("https://hooks.slack.com/services/T0/B0/" + "x1" * 12, "x1" * 12),
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
        "eos_token=</s> pad_token: <pad>",
        "basic characterization of the bearer of news",
        "author: tokenizers_parallelism=false, key=value",
        "-----BEGIN CERTIFICATE-----",
    ],
)
def test_what_is_no_secret_stays(text):
    assert redact(text) == text


@pytest.mark.parametrize(
    "name", ["PGPASSWORD", "DB_PWD", "SSHPASS", "BASIC_AUTH", "GPG_PASSPHRASE"]
)
def test_a_variable_of_a_password_s_name_is_a_secret(monkeypatch, name):
    monkeypatch.setenv(name, "plain words 12")
    assert redact("it said: plain words 12") == f"it said: {HIDDEN}"


@pytest.mark.parametrize("name", ["PWD", "OLDPWD", "SSH_AUTH_SOCK", "MONKEYS"])
def test_a_variable_of_another_name_is_none(monkeypatch, name):
    monkeypatch.setenv(name, "plain words 12")
    assert redact("plain words 12") == "plain words 12"


def test_a_secret_variable_is_hidden_in_json_and_in_addresses(monkeypatch):
    secret = 'a "quoted" 비밀\\'
    monkeypatch.setenv("TRACKER_TOKEN", secret)
    for text in (json.dumps(secret), json.dumps(secret, ensure_ascii=False)):
        assert redact(text) == f'"{HIDDEN}"'
    assert redact(f"https://host/?t={quote(secret, safe='')}") == f"https://host/?t={HIDDEN}"


@pytest.mark.parametrize(
    "unit",
    ["-", "-a", "--a ", "api-key", "eyJ-", "eyJa.", "://", "://a:", "password=", "login a ", "a",
     "-----BEGIN PRIVATE KEY-----", "sk-", "wandb-api-key ", "bearer ", "authorization: basic "],
)  # fmt: skip
def test_a_long_text_of_anything_is_redacted_in_linear_time(unit):
    # A quadratic pattern takes minutes for this text, a linear one a moment.
    redact(unit * (200_000 // len(unit)))


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
    warned = redact_event(Warned(at=1.0, key="scheduler.silent", fields={"minutes": secret}))
    assert warned.fields == {"minutes": HIDDEN}
    broke = {"kind": "OSError", "problem": f"401 for {secret}"}
    line = CheckResult(name="rehearsal", passed=False, key="engine.found-breakdown", fields=broke)
    said = (
        redact_event(PreflightPassed(at=1.0, checks=(line,))),
        redact_event(BackendParityChecked(at=1.0, check=line)),
        redact_event(PreflightCheck(at=1.0, check=line)),
    )
    assert [said[0].checks[0].found, said[1].check.found, said[2].check.found] == [
        f"failed with OSError: 401 for {HIDDEN}"
    ] * 3
    finding = DataFinding(name="leak", severity=Severity.WARNING, key="x", fields={"id": secret})
    audited = redact_event(DataAudited(at=1.0, findings=(finding,)))
    assert audited.findings[0].fields == {"id": HIDDEN}


def test_the_first_line_with_a_secret_is_named_by_its_number():
    secret = "hf_" + "a" * 34
    assert secret_line(f"one\n{secret}\nthree\n{secret}") == 2
    assert secret_line("one\ntwo") is None
    assert secret_line("") is None

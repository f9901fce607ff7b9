"""Help pages and usage errors are whole in both languages, and no line is too wide."""

import re
import unicodedata

import pytest
import typer

from yoyak import messages
from yoyak.cli import main
from yoyak.cli.app import VERBS, load_verb
from yoyak.cli.help import translated

TYPER_ENGLISH = re.compile(
    r"Usage|Options|Arguments|Commands|COMMAND|ARGS|Show|Install|required|default|<|>|\blist\["
)


def page(words: list[str], language: str, capsys) -> str:
    with pytest.raises(SystemExit) as ended:
        main(["--lang", language, *words, "--help"])
    assert not ended.value.code
    return capsys.readouterr().out


def pages() -> list[list[str]]:
    """The words of every verb, and of every verb of a group."""
    found: list[list[str]] = [[]]
    for name in VERBS:
        verb = load_verb(name)
        found += [[name], *([name, one] for one in getattr(verb, "commands", {}))]
    return found


@pytest.fixture(autouse=True)
def narrow(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")


@pytest.mark.parametrize("words", pages(), ids=" ".join)
def test_a_korean_page_has_no_english_of_typer(words, capsys):
    """Run in the language of this process: help texts are looked up when modules are imported."""
    shown = page(words, "ko", capsys)
    assert shown.startswith("사용법: yoyak")
    assert "도움말" in shown
    frame = re.sub(r"(?m)^(  \S.*|    .*)$", "", shown)  # what the verb itself says
    assert not TYPER_ENGLISH.search(frame.replace("사용법", "")), frame
    assert not re.search(r"Show this|Install completion|<\w+>|list\[|\[required", shown)


@pytest.mark.parametrize("language", messages.LANGUAGES)
@pytest.mark.parametrize("words", [[], ["run"], ["submit"], ["tune"]], ids=" ".join)
def test_no_line_is_wider_than_the_terminal(words, language, capsys):
    for line in page(words, language, capsys).splitlines():
        columns = sum(1 + (unicodedata.east_asian_width(sign) in "WF") for sign in line)
        assert columns <= 80, line


@pytest.mark.parametrize(
    ("words", "english", "korean"),
    [
        (["run", "--nosuch"], "no option --nosuch", "--nosuch 옵션이 없습니다"),
        (["run", "--set"], "--set needs a value", "--set 옵션에 값이 필요합니다"),
        (["sumbit"], "no command 'sumbit', did you mean 'submit'?", "혹시 'submit'인가요?"),
        (["serve", "--port", "x"], "--port has to be an integer", "--port 값은 정수여야 합니다"),
        (["init", "--hold-out", "90"], "--hold-out is at most 40", "--hold-out 값은 40 이하"),
        (["init", "--hold-out", "0"], "--hold-out is at least 0.1", "--hold-out 값은 0.1 이상"),
        (["predict"], "IN is missing", "IN 값이 없습니다"),
        (["status", "a"], "more arguments than expected: a", "남는 인자가 있습니다: a"),
        (["init", "--preset", "x"], "--preset: one of contest", "--preset: contest"),
    ],
)
def test_a_usage_error_is_said_in_both_languages(words, english, korean, capsys):
    for language, said in (("en", english), ("ko", korean)):
        with pytest.raises(SystemExit) as ended:
            main(["--lang", language, *words])
        assert ended.value.code == 2
        printed = capsys.readouterr().err
        assert said in printed
        assert " --help" in printed or words[-1] == "--set"


def test_without_a_verb_the_page_is_shown(capsys):
    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code == 2
    assert "submit" in capsys.readouterr().err


def test_a_sentence_that_is_not_known_stays():
    assert translated("Something new.") == "Something new."
    assert isinstance(typer.BadParameter("x"), typer.TyperException)

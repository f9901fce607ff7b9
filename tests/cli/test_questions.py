"""Questions: what a person types, and what is taken where there is nobody."""

import builtins

import pytest

from yoyak.cli.questions import Questions
from yoyak.errors import UsageError
from yoyak.messages import speaking

OPTIONS = [("first", 1), ("second", 2)]


@pytest.fixture
def typed(monkeypatch):
    def type_(*answers: str) -> None:
        left = iter(answers)
        monkeypatch.setattr(builtins, "input", lambda: next(left))

    return type_


def test_a_number_chooses_and_nothing_takes_the_default(typed):
    typed("2", "")
    ask = Questions(asks=True)
    assert ask.choose("?", OPTIONS) == 2
    assert ask.choose("?", OPTIONS, default=0) == 1


def test_what_is_no_answer_is_asked_again(typed, capsys):
    typed("0", "3", "two", "", "1")
    assert Questions(asks=True).choose("?", OPTIONS) == 1
    assert capsys.readouterr().err.count("?") == 1


def test_one_option_that_is_the_default_is_no_question(typed):
    typed()
    assert Questions(asks=True).choose("?", [("only", 1)], default=0) == 1


def test_nobody_gets_the_default_or_the_error():
    nobody = Questions(asks=False)
    assert nobody.choose("?", OPTIONS, default=1) == 2
    assert nobody.enter("?", "kept", str.isdigit) == "kept"
    nobody.confirm("?")
    with pytest.raises(UsageError, match="unclear"):
        nobody.choose("?", OPTIONS, unclear=UsageError("cli.bad-lang", known="unclear"))


@pytest.mark.parametrize(("lang", "yes", "no"), [("en", "y", "n"), ("ko", "예", "아니요")])
def test_yes_and_no_in_both_languages(lang, yes, no, typed):
    with speaking(lang):
        typed(yes, "", "y", no)
        ask = Questions(asks=True)
        for _ in range(3):
            ask.confirm("?")
        with pytest.raises(UsageError):
            ask.confirm("?")

"""Korean and English say the same things, and everything that is said exists."""

import re
import string
import tomllib
from pathlib import Path

import pytest

import yoyak
from yoyak import messages

PACKAGE = Path(yoyak.__file__).parent
FILES = sorted(path.stem for path in (PACKAGE / "messages" / "en").glob("*.toml"))
KEY = re.compile(rf'"((?:{"|".join(FILES)})\.[a-z0-9]+(?:-[a-z0-9]+)*)"')


def catalogue(lang: str, file: str) -> dict[str, str]:
    return tomllib.loads((PACKAGE / "messages" / lang / f"{file}.toml").read_text("utf-8"))


def placeholders(sentence: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(sentence) if name is not None}


def test_both_languages_have_the_same_rooms():
    assert sorted(path.stem for path in (PACKAGE / "messages" / "ko").glob("*.toml")) == FILES


@pytest.mark.parametrize("file", FILES)
def test_both_languages_have_the_same_keys_and_placeholders(file):
    english, korean = catalogue("en", file), catalogue("ko", file)
    assert english.keys() == korean.keys()
    unlike = [key for key in english if placeholders(english[key]) != placeholders(korean[key])]
    assert unlike == []


@pytest.mark.parametrize("file", FILES)
def test_korean_is_korean(file):
    hangul = re.compile("[가-힣]")
    english = catalogue("en", file)
    latin_in_english = {
        key for key, text in english.items() if re.search("[a-z]{3} [a-z]{2}", text)
    }
    assert [key for key in latin_in_english if not hangul.search(catalogue("ko", file)[key])] == []


FIXED_PARTICLE = re.compile(
    r"\}['\"]?(?:은|는|이|가|을|를|과|와|으로|로|이라는|라는|이며|이고)(?=[\s,.(:])"
    r"|[은이을와과]\([는가를과와]\)|\([으이]\)"
)


@pytest.mark.parametrize("file", FILES)
def test_a_particle_after_a_placeholder_is_chosen_by_its_value(file):
    """``{name:은}`` chooses; ``{name}은`` would be wrong for half of the values."""
    sentences = catalogue("ko", file)
    assert [key for key, said in sentences.items() if FIXED_PARTICLE.search(said)] == []


def source_keys() -> set[str]:
    return {key for path in PACKAGE.rglob("*.py") for key in KEY.findall(path.read_text("utf-8"))}


def test_every_sentence_that_the_source_names_exists():
    known = {f"{file}.{key}" for file in FILES for key in catalogue("en", file)}
    files = re.compile(r"\.(json|jsonl|toml|csv|js|css)$")
    assert sorted(key for key in source_keys() - known if not files.search(key)) == []


def test_the_language_follows_the_locale(monkeypatch):
    for name in ("YOYAK_LANG", "LC_ALL", "LC_MESSAGES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LANG", "ko_KR.UTF-8")
    with messages.speaking(None):
        assert messages.language() == "ko"
    monkeypatch.setenv("YOYAK_LANG", "en")
    with messages.speaking(None):
        assert messages.language() == "en"


def test_a_recorded_key_never_breaks_a_view():
    assert messages.recorded("queue.slow", {"minutes": "3"}) == messages.text(
        "scheduler.slow", minutes="3"
    )
    assert messages.recorded("moon.phase", {"a": "1", "b": "2"}) == "moon.phase (a=1, b=2)"
    assert messages.recorded("scheduler.slow", {}) == "scheduler.slow"
    assert messages.recorded("../../x.y", {}) == "../../x.y"
    assert messages.recorded("", {}) == ""
    with pytest.raises(KeyError):
        messages.text("scheduler.moon")

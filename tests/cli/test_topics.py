"""Topics are pages of the documentation; a verb's help is the verb's own."""

import sys

import pytest

from yoyak import messages
from yoyak.cli import main, topics
from yoyak.errors import YoyakError


def said(capsys, *words: str) -> str:
    with pytest.raises(SystemExit) as ended:
        main(words)
    captured = capsys.readouterr()
    assert not ended.value.code, captured.err
    return captured.out


@pytest.mark.parametrize("language", messages.LANGUAGES)
def test_the_list_names_every_topic_by_its_title(capsys, language):
    listed = said(capsys, "--lang", language, "help").splitlines()
    assert [line.split()[0] for line in listed if line][: len(topics.TOPICS)] == [*topics.TOPICS]
    assert all(len(line.split()) > 1 for line in listed if line)


@pytest.mark.parametrize("topic", topics.TOPICS)
def test_a_topic_is_its_page_without_what_is_for_programs(capsys, topic):
    shown = {one: said(capsys, "--lang", one, "help", topic) for one in messages.LANGUAGES}
    for page in shown.values():
        assert len(page) > 300
        assert page.startswith("#")
        assert "[[[" not in page
        assert "<!--" not in page


def test_exit_codes_are_those_of_the_errors_and_nothing_else(capsys):
    def kinds(cls: type[YoyakError]) -> set[int]:
        return {cls.exit_code}.union(*map(kinds, cls.__subclasses__()))

    for language in messages.LANGUAGES:
        page = said(capsys, "--lang", language, "help", "exit-codes")
        assert all(f"| {code} |" in page for code in kinds(YoyakError) - {1})
        assert "--install-completion" not in page, "that is of the next section"


def test_decoding_is_one_section_of_the_settings(capsys):
    page = said(capsys, "help", "decoding")
    assert "decode.num_beams" in page
    assert "train.batch_size" not in page


def test_the_help_of_a_verb_is_the_verbs_own(capsys):
    assert said(capsys, "help", "score") == said(capsys, "score", "--help")


def test_what_is_unknown_is_refused_with_the_nearest(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["help", "exit-code"])
    assert ended.value.code == 2
    assert "exit-codes" in capsys.readouterr().err


def test_a_terminal_gets_it_rendered_in_a_pager(capsys, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "dumb")  # pydoc then prints instead of starting a pager
    page = said(capsys, "help", "exit-codes")
    assert "|---|" not in page, "the table is drawn"
    assert "65" in page


def test_a_page_that_is_not_translated_is_shown_in_english(monkeypatch, tmp_path):
    (tmp_path / "metrics.md").write_text("# Metrics\n", encoding="utf-8")
    monkeypatch.setattr(topics, "docs_folder", lambda: tmp_path)
    with messages.speaking("ko"):
        assert topics.read("metric") == "# Metrics\n"

"""A pasted dialogue: read as the contest's files are, and answered by every system that can."""

import sys
from types import ModuleType

import msgspec
import pytest

from yoyak.config import load
from yoyak.data import sample
from yoyak.data.corpus import read_corpus
from yoyak.errors import BadData, Interrupted, RunFailed
from yoyak.events import Finished, Queued
from yoyak.values import Prediction
from yoyak.web import playground

TALK = "#Person1#: 내일 몇 시에 만날까?\n#Person2#: 세 시에 정문에서 보자."


class Echo:
    """Answers with the last turn of what it was given."""

    def generate(self, job):
        for dialogue in job.dialogues:
            text = f"{job.recipe.name}: {dialogue.turns[-1].text}"
            yield Prediction(id=dialogue.id, text=text, raw=text, seconds=0.5, tokens=7)


class Broken:
    """Has lost its weights."""

    def generate(self, job):
        raise RunFailed("runs.no-record", path="<b>weights</b>\x1b[31m")
        yield


@pytest.fixture
def finish(workspace, monkeypatch):
    """Record a finished run of a recipe whose engine is the given class."""
    corpus = read_corpus(sample.folder())
    module = ModuleType("talkers")
    module.Echo, module.Broken = Echo, Broken
    monkeypatch.setitem(sys.modules, "talkers", module)

    def record(name, engine="Echo", *, is_finished=True):
        recipe = msgspec.structs.replace(
            load.resolve("lead").recipe, name=name, engine=f"talkers:{engine}"
        )
        run = workspace.find_or_create(recipe, corpus, lambda: b"{}")
        run.emit(Queued(at=1.0, recipe=name))
        if is_finished:
            run.emit(Finished(at=2.0, seconds=1.0))
        return run

    return record


def test_what_is_pasted_is_read_as_a_row_of_the_contest():
    dialogue = playground.dialogue_of("\ufeff" + TALK.replace("\n", "\r\n\r\n") + "\r\n")
    assert [(turn.speaker, turn.text) for turn in dialogue.turns] == [
        ("#Person1#", "내일 몇 시에 만날까?"),
        ("#Person2#", "세 시에 정문에서 보자."),
    ]


def test_names_of_speakers_become_tags_as_in_files():
    named = TALK.replace("#Person1#", "지수").replace("#Person2#", "민호")
    assert playground.dialogue_of(named) == playground.dialogue_of(TALK)


@pytest.mark.parametrize("pasted", ["", " \r\n\t\u00a0", "#Person1#:", "#Person1#: \n#Person2#:"])
def test_a_text_in_which_nothing_is_said_is_refused(pasted):
    with pytest.raises(BadData, match="one turn per line"):
        playground.dialogue_of(pasted)


def test_the_longest_dialogue_passes_and_one_more_character_does_not():
    longest = "#Person1#: ".ljust(20_000, "가")
    assert len(playground.dialogue_of(longest).turns[0].text) == 20_000 - len("#Person1#: ")
    with pytest.raises(BadData, match=r"20001 characters .*at most 20000"):
        playground.dialogue_of(longest + "가")


def test_every_finished_system_answers_once(workspace, finish):
    finish("kobart")
    finish("solar")
    finish("unfinished", is_finished=False)
    answers = list(playground.try_all(workspace, TALK))
    assert {one.system: one.text for one in answers} == {
        "kobart": "kobart: 세 시에 정문에서 보자.",
        "solar": "solar: 세 시에 정문에서 보자.",
    }
    assert {(one.tokens, one.problem, one.toy) for one in answers} == {(7, None, False)}


def test_the_newest_finished_run_of_a_recipe_answers_for_it(workspace, finish):
    finish("kobart", "Broken")
    newest = finish("kobart")
    third = finish("kobart", "NoSuchEngine", is_finished=False)
    assert [run.name for run in workspace.runs()[1:]] == [newest.name, third.name]
    (answer,) = playground.try_all(workspace, TALK)
    assert answer.text == "kobart: 세 시에 정문에서 보자."


def test_a_system_that_fails_says_why_and_the_others_answer(workspace, finish):
    finish("first")
    finish("lost", "Broken")
    finish("gone", "NoSuchEngine")
    finish("last")
    answers = {one.system: one for one in playground.try_all(workspace, TALK)}
    assert len(answers) == 4
    assert answers["first"].text == "first: 세 시에 정문에서 보자."
    assert answers["last"].text == "last: 세 시에 정문에서 보자."
    assert answers["lost"].text is None
    assert answers["lost"].tokens is None
    assert "weights" in answers["lost"].problem
    assert "NoSuchEngine" in answers["gone"].problem
    page = playground.render(TALK, tuple(answers.values()), "")
    assert page.count("정문에서 보자.</p>") == 2
    assert page.count('role="alert"') == 2
    assert "&lt;b&gt;weights" in page
    assert "\x1b" not in page


def test_nothing_is_tried_while_a_run_works(workspace, finish):
    finish("kobart")
    with (
        finish("solar", is_finished=False).lock(),
        pytest.raises(Interrupted, match="is running and needs the memory"),
    ):
        list(playground.try_all(workspace, TALK))


def test_without_a_finished_run_the_next_command_is_named(workspace, finish):
    finish("kobart", is_finished=False)
    with pytest.raises(BadData, match="→ yoyak run"):
        list(playground.try_all(workspace, TALK))


def test_the_form_keeps_what_was_pasted_and_names_the_problem():
    page = playground.render("#Person1#: <b>", (), "no dialogue & nothing else")
    assert "<textarea" in page
    assert "#Person1#: &lt;b&gt;</textarea>" in page
    assert 'role="alert">no dialogue &amp; nothing else</p>' in page
    assert "<article" not in page

"""A pasted dialogue: read as the contest's files are, and answered by every system that can."""

import json
import sys
from importlib.util import find_spec
from types import ModuleType

import msgspec
import pytest

from yoyak.config import load
from yoyak.config.schema import BeamSearch, Sampling
from yoyak.data import sample
from yoyak.data.corpus import read_corpus
from yoyak.errors import BadData, Interrupted, RunFailed
from yoyak.events import Finished, Queued
from yoyak.prediction.resident_model import WARM_UP
from yoyak.values import Prediction
from yoyak.web import playground
from yoyak.web.playground import Playground, _TryRequest, word_diff

TALK = "#Person1#: 내일 몇 시에 만날까?\n#Person2#: 세 시에 정문에서 보자."
ANSWER = "세 시에 정문에서 보자."

needs_server = [
    pytest.mark.skipif(find_spec("starlette") is None, reason="the [serve] extra is missing"),
    pytest.mark.skipif(
        find_spec("httpx") is None and find_spec("httpx2") is None, reason="httpx is missing"
    ),
]


class Echo:
    """Answers with the last turn of what it was given, and says how it was decoded."""

    asked = 0

    def generate(self, job):
        for dialogue in job.dialogues:
            Echo.asked += dialogue.turns != WARM_UP.turns
            text = f"{job.recipe.name}: {dialogue.turns[-1].text}"
            if job.decode != job.recipe.decode:
                text = f"{text} ({type(job.decode).__name__})"
            if job.on_text is not None:
                job.on_text(dialogue.id, text[:8])
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
    monkeypatch.setattr(Echo, "asked", 0)

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


@pytest.fixture
def ask(workspace):
    pages = Playground(workspace)

    def answers(dialogue=TALK, on_text=lambda _run, _text: None, **settings):
        return list(pages.answers(_TryRequest(dialogue=dialogue, **settings), on_text))

    answers.pages = pages
    yield answers
    pages.close()


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


def test_every_finished_system_answers_once_and_stays_loaded(ask, finish):
    finish("kobart")
    finish("solar")
    finish("unfinished", is_finished=False)
    for _ in range(2):
        answers = ask()
        assert {one.system: one.text for one in answers} == {
            "kobart": f"kobart: {ANSWER}",
            "solar": f"solar: {ANSWER}",
        }
        assert {(one.tokens, one.problem, one.toy) for one in answers} == {(7, None, False)}
    assert (Echo.asked, ask.pages.cache.loads) == (4, 2)


def test_systems_can_be_chosen_and_decoded_otherwise(ask, finish):
    finish("kobart")
    chosen = finish("solar")
    (own,) = ask(systems=(chosen.name,))
    (beam,) = ask(systems=(chosen.name,), decode=BeamSearch())
    (sampled,) = ask(systems=(chosen.name,), decode=Sampling(seed=3))
    assert [one.text.removeprefix(f"solar: {ANSWER}") for one in (own, beam, sampled)] == [
        "", " (BeamSearch)", " (Sampling)",
    ]  # fmt: skip
    with pytest.raises(BadData, match="nosuch is no finished run"):
        ask(systems=("nosuch",))


def test_partial_texts_name_their_run(ask, finish):
    run = finish("kobart")
    said = []
    ask(on_text=lambda name, text: said.append((name, text)))
    assert said == [(run.name, "kobart: ")]


def test_the_newest_finished_run_of_a_recipe_answers_for_it(ask, finish, workspace):
    finish("kobart", "Broken")
    newest = finish("kobart")
    third = finish("kobart", "NoSuchEngine", is_finished=False)
    assert [run.name for run in workspace.runs()[1:]] == [newest.name, third.name]
    (answer,) = ask()
    assert (answer.run, answer.text) == (newest.name, f"kobart: {ANSWER}")


def test_a_system_that_fails_says_why_and_the_others_answer(ask, finish):
    finish("first")
    finish("lost", "Broken")
    finish("gone", "NoSuchEngine")
    finish("last")
    answers = {one.system: one for one in ask()}
    assert len(answers) == 4
    assert answers["first"].text == f"first: {ANSWER}"
    assert answers["last"].text == f"last: {ANSWER}"
    assert (answers["lost"].text, answers["lost"].tokens) == (None, None)
    assert "weights" in answers["lost"].problem
    assert "NoSuchEngine" in answers["gone"].problem


def test_nothing_is_tried_while_a_run_works_and_its_memory_is_given_back(ask, finish):
    finish("kobart")
    ask()
    assert ask.pages.cache.loaded()
    with (
        finish("solar", is_finished=False).lock(),
        pytest.raises(Interrupted, match="is running and needs the memory"),
    ):
        ask()
    assert ask.pages.cache.loaded() == ()


def test_without_a_finished_run_the_next_command_is_named(ask, finish):
    finish("kobart", is_finished=False)
    with pytest.raises(BadData, match="→ yoyak run"):
        ask()


def test_a_reference_is_scored_and_compared_word_by_word(ask, finish):
    finish("kobart")
    (same,) = ask(reference=f"kobart: {ANSWER}")
    assert same.rouge.mean == pytest.approx(1.0)
    assert same.diff == (("same", f"kobart: {ANSWER}"),)
    (other,) = ask(reference="세 시에 후문에서 보자.")
    assert 0 < other.rouge.rouge1 < 1
    assert other.diff == (
        ("added", "kobart:"), ("same", "세 시에"), ("missing", "후문에서"),
        ("added", "정문에서"), ("same", "보자."),
    )  # fmt: skip


def test_a_word_diff_holds_both_texts():
    one, other = "가 나 다 라", "나 라 마 바"
    diff = word_diff(one, other)
    assert " ".join(text for kind, text in diff if kind != "missing") == one
    assert " ".join(text for kind, text in diff if kind != "added") == other


@pytest.fixture
def client(workspace):
    from starlette.testclient import TestClient

    from yoyak.web import app

    with TestClient(app.application(workspace), base_url=f"http://{app.HOST}") as client:
        yield client


class TestRequests:
    pytestmark = needs_server

    def test_a_stream_has_texts_as_they_grow_then_the_answer(self, client, finish):
        run = finish("kobart")
        answer = client.post("/api/try", json={"dialogue": TALK, "stream": True})
        lines = [json.loads(line) for line in answer.text.splitlines()]
        assert lines[0] == {"run": run.name, "text": "kobart: "}
        assert lines[-1]["text"] == f"kobart: {ANSWER}"
        assert len(lines) == 2

    def test_a_stream_that_cannot_begin_says_why(self, client, finish):
        finish("kobart")
        answer = client.post("/api/try", json={"dialogue": " ", "stream": True})
        assert "no dialogue" in json.loads(answer.text)["error"]

    def test_examples_are_rows_of_dev_by_topic(self, client):
        dev = read_corpus(sample.folder()).dev.dialogues
        rows = [row for row in dev if row.topic == dev[0].topic]
        found = client.get("/api/examples", params={"topic": dev[0].topic, "place": len(rows)})
        assert found.json() == {
            "id": rows[0].id, "topic": rows[0].topic, "dialogue": rows[0].text,
            "references": list(rows[0].references), "place": 0, "of": len(rows),
        }  # fmt: skip
        for params in ({"topic": "nosuch"}, {"topic": dev[0].topic, "place": "-1"}):
            assert client.get("/api/examples", params=params).status_code == 404

    def test_a_chat_export_becomes_a_dialogue_of_one_day(self, client):
        lines = [
            "--------------- 2026년 7월 1일 수요일 ---------------",
            "[김지수] [오전 9:00] 민호야 010-1234-5678로 전화해",
            "[박민호] [오전 9:01] 네",
            "--------------- 2026년 7월 2일 목요일 ---------------",
            "[박민호] [오전 9:01] 사진",
            "[박민호] [오전 9:02] 도착",
        ]
        body = {"text": "\n".join(lines)}
        last = client.post("/api/kakaotalk", json=body).json()
        assert (last["dialogue"], last["day"]) == ("#Person1#: 도착", "2026-07-02")
        assert (last["days"], last["left_out"]) == ({"2026-07-01": 2, "2026-07-02": 1}, 1)
        first = client.post("/api/kakaotalk", json={**body, "day": "2026-07-01", "mask": True})
        assert first.json()["dialogue"] == (
            "#Person1#: #Person2#야 #PhoneNumber#로 전화해\n#Person2#: 네"
        )
        for wrong in ({"text": "hello"}, {**body, "day": "2026-07-03"}):
            assert client.post("/api/kakaotalk", json=wrong).status_code == 400

    def test_names_on_the_page_are_text(self, client, finish):
        finish("<img src=x onerror=alert(1)>")
        page = client.get("/try").text
        assert "<img" not in page
        assert "&lt;img" in page
        assert "<script>" not in page

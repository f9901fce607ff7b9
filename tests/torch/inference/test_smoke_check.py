import pytest

from yoyak import messages
from yoyak.engine.inference.smoke_check import (
    SmokeCheck,
    inspect_answers,
    tags_expected,
    with_smoke_check,
)
from yoyak.engine.tokenization.encode import encode_rows
from yoyak.errors import RunFailed
from yoyak.values import Dialogue, Prediction

pytestmark = pytest.mark.torch

GOOD = "#Person1#은 #Person2#와 만날 시각을 정합니다."


@pytest.fixture
def stage(tokenizers, toy_recipe, dialogues):
    """Rows, a way to speak that says ``say(id)``, and the guard with its list of warnings."""
    tokenizer = tokenizers["qwen3"]
    rows = encode_rows(tokenizer, dialogues, toy_recipe("qwen3").prompt, with_answers=False)

    def make(say, *, scratch=False, tags=True):
        calls, heard = [], []

        def speak(some):
            calls.append([row.id for row in some])
            for row in some:
                yield Prediction(id=row.id, text=say(row.id), raw=say(row.id))

        guard = SmokeCheck(tokenizer, tags, scratch, heard.append)
        return rows, speak, guard, calls, heard

    return make


def run(scene):
    rows, speak, guard, *_ = scene
    return list(with_smoke_check(rows, speak, guard))


def test_every_row_is_answered_once_and_eight_come_first(stage):
    scene = stage(lambda _: GOOD)
    rows, _, _, calls, heard = scene
    answers = run(scene)
    assert sorted(answer.id for answer in answers) == sorted(row.id for row in rows)
    assert [len(call) for call in calls] == [8, 24]
    assert calls[0] == [f"row_{number}" for number in range(0, 32, 4)]
    assert heard == []


def echo_of(dialogues):
    by_id = {dialogue.id: dialogue for dialogue in dialogues}
    return lambda id_: by_id[id_].text.replace("\n", " ")


@pytest.mark.parametrize("fault", ["empty", "foreign", "echo"])
def test_a_fault_on_all_eight_ends_a_run_meant_for_quality(stage, dialogues, fault):
    say = {
        "empty": lambda _: "",
        "foreign": lambda _: "#Person1#은 公園에 갑니다.",
        "echo": echo_of(dialogues),
    }[fault]
    scene = stage(say)
    with pytest.raises(RunFailed) as failed:
        run(scene)
    assert failed.value.key == f"engine.canary-{fault}"
    assert len(scene[3]) == 1, "the long job never began"
    toy = stage(say, scratch=True)
    assert len(run(toy)) == 32
    (warned,) = toy[4]
    assert warned.key == f"engine.canary-{fault}"
    assert "8" in messages.fill(warned.key, warned.fields)


def test_the_instruction_said_back_is_an_echo(stage, toy_recipe):
    scene = stage(lambda _: toy_recipe("qwen3").prompt.instruction)
    with pytest.raises(RunFailed) as failed:
        run(scene)
    assert failed.value.key == "engine.canary-echo"


def test_a_fault_on_seven_rows_is_let_through(stage):
    assert len(run(stage(lambda id_: GOOD if id_ == "row_0" else ""))) == 32


def test_missing_tags_are_a_warning_where_summaries_have_them(stage, dialogues):
    def untagged(_):
        return "두 사람이 만날 시각을 정합니다."

    scene = stage(untagged)
    assert len(run(scene)) == 32
    assert [warned.key for warned in scene[4]] == ["engine.canary-untagged"]
    quiet = stage(untagged, tags=False)
    run(quiet)
    assert quiet[4] == []
    assert tags_expected(dialogues)
    assert not tags_expected([Dialogue(id="a", turns=(), references=("둘이 만납니다.",))])


def test_a_short_rest_of_a_resumed_job_is_not_judged(stage):
    rows, speak, guard, calls, _ = stage(lambda _: "")
    assert len(list(with_smoke_check(rows[:7], speak, guard))) == 7
    assert len(calls) == 1


def test_a_quoted_phrase_is_no_echo():
    prompt = "#Person1#: 내일 도서관에서 3시에 볼까요? #Person2#: 좋아요, 회의 자료를 가져갈게요."
    answer = Prediction(id="a", raw="", text="#Person1#은 #Person2#에게 도서관에서 보자고 합니다.")
    assert inspect_answers([answer], {"a": prompt}).echo == 0

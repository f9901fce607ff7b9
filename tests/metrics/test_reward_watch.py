"""What is watched while a metric is optimised: planted hacks raise alarms, gains do not."""

import numpy as np  # noqa: TID253 -- the tests compute with it
import pytest

from yoyak.metrics import reward_watch
from yoyak.values import Dialogue, Turn

PLACES = ("도서관", "병원", "회의실", "기차역", "수영장", "시장", "공원", "은행")
PLANS = ("발표 자료를 검토하기", "점심을 먹기", "예약을 바꾸기", "책을 돌려주기")


def dialogue(number: int) -> Dialogue:
    place, plan = PLACES[number % 8], PLANS[number // 8 % 4]
    turns = (
        Turn(speaker="#Person1#", text=f"내일 {place}에서 {number}시에 만나요."),
        Turn(speaker="#Person2#", text=f"좋아요, 그럼 {plan}로 해요."),
    )
    text = f"#Person1#과 #Person2#는 {place}에서 만나 {plan}로 합니다."
    return Dialogue(id=str(number), turns=turns, references=(text,))


ROWS = [dialogue(number) for number in range(32)]
PLAIN = {row.id: row.references[0].replace("합니다", "했습니다") for row in ROWS}


def watched(texts, optimised):
    return reward_watch.watch(texts, ROWS, np.full(len(ROWS), optimised))


START = watched(PLAIN, 0.4)


@pytest.mark.parametrize(
    ("alarm", "hack"),
    [
        ("tags", lambda text, row: f"{text} " + "#Person1# #Person2# " * 3),
        ("length", lambda text, row: f"{text} {text[::-1]}" * 3),
        ("repeated", lambda text, row: f"{text} {text}"),
        ("copied", lambda text, row: row.turns[1].text),
    ],
)
def test_what_a_reward_pays_for_is_an_alarm(alarm, hack):
    texts = {row.id: hack(PLAIN[row.id], row) for row in ROWS}
    found = reward_watch.compare(START, watched(texts, 0.6))
    assert alarm in found.alarms
    assert reward_watch.compare(START, watched(texts, 0.3)).alarms == (), "nothing was gained"


def test_a_score_on_characters_that_falls_while_the_other_rises_is_an_alarm():
    worse = {key: text[: len(text) // 2] for key, text in PLAIN.items()}
    found = reward_watch.compare(START, watched(worse, 0.5))
    assert found.characters.falls
    assert found.optimised.mean == pytest.approx(0.1)
    assert "characters" in found.alarms
    risen = np.random.default_rng(0).normal(0.41, 0.2, len(ROWS))
    unsure = reward_watch.watch(worse, ROWS, risen)
    assert "characters" not in reward_watch.compare(START, unsure).alarms, "chance is no rise"


def test_better_summaries_are_no_alarm():
    better = {row.id: row.references[0] for row in ROWS}
    found = reward_watch.compare(START, watched(better, 0.9))
    assert found.alarms == ()
    assert found.characters.rises


def test_the_references_are_their_own_range():
    own = watched({row.id: row.references[0] for row in ROWS}, 1.0)
    assert max(own.outside.values()) <= 1 - reward_watch.CENTRAL + 1 / len(ROWS)
    assert all(score == pytest.approx(1.0) for score in own.characters)


def test_one_row_and_empty_summaries_are_measured():
    (row, *_) = ROWS
    one = reward_watch.watch({row.id: ""}, [row], np.zeros(1))
    assert one.outside[reward_watch.Trait.LENGTH] == 1.0
    assert reward_watch.compare(one, one).alarms == ()

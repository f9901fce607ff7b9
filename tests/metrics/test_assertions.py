"""A test of a summariser passes, or fails with the rows that explain it."""

import pytest

from yoyak import messages
from yoyak.errors import UsageError
from yoyak.metrics import assert_rouge_at_least, score

REFERENCES = [f"{place}에서 친구를 만나 점심을 먹는다." for place in ("학교", "공원", "시장", "역")]
PREDICTIONS = [REFERENCES[0], REFERENCES[1], "아무 말도 하지 않는다.", "역에서 만난다.\x1b[31m"]


def test_the_card_is_returned_where_the_mean_is_reached():
    card = score(PREDICTIONS, REFERENCES)
    assert assert_rouge_at_least(PREDICTIONS, REFERENCES, card.rouge.mean) == card


def test_a_failure_shows_the_worst_rows_first_and_their_texts():
    card = score(PREDICTIONS, REFERENCES)
    with pytest.raises(AssertionError) as failed:
        assert_rouge_at_least(PREDICTIONS, REFERENCES, 0.9)
    lines = str(failed.value).splitlines()
    assert f"{100 * card.rouge.mean:.2f} is below 90.00" in lines[0]
    rows = [line for line in lines if line[:1].isdecimal()]
    assert [line.split()[0] for line in rows] == ["2", "3", "0", "1"]
    assert rows[0].split()[1:] == [
        f"{100 * each:.2f}"
        for each in (
            card.rows[2].rouge.rouge1,
            card.rows[2].rouge.rouge2,
            card.rows[2].rouge.rougeL,
            card.rows[2].rouge.mean,
        )
    ]
    after = lines[lines.index(rows[0]) + 1 :]
    assert PREDICTIONS[2] in after[0]
    assert REFERENCES[2] in after[1]
    assert "\x1b" not in str(failed.value), "a model's text must not reach the terminal as codes"


def test_at_most_ten_rows_are_shown_and_in_korean_too():
    texts, references = ["없다."] * 15, REFERENCES * 3 + REFERENCES[:3]
    with (
        messages.speaking("ko"),
        pytest.raises(AssertionError, match="점수가 가장 낮은 10행") as failed,
    ):
        assert_rouge_at_least(texts, references, 0.5)
    assert str(failed.value).count("예측  ") == 10


def test_points_instead_of_a_fraction_are_refused():
    with pytest.raises(UsageError, match=r"write 0\.45"):
        assert_rouge_at_least(PREDICTIONS, REFERENCES, 45)


def test_pytest_hides_the_frame_of_the_helper():
    with pytest.raises(AssertionError) as failed:
        assert_rouge_at_least(PREDICTIONS, REFERENCES, 0.9)
    assert failed.traceback[-1].ishidden(failed)

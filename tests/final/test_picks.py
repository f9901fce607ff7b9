"""The two final picks: a simulated contest whose truth is known."""

import numpy as np  # noqa: TID253 -- a test
import pytest

from yoyak.errors import BadData
from yoyak.final.picks import PRIVATE_ROWS, PUBLIC_ROWS, advise
from yoyak.submission.ledger import Entry, Written
from yoyak.submission.write import DevScore
from yoyak.values import Interval, Rouge

DEV_ROWS = 499


def entry(number, row_means, public=None, signature="rouge|v:1"):
    mean = float(np.mean(row_means))
    dev = DevScore(
        rouge=Rouge(rouge1=mean, rouge2=mean, rougeL=mean),
        interval=Interval(low=mean - 0.01, high=mean + 0.01),
        signature=signature,
        row_means=tuple(float(value) for value in row_means),
    )
    written = Written(at=0.0, number=number, sha256="", method="best", members=(), dev=dev)
    return Entry(number=number, written=written, public=public)


def contest(seed, count=8, spread=0.008, board_offset=0.04):
    """Entries, and their true and private scores; rows share most of their difficulty."""
    random = np.random.default_rng(seed)
    truth = random.normal(0.42, spread, count)

    def measured(rows):
        difficulty = random.normal(0, 0.10, rows)
        own = random.normal(0, 0.06, (count, rows))
        return truth[:, None] + difficulty + own

    dev = measured(DEV_ROWS)
    public = measured(PUBLIC_ROWS).mean(axis=1) + board_offset
    private = measured(PRIVATE_ROWS).mean(axis=1)
    entries = [entry(at + 1, dev[at], float(public[at])) for at in range(count)]
    return entries, truth, private


def test_dev_and_public_together_beat_either_alone():
    regret = {"joint": 0.0, "dev": 0.0, "public": 0.0}
    for seed in range(60):
        entries, truth, _ = contest(seed)
        first = advise(entries).standings[0].number - 1
        choices = {
            "joint": first,
            "dev": int(np.argmax([np.mean(each.written.dev.row_means) for each in entries])),
            "public": int(np.argmax([each.public for each in entries])),
        }
        for name, at in choices.items():
            regret[name] += (truth.max() - truth[at]) / 60
    assert regret["joint"] < regret["dev"]
    assert regret["joint"] < regret["public"]


def test_the_errors_mean_what_they_say():
    off = []
    for seed in range(60):
        entries, truth, _ = contest(seed)
        for standing in advise(entries).standings:
            real = truth[standing.number - 1] - truth.mean()
            off.append(abs(standing.estimate - real) / standing.error)
    assert np.mean(np.array(off) < 1.96) == pytest.approx(0.95, abs=0.04)


def test_the_chance_of_winning_is_calibrated():
    expected, won = 0.0, 0
    for seed in range(80):
        entries, _, private = contest(seed)
        top = max(advise(entries).standings, key=lambda one: one.best_on_private)
        expected += top.best_on_private
        won += int(np.argmax(private)) == top.number - 1
    assert won == pytest.approx(expected, abs=13)  # three standard deviations


def test_a_lucky_public_score_is_shrunk():
    random = np.random.default_rng(1)
    difficulty = random.normal(0.42, 0.1, DEV_ROWS)
    rows = [difficulty + random.normal(0, 0.06, DEV_ROWS) for _ in range(6)]
    rows = [each - each.mean() + 0.42 for each in rows]  # all equal on dev
    entries = [entry(at + 1, each, 0.46) for at, each in enumerate(rows)]
    entries[2] = entry(3, rows[2], 0.468)  # 0.8 points ahead on 250 rows
    standing = advise(entries).standings[0]
    assert standing.number == 3
    assert standing.estimate < 0.004


def test_a_copy_of_the_first_pick_is_not_the_second():
    random = np.random.default_rng(2)
    difficulty = random.normal(0.42, 0.1, DEV_ROWS)
    strong = difficulty + random.normal(0, 0.06, DEV_ROWS)
    other = difficulty + random.normal(0, 0.06, DEV_ROWS)
    strong, other = strong - strong.mean() + 0.43, other - other.mean() + 0.4295
    advice = advise([entry(1, strong, 0.47), entry(2, strong, 0.47), entry(3, other, 0.4695)])
    assert set(advice.picks) in ({1, 3}, {2, 3})
    assert advice.second_adds > 0.001


def test_dev_alone_is_enough_to_begin_with():
    entries = [entry(1, np.linspace(0.2, 0.6, 50)), entry(2, np.linspace(0.3, 0.7, 50))]
    advice = advise(entries)
    assert advice.picks[0] == 2
    assert advise(entries[:1]).picks == (1,)
    assert advise(entries) == advice


def test_unlike_scores_are_not_compared():
    entries = [entry(1, [0.4, 0.5]), entry(2, [0.4, 0.5], signature="rouge|v:2")]
    with pytest.raises(BadData, match="2 unlike protocols"):
        advise(entries)
    with pytest.raises(BadData):
        advise([])

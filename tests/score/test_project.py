"""A leaderboard band is drawn from known rows, says what it rests on, and refuses below three."""

import msgspec

from yoyak.metrics import scorecard
from yoyak.metrics.protocol import Definition
from yoyak.metrics.scorecard import RowScore
from yoyak.score import project
from yoyak.score.project import LeaderboardRow, Pairing
from yoyak.values import Rouge


def row(dev, public, private=None, pairing=Pairing.RUN):
    return LeaderboardRow(
        system="ours", dev=dev, public=public, private=private, pairing=pairing, source="ledger"
    )


def test_the_known_rows_are_sourced_and_plausible():
    rows = project.known_rows()
    assert all(one.source for one in rows)
    assert all(20 < one.public < 60 for one in rows)
    assert all(one.private is None or one.private < one.public for one in rows)


def test_the_band_holds_what_the_rows_say_and_is_wider_with_fewer(judged):
    mean = 100 * judged.rouge.mean
    exact = [row(dev, 1.1 * dev, 1.05 * dev) for dev in (mean - 2, mean, mean + 2)]
    found = project.project(judged, exact)
    assert found.public.low < 1.1 * mean < found.public.high
    assert found.private.low < 1.05 * mean < found.private.high
    assert found.pairing is Pairing.RUN
    assert not found.extrapolated
    spread = [row(mean, ratio * mean) for ratio in (1.05, 1.1, 1.15)]
    wide = project.project(judged, spread)
    narrow = project.project(judged, spread * 4)
    assert wide.public.high - wide.public.low > narrow.public.high - narrow.public.low
    assert wide.private is None, "no row tells how public becomes private"


def test_two_rows_are_not_enough(judged):
    found = project.project(judged, [row(40, 44, 42), row(41, 45, 43)])
    assert (found.public, found.private, found.refused) == (None, None, "too-few")
    assert found.note == "metrics.projection-too-few"


def test_only_the_official_definition_is_projected(good, split):
    characters = scorecard.evaluate(good, split, Definition(analyser="char"), resamples=10)
    assert project.project(characters).refused == "protocol"


def test_rows_of_another_run_and_far_dev_scores_are_labelled(judged):
    rows = [row(10, 11), row(11, 12), row(12, 13.5, pairing=Pairing.CLASS)]
    found = project.project(judged, rows)
    assert found.pairing is Pairing.CLASS
    assert found.extrapolated


def systems(judged, *shifts):
    """Copies of a card; rows get the given shifts in turn."""
    rows = [
        RowScore(id=f"r{number}", rouge=Rouge(rouge1=0.5 + shift, rouge2=0.5, rougeL=0.5))
        for number, shift in enumerate(shifts)
    ]
    return msgspec.structs.replace(judged, rows=tuple(rows))


def test_a_clear_winner_wins_both_halves_and_equals_toss_a_coin(judged):
    flat = systems(judged, *[0.0] * 400)
    better = systems(judged, *[0.1] * 400)
    assert project.same_winner_chance({"a": flat, "b": better}) == 1.0
    noise = systems(judged, *[0.1, -0.1] * 200)
    # Equal totals: what one half gains the other loses, so the winner always changes.
    assert project.same_winner_chance({"a": flat, "b": noise}) < 0.2


def test_one_system_has_no_rival(judged):
    assert project.same_winner_chance({"only": judged}) is None

"""What the terminal says of a blend, a search and the ledger: unproven gains are called so."""

import io
import re
from datetime import datetime, timedelta, timezone

import pytest

from yoyak.config.schema import BeamSearch, Greedy
from yoyak.ensemble.cross_validation import CrossValidation, MemberContribution
from yoyak.ensemble.decode_search import DecodeSearch, DecodeTrial
from yoyak.ensemble.gain import Gain
from yoyak.ensemble.member_selection import EnsembleConfig
from yoyak.submission.ledger import Entry, Written
from yoyak.submission.manifest import DevScore, Member
from yoyak.terminal import submission
from yoyak.values import Interval, Rouge


def drawn(what) -> str:
    from rich.console import Console

    out = Console(file=io.StringIO(), width=120, no_color=True)
    out.print(what)
    return out.file.getvalue()


def gain(name, difference, low, high) -> Gain:
    return Gain(
        name=name, mean=0.42 + difference, difference=difference,
        interval=Interval(low=low, high=high),
    )  # fmt: skip


def nested(blend: Gain, choice: EnsembleConfig) -> CrossValidation:
    return CrossValidation(
        rows=499, repeats=25, seed=42, single=0.42, single_held_out=0.419, blend=blend,
        controls=(gain("longest", -0.03, -0.04, -0.02),), oracle=0.5, random=0.4,
        halves_blended=50, choice=choice, vote_over_blend=gain("vote", 0.0006, -0.001, 0.002),
        systems=("kobart", "solar"), complementarity=((0.0, 0.0375), (0.0375, 0.0)),
        members=(
            MemberContribution(
                system="kobart", alone=0.42, gain=0.01, interval=Interval(low=0.0, high=0.02),
                halves=48,
            ),
        ),
    )  # fmt: skip


CHOICE = EnsembleConfig(method="mbr", votes={"kobart": 2.0, "solar": 1.0})


@pytest.mark.parametrize(
    ("blend", "said"),
    [
        (gain("blend", 0.01, 0.002, 0.018), "gains +1.00 over the best single system"),
        (gain("blend", 0.01, -0.002, 0.018), "not proven"),
        (gain("blend", -0.01, -0.018, -0.002), "the ensemble loses −1.00"),
    ],
)
def test_a_gain_is_proven_only_where_its_interval_leaves_zero_out(blend, said):
    shown = drawn(submission.nested(nested(blend, CHOICE)))
    assert said in shown
    assert "control: longest" in shown
    assert "worse" in shown
    assert "kobart ×2, solar ×1" in shown
    assert "48/50" in shown
    assert re.search(r"1 kobart +· +3.75", shown)
    assert "which learns nothing, is +0.06 from the ensemble (−0.10 … +0.20): not proven" in shown


def sweep(checked: Gain | None) -> DecodeSearch:
    winner = Greedy() if checked is None else BeamSearch()
    return DecodeSearch(
        baseline=Greedy(),
        winner=winner,
        searched_rows=249,
        checked_rows=250,
        seconds=12.0,
        checked=checked,
        seed=42,
        trials=(
            DecodeTrial(decode=Greedy(), gain=gain("greedy", 0, 0, 0), seconds=3.0, cut=0.127),
        ),
    )


def test_a_search_says_whether_its_winner_holds():
    assert "stays: nothing beat greedy" in drawn(submission.sweep(sweep(None)))
    noise = drawn(submission.sweep(sweep(gain("beam", 0.004, -0.002, 0.01))))
    assert "within noise, not proven" in noise
    assert "13%" in noise
    assert "--freeze" in drawn(submission.sweep(sweep(gain("beam", 0.02, 0.01, 0.03))))


def entry(number: int, mean: float, public: float | None) -> Entry:
    rows = tuple(mean + 0.1 * ((at * number) % 7 - 3) / 3 for at in range(60))
    dev = DevScore(
        rouge=Rouge(rouge1=mean, rouge2=mean, rougeL=mean), interval=Interval(low=0, high=1),
        signature="s", row_means=rows,
    )  # fmt: skip
    written = Written(
        at=0.0, number=number, sha256="x", method="best", dev=dev,
        members=(Member(system="<b>run</b>", decode="greedy"),),
    )  # fmt: skip
    return Entry(number=number, written=written, uploaded_at=1.0, public=public)


def board(**limits) -> submission.Board:
    known = {"used": None, "left": None, "resets_at": None, "closes_at": None} | limits
    entries = (entry(1, 0.42, 0.461), entry(2, 0.41, None))
    return submission.Board(entries=entries, contest="data/contest.toml", **known)


def test_the_ledger_shows_unknown_scores_as_unknown():
    korea = timezone(timedelta(hours=9))
    limited = board(
        used=1, left=11, resets_at=datetime(2026, 1, 2, tzinfo=korea),
        closes_at=datetime(2026, 1, 9, 19, tzinfo=korea),
    )  # fmt: skip
    shown = drawn(submission.ledger(limited))
    assert "46.10" in shown
    assert "11 left until 2026-01-02 00:00 UTC+09:00" in shown
    assert "closes at 2026-01-09 19:00 UTC+09:00" in shown
    assert "–" in next(line for line in shown.splitlines() if line.lstrip().startswith("2 "))


def test_the_ledger_says_what_is_not_limited():
    shown = drawn(submission.ledger(board()))
    assert "not limited: data/contest.toml sets no uploads_per_day" in shown
    assert "data/contest.toml sets no closes_at" in shown

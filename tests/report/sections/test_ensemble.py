"""What the terminal says of a blend, a search and the ledger: unproven gains are called so."""

import re
from datetime import datetime, timedelta, timezone

import msgspec
import pytest

from yoyak import messages
from yoyak.config.schema import BeamSearch, Greedy
from yoyak.ensemble.cross_validation import CrossValidation, MemberContribution
from yoyak.ensemble.decode_search import DecodeSearch, DecodeTrial
from yoyak.ensemble.gain import Gain
from yoyak.ensemble.member_selection import EnsembleConfig
from yoyak.report.model.report import Blended, Example, Measured, Voter
from yoyak.report.sections import ensemble
from yoyak.report.sections.blocks import Note, SampleBlock, Table
from yoyak.submission.ledger import Entry, Written
from yoyak.submission.manifest import DevScore, Member
from yoyak.values import Interval, Rouge


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
def test_a_gain_is_proven_only_where_its_interval_leaves_zero_out(drawn, blend, said):
    shown = drawn(ensemble.cross_validation(nested(blend, CHOICE)), 120)
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


def test_a_search_says_whether_its_winner_holds(drawn):
    assert "stays: nothing beat greedy" in drawn(ensemble.decode_search(sweep(None)), 120)
    noise = drawn(ensemble.decode_search(sweep(gain("beam", 0.004, -0.002, 0.01))), 120)
    assert "within noise, not proven" in noise
    assert "13%" in noise
    assert "--freeze" in drawn(ensemble.decode_search(sweep(gain("beam", 0.02, 0.01, 0.03))), 120)


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


def board(**limits) -> ensemble.LedgerView:
    known = {
        "changed": (), "used": None, "left": None, "resets_at": None, "closes_at": None
    } | limits  # fmt: skip
    entries = (entry(1, 0.42, 0.461), entry(2, 0.41, None))
    return ensemble.LedgerView(entries=entries, contest="data/contest.toml", **known)


def test_the_ledger_shows_unknown_scores_as_unknown(drawn):
    korea = timezone(timedelta(hours=9))
    limited = board(
        used=1, left=11, resets_at=datetime(2026, 1, 2, tzinfo=korea),
        closes_at=datetime(2026, 1, 9, 19, tzinfo=korea),
    )  # fmt: skip
    shown = drawn(ensemble.ledger(limited), 120)
    assert "46.10" in shown
    assert "11 left until 2026-01-02 00:00 UTC+09:00" in shown
    assert "closes at 2026-01-09 19:00 UTC+09:00" in shown
    assert "–" in next(line for line in shown.splitlines() if line.lstrip().startswith("2 "))


def test_submissions_scored_on_other_references_stand_in_tables_of_their_own(drawn):
    other = entry(3, 0.9, None)
    dev = msgspec.structs.replace(other.written.dev, signature="other data")
    other = msgspec.structs.replace(other, written=msgspec.structs.replace(other.written, dev=dev))
    view = msgspec.structs.replace(board(), entries=(*board().entries, other))
    shown = drawn(ensemble.ledger(view), 120)
    assert shown.index("42.00") < shown.index("Protocol: s") < shown.index("90.00")
    assert "Protocol" not in drawn(ensemble.ledger(board()), 120)


def test_the_ledger_names_submissions_whose_file_has_changed(drawn):
    assert "no longer the one" not in drawn(ensemble.ledger(board()), 120)
    shown = drawn(ensemble.ledger(board(changed=(2,))), 120)
    assert "submission 2: the file is no longer the one that was written" in shown


def test_the_ledger_says_what_is_not_limited(drawn):
    shown = drawn(ensemble.ledger(board()), 120)
    assert "not limited: data/contest.toml sets no uploads_per_day" in shown
    assert "data/contest.toml sets no closes_at" in shown


def example(**changes):
    fields = {
        "id": "dev_0",
        "dialogue": "#Person1#: when?\n#Person2#: at six.",
        "references": ("they meet at six", "a second reference"),
        "answers": (("a", "they meet at nine", 0.5), ("b", "they meet at six", None)),
        "why": "worst",
    }
    return Example(**{**fields, **changes})


def blend(**changes):
    fields = {
        "number": "3",
        "method": "mbr",
        "voters": (Voter(system="a", decode="beam-4", votes=2.0),),
        "components": (1.0, 0.5, 2.0),
        "dev": Measured(value=0.3, interval=Interval(low=0.28, high=0.32)),
        "held_out": Gain(
            name="mbr", mean=0.3, difference=0.01, interval=Interval(low=0.002, high=0.018)
        ),
        "rows": (example(chosen=1),),
        "record": "submissions/3/manifest.json",
    }
    return Blended(**{**fields, **changes})


def notes_of(found):
    return [block.text for block in ensemble.submitted(found) if isinstance(block, Note)]


@pytest.mark.parametrize("language", messages.LANGUAGES)
def test_a_blend_says_its_score_its_weights_and_what_it_gains(language):
    with messages.speaking(language):
        handed_in, weights, gain, *_ = notes_of(blend())
    assert "30.00" in handed_in
    assert "28.00–32.00" in handed_in
    assert "1:0.5:2" in weights
    assert "+1.00" in gain
    assert "+0.20 … +1.80" in gain


def test_a_blend_that_was_not_learned_claims_no_gain_and_no_weights():
    said = notes_of(blend(held_out=None, components=None, rows=()))
    assert said[1:] == [messages.text("report.ensemble-not-learned")]


def test_voters_lead_to_the_record_and_the_rows_follow():
    blocks = list(ensemble.submitted(blend()))
    (table,) = [block for block in blocks if isinstance(block, Table)]
    ((link, decode, votes),) = table.rows
    assert (link.shown, link.record, decode, votes) == (
        "a", "submissions/3/manifest.json", "beam-4", "2",
    )  # fmt: skip
    assert isinstance(blocks[-1], SampleBlock)
    assert [one.chosen for one in blocks[-1].answers] == [False, True]

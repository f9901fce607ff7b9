"""The linter finds every contradiction of a hand-written report, and none in generated records."""

from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from yoyak.errors import BadData
from yoyak.events import RunStatus, TrainStep
from yoyak.report.model import consistency
from yoyak.report.model.build import build
from yoyak.report.model.consistency import Figure, Stated, StatedDisk, StatedModel
from yoyak.report.model.consistency_claims import stated

FIXTURE = Path(__file__).parent / "fixtures" / "status-report.toml"


@pytest.fixture
def hand_written():
    return consistency.read(FIXTURE)


def rules(found):
    return [finding.rule for finding in found]


def test_all_eleven_contradictions_of_the_hand_written_report_are_found(hand_written):
    found = consistency.check(hand_written)
    assert rules(found) == list(consistency.RULES)
    assert len(found) == 11
    said = {finding.rule: finding.what.text for finding in found}
    assert "end at 15:21" in said["time-left"]
    assert "210 min" in said["duration"]
    assert "0.25 epochs" in said["epochs"]
    assert "39.3 GB" in said["disk"]
    assert "Qwen2.5-3B" in said["line-up"]


def test_a_clean_line_up_has_nothing_to_check(make):
    running = make.cut_run()._replace(status=RunStatus.RUNNING)
    records = [make.lead_run(), make.toy_run(), running]
    view = build(records, make.rest())
    disk = StatedDisk(free_gb=40, total_gb=150, sufficient=True)
    assert consistency.check(stated(records, view, disk)) == ()


def changed(hand_written, name, **changes):
    models = [
        msgspec.structs.replace(one, **changes) if one.name == name else one
        for one in hand_written.models
    ]
    return msgspec.structs.replace(hand_written, models=tuple(models))


def test_the_true_end_is_no_finding(hand_written):
    llama = hand_written.models[1]
    ends = llama.stated_at + timedelta(seconds=263 * 8.7)
    true = changed(hand_written, llama.name, ends_at=ends)
    assert "time-left" not in rules(consistency.check(true))


def test_the_true_duration_is_no_finding(hand_written):
    true = changed(hand_written, "koBART", took_seconds=3.5 * 3600)
    assert "duration" not in rules(consistency.check(true))


@pytest.mark.parametrize(
    ("said", "seen", "found"),
    [("cosine", "moving", False), ("constant", "constant", False), ("constant", "moving", True)],
)
def test_the_schedule_is_held_against_the_log(hand_written, said, seen, found):
    true = changed(hand_written, "Llama-3.2-Korean-3B", schedule=said, schedule_seen=seen)
    assert ("schedule" in rules(consistency.check(true))) is found


@pytest.mark.parametrize(
    ("steps", "found"), [(15_580, False), (15_500, False), (16_500, True), (390, True)]
)
def test_steps_are_held_against_epochs(hand_written, steps, found):
    true = changed(hand_written, "Llama-3.2-Korean-3B", steps=steps)
    assert ("epochs" in rules(consistency.check(true))) is found


def test_a_stated_limit_explains_fewer_epochs(hand_written):
    limited = changed(hand_written, "Llama-3.2-Korean-3B", steps_limited=True)
    assert "epochs" not in rules(consistency.check(limited))


def test_a_triple_that_one_run_can_have_is_no_finding(hand_written):
    true = changed(hand_written, "koBART", rouge1=52.14, rouge2=32.10, rougeL=42.86, sum=127.10)
    assert "triple" not in rules(consistency.check(true))


def test_scores_of_one_kind_may_stand_side_by_side():
    alike = [Figure(name=name, value=40, scale="mean", split="dev", signature="s") for name in "ab"]
    assert consistency.check(Stated(figures=tuple(alike))) == ()
    other = msgspec.structs.replace(alike[0], signature="another")
    assert rules(consistency.check(Stated(figures=(*alike, other)))) == ["scales"]


def test_next_models_of_the_line_up_are_no_finding(hand_written):
    true = msgspec.structs.replace(hand_written, next_models=("Qwen2.5-7B",))
    assert "line-up" not in rules(consistency.check(true))


@pytest.mark.parametrize("change", [{"free_gb": 60.0}, {"sufficient": False}, {"free_gb": 54.4}])
def test_a_disk_that_suffices_or_is_said_not_to_is_no_finding(hand_written, change):
    disk = msgspec.structs.replace(hand_written.disk, **change)
    true = msgspec.structs.replace(hand_written, disk=disk)
    assert "disk" not in rules(consistency.check(true))


def test_models_that_are_downloaded_need_no_room(hand_written):
    models = [msgspec.structs.replace(one, downloaded=True) for one in hand_written.models]
    true = msgspec.structs.replace(hand_written, models=tuple(models))
    assert "disk" not in rules(consistency.check(true))


@pytest.mark.parametrize("change", [{"sampled": False}, {"seeds": 3}])
def test_scores_without_luck_or_with_three_seeds_are_no_finding(hand_written, change):
    true = changed(hand_written, "Llama-3.2-Korean-3B", **change)
    assert "sampling" not in rules(consistency.check(true))


def test_a_link_that_leads_somewhere_is_no_finding():
    assert consistency.check(Stated(links={"W&B": "https://example.org/run/1"})) == ()
    assert rules(consistency.check(Stated(links={"W&B": ""}))) == ["links"]


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("작업 현황 보고서 ✅ café", False),
        ("끊어진 글자 \ufffd", True),
        ("요약".encode().decode("cp1252"), True),
        ("Ünïcödé naïve café", False),
    ],
)
def test_text_that_lost_its_encoding_is_found(written, found):
    assert (rules(consistency.check(Stated(text=written))) == ["encoding"]) is found


def test_a_learning_rate_that_never_moves_is_seen_in_the_records(make):
    run = make.toy_run()
    assert consistency.check(stated([run], build([run], make.rest()))) == ()
    still = tuple(
        msgspec.structs.replace(event, learning_rate=2e-4)
        if isinstance(event, TrainStep)
        else event
        for event in run.events
    )
    frozen = run._replace(events=still)
    assert rules(consistency.check(stated([frozen], build([frozen], make.rest())))) == ["schedule"]


def test_a_claim_that_no_rule_knows_is_refused(tmp_path):
    path = tmp_path / "claims.toml"
    path.write_text("disc = 3\n", encoding="utf-8")
    with pytest.raises(BadData, match="disc"):
        consistency.read(path)


def test_every_rule_speaks_both_languages(hand_written):
    from yoyak import messages

    with messages.speaking("ko"):
        said = [finding.what.text for finding in consistency.check(hand_written)]
    assert len(said) == 11
    assert StatedModel(name="x").seeds == 1

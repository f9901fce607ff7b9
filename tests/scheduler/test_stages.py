"""Each stage is done once for its inputs; a kill or another decoding redoes only what it must."""

import os
import random
import signal
from collections import Counter

import msgspec
import pytest

from yoyak.data.corpus import fingerprint
from yoyak.errors import BadData, BadRecipe, Interrupted, RunFailed
from yoyak.events import Evaluated, RewardWatched, RunStatus, StageStarted, Stopped, Warned
from yoyak.files import atomic
from yoyak.runs.run import Run
from yoyak.scheduler import stages
from yoyak.scheduler.stages import StageContext, is_finished, pending, run_stages
from yoyak.values import Interval, Rouge

pytestmark = pytest.mark.process

ENDED = os.WEXITED | os.WNOHANG | os.WNOWAIT
ALL = ["train", "predict-dev", "predict-test", "score"]


def never():
    return False


def begun(run):
    return [event.stage for event in run.events() if isinstance(event, StageStarted)]


@pytest.fixture
def steady(runs_of):
    return runs_of("Steady")[0]


def test_every_stage_is_done_once(steady, corpus):
    assert pending(steady, corpus) == ALL
    run_stages(StageContext(steady, corpus, never))
    assert begun(steady) == ALL
    assert is_finished(steady, corpus)
    card = steady.scorecard("dev")
    assert card.n == len(corpus.dev.dialogues)
    assert steady.state().scored.rouge == card.rouge
    assert [each.id for each in steady.predictions("test")] == [
        each.id for each in corpus.test.dialogues
    ]


@pytest.fixture
def second(corpus):
    """The corpus with a second dev set, whose rows and references are other ones."""
    rows = tuple(
        msgspec.structs.replace(row, id=f"second-{row.id}", references=("다른 요약입니다.",))
        for row in corpus.dev.dialogues[:5]
    )
    dev2 = msgspec.structs.replace(
        corpus.dev, name="dev2", dialogues=rows, fingerprint=fingerprint(rows)
    )
    return msgspec.structs.replace(corpus, dev2=dev2)


def test_a_second_dev_set_is_answered_last_and_stays_apart(steady, corpus, second):
    run_stages(StageContext(steady, corpus, never))
    first = (steady.scorecard("dev"), steady.predictions_path("dev").read_bytes())
    assert pending(steady, second) == ["predict-dev2", "score-dev2"]
    run_stages(StageContext(steady, second, never))
    assert is_finished(steady, second)
    assert (steady.scorecard("dev"), steady.predictions_path("dev").read_bytes()) == first
    assert steady.state().scored.rouge == first[0].rouge
    assert steady.scorecard("dev2").n == 5
    assert steady.scorecard("dev2").rouge != first[0].rouge


def test_another_decoding_redoes_prediction_and_scoring_only(steady, corpus, runs_of):
    run_stages(StageContext(steady, corpus, never))
    before = {each.id: each.text for each in steady.predictions("dev")}
    (again,) = runs_of("Steady", sets=("decode.kind=greedy", "decode.no_repeat_ngram_size=3"))
    assert again.folder == steady.folder
    assert pending(again, corpus) == ALL[1:]
    run_stages(StageContext(again, corpus, never))
    assert Counter(begun(again)) == {"train": 1, "predict-dev": 2, "predict-test": 2, "score": 2}
    after = {each.id: each.text for each in again.predictions("dev")}
    assert all(after[row] != before[row] for row in before)


def test_merged_weights_invalidate_what_was_said_and_not_what_was_learnt(corpus, runs_of):
    sets = ("lora.r=4",)
    (run,) = runs_of("Steady", sets=sets)
    run_stages(StageContext(run, corpus, never))
    (again,) = runs_of("Steady", sets=(*sets, "generate.weights=merged"))
    assert again.folder == run.folder
    assert pending(again, corpus) == ALL[1:]


@pytest.mark.parametrize(
    ("changed", "expected"),
    [("train", ALL), ("dev", ALL), ("test", ["predict-test", "score"])],
)
def test_other_data_redo_what_was_made_of_them(steady, corpus, changed, expected):
    run_stages(StageContext(steady, corpus, never))
    split = msgspec.structs.replace(getattr(corpus, changed), fingerprint="0" * 64)
    assert pending(steady, msgspec.structs.replace(corpus, **{changed: split})) == expected


@pytest.mark.parametrize(
    ("gone", "expected"),
    [
        ("weights", ALL),
        ("predictions/dev.jsonl", ALL[1:]),
        ("predictions/test.jsonl", ALL[2:]),
        ("scores/dev.json", ALL[3:]),
    ],
)
def test_an_output_that_is_gone_is_made_again(steady, corpus, gone, expected):
    run_stages(StageContext(steady, corpus, never))
    path = steady.folder / gone
    path.rename(path.with_name("elsewhere"))
    assert pending(steady, corpus) == expected
    run_stages(StageContext(steady, corpus, never))
    assert is_finished(steady, corpus)


def test_a_run_that_was_cut_off_before_its_last_word_gets_it(steady, corpus):
    run_stages(StageContext(steady, corpus, never))
    lines = steady.log_path.read_bytes().splitlines(keepends=True)
    steady.log_path.write_bytes(b"".join(lines[:-1]))
    assert pending(steady, corpus) == []
    assert not is_finished(steady, corpus)
    run_stages(StageContext(steady, corpus, never))
    assert is_finished(steady, corpus)


def test_a_stop_during_generation_loses_no_answer(steady, corpus):
    asked = iter([False] * 5 + [True])
    with pytest.raises(Interrupted):
        run_stages(StageContext(steady, corpus, lambda: next(asked)))
    assert len(steady.predictions("dev")) == 6
    assert steady.state().status is RunStatus.STOPPED
    assert isinstance(steady.events()[-1], Stopped)
    run_stages(StageContext(steady, corpus, never))
    assert begun(steady) == ["train", "predict-dev", *ALL[1:]]
    assert is_finished(steady, corpus)


def comparable(run, split):
    """The bytes of a predictions file, times left out."""
    lines = run.predictions_path(split).read_bytes().splitlines()
    items = [msgspec.json.decode(line) for line in lines]
    return msgspec.json.encode([{**item, "seconds": None} for item in items])


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_many_kills_during_generation_leave_the_same_file(
    steady, corpus, runs_of, tmp_path, monkeypatch
):
    monkeypatch.setattr(stages, "FLUSH_ROWS", 2)
    run_stages(StageContext(steady, corpus, never))
    expected = {split: comparable(steady, split) for split in ("dev", "test")}
    twin = Run(steady.folder.with_name("twin"))
    twin.folder.mkdir()
    for name in ("identity.json", "recipe.json"):
        (twin.folder / name).write_bytes((steady.folder / name).read_bytes())
    generator = random.Random(3)
    kills = 0
    monkeypatch.setenv("DOUBLES_PAUSE", "0.004")

    def answers():
        return sum(len(twin.predictions(split)) for split in ("dev", "test"))

    while answers() < 24:
        wanted = min(24, answers() + generator.choice((0, 1, 2, 3)))
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                run_stages(StageContext(twin, corpus, never))
                code = 0
            finally:
                os._exit(code)
        while answers() < wanted and os.waitid(os.P_PID, pid, ENDED) is None:
            pass
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        kills += 1
    assert kills >= 5
    run_stages(StageContext(twin, corpus, never))
    assert {split: comparable(twin, split) for split in ("dev", "test")} == expected
    assert twin.scorecard("dev").rouge == steady.scorecard("dev").rouge


def test_a_garbled_answer_is_given_again(steady, corpus):
    run_stages(StageContext(steady, corpus, never))
    path = steady.predictions_path("dev")
    expected = comparable(steady, "dev")
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:3], b"\xff\xff\n", *lines[4:]]))
    assert pending(steady, corpus) == ALL[1:]
    run_stages(StageContext(steady, corpus, never))
    assert len(msgspec.json.decode(expected)) == len(steady.predictions("dev"))


def test_an_engine_that_leaves_a_dialogue_out_has_failed(runs_of, corpus):
    (run,) = runs_of("Forgetful")
    with pytest.raises(RunFailed, match="test"):
        run_stages(StageContext(run, corpus, never))
    assert run.state().status is not RunStatus.FINISHED


def test_an_engine_that_is_not_there_is_named(runs_of, corpus):
    (run,) = runs_of("Absent")
    with pytest.raises(BadRecipe, match="doubles:Absent"):
        run_stages(StageContext(run, corpus, never))


def test_a_torn_scorecard_is_judged_again(steady, corpus):
    run_stages(StageContext(steady, corpus, never))
    path = steady.folder / "scores" / "dev.json"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(BadData):
        steady.scorecard("dev")
    assert pending(steady, corpus) == ["score"]


ALIGN = ("align.method=mrt",)


@pytest.fixture
def aligned(runs_of):
    return runs_of("Steady", sets=ALIGN)[0]


def test_metric_aware_training_is_a_stage_of_its_own(aligned, corpus):
    every = ["train", "align", *ALL[1:]]
    assert pending(aligned, corpus) == every
    run_stages(StageContext(aligned, corpus, never))
    assert begun(aligned) == every
    assert is_finished(aligned, corpus)
    # Supervised weights are those of the recipe without it, and stay beside the others.
    supervised = (aligned.supervised_folder / "weights" / "weights.bin").read_text()
    assert supervised == aligned.recipe.supervised.learning_hash
    assert (aligned.folder / "weights" / "weights.bin").read_text() == aligned.recipe.learning_hash
    (aligned.folder / "weights").rename(aligned.folder / "elsewhere")
    assert pending(aligned, corpus) == every[1:]


def test_an_aligned_run_is_another_run_and_plain_ones_keep_their_stages(aligned, steady, corpus):
    assert aligned.folder != steady.folder
    assert pending(steady, corpus) == ALL
    assert steady.supervised_folder == steady.engine_folder


def test_alarms_of_the_kept_evaluation_are_those_of_the_score(aligned, corpus):
    rouge, interval = Rouge(rouge1=0.5, rouge2=0.2, rougeL=0.4), Interval(low=0.3, high=0.5)

    def emit(step, best, *alarms):
        aligned.emit(
            Evaluated(
                at=1.0, step=step, epoch=0.1, rouge=rouge, interval=interval, rows=4,
                signature="s", seconds=0.1, best=best, stage="align",
            )
        )  # fmt: skip
        aligned.emit(
            RewardWatched(
                at=1.0, step=step, rows=4, optimised_change=0.1, characters_change=-0.02,
                characters_error=0.001, outside={"tags": 0.6}, outside_start={"tags": 0.1},
                alarms=alarms,
            )
        )  # fmt: skip

    emit(50, True, "tags", "characters")
    emit(100, False)
    run_stages(StageContext(aligned, corpus, never))
    alarms = {one.key: one.sentence for one in aligned.scorecard("dev").alarms}
    assert "60 %" in alarms["metrics.alarm-reward-tags"]
    assert "-2.00" in alarms["metrics.alarm-reward-characters"]


def test_weights_of_the_same_supervised_training_are_taken_over(aligned, steady, corpus):
    run_stages(StageContext(steady, corpus, never))
    run_stages(StageContext(aligned, corpus, never))
    taken = [event for event in aligned.events() if isinstance(event, Warned)]
    assert [event.fields for event in taken] == [{"run": steady.name}]
    target = aligned.supervised_folder / "weights"
    assert atomic.verify_folder(target) is not None
    assert (target / "weights.bin").read_bytes() == (
        steady.folder / "weights" / "weights.bin"
    ).read_bytes()

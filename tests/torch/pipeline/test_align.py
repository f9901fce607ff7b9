"""Metric-aware training as a job: what it learns, keeps, and goes on from."""

import msgspec
import pytest

from support.alignment import digest_of
from support.training import Crash, answers, as_split, run_training
from yoyak import events
from yoyak.errors import InputMissing, Interrupted

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")
from yoyak.engine.alignment.samples import Candidates, StepSamples, read_records  # noqa: E402
from yoyak.engine.models import weights  # noqa: E402

SETTINGS = {
    "grpo": ("align.updates=2", "align.likelihood_weight=0.1"),
    "mrt": ("align.kl=0", "align.length_penalty=0.1"),
    "dpo": (),
    "brio": ("align.likelihood_weight=1",),
}


def steps_of(said):
    return [event for event in said if isinstance(event, events.AlignStep)]


def kill_at(align_job, method, folder, moments):
    """Run a job, killed once at each of ``moments``, (kind of event, number), until it ends."""
    left = set(moments)
    sets = (f"align.method={method}", *SETTINGS[method])

    def emit(event):
        moment = (type(event), getattr(event, "step", getattr(event, "done", None)))
        if moment in left:
            left.remove(moment)
            raise Crash

    while True:
        try:
            run_training(align_job("bart", *sets, folder=folder, emit=emit))
        except Crash:
            continue
        assert not left
        return digest_of(folder)


STEP, EVALUATED, SAVED = events.AlignStep, events.Evaluated, events.CheckpointSaved
SAMPLED = events.PredictionProgress
QUICK = {"grpo": [(STEP, 3), (STEP, 4)], "dpo": [(SAMPLED, 4), (STEP, 1)]}
EVERY = [(kind, step) for kind in (STEP, EVALUATED, SAVED) for step in range(6)]
MOMENTS = [
    *(pytest.param(method, moments, id=method) for method, moments in QUICK.items()),
    *(
        pytest.param(method, EVERY, id=f"{method}-everywhere", marks=pytest.mark.slow)
        for method in SETTINGS
    ),
]


@pytest.mark.parametrize(("method", "moments"), MOMENTS)
def test_a_killed_job_ends_with_the_same_bits(
    method, moments, align_job, inline_rewards, tmp_path, monkeypatch
):
    from yoyak.engine.pipeline import align

    monkeypatch.setattr(align, "CHUNK_ROWS", 4)
    sets = (f"align.method={method}", *SETTINGS[method])
    run_training(align_job("bart", *sets, folder=tmp_path / "whole"))
    happened = {
        (type(event), getattr(event, "step", getattr(event, "done", None)))
        for event in align_job.said
    }
    assert len(steps_of(align_job.said)) == 5
    expected = digest_of(tmp_path / "whole")
    assert "model.safetensors" in expected
    asked = [moment for moment in moments if moment in happened]
    assert len(asked) >= 2
    assert kill_at(align_job, method, tmp_path / "killed", asked) == expected


def test_adapters_are_trained_on_from_the_supervised_ones(align_job, inline_rewards, supervised):
    asked = align_job("lora", "align.method=mrt", "align.max_steps=2", "align.learning_rate=1e-2")
    run_training(asked)
    assert weights.read(asked.folder / "weights").form == "adapters"
    passed = [event for event in align_job.said if isinstance(event, events.PreflightPassed)]
    assert {check.name for check in passed[0].checks if check.passed} == {
        "reward-reference", "reward-judge", "reward-tags", "advantages-centred", "kl-start",
    }  # fmt: skip
    first, last = steps_of(align_job.said)
    assert first.kl == 0 < last.kl, "the divergence is that from the supervised model"
    before = weights.read_tensors(supervised("lora") / "weights")
    after = weights.read_tensors(asked.folder / "weights")
    assert before.keys() == after.keys()
    assert any(not torch.equal(before[name], after[name]) for name in before)
    # As loaded by whoever predicts, with its base from scratch.
    said = answers(asked, asked.dev.dialogues)
    assert len(said) == 6


def test_samples_rewards_and_pairs_are_records(align_job, inline_rewards):
    from yoyak.metrics.rouge import score_rows

    asked = align_job("bart", "align.method=simpo", "align.max_steps=2")
    run_training(asked)
    (path,) = (asked.folder / "align").glob("candidates-*.jsonl")
    found = read_records(path, Candidates)
    assert len(found) == 4, "only dialogues that steps learn from are sampled"
    references = {row.id: row.references for row in asked.train.dialogues}
    for one in found:
        assert len(one.texts) == len(one.token_ids) == 3
        judged = score_rows(one.texts, [references[one.id]] * 3)[:, :, 2].mean(axis=1)
        for reward, score in zip(one.rewards, judged, strict=True):
            assert reward in (pytest.approx(score), 0.0)
    from yoyak.engine.alignment.samples import PreferencePair

    for pair in read_records(asked.folder / "align" / "pairs.jsonl", PreferencePair):
        assert pair.chosen_reward > pair.rejected_reward
    online = align_job("bart", "align.method=mrt", folder=asked.folder / "online")
    run_training(online)
    steps = read_records(online.folder / "align" / "samples.jsonl", StepSamples)
    assert [one.step for one in steps] == [step for step in range(1, 6) for _ in range(2)]


@pytest.mark.slow  # a killed job is the quicker kin
def test_a_stop_request_during_sampling_saves_and_ends(align_job, inline_rewards, tmp_path):
    asked_after = iter([False] * 30 + [True] * 10_000)
    asked = align_job("bart", "align.method=grpo", stop=lambda: next(asked_after))
    with pytest.raises(Interrupted):
        run_training(asked)
    assert isinstance(align_job.said[-1], events.Stopped)
    assert align_job.said[-1].reason == "align"
    run_training(align_job("bart", "align.method=grpo"))
    run_training(align_job("bart", "align.method=grpo", folder=tmp_path / "whole"))
    assert digest_of(asked.folder) == digest_of(tmp_path / "whole")


def test_what_is_done_is_not_done_again_and_weights_have_to_be_there(
    align_job, inline_rewards, tmp_path
):
    asked = align_job("bart", "align.method=mrt", "align.max_steps=1")
    run_training(asked)
    align_job.said.clear()
    run_training(asked)
    assert align_job.said == []
    with pytest.raises(InputMissing):
        run_training(asked._replace(folder=tmp_path / "new", supervised=tmp_path / "none"))


LIKELIEST = "둘은 조용히 책만 읽었다."
CLOSE = (
    "오늘 #Person1#은 도서관에서 회의를 열기로 했습니다.",
    "내일 #Person1#은 도서관에서 회의를 열기로 했습니다.",
)
MIXTURE = (LIKELIEST,) * 4 + (CLOSE[0],) * 3 + (CLOSE[1],) * 3


@pytest.fixture
def two_modes(job, dialogues, tmp_path):
    """A supervised model of a task whose likeliest summary is not the one with the least risk.

    Whatever the dialogue, four of ten references are one sentence and six are two that differ in
    one word. Dev has all ten references: their mean is the expected score.
    """
    # Each dialogue has all ten, so that none can be learnt by heart.
    rows = [
        msgspec.structs.replace(dialogue, id=f"{dialogue.id}-{number}", references=(text,))
        for dialogue in dialogues[:8]
        for number, text in enumerate(MIXTURE)
    ]
    dev = [msgspec.structs.replace(dialogue, references=MIXTURE) for dialogue in dialogues[8:]]

    def make(*sets):
        asked = job(
            "bart", "decode.max_new_tokens=24", "train.epochs=14", "train.learning_rate=5e-3",
            "train.batch_size=10", "train.micro_batch_size=10", "evaluate.every_epochs=none",
            "evaluate.rows=none", "align.samples=6", "align.batch_size=10", "align.epochs=6",
            "align.learning_rate=3e-3", "align.evaluate_every_steps=12", *sets,
        )  # fmt: skip
        asked = asked._replace(train=as_split("train", rows), dev=as_split("dev", dev))
        first = asked._replace(recipe=asked.recipe.supervised, folder=tmp_path / "supervised")
        run_training(first)
        return first, asked._replace(supervised=first.folder)

    return make


def scores_of(job, dialogues):
    from yoyak.metrics.rouge import score_rows

    said = answers(job, dialogues)
    texts = [said[row.id].text for row in dialogues]
    return texts, score_rows(texts, [row.references for row in dialogues])[:, :, 2].mean(axis=1)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["grpo", "mrt"])
def test_a_known_optimum_is_reached_where_likelihood_does_not(method, two_modes, inline_rewards):
    from yoyak.metrics.bootstrap import mean_intervals
    from yoyak.metrics.rouge import score_rows

    first, asked = two_modes(f"align.method={method}", "align.kl=0.01", "align.sharpness=2")
    candidates = [LIKELIEST, *CLOSE]
    expected = score_rows(candidates, [MIXTURE] * 3)[:, :, 2].mean(axis=1)
    assert expected[1:].min() > expected[0] + 0.1, "the known optimum"
    run_training(asked)
    before, supervised_scores = scores_of(first, asked.dev.dialogues)
    _, aligned_scores = scores_of(asked, asked.dev.dialogues)
    gain = aligned_scores - supervised_scores
    (interval,) = mean_intervals(gain[:, None], seed=1, resamples=2_000)
    assert before.count(LIKELIEST) >= len(before) / 3, "likelihood chooses the likeliest"
    assert interval.low > 0.02, "proven"
    assert aligned_scores.mean() > 0.95 * expected.max()


@pytest.mark.slow
@pytest.mark.parametrize("hack", ["tags", "length"])
def test_a_planted_reward_for_tags_or_length_is_flagged(hack, two_modes, monkeypatch):
    import numpy as np

    from support.alignment import InlineRewards
    from yoyak.engine.pipeline import align

    def pays(texts):
        if hack == "tags":
            return np.array([9 * text.count("#Person1#") / (len(text) or 1) for text in texts])
        return np.array([min(1.0, len(text) / 60) for text in texts])

    def in_groups(groups, _settings):
        return np.stack([pays(group.texts) for group in groups])

    monkeypatch.setattr(align, "RewardPool", lambda settings: InlineRewards(settings, in_groups))
    monkeypatch.setattr(align, "rewards", lambda texts, *_: pays(texts))
    monkeypatch.setattr(align, "require", lambda _results: None)  # preflight finds it first
    said = []
    _, asked = two_modes("align.method=grpo", "align.kl=0", "align.temperature=1.5")
    run_training(asked._replace(emit=said.append))
    failed = {
        check.name
        for event in said
        if isinstance(event, events.PreflightPassed)
        for check in event.checks
        if not check.passed
    }
    assert "reward-judge" in failed
    warned = {event.key for event in said if isinstance(event, events.Warned)}
    assert f"metrics.alarm-reward-{hack}" in warned

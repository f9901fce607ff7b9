import hashlib

import msgspec
import pytest

import torch  # noqa: TID253 -- pytest leaves this folder alone where torch is not wanted
from yoyak.config.load import resolve
from yoyak.engine import TrainJob
from yoyak.engine.inference import next_token
from yoyak.engine.models import load, weights
from yoyak.engine.pipeline import finetune
from yoyak.engine.preflight.dry_run import FOLDER, DryRunContext, dry_run
from yoyak.engine.preflight.run import run_preflight
from yoyak.engine.tokenization.encode import encode_rows
from yoyak.errors import RunFailed
from yoyak.events import PreflightPassed
from yoyak.values import Split

pytestmark = pytest.mark.torch

SMALL = ("model.scratch.vocabulary=500", "model.scratch.layers=1")


@pytest.fixture
def stage(dialogues, tmp_path):
    """The stage of a bundled toy recipe, as ``fine_tune`` would set it."""

    def make(name: str) -> DryRunContext:
        recipe = resolve(name, sets=SMALL).recipe
        split = Split(name="train", dialogues=tuple(dialogues), fingerprint="f")
        kind = "causal" if recipe.engine == "qlora" else "seq2seq"
        job = TrainJob(recipe, split, split, tmp_path, lambda _: None, lambda: False)
        ready = finetune.prepare(job, kind)
        described = description(recipe, ready.max_new_tokens)
        return DryRunContext(
            ready.bundle, ready.rows[:2], dialogues[:2], recipe, described, tmp_path, 1e-4
        )

    return make


def description(recipe, cap):
    return weights.SavedWeights(
        form="whole" if recipe.lora is None else "adapters",
        base=weights.SCRATCH, revision=None, base_sha256="", learning_hash="", data_sha256="",
        step=1, max_new_tokens=cap,
    )  # fmt: skip


def state_of(model):
    digest = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


@pytest.mark.parametrize("name", ["tiny-bart", "tiny-qlora"])
def test_a_sound_system_plays_through_and_nothing_is_kept(stage, name, tmp_path):
    play = stage(name)
    model = play.bundle.model.train()
    before = state_of(model), torch.get_rng_state()
    line = dry_run(play)
    assert line.passed, line.found
    assert line.found.startswith("2 rows answered")
    assert "2 identical" in line.found
    assert state_of(model) == before[0]
    assert torch.equal(torch.get_rng_state(), before[1])
    assert all(value.grad is None for value in model.parameters())
    assert model.training
    assert {path.name for path in tmp_path.iterdir()} == {"base", "tokens"}
    assert dry_run(play) == line


@pytest.fixture(scope="module")
def broken():
    """Runs a rehearsal that must fail and gives its finding."""

    def run(play: DryRunContext) -> str:
        line = dry_run(play)
        assert not line.passed
        return line.found

    return run


def test_adapters_that_do_not_arrive(stage, broken, monkeypatch):
    play = stage("tiny-qlora")
    monkeypatch.setattr(weights, "load_adapters", lambda model, _: model)
    assert "distance 0.0e+00" not in broken(play)


def test_weights_saved_before_they_were_learnt(stage, broken, monkeypatch):
    play = stage("tiny-bart")
    right = weights._save

    def stale(bundle, folder, *, adapters):
        right(bundle, folder, adapters=adapters)
        path = folder / "model.safetensors"
        path.write_bytes((play.folder / "base" / "model.safetensors").read_bytes())

    monkeypatch.setattr(weights, "_save", stale)
    assert "distance 0.0e+00" not in broken(play)


def test_number_formats_that_clash_at_generation_only(stage, broken, monkeypatch):
    play = stage("tiny-bart")

    def clash(*_):
        raise RuntimeError("expected scalar type BFloat16 but found Float")

    monkeypatch.setattr(next_token._Seq2SeqScores, "scores", clash)
    assert "RuntimeError: expected scalar type BFloat16" in broken(play)


def test_answers_and_references_swapped_at_the_judge(stage, broken, monkeypatch):
    from yoyak.metrics import rouge

    play = stage("tiny-bart")
    right = rouge.score_rows

    def swapped(hypotheses, references, definition):
        texts = [text for text, *_ in references]
        return right(texts, [(text,) for text in hypotheses], definition)

    monkeypatch.setattr(rouge, "score_rows", swapped)
    assert "ROUGE mean –" in broken(play)


def test_a_judge_that_gives_nothing_to_anyone(stage, broken, monkeypatch):
    """As ``rouge-score`` with its default tokeniser, which knows no Hangul."""
    from yoyak.metrics import rouge

    play = stage("tiny-bart")
    right = rouge.score_rows
    monkeypatch.setattr(rouge, "score_rows", lambda *args: 0.0 * right(*args))
    assert "ROUGE mean –" in broken(play)


def test_a_killed_rehearsal_is_cleared_away(stage, tmp_path):
    play = stage("tiny-bart")
    (tmp_path / FOLDER / "weights").mkdir(parents=True)
    assert dry_run(play).passed
    assert not (tmp_path / FOLDER).exists()
    assert load.SCRATCH == "base"


@pytest.mark.parametrize("name", ["tiny-bart", "tiny-qlora"])
def test_a_run_tells_its_card(stage, dialogues, name):
    play = stage(name)
    told = []
    split = Split(name="train", dialogues=tuple(dialogues), fingerprint="f")
    job = TrainJob(play.recipe, split, split, play.folder, told.append, lambda: False)
    rows = encode_rows(play.bundle.tokenizer, dialogues, play.recipe.prompt, with_answers=True)
    run_preflight(job, play.bundle, rows, play.weights)
    *one_by_one, proved = told
    assert [event.check for event in one_by_one] == list(proved.checks)
    assert [line for line in proved.checks if not line.passed] == []
    assert proved.checks[-1].name == "rehearsal"
    assert msgspec.json.decode(msgspec.json.encode(proved), type=PreflightPassed) == proved


def test_a_red_card_is_told_and_ends_the_run_without_a_rehearsal(stage, dialogues):
    play = stage("tiny-bart")
    told = []
    split = Split(name="train", dialogues=tuple(dialogues), fingerprint="f")
    job = TrainJob(play.recipe, split, split, play.folder, told.append, lambda: False)
    rows = encode_rows(play.bundle.tokenizer, dialogues, play.recipe.prompt, with_answers=True)
    rows[5] = rows[5]._replace(answer_ids=rows[5].answer_ids[:-1])
    with pytest.raises(RunFailed, match=r"preflight checks failed: 1.*row_5"):
        run_preflight(job, play.bundle, rows, play.weights)
    assert [line.name for line in told[-1].checks if not line.passed] == ["stop-supervised"]
    assert "rehearsal" not in {line.name for line in told[-1].checks}

"""A real pretrained 0.5B: what its summaries cost, and the whole way from training to export."""

import subprocess
import sys

import pytest

from yoyak.config.load import resolve
from yoyak.data.corpus import read_corpus
from yoyak.engine import GenerateJob, TrainJob, load
from yoyak.events import PreflightPassed, TrainStep
from yoyak.values import Split

pytestmark = [pytest.mark.real, pytest.mark.torch]

STEPS = 4
SETS = (
    "model.quantisation=none",  # in 4-bit a CPU needs five times as long
    "lora.lora_dropout=0.0",
    "train.epochs=9",
    f"train.max_steps={STEPS}",
    "train.batch_size=4",
    "train.learning_rate=1e-3",
    "evaluate.every_epochs=none",
    "decode.max_new_tokens=12",
)


@pytest.fixture(scope="module")
def base(shared, tmp_path_factory):
    """The base as an ordinary folder of transformers."""
    folder = tmp_path_factory.mktemp("real") / "base"
    source = shared / "base"
    words = [sys.executable, str(source / "unpack.py"), str(source), str(folder)]
    subprocess.run(words, check=True, capture_output=True, timeout=300)
    return folder


@pytest.fixture(scope="module")
def recipe(base):
    return resolve("qwen25-7b", sets=(f"model.base={base}", *SETS)).recipe


@pytest.fixture(scope="module")
def first(shared):
    """A split of its first dialogues of at most so many characters."""

    def choose(name: str, count: int, characters: int = 350) -> Split:
        split = getattr(read_corpus(shared / "data" / "contest"), name)
        rows = tuple(row for row in split.dialogues if len(row.text) <= characters)[:count]
        assert len(rows) == count
        return Split(name=name, dialogues=rows, fingerprint=f"{split.fingerprint}-{count}")

    return choose


def test_a_real_summary_costs_about_two_nats_a_token_before_training(recipe, first):
    """Measured apart from this package: 2.14 over all references, 2.27 where training starts."""
    torch = pytest.importorskip("torch")
    from yoyak.engine.device import detect, silence_libraries
    from yoyak.engine.models.collate import collate
    from yoyak.engine.models.load import BaseModel, load_base
    from yoyak.engine.models.loss import token_losses
    from yoyak.engine.tokenization.encode import encode_rows
    from yoyak.engine.tokenization.tokenizer import load_tokenizer

    silence_libraries()
    tokenizer = load_tokenizer(recipe.model.base, recipe)
    dialogues = first("dev", 4, 250).dialogues
    rows = encode_rows(tokenizer, dialogues, recipe.prompt, with_answers=True)
    model = load_base(BaseModel(recipe.model.base, None, ""), "causal", recipe, detect()).eval()
    with torch.no_grad():
        losses = torch.cat(
            [token_losses(model, collate([row], tokenizer, "causal", model.device)) for row in rows]
        )
    assert float(losses.mean()) == pytest.approx(2.14, abs=0.25)


@pytest.mark.slow
@pytest.mark.timeout(3600)  # on a busy machine the preflight alone takes ten minutes
def test_training_lowers_the_loss_and_every_way_to_load_it_gives_the_same_answer(
    recipe, first, tmp_path
):
    torch = pytest.importorskip("torch")
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, GenerationConfig

    from yoyak.engine.inference.generate import generate
    from yoyak.engine.models import weights
    from yoyak.engine.models.export import export_weights
    from yoyak.engine.tokenization.encode import encode_rows

    train, dev = first("train", 4, 200), first("dev", 1, 200)
    engine, events = load(recipe.engine), []
    engine.train(TrainJob(recipe, train, dev, tmp_path / "run", events.append, lambda: False))
    (proof,) = [event for event in events if isinstance(event, PreflightPassed)]
    assert [check for check in proof.checks if not check.passed] == []
    assert "kernels-equal-torch" in {check.name for check in proof.checks}, "blocks were fused"
    losses = [event.loss for event in events if isinstance(event, TrainStep)]
    assert len(losses) == STEPS
    assert 1.9 < losses[0] < 2.8
    assert losses[-1] < losses[0] - 0.3

    job = GenerateJob(recipe, recipe.decode, dev.dialogues, train, tmp_path / "run", events.append)
    (answer,) = engine.generate(job)
    assert answer.text

    bundle, saved = weights.load(tmp_path / "run", "causal", recipe)
    rows = encode_rows(bundle.tokenizer, dev.dialogues, recipe.prompt, with_answers=False)
    merged = bundle._replace(model=bundle.model.merge_and_unload(safe_merge=True).eval())
    (of_merged,) = generate(merged, rows, recipe.decode, max_new_tokens=saved.max_new_tokens)
    assert of_merged.raw == answer.raw

    exported = tmp_path / "exported"
    exported.mkdir()
    export_weights(tmp_path / "run", recipe, exported)
    plain = AutoModelForCausalLM.from_pretrained(recipe.model.base, dtype=torch.float32)
    model = PeftModel.from_pretrained(plain, exported).eval()
    ids = torch.tensor([rows[0].source_ids])
    settings = GenerationConfig.from_pretrained(exported)
    with torch.no_grad():
        new = model.generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), generation_config=settings
        )[0, ids.shape[1] :]
    assert bundle.tokenizer.decode(new.tolist()) == answer.raw

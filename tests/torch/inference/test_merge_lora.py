"""Merged weights: another system than the trained one, so it is compared before it speaks."""

import msgspec
import pytest

from yoyak import engine, events
from yoyak.config.load import resolve
from yoyak.config.schema import Greedy
from yoyak.engine import GenerateJob
from yoyak.errors import BadRecipe

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")
from yoyak.engine.inference import merge_lora  # noqa: E402
from yoyak.engine.models import weights  # noqa: E402

QUICK = ("train.max_steps=4", "evaluate.every_epochs=none", "lora.lora_dropout=0.0")


def wants(asked, **generate):
    recipe = msgspec.structs.replace(
        asked.recipe, generate=msgspec.structs.replace(asked.recipe.generate, **generate)
    )
    return GenerateJob(
        recipe=recipe, decode=Greedy(), dialogues=asked.dev.dialogues, train=asked.train,
        folder=asked.folder, emit=asked.emit,
    )  # fmt: skip


@pytest.fixture
def learnt(job):
    def make(form, *sets):
        asked = job(form, *QUICK, *sets)
        engine.load(asked.recipe.engine).train(asked)
        job.said.clear()
        return asked

    return make


def logits_of(bundle):
    ids = torch.arange(7, 60).unsqueeze(0)
    with torch.no_grad():
        return bundle.model(input_ids=ids).logits.float()


def test_merging_into_a_plain_base_changes_rounding_only(learnt, job):
    asked = learnt("lora")
    opened, described = merge_lora.load_merged(wants(asked, weights="merged"), "causal")
    trained, _ = weights.load(asked.folder, "causal", asked.recipe)
    assert not [name for name, _ in opened.model.named_parameters() if "lora" in name]
    torch.testing.assert_close(logits_of(opened), logits_of(trained), rtol=1e-4, atol=1e-4)
    assert described.form == "adapters"
    (told,) = [event for event in job.said if isinstance(event, events.BackendParityChecked)]
    assert told.check.name == "parity-merged"
    assert told.check.passed
    assert "6 rows: 6 equal" in told.check.found


def test_merged_is_the_unrounded_base_with_its_adapters(learnt, job):
    """What merging into the live 4-bit model would lose stays: the base's own weights."""
    asked = learnt("nf4")
    opened, _ = merge_lora.load_merged(wants(asked, weights="merged"), "causal")
    plain = merge_lora.without_quantisation(asked.recipe)
    beside, _ = weights.load(asked.folder, "causal", plain)
    torch.testing.assert_close(logits_of(opened), logits_of(beside), rtol=1e-4, atol=1e-4)
    in_4_bit, _ = weights.load(asked.folder, "causal", asked.recipe)
    assert not torch.allclose(logits_of(opened), logits_of(in_4_bit), rtol=1e-2, atol=1e-2)
    (told,) = [event for event in job.said if isinstance(event, events.BackendParityChecked)]
    assert told.check.passed


def test_a_merge_that_became_another_model_does_not_speak(learnt, job, monkeypatch):
    asked = learnt("nf4")
    right = merge_lora.load_whole

    def spoilt(*args):
        bundle, saved = right(*args)
        for name, value in bundle.model.named_parameters():
            if "up_proj" in name or "q_proj" in name:
                value.data = torch.randn_like(value)
        return bundle, saved

    monkeypatch.setattr(merge_lora, "load_whole", spoilt)
    opened, _ = merge_lora.load_merged(wants(asked, weights="merged"), "causal")
    assert [name for name, _ in opened.model.named_parameters() if "lora" in name]
    (told,) = [event for event in job.said if isinstance(event, events.BackendParityChecked)]
    assert not told.check.passed
    assert [e.key for e in job.said if isinstance(e, events.Warned)] == ["engine.merged-differs"]


def test_too_large_for_the_card_is_said_and_the_trained_one_speaks(learnt, job, monkeypatch):
    asked = learnt("nf4")
    trained, described = weights.load(asked.folder, "causal", asked.recipe)
    monkeypatch.setattr(
        weights, "load",
        lambda *_: (trained._replace(device=torch.device("cuda", 0)), described),
    )  # fmt: skip
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (2_000_000_000, 24_000_000_000))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda: 500_000_000)
    opened, _ = merge_lora.load_merged(wants(asked, weights="merged"), "causal")
    assert opened.model is trained.model
    (told,) = job.said
    assert told.key == "engine.merged-too-large"
    assert told.fields == {"needed": "3.0", "free": "2.5"}


def test_the_engine_speaks_merged_and_compares_once(learnt, job):
    asked = learnt("nf4")
    speaker = engine.load(asked.recipe.engine)
    wanted = wants(asked, weights="merged")
    said = [{p.id: p.text for p in speaker.generate(wanted)} for _ in range(2)]
    assert said[0] == said[1]
    assert len(said[0]) == 6
    assert len([event for event in job.said if isinstance(event, events.BackendParityChecked)]) == 1


def test_merging_needs_adapters_and_another_library_an_encoder():
    with pytest.raises(BadRecipe, match=r"needs adapters"):
        resolve("kobart", sets=("generate.weights=merged",))
    with pytest.raises(BadRecipe, match=r"encoder-decoders only"):
        resolve("qwen3-4b", sets=("generate.library=ctranslate2",))


def test_how_it_speaks_is_no_part_of_what_it_learns():
    plain, other = (resolve("qwen3-4b", sets=s).recipe for s in ((), ("generate.weights=merged",)))
    assert plain.learning_hash == other.learning_hash
    assert plain.full_hash != other.full_hash

"""Add LoRA adapters, and load trained ones."""

import json

import pytest

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")
from yoyak.engine.device import detect  # noqa: E402
from yoyak.engine.models import load, lora  # noqa: E402
from yoyak.engine.models.model import trainable_parameters  # noqa: E402
from yoyak.engine.pipeline import base_model  # noqa: E402
from yoyak.errors import RunFailed  # noqa: E402


@pytest.fixture
def adapted_base(job):
    """A function that loads a job's base and adds untrained adapters."""

    def make(seed=1):
        asked = job("nf4")
        found = base_model.find_base(asked.recipe, asked.train, asked.folder)
        model = load.load_base(found, "causal", asked.recipe, detect())
        return asked, found, lora.add_lora(model, asked.recipe.lora, "causal", seed)

    return make


def lora_values(model):
    return torch.cat([value.flatten() for value in trainable_parameters(model).values()])


def test_every_linear_layer_but_the_head_gets_float32_adapters(adapted_base):
    _, _, model = adapted_base()
    trained = trainable_parameters(model)
    assert {value.dtype for value in trained.values()} == {torch.float32}
    layers = {name.split(".lora_")[0].rsplit(".", 1)[-1] for name in trained}
    assert layers == {
        "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj",
    }  # fmt: skip
    assert len(trained) == 2 * 7 * 2, "matrices A and B in two blocks"


def test_untrained_adapters_depend_on_the_seed_alone(adapted_base):
    first, again, other = (lora_values(adapted_base(seed)[2]) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_adapters_that_change_nothing_are_not_taken_for_a_trained_model(adapted_base, tmp_path):
    asked, found, model = adapted_base()
    model.save_pretrained(tmp_path / "untrained", save_embedding_layers=False)
    plain = load.load_base(found, "causal", asked.recipe, detect())
    with pytest.raises(RunFailed, match="with and without the adapters"):
        lora.load_adapters(plain, tmp_path / "untrained")


def test_trained_adapters_come_back_active(adapted_base, tmp_path):
    asked, found, model = adapted_base()
    for value in trainable_parameters(model).values():
        torch.nn.init.constant_(value, 0.05)
    model.save_pretrained(tmp_path / "trained", save_embedding_layers=False)
    plain = load.load_base(found, "causal", asked.recipe, detect())
    loaded = lora.load_adapters(plain, tmp_path / "trained")
    ids = torch.arange(1, 30).reshape(1, -1)
    with torch.no_grad():
        assert torch.equal(loaded(input_ids=ids).logits, model.eval()(input_ids=ids).logits)


VARIANTS = {
    "rslora": ["lora.use_rslora=true"],
    "dora": ["lora.use_dora=true"],
    "pissa": ["lora.init_lora_weights=pissa"],
    "all": ["lora.use_rslora=true", "lora.use_dora=true", "lora.init_lora_weights=pissa"],
}


def moved(made):
    """Two optimizer steps, so that the adapters are not what they were."""
    for _ in range(2):
        made.optimizer.gradient([made.rows[:2]])
        made.optimizer.step(1e-2)
    return made.optimizer.bundle.model.eval()


@pytest.mark.parametrize("variant", VARIANTS)
def test_saved_adapters_compute_on_the_published_base_what_was_trained(variant, context, tmp_path):
    made = context("lora", *VARIANTS[variant])
    before = logits_of(made, made.optimizer.bundle.model.eval())
    model = moved(made)
    lora.save_adapters(model, tmp_path / "saved", made.optimizer.bundle.initial_adapters)
    base = load.BaseModel(str(made.job.folder / load.SCRATCH), None, "")
    published = load.load_base(base, "causal", made.job.recipe, detect())
    torch.testing.assert_close(before, logits_of(made, published.eval()), atol=1e-4, rtol=1e-3)
    loaded = lora.load_adapters(published, tmp_path / "saved")
    trained = logits_of(made, model)
    torch.testing.assert_close(logits_of(made, loaded), trained, atol=1e-4, rtol=1e-3)
    assert (trained - before).abs().max() > 0.01


def logits_of(made, model):
    ids = torch.tensor([made.rows[0].source_ids])
    with torch.no_grad():
        return model(input_ids=ids).logits


def test_pissa_s_adapters_are_those_that_peft_converts(context, tmp_path):
    """PEFT subtracts the initial adapters by loading them from a folder of their own."""
    from safetensors.torch import load_file

    made = context("lora", *VARIANTS["pissa"])
    model = made.optimizer.bundle.model
    config = model.peft_config["default"]
    config.init_lora_weights = True
    model.save_pretrained(tmp_path / "start", save_embedding_layers=False)
    config.init_lora_weights = "pissa"
    moved(made)
    lora.save_adapters(model, tmp_path / "ours", made.optimizer.bundle.initial_adapters)
    model.save_pretrained(
        tmp_path / "theirs",
        path_initial_model_for_weight_conversion=str(tmp_path / "start"),
        save_embedding_layers=False,
    )
    ours, theirs = (load_file(tmp_path / name / lora.ADAPTERS) for name in ("ours", "theirs"))
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        torch.testing.assert_close(ours[name], value)
    settings = [
        json.loads((tmp_path / name / "adapter_config.json").read_text())
        for name in ("ours", "theirs")
    ]
    assert settings[0] == settings[1]


def test_pissa_starts_from_the_principal_singular_vectors(context):
    made = context("lora", *VARIANTS["pissa"])
    model = made.optimizer.bundle.model
    layer = model.get_base_model().model.layers[0].self_attn.q_proj
    update = layer.get_delta_weight("default")
    _, kept, _ = torch.linalg.svd(update.detach())
    _, whole, _ = torch.linalg.svd((layer.base_layer.weight + update).detach())
    rank = made.job.recipe.lora.r
    torch.testing.assert_close(kept[:rank], whole[:rank], rtol=1e-3, atol=1e-5)

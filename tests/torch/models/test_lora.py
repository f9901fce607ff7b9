"""Add LoRA adapters, and load trained ones."""

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

"""Learning rates by parameter, against PEFT's LoRA+ and the definition of layer-wise decay."""

import re

import pytest

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")
from yoyak.engine.training.adamw import LR_SCALE  # noqa: E402
from yoyak.engine.training.learning_rates import layerwise_scales, lr_scales  # noqa: E402


def test_lora_plus_has_the_groups_of_peft_and_the_same_steps(context):
    from peft.optimizers import create_loraplus_optimizer

    made = context("lora", "lora.loraplus_lr_ratio=16", "train.weight_decay=0.1")
    optimizer, model = made.optimizer, made.optimizer.bundle.model
    rate = made.job.recipe.train.learning_rate
    optimizer.gradient([made.rows[:2]])
    gradients = {name: value.grad.clone() for name, value in optimizer.named.items()}
    before = {name: value.detach().clone() for name, value in optimizer.named.items()}
    optimizer.step(rate)
    ours = {name: value.detach().clone() for name, value in optimizer.named.items()}
    optimizer.load(before)
    theirs = create_loraplus_optimizer(
        model, torch.optim.AdamW, lr=rate, loraplus_lr_ratio=16, loraplus_weight_decay=0.1
    )
    for name, value in optimizer.named.items():
        value.grad = gradients[name]
    theirs.step()
    for name, value in optimizer.named.items():
        torch.testing.assert_close(value.detach(), ours[name], rtol=1e-6, atol=1e-8)
    moved = [name for name in before if not torch.equal(ours[name], before[name])]
    assert any(".lora_B." in name for name in moved)


@pytest.mark.parametrize("form", ["bart", "causal"])
def test_layer_wise_rates_fall_from_the_head_to_the_embeddings(form, context, recipe_of):
    """By the names of parameters, which the engine does not look at."""
    import transformers

    if form == "bart":
        model = context("bart").optimizer.bundle.model
        layers = model.config.encoder_layers
    else:
        layers = 3
        model = transformers.Qwen2ForCausalLM(
            transformers.Qwen2Config(
                vocab_size=32, hidden_size=16, intermediate_size=32, num_hidden_layers=layers,
                num_attention_heads=2, num_key_value_heads=2, tie_word_embeddings=False,
            )
        )  # fmt: skip
    scales = layerwise_scales(model, dict(model.named_parameters()), 0.5)
    for name, scale in scales.items():
        block = re.search(r"layers\.(\d+)\.", name)
        if block:
            assert scale == 0.5 ** (layers - 1 - int(block[1])), name
        elif re.search(r"shared|embed_tokens|embed_positions", name):
            assert scale == 0.5**layers, name
        else:
            assert scale == 1.0, name
    assert len({*scales.values()}) == layers + 1


def test_layer_wise_rates_reach_the_optimizer(context):
    made = context("bart", "train.layerwise_lr_decay=0.5")
    named, recipe = made.optimizer.named, made.job.recipe
    wanted = lr_scales(made.optimizer.bundle.model, named, recipe)
    found = {
        value: group[LR_SCALE]
        for group in made.optimizer._optimizer.param_groups
        for value in group["params"]
    }
    assert {name: found[value] for name, value in named.items()} == wanted
    assert min(wanted.values()) < 1.0

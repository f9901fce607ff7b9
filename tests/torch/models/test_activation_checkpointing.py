"""Blocks that are to be recomputed are, whatever replaces their forward."""

import pytest

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")
from yoyak.config.schema import Recompute  # noqa: E402
from yoyak.engine.models.model import transformer_blocks  # noqa: E402

SETS = ("train.max_steps=8", "train.epochs=9", "evaluate.every_epochs=none")


@pytest.mark.parametrize(
    ("form", "kernels"), [("bart", "auto"), ("lora", "auto"), ("lora", "fused"), ("lora", "torch")]
)
def test_what_is_to_be_recomputed_is_computed_twice(form, kernels, context, monkeypatch, tmp_path):
    """The flag of a block is not enough: replaced forwards have to heed it."""

    def attend(*given, **settings):
        computed.append(level)
        return plain(*given, **settings)

    plain, computed = torch.nn.functional.scaled_dot_product_attention, []
    for level in ("off", "selective", "on"):
        sets = (*SETS, f"train.gradient_checkpointing={level}", f"train.kernels={kernels}")
        made = context(form, *sets, folder=tmp_path / level)
        blocks = transformer_blocks(made.optimizer.bundle.model)
        made.optimizer.set_activation_checkpointing(Recompute(level))
        with monkeypatch.context() as patch:
            patch.setattr(torch.nn.functional, "scaled_dot_product_attention", attend)
            made.optimizer.gradient([made.rows[:3]])
        made.optimizer.set_activation_checkpointing(Recompute.NOTHING)
        assert not any(block.gradient_checkpointing for block in blocks)
    once, alternate, twice = (computed.count(level) for level in ("off", "selective", "on"))
    assert once > 0
    assert twice == 2 * once
    assert once < alternate < twice

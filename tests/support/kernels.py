"""A model and its rows as the preflight checks see them."""

import pytest

from yoyak.config.schema import TrainSettings

__all__ = ["bench"]


@pytest.fixture
def bench(adapted, dialogues):
    """The context of checks of a model with adapters, by family."""
    import torch
    from yoyak.engine.device import Precision
    from yoyak.engine.models.model import ModelBundle
    from yoyak.engine.preflight.check_context import CheckContext
    from yoyak.engine.tokenization.encode import encode_rows

    def make(family):
        made = adapted(family)
        rows = encode_rows(made.tokenizer, dialogues[:8], made.recipe.prompt, with_answers=True)
        return CheckContext(
            ModelBundle(made.model, made.tokenizer, made.kind, made.device),
            rows,
            Precision(torch.float32, None),
        )

    return make


def lines(bench, **settings):
    """The results of the kernel checks by name."""
    from yoyak.engine.preflight.model_checks import check_kernels

    return {line.name: line for line in check_kernels(bench, TrainSettings(**settings))}

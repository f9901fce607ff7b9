"""Run the preflight checks on a toy, and name those that failed."""

import msgspec
import pytest


@pytest.fixture
def red(dialogues):
    """The names of the failed checks of a model, and of rows that some bug has changed."""
    import torch
    from yoyak.engine.device import Precision
    from yoyak.engine.preflight.check_context import CheckContext
    from yoyak.engine.preflight.run import run_checks
    from yoyak.engine.tokenization.encode import encode_rows

    def failed(model, rows=None, *, shown=None, precision=None):
        shown = dialogues if shown is None else shown
        if rows is None:
            rows = encode_rows(model.tokenizer, shown, model.recipe.prompt, with_answers=True)
        precision = precision or Precision(torch.float32, None)
        results = run_checks(CheckContext(model, rows, precision), rows, shown, model.recipe)
        return {result.name for result in results if not result.passed}

    return failed


@pytest.fixture
def encoded(dialogues):
    """The training rows of a model."""
    from yoyak.engine.tokenization.encode import encode_rows

    def make(model):
        return encode_rows(model.tokenizer, dialogues, model.recipe.prompt, with_answers=True)

    return make


def slow(architecture):
    return pytest.param(architecture, marks=pytest.mark.slow)


def with_control(model, **changes):
    """The model with other special tokens."""
    control = msgspec.structs.replace(model.tokenizer.special_tokens, **changes)
    return model._replace(tokenizer=type(model.tokenizer)(model.tokenizer._hf_tokenizer, control))

"""Tiny models of every family with random weights, and rows of random ids.

In float64, where two candidates that are as good but for rounding are the same on every processor,
however a batch is cut. Weights are wide, so that answers differ and end at different lengths.
"""

import random
from collections import Counter
from functools import cache
from types import SimpleNamespace

import pytest

from support.architectures import CAUSAL, SEQ2SEQ, Shape, config_of
from yoyak.engine.tokenization.encode import EncodedRow

__all__ = ["random_model"]

STOP, PAD, START = 2, 0, 3
TOKENS = 46
FAMILIES = (*CAUSAL, *SEQ2SEQ)


@pytest.fixture
def random_model():
    """A model by family, the same one each time: not to be changed."""
    return build


@cache
def build(name: str):
    import transformers

    import torch
    from yoyak.engine.models.model import ModelBundle

    kind, auto = "causal", transformers.AutoModelForCausalLM
    if name in SEQ2SEQ:
        kind, auto = "seq2seq", transformers.AutoModelForSeq2SeqLM
    config = config_of(name, Shape(tokens=TOKENS, pad=PAD, stop=STOP, bos=1, start=START))
    config.tie_word_embeddings = False
    with torch.random.fork_rng():
        torch.manual_seed(11)
        model = auto.from_config(config).double().eval()
        for value in model.parameters():
            value.data *= 2.0 if value.ndim > 1 else 1.0
        model.get_output_embeddings().weight.data[STOP] *= 1.6  # so that some answers end
    tokenizer = SimpleNamespace(
        stop_ids=(STOP,),
        stop_id=STOP,
        pad_id=PAD,
        decoder_start_id=START if kind == "seq2seq" else None,
        vocab_size=TOKENS,
        tags_are_tokens=False,
        decode=lambda ids: " ".join(map(str, ids)),
    )
    return ModelBundle(model, tokenizer, kind, torch.device("cpu"))


def random_rows(count: int, longest: int = 20) -> list[EncodedRow]:
    luck = random.Random(5)
    sizes = [4, longest, *(luck.randint(4, longest) for _ in range(count - 2))]
    return [
        EncodedRow(f"row_{number}", tuple(luck.randrange(4, 40) for _ in range(size)), (), False)
        for number, size in enumerate(sizes)
    ]


def reference_ids(bundle, row: EncodedRow, new: int, **settings) -> list[int]:
    """The new ids of one row alone by ``transformers.generate``.

    The id that a decoder starts with is forbidden: transformers counts the one at the start when it
    looks for repeated n-grams.
    """
    import torch

    ids = torch.tensor([row.source_ids])
    rows = bundle.model.get_output_embeddings().weight.shape[0]
    sequence = bundle.model.generate(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=new,
        do_sample=False,
        eos_token_id=list(bundle.tokenizer.stop_ids),
        pad_token_id=PAD,
        suppress_tokens=[START, *range(TOKENS, rows)],
        **settings,
    )[0]
    start = 1 if bundle.kind == "seq2seq" else len(row.source_ids)
    return sequence[start:].tolist()


def count_host_reads(work):
    """Return how often ``work`` made the host wait for a tensor's values, by operation.

    On a GPU each of these waits for the device; on a CPU they are counted all the same.
    """
    from torch.overrides import TorchFunctionMode
    from torch.utils._python_dispatch import TorchDispatchMode

    import torch

    found = Counter()
    waiting = {"_local_scalar_dense", "nonzero", "masked_select", "is_nonzero", "equal", "unique"}
    reading = {"tolist", "item", "numpy", "cpu", "__bool__", "__int__", "__float__", "__index__"}

    class Operators(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            name = function.name().removeprefix("aten::").partition(".")[0].lstrip("_")
            if name in waiting or f"_{name}" in waiting:
                found[name] += 1
            if name in {"index", "index_put", "index_put_"}:
                masks = [each for each in args[1] if each is not None]
                found["boolean index"] += any(each.dtype == torch.bool for each in masks)
            return function(*args, **(kwargs or {}))

    class Methods(TorchFunctionMode):
        def __torch_function__(self, function, types, args=(), kwargs=None):
            name = getattr(function, "__name__", "")
            if name in reading - {"item", "__bool__", "__int__", "__float__", "__index__"}:
                found[name] += 1
            return function(*args, **(kwargs or {}))

    with Methods(), Operators():
        work()
    return +found

"""NEFTune: uniform noise on the embeddings while training (Jain 2023)."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch  # noqa: TID253 -- this module is only ever imported by an engine at work
from yoyak.engine.models.collate import Batch, shape_of
from yoyak.engine.models.model import ModelBundle, unwrap_model
from yoyak.engine.tokenization.encode import EncodedRow


@contextmanager
def noisy_embeddings(
    bundle: ModelBundle, rows: Sequence[EncodedRow], batch: Batch, alpha: float | None
) -> Iterator[None]:
    """Add noise to the embeddings of one forward pass inside the block; none for ``None``.

    Each element gets up to ±alpha / √(tokens × width), as in transformers and TRL, where tokens are
    the row's own: theirs are the batch's padded ones, so that their noise depends on which rows
    meet. Of an encoder-decoder, the source gets noise.
    """
    if alpha is None:
        yield
        return
    sizes = [shape.encoder or shape.decoder for shape in (shape_of(r, bundle.kind) for r in rows)]
    lengths = torch.tensor(sizes, device=bundle.device)
    if batch.packing is not None:
        lengths = lengths.repeat_interleave(lengths)[None, :, None]
    else:
        lengths = lengths[:, None, None]
    is_done = False

    def add_noise(_part: object, _given: object, embedded: torch.Tensor) -> torch.Tensor:
        nonlocal is_done
        if is_done:  # the decoder of a T5, which shares the module
            return embedded
        is_done = True
        largest = alpha / (lengths.to(embedded.dtype) * embedded.shape[-1]).sqrt()
        return embedded + torch.empty_like(embedded).uniform_(-1, 1) * largest

    inner: Any = unwrap_model(bundle.model)
    source = inner.get_encoder() if bundle.kind == "seq2seq" else inner
    hook = source.get_input_embeddings().register_forward_hook(add_noise)
    try:
        yield
    finally:
        hook.remove()

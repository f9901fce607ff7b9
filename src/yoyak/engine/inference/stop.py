"""Stop generation between two tokens, instead of after the batch."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch  # noqa: TID253 -- this module is only ever imported by an engine at work
from yoyak.engine import GenerationStopped
from yoyak.engine.models.model import unwrap_model


@contextmanager
def stop_between_tokens(model: torch.nn.Module, stop_asked: Callable[[], bool]) -> Iterator[None]:
    """Raise ``GenerationStopped`` from the next forward pass in the block if ``stop_asked``.

    A forward pass decodes one token of each row of a batch, in every decoding method of PyTorch.
    """

    def check(*_: object) -> None:
        if stop_asked():
            raise GenerationStopped

    handle = unwrap_model(model).register_forward_pre_hook(check)
    try:
        yield
    finally:
        handle.remove()

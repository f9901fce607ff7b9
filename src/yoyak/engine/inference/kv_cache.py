"""Keys and values of a batch in buffers that are allocated once per batch.

Nothing is concatenated per token, and rows that leave the batch are replaced in place, so that
memory never exceeds what was allocated. Attention reads a view of the slots that are filled.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from transformers.cache_utils import (  # noqa: TID253 -- only imported by an engine at work
    DynamicCache,
    DynamicLayer,
    DynamicSlidingWindowLayer,
)

import torch  # noqa: TID253 -- this module is only ever imported by an engine at work


class PreallocatedLayer(DynamicLayer):  # type: ignore[no-untyped-call]
    """Keys and values of one layer, [rows, heads, slots, width] each, allocated at the first use.

    Args:
        rows: of the batch, times beams.
        slots: tokens that a row may come to.
        sliding_window: tokens that a query attends to, itself included; ``None`` for all. Masks
            enforce it: all tokens are kept, since padding may be between a row's tokens.
    """

    def __init__(self, rows: int, slots: int, sliding_window: int | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.is_sliding = sliding_window is not None
        self.sliding_window = sliding_window
        self._size = rows, slots
        self._buffers: list[torch.Tensor] = []
        self.ends_pass = False
        self.use_rows(0, rows)

    def use_rows(self, start: int, count: int, end: int = 0) -> None:
        """Read and write only these rows, of which ``end`` slots are filled."""
        self._start, self._count, self._end = start, count, end

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        """Allocate the buffers; what they hold before it is written is undefined."""
        self.dtype, self.device = key_states.dtype, key_states.device
        self._buffers = [
            states.new_empty(self._size[0], states.shape[1], self._size[1], states.shape[3])
            for states in (key_states, value_states)
        ]
        self.is_initialized = True

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Store the states of the next tokens; return those of all visible tokens, as views."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        new = key_states.shape[2]
        for buffer, states in zip(self._buffers, (key_states, value_states), strict=True):
            rows = buffer.narrow(0, self._start, self._count)
            rows.narrow(2, self._end, new).copy_(states)
        self._end += new
        if self.ends_pass:
            raise _AllStored
        return self._expose()

    def clear(self, start: int, count: int, first: int, end: int) -> None:
        """Zero the slots ``first`` to ``end`` of some rows: NaN there would spoil what masks it."""
        for buffer in self._buffers:
            buffer.narrow(0, start, count).narrow(2, first, end - first).zero_()

    def get_seq_length(self) -> int:
        """Return the filled slots."""
        return self._end

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Return how many tokens the next queries see, and how many are dropped before those."""
        return self._end + query_length, 0

    def crop(self, tokens_to_remove: int) -> None:
        """Forget the last ``-tokens_to_remove`` tokens."""
        self._end += tokens_to_remove

    def repeat(self, times: int) -> None:
        """Make ``times`` copies of each row, next to each other."""
        for index, buffer in enumerate(self._buffers):
            rows, *shape = buffer.shape
            copies = buffer.new_empty(rows * times, *shape)
            filled = buffer.narrow(2, 0, self._end)
            copies.view(rows, times, *shape).narrow(3, 0, self._end).copy_(filled.unsqueeze(1))
            self._buffers[index] = copies
        self._count *= times
        self._expose()

    def reorder(self, rows: torch.Tensor, first: int) -> None:
        """Give each row the tokens of another one, from slot ``first`` on."""
        for buffer in self._buffers:
            part = buffer.narrow(0, 0, self._count).narrow(2, first, self._end - first)
            part.copy_(part.index_select(0, rows))

    def keep(self, count: int, targets: torch.Tensor, sources: torch.Tensor) -> None:
        """Move rows ``sources`` to ``targets`` and go on with the first ``count`` rows."""
        for buffer in self._buffers:
            filled = buffer.narrow(2, 0, self._end)
            filled[targets] = filled[sources]
        self._count = count
        self._expose()

    def _expose(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Show what is filled: encoder-decoders read their cross-attention without an update."""
        keys, values = (
            buffer.narrow(0, self._start, self._count).narrow(2, 0, self._end)
            for buffer in self._buffers
        )
        self.keys, self.values = keys, values
        return keys, values


class _AllStored(Exception):
    """The last layer's keys and values are stored."""


@contextmanager
def storing_only(layers: Sequence[PreallocatedLayer]) -> Iterator[None]:
    """End the forward pass in the block once the last layer has its keys and values.

    Nothing after that is kept of a prompt: not the last layer's attention, nor its MLP.
    """
    layers[-1].ends_pass = True
    try:
        with suppress(_AllStored):
            yield
    finally:
        layers[-1].ends_pass = False


def is_supported(model: Any) -> bool:
    """Return whether all layers of a model, or of its decoder, keep nothing but keys and values."""
    kinds = {type(layer) for layer in DynamicCache(config=model.get_decoder().config).layers}
    return kinds <= {DynamicLayer, DynamicSlidingWindowLayer}


def preallocated_cache(
    model: Any, rows: int, slots: int
) -> tuple[DynamicCache, list[PreallocatedLayer]]:
    """Return a cache for the layers of a supported model, or of its decoder, and those layers."""
    cache = DynamicCache(config=model.get_decoder().config)
    layers = [
        PreallocatedLayer(rows, slots, getattr(layer, "sliding_window", None))
        for layer in cache.layers
    ]
    cache.layers = list(layers)
    return cache, layers


def compacted_order(kept: Sequence[int]) -> list[int]:
    """Order the rows ``kept`` so that few move: the last take the places of those that leave.

    Returns for each row of the smaller batch the row that it was.
    """
    count = len(kept)
    movers = iter([row for row in kept if row >= count])
    staying = {row for row in kept if row < count}
    return [place if place in staying else next(movers) for place in range(count)]

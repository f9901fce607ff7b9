"""An exponential moving average of the trained weights (EMA, Polyak 1992)."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch  # noqa: TID253 -- this module is only ever imported by an engine at work

PREFIX = "ema/"
UPDATES = "ema_updates"


class WeightAverage:
    """The average of parameters over optimizer steps: average ← d · average + (1 - d) · weights.

    d is the lower of ``decay`` and (1 + updates) / (10 + updates), so that a short run does not end
    with an average of its start.

    Args:
        named: the parameters; the average starts as a copy of them.
        decay: of one update.

    Attributes:
        tensors: the average by parameter name, in the parameters' dtype.
    """

    def __init__(self, named: Mapping[str, torch.nn.Parameter], decay: float) -> None:
        self._named = named
        self._decay = decay
        self._updates = torch.zeros((), dtype=torch.int64)
        self.tensors = {name: value.detach().clone() for name, value in named.items()}

    @torch.no_grad()
    def update(self) -> None:
        """Add the weights as they are now."""
        updates = int(self._updates)
        decay = min(self._decay, (1 + updates) / (10 + updates))
        weights: list[torch.Tensor] = [self._named[name] for name in self.tensors]
        torch._foreach_lerp_(list(self.tensors.values()), weights, 1 - decay)
        self._updates += 1

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Exchange weights and average inside the block."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    @torch.no_grad()
    def _exchange(self) -> None:
        for name, average in self.tensors.items():
            weights = self._named[name].data
            kept = weights.clone()
            weights.copy_(average)
            average.copy_(kept)

    def state(self) -> dict[str, torch.Tensor]:
        """Return the average and its count of updates, by name; the tensors are the live ones."""
        named = {f"{PREFIX}{name}": value for name, value in self.tensors.items()}
        return named | {UPDATES: self._updates}


def average_of(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the averaged weights in a saved state, by parameter name."""
    return {
        name.removeprefix(PREFIX): value for name, value in state.items() if name.startswith(PREFIX)
    }

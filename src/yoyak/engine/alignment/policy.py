"""Log-probabilities of given answers under the model in training and under the supervised one."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from torch.nn.functional import cross_entropy  # noqa: TID253 -- as below
from torch.nn.utils.rnn import pad_sequence  # noqa: TID253 -- as below

import torch  # noqa: TID253 -- this module is only ever imported by an engine at work
from yoyak.engine.device import autocast
from yoyak.engine.models.collate import collate
from yoyak.engine.models.loss import supervised_logits
from yoyak.engine.tokenization.encode import EncodedRow
from yoyak.engine.training.optimizer import ModelOptimizer

_RATES = ("dropout", "attention_dropout", "activation_dropout", "layerdrop", "dropout_rate", "p")
"""Names under which transformers' modules and PyTorch's own keep a rate."""


def disable_dropout(model: torch.nn.Module) -> None:
    """Set every rate of dropout to 0: the policy that is trained is then the one that sampled.

    The configuration, and with it what is saved, keeps its rates.
    """
    for part in model.modules():
        for name in _RATES:
            if isinstance(getattr(part, name, None), float):
                setattr(part, name, 0.0)


class TokenLogps(NamedTuple):
    """Log-probabilities of answers, [sequences, longest answer], and where they are tokens."""

    values: torch.Tensor
    mask: torch.Tensor


class ReferenceModel:
    """The supervised model: a copy of what is trained, exchanged with it for a forward pass.

    Adapters are small, and the base below them is shared; of a model that is trained whole it is
    a frozen copy. Switching adapters off instead would give the base before supervised training.

    Args:
        named: the trainable parameters, with the supervised values.
    """

    def __init__(self, named: Mapping[str, torch.nn.Parameter]) -> None:
        self._named = named
        self._values = {name: value.detach().clone() for name, value in named.items()}

    @contextmanager
    def active(self) -> Iterator[None]:
        """Let the model have the supervised values inside the block."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    def _exchange(self) -> None:
        for name, parameter in self._named.items():
            parameter.data, self._values[name] = self._values[name], parameter.data


class Policy:
    """A model in training that samples and is judged by its samples.

    Args:
        optimizer: of the model, whose dropout is off.
        temperature: of sampling; log-probabilities are those of the distribution sampled from.
    """

    def __init__(self, optimizer: ModelOptimizer, temperature: float) -> None:
        self.optimizer = optimizer
        self._temperature = temperature

    @torch.no_grad()
    def log_probabilities(
        self,
        rows: Sequence[EncodedRow],
        cut: Sequence[Sequence[int]],
        *,
        as_gradient: bool = False,
    ) -> TokenLogps:
        """Return the log-probabilities of the answers of ``rows``, in their order.

        Args:
            rows: prompts with answers.
            cut: the rows of each forward pass, as indices.
            as_gradient: compute in training mode, as ``accumulate`` does.
        """
        bundle = self.optimizer.bundle
        was_training = bundle.model.training
        bundle.model.train(as_gradient)
        found: dict[int, torch.Tensor] = {}
        for part in cut:
            group = [rows[index] for index in part]
            values = self._token_logps(group)
            lengths = [len(row.answer_ids) for row in group]
            found.update(zip(part, torch.split(values, lengths), strict=True))
        bundle.model.train(was_training)
        each = [found[index] for index in range(len(rows))]
        ones = [torch.ones_like(values) for values in each]
        return TokenLogps(pad_sequence(each, batch_first=True), pad_sequence(ones, True))

    def accumulate(
        self, rows: Sequence[EncodedRow], cut: Sequence[Sequence[int]], weights: torch.Tensor
    ) -> None:
        """Accumulate the gradient of Σ weight × log-probability, [sequences, longest answer].

        With ∂loss/∂log-probability as weights it is the loss's own gradient, by the chain rule,
        however the sequences are cut into passes.
        """
        groups = [[rows[index] for index in part] for part in cut]
        each = [
            torch.cat([weights[index, : len(rows[index].answer_ids)] for index in part])
            for part in cut
        ]

        def loss(number: int) -> torch.Tensor:
            return (self._token_logps(groups[number]) * each[number]).sum()

        self.optimizer.accumulate(len(groups), loss)

    def _token_logps(self, rows: Sequence[EncodedRow]) -> torch.Tensor:
        """Return the log-probabilities of the answers' tokens, one row after the other, [n]."""
        bundle = self.optimizer.bundle
        batch = collate(rows, bundle.tokenizer, bundle.kind, bundle.device)
        with autocast(bundle.device, self.optimizer.autocast_dtype):
            logits = supervised_logits(bundle.model, batch) / self._temperature
            return -cross_entropy(logits, batch.targets, reduction="none")

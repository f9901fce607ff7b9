"""Many small parameters as one tensor, so that clipping and AdamW take one operator each."""

from collections.abc import Mapping, Sequence

import torch  # noqa: TID253 -- this module is only ever imported by an engine at work


class FlatParameters:
    """Parameters whose values, and gradients, lie one after the other in one tensor.

    The parameters stay what they are, with their names and shapes; their memory is a part of that
    of ``value``, and once ``attach`` was called, ``grad`` of each is a part of ``value.grad``.
    Where they lie one after the other already, they stay there: two of these share their values.

    Args:
        named: matrices of one dtype on one device, in the order in which they are laid out.

    Attributes:
        value: all of them as one row: a matrix, too, so that weight decay applies to it.
    """

    def __init__(self, named: Mapping[str, torch.nn.Parameter]) -> None:
        self._named = dict(named)
        self._parameters = list(self._named.values())
        self._sizes = [each.numel() for each in self._parameters]
        values = adjacent([each.detach() for each in self._parameters])
        if values is None:
            values = torch.cat([each.detach().flatten() for each in self._parameters])
            for each, part in zip(self._parameters, self._parts(values), strict=True):
                each.data = part
        self.value = torch.nn.Parameter(values[None])
        self._gradient = self.value.grad = torch.zeros_like(self.value)
        self._gradients = self._parts(self._gradient)

    def attach(self) -> None:
        """Let gradients lie, and be added, in that of ``value``; those there are move into it."""
        moved = self._parameters[0].data_ptr() != self.value.data_ptr()
        assert not moved, "the parameters lie elsewhere by now"  # noqa: S101 -- a fault of the caller
        pairs = list(zip(self._parameters, self._gradients, strict=True))
        found = [(part, each.grad) for each, part in pairs if each.grad is not part]
        absent = [part for part, gradient in found if gradient is None]
        if absent:
            torch._foreach_zero_(absent)
        for part, gradient in found:
            if gradient is not None:
                part.copy_(gradient)
        for each, part in pairs:
            each.grad = part

    def zero_grad(self) -> None:
        """Set the parameters' gradients to ``None``; the next ``attach`` begins with zeros."""
        for each in self._parameters:
            each.grad = None

    def take_gradient(self) -> torch.Tensor:
        """Return a copy of the gradient, and set it to zeros."""
        taken = self._gradient.clone()
        self._gradient.zero_()
        return taken

    def add_gradient(self, gradient: torch.Tensor) -> None:
        """Add to the gradient, in place."""
        self._gradient.add_(gradient)

    def split(self, state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Return an optimizer's state of ``value`` as that of each parameter.

        Args:
            state: ``kind/name`` of ``value``; a scalar belongs to all.
        """
        return {
            f"{key.partition('/')[0]}/{name}": part
            for key, tensor in state.items()
            for name, part in zip(
                self._named,
                self._parts(tensor) if tensor.ndim else [tensor] * len(self._named),
                strict=True,
            )
        }

    def _parts(self, tensor: torch.Tensor) -> Sequence[torch.Tensor]:
        parts = tensor.detach().flatten().split_with_sizes(self._sizes)
        return [part.view(each.shape) for part, each in zip(parts, self._parameters, strict=True)]


def adjacent(parts: Sequence[torch.Tensor]) -> torch.Tensor | None:
    """Return tensors that lie one after the other in memory as one, [elements]; else ``None``."""
    first, end = parts[0], parts[0].storage_offset()
    place = first.untyped_storage().data_ptr()
    for each in parts:
        elsewhere = each.untyped_storage().data_ptr() != place or each.storage_offset() != end
        if elsewhere or not each.is_contiguous():
            return None
        end += each.numel()
    return first.as_strided((end - first.storage_offset(),), (1,))


def flat_adapters(
    model: torch.nn.Module, named: Mapping[str, torch.nn.Parameter]
) -> FlatParameters | None:
    """Return a model's adapters as one tensor; ``None`` for whole models, whose matrices are large.

    All A come first: those of projections that share an input adjoin, and fused LoRA adds their
    gradients in one product.
    """
    if not hasattr(model, "peft_config") or any(value.ndim == 1 for value in named.values()):
        return None
    return FlatParameters(dict(sorted(named.items(), key=lambda item: ".lora_B." in item[0])))

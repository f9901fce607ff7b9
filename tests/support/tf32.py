"""TF32 on a CPU: matrix products of operands that are rounded to ten bits after the point."""

from contextlib import contextmanager

import pytest

__all__ = ["tf32"]


def rounded(value):
    """Round float32 to TF32, to nearest."""
    import torch

    if not isinstance(value, torch.Tensor) or value.dtype is not torch.float32:
        return value
    return ((value.contiguous().view(torch.int32) + 0x1000) & -0x2000).view(torch.float32)


@pytest.fixture
def tf32():
    """A context in which large matrix products are TF32's, in the backward pass as well.

    As on a card, a product with few rows takes a kernel without tensor cores and stays in float32.
    """
    from torch.utils._python_dispatch import TorchDispatchMode

    import torch

    aten = torch.ops.aten
    products = {
        aten.mm, aten.addmm, aten.bmm, aten.baddbmm,
        aten._scaled_dot_product_flash_attention_for_cpu,
    }  # fmt: skip

    class Emulation(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            if func._overloadpacket in products and max(args[0].shape[-2:]) >= 64:
                args = tuple(map(rounded, args))
            return func(*args, **(kwargs or {}))

    @contextmanager
    def on():
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("high")
        try:
            with Emulation():
                yield
        finally:
            torch.set_float32_matmul_precision(before)

    return on

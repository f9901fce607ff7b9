"""The deterministic forms of GPU kernels (``torch.use_deterministic_algorithms``)."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch  # noqa: TID253 -- this module is only ever imported by an engine at work


@contextmanager
def deterministic_kernels(*, enabled: bool) -> Iterator[None]:
    """Switch PyTorch to deterministic kernels inside the block; without ``enabled`` do nothing.

    Raises:
        RuntimeError: from inside the block, by an operation that has no deterministic kernel.
    """
    if not enabled:
        yield
        return
    before = torch.are_deterministic_algorithms_enabled()
    cudnn = torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark
    cuda: Any = torch.backends.cuda
    cudnn_attention = cuda.cudnn_sdp_enabled()
    memory: Any = torch.utils.deterministic
    fill = memory.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True)
    # Filling catches programs that read uninitialised memory, and costs every allocation.
    memory.fill_uninitialized_memory = False
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False
    # Flash and memory-efficient attention have a deterministic backward pass, cuDNN's has none.
    cuda.enable_cudnn_sdp(False)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)
        memory.fill_uninitialized_memory = fill
        torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = cudnn
        cuda.enable_cudnn_sdp(cudnn_attention)

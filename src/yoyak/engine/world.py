"""Several processes that train one run together, as ``torchrun`` starts them; usually there is one.

Every rank holds the whole model and takes its share of each step's forward passes. Gradients are
added up before the step, so all ranks stay equal; rank 0 alone judges, saves and speaks.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import NamedTuple, TypeVar

import torch  # noqa: TID253 -- this module is only ever imported by an engine at work
from torch import distributed  # noqa: TID253 -- as above

PATIENCE = timedelta(hours=6)
"""How long a rank waits for another, which may be judging or saving."""
BUCKET_ELEMENTS = 16_000_000

Item = TypeVar("Item")


class World(NamedTuple):
    """This process among ``size``; with a size of 1 nothing here does anything."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """This is the process that judges, saves and speaks."""
        return self.rank == 0

    def share_of(self, parts: list[Item]) -> list[Item]:
        """This rank's parts of a step: every ``size``-th one."""
        return parts[self.rank :: self.size]

    def any(self, flag: bool) -> bool:
        """Whether the flag is set on any rank."""
        return self.sum(float(flag)) > 0

    def sum(self, value: float) -> float:
        """The sum of a number over all ranks, in float64."""
        if self.size == 1:
            return value
        total = torch.tensor(value, dtype=torch.float64, device=_wire())
        distributed.all_reduce(total)
        return float(total)

    def add_gradients(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        """Adds up gradients over all ranks, in place; a rank that had no pass adds nothing."""
        if self.size == 1:
            return
        for bucket in _buckets(parameters):
            for value in bucket:
                if value.grad is None:
                    value.grad = torch.zeros_like(value)
            flat = torch.cat([value.grad.flatten() for value in bucket if value.grad is not None])
            distributed.all_reduce(flat)
            start = 0
            for value in bucket:
                value.grad = flat[start : start + value.numel()].view_as(value).clone()
                start += value.numel()

    def tell(self, message: bytes) -> bytes:
        """Rank 0's message, on every rank."""
        if self.size == 1:
            return message
        size = torch.tensor(len(message), device=_wire())
        distributed.broadcast(size, 0)
        content = torch.zeros(int(size), dtype=torch.uint8, device=_wire())
        if self.leads:
            content.copy_(torch.frombuffer(bytearray(message), dtype=torch.uint8))
        distributed.broadcast(content, 0)
        return bytes(content.cpu().numpy())

    @contextmanager
    def in_turn(self) -> Iterator[None]:
        """Rank 0 goes through the block first; the others find what it has left on the disk."""
        if self.size > 1 and not self.leads:
            distributed.barrier()
        yield
        if self.size > 1 and self.leads:
            distributed.barrier()

    def only_first(self, work: Callable[[], None]) -> None:
        """Rank 0 does the work; the others wait for it."""
        with self.in_turn():
            if self.leads:
                work()


def join() -> World:
    """This process's place among those that ``torchrun`` has started; alone without it."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        return World()
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    if not distributed.is_initialized():
        backend = "nccl" if torch.cuda.is_available() else "gloo"
        distributed.init_process_group(backend, timeout=PATIENCE)
    return World(distributed.get_rank(), size)


def leave() -> None:
    """Ends the joint work, so that a rank that is done may go; alone nothing happens."""
    if distributed.is_initialized():
        distributed.destroy_process_group()


def _wire() -> torch.device:
    """Where tensors must be to travel."""
    if distributed.get_backend() == "nccl":
        return torch.device("cuda", torch.cuda.current_device())
    return torch.device("cpu")


def _buckets(parameters: Iterable[torch.nn.Parameter]) -> Iterator[list[torch.nn.Parameter]]:
    bucket: list[torch.nn.Parameter] = []
    elements = 0
    for value in parameters:
        bucket.append(value)
        elements += value.numel()
        if elements >= BUCKET_ELEMENTS:
            yield bucket
            bucket, elements = [], 0
    if bucket:
        yield bucket

"""Data-parallel training: the micro-batches of a step on several processes.

Rank 0 trains as a process of its own does; it alone has the optimizer, checkpoints and events. The
other ranks get its weights before each step, compute the gradients of the micro-batches that fall
to them, and send each one back. Rank 0 adds them in the order of the micro-batches, and every
micro-batch has random numbers of its own, so that the sum has the bits that one process computes:
how many processes there are is no setting of a recipe.

Processes find each other by the variables that ``torchrun`` sets (RANK, WORLD_SIZE, MASTER_ADDR,
MASTER_PORT). Requests go over gloo, gradients and weights over NCCL where there is a GPU.
"""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from importlib.metadata import version
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, NamedTuple

import torch.distributed as dist  # noqa: TID253

import torch  # noqa: TID253 -- this module is only ever imported by an engine at work
from yoyak.config.schema import Recompute
from yoyak.engine.models.kernels import KernelOptions
from yoyak.engine.seed import seed_all
from yoyak.engine.training.deterministic_kernels import deterministic_kernels
from yoyak.errors import Interrupted, RunFailed

if TYPE_CHECKING:
    from yoyak.engine.tokenization.encode import EncodedRow
    from yoyak.engine.training.optimizer import ModelOptimizer

WAIT = timedelta(days=7)
"""Rank 0 may download and evaluate for hours; the end of a process is noticed at once."""

LIBRARIES = ("yoyak", "torch", "transformers", "peft")

Identity = tuple[str, ...]
"""What all ranks must have in common; rank 0 compares it before the first step."""


class GradientRequest(NamedTuple):
    """The micro-batches of one step, as indices of training rows, and how they are computed."""

    step: int
    cut: Sequence[Sequence[int]]
    packed: bool
    deterministic: bool
    recompute: Recompute
    kernels: KernelOptions


def is_helper() -> bool:
    """Return whether this process computes gradients for another one."""
    return int(os.environ.get("RANK", "0")) > 0


class GradientSource(NamedTuple):
    """One rank's model and rows, from which gradients are computed."""

    optimizer: "ModelOptimizer"
    rows: Sequence["EncodedRow"]
    seed: int

    def losses(self, request: GradientRequest) -> Callable[[int], torch.Tensor]:
        """Return what computes the loss of a micro-batch, with random numbers of its own."""
        groups = [[self.rows[row] for row in part] for part in request.cut]
        loss_of = self.optimizer.losses(groups, packed=request.packed)

        def loss(number: int) -> torch.Tensor:
            seed_all(self.seed, "step", request.step, number)
            return loss_of(number)

        return loss

    def identity(self, *parts: str) -> Identity:
        """Return ``parts``, versions, the device, and a hash of the parameters before training."""
        device = self.optimizer.bundle.device
        name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
        digest = hashlib.sha256()
        for key, value in self.optimizer.named.items():
            digest.update(f"{key}{[*value.shape]}".encode())
            digest.update(value.detach().cpu().numpy().tobytes())
        versions = [f"{each} {version(each)}" for each in LIBRARIES]
        return (*parts, *versions, name, f"{len(self.rows)} rows", digest.hexdigest())


# --- rank 0 ------------------------------------------------------------------------------------


class MainRank:
    """Rank 0's side: it asks the other ranks for gradients, and adds them.

    Args:
        source: what rank 0 trains.
        identity: what the others have to have as well.

    Raises:
        RunFailed: a rank has another version, device or base, or other data.
        Interrupted: a rank ended; so do all methods.
    """

    def __init__(self, source: GradientSource, identity: Identity) -> None:
        self._source = source
        self._exchange = _Exchange(source.optimizer)
        with _communicating():
            _join()
            _broadcast("begin")
            found = _gather(identity)
        for rank, other in enumerate(found):
            if other != identity:
                pairs = zip_longest(other, identity, fillvalue="-")
                theirs, ours = next(pair for pair in pairs if pair[0] != pair[1])
                raise RunFailed("engine.ranks-differ", rank=rank, found=theirs, expected=ours)

    def gradient(self, request: GradientRequest) -> float:
        """Accumulate the gradient of a step on all ranks; return the loss per token.

        Raises:
            torch.OutOfMemoryError: a micro-batch does not fit the device of its rank.
        """
        optimizer, count = self._source.optimizer, len(request.cut)
        with _communicating():
            _broadcast(request)
            self._exchange.broadcast_weights()
        losses, size = self._source.losses(request), dist.get_world_size()
        total = torch.zeros((), dtype=torch.float64)
        with optimizer.computing_gradients(packed=request.packed):
            for first in range(0, count, size):
                found: list[torch.Tensor] = []
                with suppress(torch.OutOfMemoryError):
                    found.append(optimizer.add_gradient(losses(first), is_first=first == 0))
                with _communicating():
                    fits = _all_fit(bool(found))
                if not fits:
                    raise torch.OutOfMemoryError(f"micro-batches of step {request.step + 1}")
                total += found[0].cpu()
                with _communicating():
                    for rank in range(1, min(size, count - first)):
                        total += self._exchange.receive(rank)
        return float(total)


@contextmanager
def other_ranks() -> Iterator[Callable[[GradientSource, Identity], MainRank] | None]:
    """Yield what makes rank 0's side, ``None`` in a process of its own; the others end after it."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield None
        return
    try:
        yield MainRank
    finally:
        with suppress(Interrupted), _communicating():  # a lost rank needs no message
            _join()
            _broadcast("end")
        if dist.is_initialized():  # it is not where the others were lost before they were met
            dist.destroy_process_group()


# --- the other ranks ---------------------------------------------------------------------------


def compute_gradients(prepare: Callable[[], tuple[GradientSource, Identity]]) -> None:
    """Compute what rank 0 asks for until it ends.

    Args:
        prepare: loads base and rows, once rank 0 has: both lie in the run's folder then.

    Raises:
        Interrupted: rank 0 was lost.
    """
    with _communicating():
        _join()
        if _broadcast(None) == "end":
            return
    source, identity = prepare()
    optimizer = source.optimizer
    exchange = _Exchange(optimizer)
    with _communicating():
        _gather(identity)
    while True:
        with _communicating():
            request = _broadcast(None)
            if not isinstance(request, GradientRequest):
                return
            exchange.broadcast_weights()
        if request.kernels != optimizer.kernel_options:
            optimizer.use_kernels(request.kernels)
        if request.recompute is not optimizer.recompute:
            optimizer.set_activation_checkpointing(request.recompute)
        with deterministic_kernels(enabled=request.deterministic):
            _compute_and_send(source, exchange, request)
        optimizer.zero_grad()


def _compute_and_send(
    source: GradientSource, exchange: "_Exchange", request: GradientRequest
) -> None:
    """Compute every micro-batch of this rank and send its gradient; end where one did not fit."""
    optimizer, count, size = source.optimizer, len(request.cut), dist.get_world_size()
    losses = source.losses(request)
    for number in range(dist.get_rank(), dist.get_rank() + count, size):
        optimizer.zero_grad()
        found: list[torch.Tensor] = []
        with suppress(torch.OutOfMemoryError), optimizer.computing_gradients(packed=request.packed):
            if number < count:
                found.append(optimizer.add_gradient(losses(number), is_first=True))
        with _communicating():
            if not _all_fit(bool(found) or number >= count):
                break
            if number < count:
                exchange.send(found[0])
    else:
        return
    optimizer.zero_grad()
    torch.cuda.empty_cache()


# --- messages ----------------------------------------------------------------------------------


class _Exchange:
    """Weights and gradients of the trained parameters, each message one tensor.

    The tensor is allocated once: an allocation that fails between two messages would leave the
    ranks waiting for each other.
    """

    def __init__(self, optimizer: "ModelOptimizer") -> None:
        self._optimizer = optimizer
        self._values = optimizer.trained_values()
        count = sum(value.numel() for value in self._values)
        self._buffer = torch.empty(count, device=optimizer.bundle.device)  # trained in float32

    def broadcast_weights(self) -> None:
        """Give all ranks the weights of rank 0."""
        torch.cat([value.flatten() for value in self._values], out=self._buffer)
        dist.broadcast(self._buffer, src=0)
        if dist.get_rank():
            parts = torch.split(self._buffer, [value.numel() for value in self._values])
            for value, part in zip(self._values, parts, strict=True):
                value.copy_(part.view(value.shape))

    def send(self, loss: torch.Tensor) -> None:
        """Send rank 0 the loss, which parameters have a gradient, and these gradients."""
        gradients = self._optimizer.pass_gradients()
        header = [float(loss), *(float(each is not None) for each in gradients)]
        dist.send(torch.tensor(header, dtype=torch.float64), dst=0)
        present = [each.flatten() for each in gradients if each is not None]
        part = self._buffer[: sum(each.numel() for each in present)]
        torch.cat(present, out=part)
        dist.send(part, dst=0)

    def receive(self, rank: int) -> float:
        """Add the gradient of a micro-batch that ``rank`` computed; return its loss."""
        header = torch.empty(1 + len(self._values), dtype=torch.float64)
        dist.recv(header, src=rank)
        loss, *marks = header.tolist()
        pairs = zip(self._values, marks, strict=True)
        dist.recv(self._buffer[: sum(value.numel() for value, mark in pairs if mark)], src=rank)
        self._optimizer.add_pass_gradients(self._parts([bool(mark) for mark in marks]))
        return float(loss)

    def _parts(self, present: Sequence[bool]) -> list[torch.Tensor | None]:
        """Return the message as one tensor for each parameter that it has."""
        parts: list[torch.Tensor | None] = []
        start = 0
        for value, is_there in zip(self._values, present, strict=True):
            size = value.numel() if is_there else 0
            parts.append(self._buffer[start : start + size].view(value.shape) if is_there else None)
            start += size
        return parts


@contextmanager
def _communicating() -> Iterator[None]:
    """Turn the failure of a connection into the end of this process, with the run resumable."""
    try:
        yield
    except RuntimeError as error:  # gloo raises no class of its own
        raise Interrupted("engine.rank-lost", problem=str(error).splitlines()[0]) from error


def _join() -> None:
    """Meet the other ranks, once."""
    if not dist.is_initialized():
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        dist.init_process_group(backend, timeout=WAIT)


def _broadcast(message: object) -> object:
    """Give all ranks the message of rank 0."""
    box = [message]
    dist.broadcast_object_list(box, src=0, device=torch.device("cpu"))
    return box[0]


def _gather(identity: Identity) -> list[Identity]:
    found: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(found, identity)
    return found


def _all_fit(fits: bool) -> bool:
    """Return whether the micro-batches of all ranks fitted their devices."""
    flag = torch.tensor(int(fits))
    dist.all_reduce(flag, dist.ReduceOp.MIN)
    return bool(flag)

"""Make the shards of ``yoyak predict`` on a Ray cluster, by one actor per GPU or per CPU.

The driver reads the input, checks what is there, and joins the shards in order, as it does without
a cluster; an actor summarises a part and writes its shard into the shared output folder. A part
whose node is lost is given to another actor. A shard is whole or not there, and made from the same
rows it has the same bytes, so that it does not matter which node wrote it, or whether two did.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, NamedTuple

from yoyak.cluster.connection import NodeCheck, answer, last_line, size_of
from yoyak.data.dialogue_stream import DialoguePart
from yoyak.errors import Unavailable
from yoyak.prediction.model import BatchModel
from yoyak.prediction.output import LOCK, BatchOutput, ShardRecord
from yoyak.prediction.predict import Pools, ShardMaker
from yoyak.system.probe import threads_for

LOSSES = 10
"""How many actors may be lost in a row before the command gives up."""


class NodeShards:
    """The actor on a node: keeps the model between shards."""

    def __init__(self, model: BatchModel, output: BatchOutput, check: NodeCheck) -> None:
        self._maker = ShardMaker(model, output)
        self._check = check

    def ready(self) -> None:
        """Compare the node with the driver; an answer says that the actor has a place."""
        self._check.require()

    def make(self, number: int, part: DialoguePart) -> ShardRecord:
        """Summarise a part and write its shard."""
        return self._maker.make(number, part)


class _Task(NamedTuple):
    """A part that an actor works on."""

    number: int
    part: DialoguePart
    actor: Any


class RayShards:
    """A pool of actors, each with one part to work on.

    A part is only given to an actor that has a place: where a node is lost, its successor may wait
    for room that the others hold.
    """

    def __init__(self, ray: Any, start: Callable[[], Any], count: int) -> None:
        self._ray = ray
        self._start_actor = start
        self._starting: dict[Any, Any] = {}
        self._idle: deque[Any] = deque()
        self._tasks: dict[Any, _Task] = {}
        self._again: deque[_Task] = deque()
        """Parts whose actor was lost."""
        self._losses = 0
        for _ in range(count):
            self._start()

    def make(self, number: int, part: DialoguePart) -> Iterator[tuple[int, ShardRecord]]:
        """Begin a shard once there is room; yield what was finished meanwhile, in any order."""
        while not self._idle:
            yield from self._wait()
        self._begin(number, part)

    def finish(self) -> Iterator[tuple[int, ShardRecord]]:
        """Yield the shards that were begun, as they are finished."""
        while self._tasks or self._again:
            yield from self._wait()

    def _start(self) -> None:
        actor = self._start_actor()
        self._starting[actor.ready.remote()] = actor

    def _begin(self, number: int, part: DialoguePart) -> None:
        actor = self._idle.popleft()
        self._tasks[actor.make.remote(number, part)] = _Task(number, part, actor)

    def _wait(self) -> Iterator[tuple[int, ShardRecord]]:
        """Wait until one actor answers; give it, or another, the next part of a lost one."""
        (reference,), _ = self._ray.wait([*self._tasks, *self._starting], num_returns=1)
        task = self._tasks.pop(reference, None)
        actor = self._starting.pop(reference) if task is None else task.actor
        try:
            found = answer(self._ray, reference)
        except self._ray.exceptions.RayActorError as error:
            self._replace(actor, error)
            self._again.extend([] if task is None else [task])
        else:
            self._idle.append(actor)
            if task is not None:
                self._losses = 0
                yield task.number, found
        while self._again and self._idle:
            lost = self._again.popleft()
            self._begin(lost.number, lost.part)

    def _replace(self, actor: Any, error: Exception) -> None:
        self._losses += 1
        if self._losses > LOSSES:
            raise Unavailable("cluster.no-start", problem=last_line(error)) from error
        with suppress(self._ray.exceptions.RayError):
            self._ray.kill(actor)
        self._start()


def ray_pools(ray: Any, model: BatchModel) -> Pools:
    """Return what opens a pool on the whole cluster: a GPU per actor, else its threads."""
    return partial(_pool, ray, model)


@contextmanager
def _pool(ray: Any, model: BatchModel, output: BatchOutput) -> Iterator[RayShards]:
    size = size_of(ray)
    threads = min(threads_for(model.recipe), max(size.cpus))
    resources: Mapping[str, float] = (
        {"num_gpus": 1, "num_cpus": 1} if any(size.gpus) else {"num_gpus": 0, "num_cpus": threads}
    )
    count = sum(size.gpus) or max(1, sum(cpus // max(1, threads) for cpus in size.cpus))
    folder = output.folder.absolute()
    output = output._replace(folder=folder)
    check = NodeCheck.of(folder / LOCK, model.folder)
    handle = ray.put(model)
    actor_class = ray.remote(NodeShards).options(max_restarts=0, **resources)
    yield RayShards(ray, lambda: actor_class.remote(handle, output, check), count)

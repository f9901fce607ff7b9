"""Connect to a Ray cluster, and check that a node sees what this machine sees.

Every node mounts the workspace, the data and the output at the same path, on a file system whose
locks hold across machines; then a run or a shard of a lost node is taken up by another as after
any kill. The driver runs on a node of the cluster.
"""

import fcntl
import logging
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from yoyak import messages
from yoyak.errors import BadData, Unavailable, YoyakError

KEPT = ("CUDA_DEVICE_ORDER", "HF_HOME", "HF_HUB_OFFLINE", "OMP_NUM_THREADS", "PYTHONPATH")
"""Variables of the driver that the processes of a node take over, where they are set."""


class NodeCheck(NamedTuple):
    """What a node has to have in common with the driver.

    ``probe`` is a file that is locked; ``folder`` is the driver's current one, to which paths of
    recipes are relative.
    """

    folder: Path
    probe: Path
    paths: tuple[Path, ...]
    yoyak_version: str
    environment: Mapping[str, str]

    @classmethod
    def of(cls, probe: Path, *paths: Path) -> "NodeCheck":
        """Return the check of this driver, which holds a lock on ``probe``."""
        kept = {name: os.environ[name] for name in KEPT if name in os.environ}
        environment = {**kept, "YOYAK_LANG": messages.language()}
        absolute = tuple(path.absolute() for path in paths)
        return cls(Path.cwd(), probe.absolute(), absolute, version("yoyak"), environment)

    def require(self) -> None:
        """Take the driver's folder and environment over, in a process of a node, and compare.

        Raises:
            BadData: another version, a path that is not there, or locks that do not hold.
        """
        os.environ.update(self.environment)
        node, found = socket.gethostname(), version("yoyak")
        if found != self.yoyak_version:
            expected = self.yoyak_version
            raise BadData("cluster.other-version", node=node, found=found, expected=expected)
        for path in (self.folder, self.probe, *self.paths):
            if not path.exists():
                raise BadData("cluster.not-shared", node=node, path=str(path))
        os.chdir(self.folder)
        with self.probe.open("r+b") as probe:
            try:
                fcntl.flock(probe, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
        raise BadData("cluster.no-locks", node=node, path=str(self.probe.parent))


@contextmanager
def locked(workspace: Path) -> Iterator[Path]:
    """Hold a lock that nodes try, inside the block; yield its file."""
    workspace.mkdir(parents=True, exist_ok=True)
    probe = workspace / ".cluster.lock"
    handle = os.open(probe, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        # Shared, for there may be two drivers; a node tries to hold it alone, and must fail.
        fcntl.flock(handle, fcntl.LOCK_SH)
        yield probe
    finally:
        os.close(handle)


class ClusterSize(NamedTuple):
    """CPUs and GPUs of each node that is alive; an actor has to fit one of them."""

    cpus: tuple[int, ...]
    gpus: tuple[int, ...]


@contextmanager
def connected(address: str) -> Iterator[Any]:
    """Yield the ``ray`` module, connected to the cluster at ``address`` (``auto``, HOST:PORT).

    Raises:
        Unavailable: Ray is not installed, or no cluster answers.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ModuleNotFoundError as error:
        raise Unavailable("cluster.no-ray", library=error.name) from error
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ValueError) as error:
        problem = last_line(error)
        raise Unavailable("cluster.unreachable", address=address, problem=problem) from error
    try:
        yield ray
    finally:
        ray.shutdown()


def size_of(ray: Any) -> ClusterSize:
    """Return the resources of the nodes that are alive."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]

    def each(name: str) -> tuple[int, ...]:
        return tuple(int(node.get(name, 0)) for node in nodes)

    return ClusterSize(each("CPU"), each("GPU"))


def answer(ray: Any, reference: Any) -> Any:
    """Return what a call on a node returned.

    Raises:
        YoyakError: that was raised there.
        RayActorError: its process or its node is lost.
    """
    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, YoyakError):
            raise error.cause from error
        raise


def last_line(error: Exception) -> str:
    """Return the last line of a message of Ray, which has the cause."""
    return str(error).strip().splitlines()[-1].strip()

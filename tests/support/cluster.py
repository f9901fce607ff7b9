"""A Ray cluster of this machine's own, in a network namespace, whose nodes can be lost.

Ray binds to the machine's address whatever it is told, so its nodes stand in a namespace whose
loopback device bears their addresses; nothing outside reaches them.
"""

import os
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import pytest

__all__ = ["cluster"]

HEAD = "10.9.0.1"
PORT = 6399
STORE_BYTES = 100_000_000


class LocalCluster:
    """Nodes of one namespace; ``lose`` ends one with all its processes, as a power cut does."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._environment = {
            **os.environ,
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": "a-token-of-this-test-alone-0123456789",
            "RAY_USAGE_STATS_ENABLED": "0",
            # Ray gives its workers a niceness of 15, which starves them beside other tests.
            "RAY_worker_niceness": "0",
            "OMP_NUM_THREADS": "1",
            "YOYAK_LANG": "en",
            "GLOO_SOCKET_IFNAME": "lo",
        }
        # Sleeps as long as the test: the namespace is there as long as a process is in it.
        self._holder = subprocess.Popen(["unshare", "--net", "sleep", "infinity"])
        self.nodes: dict[str, int] = {}
        self._head = ""

    def command(self, *words: object, **how) -> subprocess.Popen[bytes]:
        """Start a program inside the namespace."""
        inside = ["nsenter", f"--net=/proc/{self._holder.pid}/ns/net", *map(str, words)]
        return subprocess.Popen(inside, env=self._environment, **how)

    def start(self, addresses: tuple[str, ...]) -> str:
        """Start a node at each address, the first being the head; return the cluster's address."""
        self._until(self._has_own_namespace)
        self._run("ip", "link", "set", "lo", "up")
        for address in addresses:
            self._run("ip", "addr", "add", f"{address}/32", "dev", "lo")
        self._head = f"{addresses[0]}:{PORT}"
        for address in addresses:
            self.start_node(address)
        return self._head

    def start_node(self, address: str) -> None:
        """Start the node at an address, also one that was lost."""
        place = [f"--address={self._head}"]
        if self._head.startswith(f"{address}:"):
            place = ["--head", f"--port={PORT}", "--include-dashboard=false"]
        self._run(
            sys.executable, "-m", "ray.scripts.scripts", "start", *place,
            f"--node-ip-address={address}", "--num-cpus=1", "--disable-usage-stats",
            f"--object-store-memory={STORE_BYTES}",
        )  # fmt: skip
        self.nodes[address] = self._raylet(address)

    def lose(self, address: str) -> None:
        """Kill a node: its raylet first, then everything that it started."""
        import psutil

        raylet = psutil.Process(self.nodes.pop(address))
        below = raylet.children(recursive=True)
        raylet.kill()
        for each in below:
            with suppress(psutil.Error):
                each.kill()

    def node_of(self, pid: int) -> str | None:
        """Return the node on which a process runs."""
        import psutil

        with suppress(psutil.Error):
            above = {each.pid for each in psutil.Process(pid).parents()}
            return next((name for name, raylet in self.nodes.items() if raylet in above), None)
        return None

    def stop(self) -> None:
        """End everything in the namespace."""
        import psutil

        own = self._namespace(self._holder.pid)
        for process in psutil.process_iter() if self._has_own_namespace() else ():
            with suppress(OSError, psutil.Error):
                if self._namespace(process.pid) == own:
                    process.kill()
        self._holder.kill()
        self._holder.wait()

    def _has_own_namespace(self) -> bool:
        return self._namespace(self._holder.pid) != self._namespace(os.getpid())

    @staticmethod
    def _namespace(pid: int) -> Path:
        return Path(f"/proc/{pid}/ns/net").readlink()

    def _raylet(self, address: str) -> int:
        import psutil

        for process in psutil.process_iter(["cmdline"]):
            words = process.info["cmdline"] or []
            if (
                words
                and words[0].endswith("raylet/raylet")
                and f"--node_ip_address={address}" in words
            ):
                return process.pid
        raise AssertionError(f"no raylet at {address}")

    def _run(self, *words: object) -> None:
        with (self._folder / "ray.txt").open("ab") as out:
            code = self.command(*words, stdout=out, stderr=out).wait(timeout=300)
        assert code == 0, (self._folder / "ray.txt").read_text("utf-8")

    def _until(self, holds) -> None:
        deadline = time.monotonic() + 30
        while not holds():
            assert time.monotonic() < deadline
            time.sleep(0.01)


def _why_not() -> str | None:
    if find_spec("ray") is None:
        return "ray is not installed (CONTRIBUTING.md)"
    if shutil.which("nsenter") is None or shutil.which("ip") is None:
        return "nsenter or ip is not installed"
    tried = subprocess.run(["unshare", "--net", "true"], check=False, capture_output=True)
    return None if tried.returncode == 0 else "no network namespace can be made here"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """An empty cluster, whose nodes the test starts."""
    reason = _why_not()
    if reason is not None:
        pytest.skip(reason)
    made = LocalCluster(tmp_path_factory.mktemp("cluster"))
    yield made
    made.stop()

"""What open pages cost the live server: CPU while nothing changes, and 200 pages that follow a run.

    python benchmarks/live_pages.py [--pages 200] [--seconds 30]

Starts ``yoyak serve`` on a workspace with one run. Prints the server's CPU, as a share of one core,
with no page, with one page and with all pages open while nothing changes; then the run writes a
step a second, and every page must get every point. Last, all pages load the report at once.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from plain import machine

from yoyak.config import load
from yoyak.data import sample
from yoyak.data.corpus import read_corpus
from yoyak.events import Prepared, Queued, Started, TrainStep
from yoyak.runs.workspace import Workspace
from yoyak.scheduler import provenance

if TYPE_CHECKING:
    import psutil

    from yoyak.runs.run import Run

STEPS = 20


class Page:
    """A page's connection to the events; the steps that arrived, and how late."""

    def __init__(self) -> None:
        self.steps: list[int] = []
        self.late: list[float] = []

    async def open(self, port: int) -> None:
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", port)
        request = f"GET /events HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n"
        self.writer.write(request.encode())
        await self.reader.readuntil(b"event: hello")
        self.following = asyncio.ensure_future(self.follow())

    async def follow(self) -> None:
        while line := await self.reader.readline():
            if line.startswith(b'data: {"run"'):
                points = json.loads(line.removeprefix(b"data: "))
                self.steps += points["step"]
                self.late += [time.time() - at for at in points["at"]]

    def close(self) -> None:
        self.following.cancel()
        self.writer.close()


async def get(port: int) -> tuple[float, int]:
    began = time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    request = f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n"
    writer.write(request.encode())
    answer = await reader.read(-1)
    if not answer.startswith(b"HTTP/1.1 200"):
        raise SystemExit(answer[:200].decode())
    writer.close()
    return time.perf_counter() - began, len(answer)


def step(number: int) -> TrainStep:
    return TrainStep(
        at=time.time(), step=number, epoch=number / 12, loss=3.0, learning_rate=1e-3,
        grad_norm=1.0, tokens=700, supervised_tokens=200, rows=8, seconds=1.0,
    )  # fmt: skip


async def measure(
    server: "psutil.Process", port: int, run: "Run", pages: int, seconds: float
) -> None:
    async def share(name: str) -> None:
        spent = sum(server.cpu_times()[:2])
        await asyncio.sleep(seconds)
        used = (sum(server.cpu_times()[:2]) - spent) / seconds
        print(f"{name:<44} {100 * used:6.2f} % of a core", flush=True)

    first, size = await get(port)
    print(f"{'the first page of the server':<44} {first:6.2f} s, {size / 1e6:.2f} MB")
    await share("no page open")
    opened = [Page()]
    await opened[0].open(port)
    await asyncio.sleep(2)
    await share("one page, nothing changes")
    more = [Page() for _ in range(pages - 1)]
    await asyncio.gather(*(one.open(port) for one in more))
    opened += more
    await asyncio.sleep(2)
    await share(f"{pages} pages, nothing changes")
    spent, began = sum(server.cpu_times()[:2]), time.monotonic()
    for number in range(1, STEPS + 1):
        run.emit(step(number))
        await asyncio.sleep(1)
    await asyncio.sleep(3)
    used = (sum(server.cpu_times()[:2]) - spent) / (time.monotonic() - began)
    whole = sum(one.steps == list(range(1, STEPS + 1)) for one in opened)
    late = sorted(seconds for one in opened for seconds in one.late)
    print(f"{f'{pages} pages follow a step a second':<44} {100 * used:6.2f} % of a core")
    print(f"{'pages that got every step':<44} {whole:6} of {pages}")
    middle, worst = late[len(late) // 2], late[-1]
    print(f"{'from the step to the page':<44} {middle:6.2f} s, at most {worst:.2f} s")
    loads = await asyncio.gather(*(get(port) for _ in range(pages)))
    slowest = max(seconds for seconds, _ in loads)
    print(f"{f'{pages} pages load the report at once':<44} {slowest:6.2f} s for the last")
    print(f"{'memory of the server':<44} {server.memory_info().rss / 1e6:6.0f} MB")
    for one in opened:
        one.close()
    if whole < pages:
        raise SystemExit("a page missed a step")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--pages", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=30)
    asked = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(Path(folder) / "workspace")
        recipe = load.resolve("tiny-bart").recipe
        corpus = read_corpus(sample.folder())
        record = msgspec.json.encode(provenance.gather(corpus))
        run = workspace.find_or_create(recipe, corpus, lambda: record)
        run.emit(Queued(at=time.time(), recipe="tiny-bart"))
        run.emit(Started(at=time.time(), pid=1, host="box", attempt=1))
        run.emit(
            Prepared(
                at=time.time(), rows=96, rows_shortened=0, steps=144, steps_per_epoch=12,
                tokens_per_epoch=1, supervised_tokens_per_epoch=1, parameters=1,
                trainable_parameters=1,
            )
        )  # fmt: skip
        command = [sys.executable, "-m", "yoyak", "serve", "--port", "0"]
        process = subprocess.Popen(
            command, cwd=folder, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "YOYAK_LANG": "en"},
        )  # fmt: skip
        assert process.stderr is not None
        import psutil

        try:
            port = int(process.stderr.readline().rpartition(":")[2])
            server = psutil.Process(process.pid)
            asyncio.run(measure(server, port, run, asked.pages, asked.seconds))
        finally:
            process.kill()
            process.wait()


if __name__ == "__main__":
    main()

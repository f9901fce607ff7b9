"""Load ``yoyak serve`` with many callers at once: lost requests, latencies, memory; kills.

    python benchmarks/serving.py FOLDER --run RUN [--clients 64] [--minutes 10] [--kills 0]

FOLDER holds a ``workspace`` with the finished run. Each caller sends dialogues of the embedded
sample one after another and waits for each answer; one that gets 429, 503 or no connection asks
again after a pause, as clients do. With ``--kills``, the server is killed with SIGKILL so often,
at even distances, and started again. One JSON line on standard output.
"""

import argparse
import http.client
import json
import os
import signal
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import NamedTuple

from plain import machine

from yoyak.data import sample
from yoyak.data.corpus import read_corpus


class Answer(NamedTuple):
    seconds: float
    text: str


class Server:
    """The command, started again on the same port after a kill."""

    def __init__(self, folder: Path, run: str) -> None:
        self.folder, self.run = folder, run
        self.port = 0
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "yoyak", "serve", "--run", self.run]
        self.process = subprocess.Popen(
            [*command, "--port", str(self.port), "--log-texts"],
            cwd=self.folder,
            env={**os.environ, "YOYAK_LANG": "en"},
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if line.startswith("API: http://"):
                self.port = int(line.split(":")[3].split("/")[0])
                break
        else:
            raise SystemExit(f"the server ended with {self.process.wait()}")
        threading.Thread(target=self.process.stderr.read, daemon=True).start()

    def restart(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.start()

    @property
    def megabytes(self) -> float:
        import psutil

        return psutil.Process(self.process.pid).memory_info().rss / 1e6


class Callers:
    """Threads that ask until the time is over; what each dialogue was answered, and how long."""

    def __init__(self, server: Server, dialogues: list[str], clients: int, seconds: float) -> None:
        self.server, self.dialogues = server, dialogues
        self.until = time.monotonic() + seconds
        self.answers: dict[str, set[str]] = {}
        self.seconds: list[float] = []
        self.retries = 0
        self.failures: list[str] = []
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.call, args=(n,)) for n in range(clients)]

    def call(self, number: int) -> None:
        while time.monotonic() < self.until:
            dialogue = self.dialogues[number % len(self.dialogues)]
            number += len(self.threads)
            began = time.monotonic()
            while (text := self.ask(dialogue)) is None:
                with self.lock:
                    self.retries += 1
                time.sleep(0.2)
            with self.lock:
                self.seconds.append(time.monotonic() - began)
                self.answers.setdefault(dialogue, set()).add(text)

    def ask(self, dialogue: str) -> str | None:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=120)
        try:
            body = json.dumps({"dialogue": dialogue})
            headers = {"Content-Type": "application/json"}
            connection.request("POST", "/v1/summaries", body, headers)
            answer = connection.getresponse()
            read = json.loads(answer.read())
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()
        if answer.status in {429, 503}:
            return None
        if answer.status != 200:
            with self.lock:
                self.failures.append(f"{answer.status} {read}")
            return ""
        return str(read["summary"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--run", required=True)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--kills", type=int, default=0)
    chosen = parser.parse_args()
    dialogues = [one.text for one in read_corpus(sample.folder()).dev.dialogues]
    server = Server(chosen.folder, chosen.run)
    seconds = 60 * chosen.minutes
    callers = Callers(server, dialogues, chosen.clients, seconds)
    memory = []
    try:
        for thread in callers.threads:
            thread.start()
        pause = seconds / (2 * (chosen.kills + 1))
        for _ in range(chosen.kills):
            time.sleep(pause)
            memory.append(server.megabytes)
            time.sleep(pause)
            server.restart()
        time.sleep(pause)
        memory.append(server.megabytes)
        for thread in callers.threads:
            thread.join()
        memory.append(server.megabytes)
    finally:
        server.process.terminate()
        code = server.process.wait()
    cuts = statistics.quantiles(callers.seconds, n=100)
    print(
        json.dumps(
            {
                "machine": machine(),
                "run": chosen.run,
                "clients": chosen.clients,
                "minutes": chosen.minutes,
                "kills": chosen.kills,
                "answered": len(callers.seconds),
                "per_second": round(len(callers.seconds) / seconds, 1),
                "retries": callers.retries,
                "failures": callers.failures[:10],
                "dialogues_with_several_answers": sum(
                    len(texts) > 1 for texts in callers.answers.values()
                ),
                "seconds_p50_p90_p99": [round(cuts[n - 1], 3) for n in (50, 90, 99)],
                "megabytes": [round(each) for each in memory],
                "exit_code": code,
            },
            ensure_ascii=False,
        )
    )


if __name__ == "__main__":
    main()

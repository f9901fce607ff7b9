"""The live page in a real browser: it follows the records, and says when the server is gone."""

import os
import shutil
import socket
import subprocess
import sys
import time
from importlib.util import find_spec

import msgspec
import pytest

from yoyak.config import load
from yoyak.data import sample
from yoyak.data.corpus import read_corpus
from yoyak.events import Prepared, Queued, StageStarted, Started, TrainStep
from yoyak.runs.workspace import Workspace
from yoyak.scheduler import provenance

pytestmark = [pytest.mark.browser]
if os.environ.get("YOYAK_REQUIRE_BROWSER") != "1":
    pytestmark.append(
        pytest.mark.skipif(find_spec("uvicorn") is None, reason="the [serve] extra is missing")
    )

SERVER = (
    "import sys; from pathlib import Path; from yoyak.web import app;"
    "from yoyak.runs.workspace import Workspace;"
    "pages = app.application(Workspace(Path(sys.argv[1])));"
    "app.serve(pages, app.HOST, int(sys.argv[2]), drain_seconds=600,"
    "on_start=lambda port: print(port, flush=True))"
)


@pytest.fixture
def run(tmp_path):
    corpus = read_corpus(sample.folder())
    record = msgspec.json.encode(provenance.gather(corpus))
    workspace = Workspace(tmp_path / "workspace")
    run = workspace.find_or_create(load.resolve("tiny-bart").recipe, corpus, lambda: record)
    now = time.time()
    run.emit(Queued(at=now, recipe="tiny-bart"))
    run.emit(Started(at=now, pid=1, host="box", attempt=1))
    run.emit(StageStarted(at=now, stage="train"))
    run.emit(
        Prepared(
            at=now, rows=96, rows_shortened=0, steps=144, steps_per_epoch=12, tokens_per_epoch=1,
            supervised_tokens_per_epoch=1, parameters=1, trainable_parameters=1,
        )
    )  # fmt: skip
    step(run, 1)
    return run


def step(run, number):
    run.emit(
        TrainStep(
            at=time.time(), step=number, epoch=number / 12, loss=3.0, learning_rate=1e-3,
            grad_norm=1.0, tokens=1, supervised_tokens=1, rows=8, seconds=0.1,
        )
    )  # fmt: skip


class Server:
    """The command's server, which the test stops and starts again on the same port."""

    def __init__(self, folder):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.folder = folder
        self.address = f"http://127.0.0.1:{self.port}/"
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVER, str(self.folder), str(self.port)],
            env={**os.environ, "YOYAK_LANG": "en", "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
        )
        assert self.process.stdout.readline()

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=120)
        self.process.stdout.close()


@pytest.fixture
def server(run):
    server = Server(run.folder.parents[1])
    yield server
    server.process.kill()
    server.process.wait()
    server.process.stdout.close()


@pytest.fixture
def other(run):
    """A second run of the workspace, which somebody will delete."""
    corpus, recipe = read_corpus(sample.folder()), load.resolve("lead").recipe
    record = msgspec.json.encode(provenance.gather(corpus))
    other = Workspace(run.folder.parents[1]).find_or_create(recipe, corpus, lambda: record)
    other.emit(Queued(at=time.time(), recipe="lead"))
    return other


def test_the_page_follows_the_run_and_the_server(run, other, server, browser):
    from playwright.sync_api import expect

    context = browser.new_context()
    with run.lock():
        page = context.new_page()
        complaints, fetched = [], []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: fetched.append(request.url))
        page.goto(server.address)
        current = page.locator("section", has=page.locator("#current"))
        pending = page.locator("section", has=page.locator("#pending"))
        expect(current).to_contain_text("1/144", timeout=120_000)
        expect(pending).to_contain_text("lead")
        expect(page.locator("#stale")).to_be_hidden()
        page.evaluate(
            """() => {
                window.points = [];
                const { update } = yoyakCharts;
                yoyakCharts.update = (found) => { points.push(...found); return update(found); };
                window.kept = document.querySelector("section[aria-labelledby=provenance]");
                kept.querySelector("details").open = true;
                kept.querySelector("summary").focus();
            }"""
        )
        step(run, 2)
        expect(current).to_contain_text("2/144", timeout=120_000)
        # Points came as numbers, only changed sections were replaced, focus stayed where it was.
        assert page.evaluate("points.map((one) => [one.chart, one.run, one.x])") == [
            [chart, run.name, 2] for chart in ("loss", "grad-norm", "learning-rate", "throughput")
        ]
        assert page.evaluate("kept.isConnected && kept.contains(document.activeElement)")
        assert page.evaluate("kept.querySelector('details').open")
        assert not [url for url in fetched[1:] if url == server.address]

        with run.log_path.open("ab") as log:
            log.write(b'{"event": "step')
        shutil.rmtree(other.folder)
        expect(pending).to_have_count(0, timeout=120_000)
        expect(current).to_contain_text("2/144")

        server.stop()
        expect(page.locator("#stale")).to_be_visible(timeout=120_000)
        with run.log_path.open("ab") as log:
            log.write(b"\n")
        step(run, 3)
        server.start()
        expect(page.locator("#stale")).to_be_hidden(timeout=120_000)
        expect(current).to_contain_text("3/144", timeout=120_000)
        assert page.evaluate("kept.isConnected")

        # Hidden pages take none of the six connections that a browser allows to a server.
        hide = """(hidden) => {
            Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
            document.dispatchEvent(new Event("visibilitychange"));
        }"""
        page.evaluate(hide, True)
        step(run, 4)
        page.evaluate(hide, False)
        expect(current).to_contain_text("4/144", timeout=120_000)
    context.close()
    assert complaints == []


def test_a_page_connects_anew_after_sleep_and_open_pages_do_not_hold_the_server(server, browser):
    page = browser.new_page()
    page.clock.install()
    with page.expect_response("**/events"):
        page.goto(server.address)
    with page.expect_response("**/events*"):
        page.clock.fast_forward(3_600_000)  # no ping has come for an hour
    server.stop()
    page.close()
    assert server.process.returncode == 0

"""A small line-up as plain values: one finished floor, one finished toy, one cut off."""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import pytest

from yoyak.config import load
from yoyak.config.aliases import with_current_names
from yoyak.config.schema import Recipe
from yoyak.data.sample.generator import generated_folder
from yoyak.events import (
    AnyEvent,
    CheckpointSaved,
    Evaluated,
    Finished,
    PredictionProgress,
    Prepared,
    Queued,
    RunStatus,
    Scored,
    StageDone,
    StageStarted,
    Started,
    SystemMetrics,
    TrainStep,
)
from yoyak.metrics.significance import Verdict
from yoyak.report.model import next_steps
from yoyak.report.model.build import Rest, build
from yoyak.report.model.history import RunHistory
from yoyak.report.model.load import gather
from yoyak.report.model.report import Basis, Difference, Floor, Measured, Quality, Report
from yoyak.runs.workspace import Workspace
from yoyak.values import Interval, Rouge

SIGNATURE = (
    "rouge|profile:official|tok:mecab-ko-1.3.7/dic-2.1.1.post2|refs:1|agg:mean|tags:split"
    "|items:24|sha:0a1b2c3d|v:1"
)
NOON = 1_767_225_600.0  # 2026-01-01 00:00:00 UTC


def interval(middle: float, half: float = 0.02) -> Interval:
    return Interval(low=middle - half, high=middle + half)


BASIS = Basis(signature=SIGNATURE, dev_sha256="0a1b2c3d")


def quality(r1: float, r2: float, rl: float, record: str, basis: Basis = BASIS) -> Quality:
    mean = (r1 + r2 + rl) / 3
    return Quality(
        rouge1=Measured(value=r1, interval=interval(r1)),
        rouge2=Measured(value=r2, interval=interval(r2)),
        rougeL=Measured(value=rl, interval=interval(rl)),
        mean=Measured(value=mean, interval=interval(mean)),
        rows=24,
        basis=basis,
        floors=(
            Floor(name="constant", rouge=Rouge(rouge1=0.3006, rouge2=0.2452, rougeL=0.2646),
                  record=record),
            Floor(name="unrelated", rouge=Rouge(rouge1=0.21, rouge2=0.09, rougeL=0.18),
                  record=record),
        ),
        record=record,
    )  # fmt: skip


def training(steps: int, upto: int, *, start: float = NOON, seconds: float = 2.0) -> list[AnyEvent]:
    """A log from the queue to step ``upto`` of ``steps``, a checkpoint every 10 steps."""
    rouge = Rouge(rouge1=0.21, rouge2=0.08, rougeL=0.17)
    events: list[AnyEvent] = [
        Queued(at=start, recipe="tiny-bart"),
        Started(at=start + 1, pid=7, host="box", attempt=1),
        StageStarted(at=start + 1, stage="train"),
        Prepared(
            at=start + 2, rows=96, rows_shortened=0, steps=steps, steps_per_epoch=12,
            tokens_per_epoch=9000, supervised_tokens_per_epoch=3000,
            parameters=312_000, trainable_parameters=312_000,
        ),
    ]  # fmt: skip
    for step in range(1, upto + 1):
        at = start + 2 + seconds * step
        events.append(
            TrainStep(
                at=at, step=step, epoch=step / 12, loss=5.0 / step**0.5,
                learning_rate=2e-3 * (steps + 1 - step) / steps,
                grad_norm=1.0 + (step == 7) * 9, tokens=750, supervised_tokens=250, rows=8,
                seconds=seconds,
            )
        )  # fmt: skip
        if step % 10 == 0:
            events.append(
                CheckpointSaved(
                    at=at, step=step, name=f"step-{step:06d}", size_bytes=4_000_000, seconds=0.1
                )
            )
        if step % 12 == 0:
            events.append(
                Evaluated(
                    at=at, step=step, epoch=step / 12, rouge=rouge, interval=interval(rouge.mean),
                    rows=12, signature=SIGNATURE, seconds=1.0, best=True,
                )
            )  # fmt: skip
    return events


def ending(start: float, rouge: Rouge, *, trained: bool) -> list[AnyEvent]:
    events: list[AnyEvent] = []
    if trained:
        events.append(StageDone(at=start, stage="train", fingerprint="f1", seconds=61.0))
    return [
        *events,
        StageStarted(at=start, stage="predict-dev"),
        PredictionProgress(at=start + 1, split="dev", done=12, of=24, seconds=1.0),
        PredictionProgress(at=start + 2, split="dev", done=24, of=24, seconds=2.0),
        StageDone(at=start + 2, stage="predict-dev", fingerprint="f2", seconds=2.0),
        SystemMetrics(at=start + 2, disk_free_gb=40.0, disk_used_gb=110.0, vram_used_gb=14.5,
                vram_total_gb=24.0),
        Scored(at=start + 3, split="dev", rouge=rouge, interval=interval(rouge.mean), rows=24,
               signature=SIGNATURE),
        Finished(at=start + 3, seconds=70.0),
    ]  # fmt: skip


def recipe(name: str) -> Recipe:
    """A bundled recipe with what the logs here were made with."""
    settings = ("train.epochs=2", "train.learning_rate=0.002", 'train.lr_scheduler="linear"')
    return load.resolve(name, sets=settings).recipe


def lead_run() -> RunHistory:
    rouge = Rouge(rouge1=0.301, rouge2=0.142, rougeL=0.255)
    events = [
        Queued(at=NOON, recipe="lead"),
        Started(at=NOON, pid=6, host="box", attempt=1),
        *ending(NOON, rouge, trained=False),
    ]
    return RunHistory(
        id="260101-0900-lead-aaaa", folder="runs/260101-0900-lead-aaaa",
        recipe=load.resolve("lead").recipe, events=tuple(events), status=RunStatus.FINISHED,
        quality=quality(0.301, 0.142, 0.255, "runs/260101-0900-lead-aaaa/scores/dev.json"),
    )  # fmt: skip


def toy_run() -> RunHistory:
    rouge = Rouge(rouge1=0.24, rouge2=0.11, rougeL=0.20)
    events = training(24, 24) + ending(NOON + 60, rouge, trained=True)
    mean = rouge.mean - 0.2327
    return RunHistory(
        id="260101-0901-tiny-bart-bbbb", folder="runs/260101-0901-tiny-bart-bbbb",
        recipe=recipe("tiny-bart"),
        events=tuple(events), status=RunStatus.FINISHED,
        decode_seconds_per_100=100 * 2.0 / 24,
        quality=quality(0.24, 0.11, 0.20, "runs/260101-0901-tiny-bart-bbbb/scores/dev.json"),
        difference=Difference(
            baseline="lead", mean=Measured(value=mean, interval=interval(mean)), p=0.0004,
            verdict=Verdict.WORSE,
        ),
    )  # fmt: skip


def cut_run() -> RunHistory:
    return RunHistory(
        id="260101-0905-tiny-qlora-cccc", folder="runs/260101-0905-tiny-qlora-cccc",
        recipe=recipe("tiny-qlora"),
        events=tuple(training(24, 17, start=NOON + 99)), status=RunStatus.INTERRUPTED,
    )  # fmt: skip


def rest(**changes: object) -> Rest:
    return Rest(title="yoyak", workspace="workspace", written_at=NOON + 600)._replace(**changes)


@pytest.fixture
def view() -> Report:
    return build([lead_run(), toy_run(), cut_run()], rest())


class Make:
    """The builders, for tests that want other records than the fixture's."""

    lead_run = staticmethod(lead_run)
    toy_run = staticmethod(toy_run)
    cut_run = staticmethod(cut_run)
    rest = staticmethod(rest)
    training: Callable[..., list[AnyEvent]] = staticmethod(training)
    quality = staticmethod(quality)
    basis = BASIS
    noon = NOON


@pytest.fixture(scope="session")
def make() -> type[Make]:
    return Make


if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROOT = Path(__file__).parents[2]


def _recorded(view: Report, folder: Path) -> Report:
    """Without settings that recipes did not have when the example was recorded."""
    systems = []
    for one in view.systems:
        path = folder / "runs" / one.run / "recipe.json"
        recorded, _ = with_current_names(msgspec.json.decode(path.read_bytes()))
        names = f"{recorded}"
        had = [each for each in one.settings if f"'{each.key.split('.')[-1]}'" in names]
        systems.append(msgspec.structs.replace(one, settings=tuple(had)))
    return msgspec.structs.replace(view, systems=tuple(systems))


class Usage(NamedTuple):
    """What ``shutil.disk_usage`` says of a disk, as far as the report asks."""

    total: float
    used: float
    free: float


@pytest.fixture
def example(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Callable[[str], tuple[Path, Report]]]:
    """The recorded workspaces of the docs, seen a minute after their end, in Seoul.

    Their records name the generated sample as the folder ``sample``.
    """
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    (tmp_path / "sample").symlink_to(generated_folder())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TZ", "Asia/Seoul")
    time.tzset()
    monkeypatch.setattr(next_steps, "changes", lambda _: ())  # its recipes are those of its day
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(total=150e9, used=110e9, free=40e9))

    def read(kind: str) -> tuple[Path, Report]:
        folder = Path("docs", "example", kind)
        last = max(run.events()[-1].at for run in Workspace(folder).runs())
        monkeypatch.setattr(time, "time", lambda: last + 60)
        return folder, _recorded(gather(Workspace(folder)), folder)

    yield read
    monkeypatch.undo()
    time.tzset()


@pytest.fixture(scope="module")
def two_leads(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Two finished runs of the recipe ``lead`` on the sample, by their stages in this process."""
    from yoyak.data.corpus import read_corpus
    from yoyak.scheduler import provenance
    from yoyak.scheduler.stages import StageContext, run_stages

    corpus = read_corpus(generated_folder())
    workspace = Workspace(tmp_path_factory.mktemp("leads") / "workspace")
    record = msgspec.json.encode(provenance.gather(corpus))
    for seed in (1, 2):
        chosen = load.resolve("lead", sets=[f"train.seed={seed}"]).recipe
        run = workspace.find_or_create(chosen, corpus, lambda: record)
        run.emit(Queued(at=1.0, recipe="lead"))
        run.emit(Started(at=2.0, pid=1, host="box", attempt=1))
        run_stages(StageContext(run, corpus, lambda: False))
    return workspace


CHROMIUM = shutil.which("chromium")
ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip


@pytest.fixture(scope="session")
def browser() -> "Iterator[Browser]":
    """The one browser of all tests; skipped where a user has none, required in CI."""
    if os.environ.get("YOYAK_REQUIRE_BROWSER") != "1":
        if CHROMIUM is None:
            pytest.skip("Chromium is not installed")
        pytest.importorskip("playwright", reason="Playwright is not installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        yield browser
        browser.close()

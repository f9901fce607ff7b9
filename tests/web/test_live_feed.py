"""One reader for all pages: reads do not grow with pages, no event without a change."""

import asyncio
import json
import time

import pytest

from support.coroutines import finish
from yoyak import messages
from yoyak.config import load
from yoyak.data import sample
from yoyak.data.corpus import read_corpus
from yoyak.events import AlignStep, Evaluated, Queued, Started, SystemMetrics, TrainStep, Warned
from yoyak.runs.workspace import Workspace
from yoyak.values import Interval, Rouge
from yoyak.web import live_feed
from yoyak.web.live_feed import (
    LiveFeed,
    LivePage,
    RecordReader,
    RenderedPart,
    points_of,
    version_of,
)


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


class Server:
    """A feed whose ticks and time the test moves."""

    def __init__(self, workspace):
        self.clock = Clock()
        self.text = ""
        self.cost = 0.1
        self.shown = LivePage(self, self.clock, self.clock)
        self.reader = RecordReader(workspace)
        self.feed = LiveFeed(self.reader, self.shown, self.clock)

    def gather(self):
        self.clock.now += self.cost
        return object()

    def page(self, _):
        return f"<html>{self.text}</html>"

    def content(self, _):
        return f"{messages.language()} {self.text}"

    def points(self, _):
        return "{}"

    async def tick(self, seconds=60.0):
        self.clock.now += seconds
        await self.feed.tick()


@pytest.fixture
def run(workspace):
    recipe = load.resolve("tiny-bart").recipe
    run = workspace.find_or_create(recipe, read_corpus(sample.folder()), lambda: b"{}")
    run.emit(Queued(at=1.0, recipe="tiny-bart"))
    return run


@pytest.fixture
def server(workspace, run, monkeypatch):
    monkeypatch.setattr(LiveFeed, "_start", lambda _: None)
    return Server(workspace)


def step(number):
    return TrainStep(
        at=float(number), step=number, epoch=0.5, loss=3.0, learning_rate=1e-3, grad_norm=1.0,
        tokens=7, supervised_tokens=5, rows=8, seconds=0.1,
    )  # fmt: skip


def parsed(frame):
    """Return kind, data and id of a frame of text/event-stream."""
    lines = dict(line.split(": ", 1) for line in frame.decode().splitlines() if ": " in line)
    data = lines.get("data")
    return lines["event"], json.loads(data) if data else None, lines.get("id")


async def gather_waiting(stream, count):
    return [parsed(await anext(stream)) for _ in range(count)]


def test_two_hundred_pages_cost_one_look_and_one_rendering(server, run):
    async def scenario():
        first = (await server.feed.current()).version
        streams = [server.feed.events(None) for _ in range(200)]
        hellos = [parsed(await anext(one))[:2] for one in streams]
        assert hellos == [("hello", {"version": server.shown.version, "gap": False})] * 200
        looks, renders = server.reader.looks, server.shown.renders
        run.emit(step(1))
        await server.tick()
        assert server.feed.pages == 200
        assert (server.reader.looks - looks, server.shown.renders - renders) == (1, 0)
        for one in streams:
            (kind, points, _), (changed, version, _) = await gather_waiting(one, 2)
            assert (kind, changed) == ("points", "changed")
            assert (points["run"], points["step"], points["loss"]) == (run.name, [1], [3.0])
            assert version == {"version": server.reader.version}
        found = [await server.feed.since(first) for _ in streams]
        assert {one.version for one in found} == {server.reader.version}
        # The reader looked once a page that asked, and all got one rendering.
        assert server.shown.renders - renders == 1
        for one in streams:
            await one.aclose()
        assert server.feed.pages == 0

    finish(scenario())


def test_without_a_change_pages_hear_a_ping_now_and_then(server):
    async def scenario():
        await server.feed.current()
        stream = server.feed.events(None)
        await anext(stream)
        await server.tick(1.0)
        await server.tick(live_feed.PING_SECONDS)
        await server.tick(1.0)
        assert parsed(await anext(stream)) == ("ping", None, None)
        waiting = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        assert not waiting.done()
        waiting.cancel()
        assert server.shown.renders == 1

    finish(scenario())


def test_what_happened_before_the_first_page_is_no_point(server, run):
    async def scenario():
        run.emit(step(1))
        await server.feed.current()
        stream = server.feed.events(None)
        await anext(stream)
        run.emit(step(2))
        await server.tick()
        assert parsed(await anext(stream))[1]["step"] == [2]

    finish(scenario())


def test_a_run_that_begins_later_is_followed_from_its_start(server, workspace, run):
    async def scenario():
        await server.feed.current()
        recipe = load.resolve("tiny-qlora").recipe
        new = workspace.find_or_create(recipe, read_corpus(sample.folder()), lambda: b"{}")
        new.emit(step(1))
        stream = server.feed.events(None)
        await anext(stream)
        await server.tick()
        kind, points, _ = parsed(await anext(stream))
        assert (kind, points["run"], points["step"]) == ("points", new.name, [1])

    finish(scenario())


def test_a_page_that_connects_again_gets_what_it_missed(server, run):
    async def scenario():
        await server.feed.current()
        stream = server.feed.events(None)
        await anext(stream)
        run.emit(step(1))
        await server.tick()
        _, _, last = parsed(await anext(stream))
        await stream.aclose()
        for number in (2, 3):
            run.emit(step(number))
            await server.tick()
        again = server.feed.events(last)
        assert parsed(await anext(again))[1]["gap"] is False
        missed = [one for one in await gather_waiting(again, 5) if one[0] == "points"]
        assert [points["step"] for _, points, _ in missed] == [[2], [3]]

    finish(scenario())


@pytest.mark.parametrize("last", ["0123456789ab-4", "nonsense", "-", "0123456789ab--1", "x-½"])
def test_a_page_of_another_server_is_told_that_it_has_a_gap(server, last):
    async def scenario():
        await server.feed.current()
        hello = parsed(await anext(server.feed.events(last)))
        assert hello[:2] == ("hello", {"version": server.shown.version, "gap": True})

    finish(scenario())


def test_a_page_that_missed_more_than_is_kept_has_a_gap(server):
    async def scenario():
        await server.feed.current()
        server.feed.publish("points", {})
        _, _, last = parsed(server.feed._kept[-1][1])
        for _ in range(live_feed.MOST_KEPT + 1):
            server.feed.publish("points", {})
        assert parsed(await anext(server.feed.events(last)))[1]["gap"] is True

    finish(scenario())


def test_a_page_that_does_not_keep_up_is_disconnected_and_the_others_stay(server):
    async def scenario():
        slow, quick = server.feed.events(None), server.feed.events(None)
        await anext(slow), await anext(quick)
        for number in range(live_feed.MOST_WAITING + 1):
            server.feed.publish("points", {"step": number})
            assert parsed(await anext(quick))[1] == {"step": number}
        assert server.feed.pages == 1
        with pytest.raises(StopAsyncIteration):
            await anext(slow)

    finish(scenario())


def test_closing_ends_every_stream(server):
    async def scenario():
        streams = [server.feed.events(None) for _ in range(3)]
        for one in streams:
            await anext(one)
        server.feed.close()
        for one in streams:
            with pytest.raises(StopAsyncIteration):
                await anext(one)

    finish(scenario())


def test_the_reader_rests_when_the_last_page_has_left(workspace, run, monkeypatch):
    monkeypatch.setattr(live_feed, "INTERVAL_SECONDS", 0)

    async def scenario():
        server = Server(workspace)
        await server.feed.current()
        stream = server.feed.events(None)
        await anext(stream)
        run.emit(step(1))
        assert parsed(await anext(stream))[0] == "points"
        await stream.aclose()
        await asyncio.wait_for(server.feed._task, 60)
        again = server.feed.events(None)
        await anext(again)
        assert not server.feed._task.done()
        server.feed.close()

    finish(scenario())


def test_rendering_takes_a_small_share_of_the_time(server, run):
    async def scenario():
        server.cost = 0.25
        first = await server.feed.current()
        for number in range(4):
            run.emit(step(number))
            await server.tick(1.0)
            assert (await server.feed.current()).version == first.version
        server.cost = 100.0
        server.clock.now += 0.25 / live_feed.RENDER_SHARE
        second = await server.feed.current()
        assert second.version != first.version
        run.emit(step(9))
        server.clock.now += live_feed.LONGEST_PAUSE_SECONDS
        assert (await server.feed.current()).version != second.version

    finish(scenario())


def test_a_change_is_announced_once(server, run):
    async def scenario():
        await server.feed.current()
        stream = server.feed.events(None)
        await anext(stream)
        run.emit(Warned(at=1.0, key="x"))
        for _ in range(3):
            await server.tick()
        kinds = [kind for kind, *_ in await gather_waiting(stream, 2)]
        assert kinds == ["changed", "ping"]

    finish(scenario())


def test_many_who_ask_for_one_page_share_its_rendering(server):
    async def scenario():
        found = await asyncio.gather(*(server.feed.current() for _ in range(50)))
        assert len({id(one) for one in found}) == 1
        assert server.shown.renders == 1

    finish(scenario())


def test_only_the_sections_that_changed_are_sent(server, run):
    def content(loss):
        return (
            f'<header>{loss}</header><section aria-labelledby="a"><p>{loss}</p></section>'
            '<section class="x" aria-labelledby="b"><section>in</section><p>same</p></section>'
        )

    async def scenario():
        server.text = content(1)
        old = await server.feed.current()
        server.text = content(2)
        run.emit(step(1))
        server.clock.now += 60
        new = await server.feed.since(old.version)
        assert new.html == (
            'en <header>2</header><section aria-labelledby="a"><p>2</p></section>'
            '<section data-same="b"></section>'
        )
        for version, language in (("unknown", "en"), (old.version, "ko")):
            with messages.speaking(language):
                found = await server.feed.since(version)
            assert found.html == f"{language} {content(2)}"

    finish(scenario())


def test_sections_are_found_whatever_stands_in_them():
    page = RenderedPart.of("v", '<section>no key</section><section aria-labelledby="k">x</section>')
    assert list(page.hashes) == ["k"]


def test_points_are_columns_of_what_was_measured():
    rouge = Rouge(rouge1=0.3, rouge2=0.2, rougeL=0.1)
    interval = Interval(low=0.1, high=0.3)
    events = [
        step(1),
        Warned(at=2.0, key="x"),
        Evaluated(
            at=2.0, step=1, epoch=0.5, rouge=rouge, interval=interval, rows=9, signature="s",
            seconds=1.0, best=True,
        ),
        SystemMetrics(at=3.0, vram_used_gb=None, disk_used_gb=4.0),
        AlignStep(
            at=4.0, step=2, epoch=0.6, loss=1.0, reward=0.4, reward_spread=0.1, kl=None,
            learning_rate=1e-6, grad_norm=2.0, groups=2, tokens=9, seconds=1.0,
            sampled_seconds=0.5, waited_seconds=0.1,
        ),
    ]  # fmt: skip
    found = points_of("run", "tiny-bart", events)
    assert (found.step, found.reward) == ([1, 2], [None, 0.4])
    assert found.evaluated_mean == [pytest.approx(0.2)]
    assert (found.sampled_at, found.vram_used_gb, found.disk_used_gb) == ([3.0], [None], [4.0])
    assert points_of("run", "tiny-bart", [Warned(at=2.0, key="x")]) is None


def test_the_version_changes_with_the_records_alone(workspace, run):
    first = version_of(workspace)
    assert version_of(Workspace(workspace.folder)) == first
    with run.lock():
        locked = version_of(workspace)
    assert version_of(workspace) != locked
    run.emit(Started(at=time.time(), pid=1, host="box", attempt=1))
    assert version_of(workspace) not in {first, locked}


def test_a_damaged_or_deleted_run_ends_no_feed(workspace, run):
    reader = RecordReader(workspace)
    (workspace.runs_folder / "broken").mkdir()
    (workspace.runs_folder / "broken" / "identity.json").write_text("{")
    assert reader.read() == []
    run.emit(step(1))
    with run.log_path.open("ab") as log:
        log.write(b'{"event": "train_st')
    assert [one.step for one in reader.read()] == [[1]]
    run.log_path.unlink()
    assert reader.read() == []

"""Tell every open page what the records gained, as server-sent events.

One reader looks at the records once a second, however many pages are open, and none does while no
page is. New points of a run are sent as numbers, a change of the report as the name of its version:
pages then fetch the sections that they do not have. A page that does not keep up is disconnected;
browsers connect again by themselves, name the last event that they had, and get what they missed.
"""

import asyncio
import hashlib
import os
import re
import time
import uuid
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol, TypeVar

import msgspec

from yoyak import messages
from yoyak.events import AlignStep, AnyEvent, Evaluated, SystemMetrics, TrainStep
from yoyak.report.model.report import Report
from yoyak.runs.event_tail import EventTail
from yoyak.runs.run import Run
from yoyak.runs.workspace import Workspace

INTERVAL_SECONDS = 1.0
"""Time between two looks at the records."""
PING_SECONDS = 15.0
"""Time between two events, or pings where there are none; a page without any connects anew."""
RETRY_MILLISECONDS = 2_000
"""How long a browser waits before it connects again."""
MOST_WAITING = 64
"""Events that may wait for one page before it is disconnected."""
MOST_KEPT = 256
"""Events that a page which connects again can be given."""
MOST_VERSIONS = 16
"""Versions of the report that a page may still show to be sent the changed parts only."""
RENDER_SHARE = 0.05
"""At most this share of a core is spent on rendering the report again and again."""
LONGEST_PAUSE_SECONDS = 10.0
"""A change of the report is shown within this time and that of its rendering."""

Result = TypeVar("Result")

PING = b"event: ping\ndata:\n\n"


class RunPoints(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a run measured since the last message, in columns; ``None`` is not known."""

    run: str
    recipe: str
    step: list[int] = []
    at: list[float] = []
    loss: list[float] = []
    learning_rate: list[float] = []
    grad_norm: list[float] = []
    seconds: list[float] = []
    tokens: list[int] = []
    reward: list[float | None] = []
    """Of metric-aware training; as long as ``step`` or empty."""
    evaluated_epoch: list[float] = []
    evaluated_mean: list[float] = []
    evaluated_loss: list[float | None] = []
    sampled_at: list[float] = []
    vram_used_gb: list[float | None] = []
    disk_used_gb: list[float | None] = []


def points_of(run: str, recipe: str, events: Iterable[AnyEvent]) -> RunPoints | None:
    """Return the measurements among ``events``; ``None`` if there are none."""
    steps: list[TrainStep | AlignStep] = []
    evaluated, sampled = [], []
    for event in events:
        if isinstance(event, TrainStep | AlignStep):
            steps.append(event)
        elif isinstance(event, Evaluated):
            evaluated.append(event)
        elif isinstance(event, SystemMetrics):
            sampled.append(event)
    if not (steps or evaluated or sampled):
        return None
    is_aligning = any(isinstance(one, AlignStep) for one in steps)
    rewards = [one.reward if isinstance(one, AlignStep) else None for one in steps]
    return RunPoints(
        run=run,
        recipe=recipe,
        step=[one.step for one in steps],
        at=[one.at for one in steps],
        loss=[one.loss for one in steps],
        learning_rate=[one.learning_rate for one in steps],
        grad_norm=[one.grad_norm for one in steps],
        seconds=[one.seconds for one in steps],
        tokens=[one.tokens for one in steps],
        reward=rewards if is_aligning else [],
        evaluated_epoch=[one.epoch for one in evaluated],
        evaluated_mean=[one.rouge.mean for one in evaluated],
        evaluated_loss=[one.loss for one in evaluated],
        sampled_at=[one.at for one in sampled],
        vram_used_gb=[one.vram_used_gb for one in sampled],
        disk_used_gb=[one.disk_used_gb for one in sampled],
    )


class RecordReader:
    """Notice what changes in a workspace, from sizes and times of files and the runs' locks.

    Attributes:
        version: of the records at the last look; the same records have the same version, also
            after a restart.
        looks: how often the records were looked at.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._tails: dict[str, tuple[EventTail, str]] = {}
        self._is_first = True
        self.version = ""
        self.looks = 0

    def read(self) -> list[RunPoints]:
        """Look at the records; return the points that runs gained since the last look."""
        self.looks += 1
        self.version = version_of(self._workspace)
        found = []
        for folder in _folders(self._workspace.runs_folder):
            tail = self._tail_of(folder)
            if tail is not None:
                points = points_of(folder.name, tail[1], tail[0].read())
                found += [] if points is None else [points]
        self._is_first = False
        return found

    def _tail_of(self, folder: Path) -> tuple[EventTail, str] | None:
        """Return the run's tail: what it has at the first look is in the page already."""
        known = self._tails.get(folder.name)
        if known is not None:
            return known
        try:
            recipe = Run(folder).identity.recipe
        except Exception:  # noqa: BLE001 -- the report names damaged runs
            return None
        path = folder / "events.jsonl"
        tail = EventTail(path, None if self._is_first else 0)
        self._tails[folder.name] = (tail, recipe)
        return self._tails[folder.name]


def version_of(workspace: Workspace) -> str:
    """Return a text that changes with every event, score, submission, rating and worker."""
    known: list[object] = []
    for folder in _folders(workspace.runs_folder):
        known.append((folder.name, stamp(folder / "events.jsonl"), Run(folder).holder()))
        known += [(str(path), stamp(path)) for path in _entries(folder / "scores")]
    for parent in (workspace.submissions_folder, workspace.studies_folder, workspace.blends_folder):
        for path in _folders(parent):
            known.append((str(path), stamp(path / "manifest.json"), stamp(path / "study.json")))
    known += [stamp(workspace.ledger_path), stamp(workspace.ratings_path)]
    known.append(stamp(workspace.folder / "workspace.json"))
    return hashlib.sha256(repr(known).encode()).hexdigest()[:32]


def _folders(parent: Path) -> list[Path]:
    return [path for path in _entries(parent) if not path.name.startswith(".")]


def _entries(parent: Path) -> list[Path]:
    try:
        return sorted(Path(one.path) for one in os.scandir(parent))
    except (FileNotFoundError, NotADirectoryError):
        return []  # not there yet, or deleted since it was listed


def stamp(path: Path) -> tuple[int, int] | None:
    """Return what changes with a file's content: size and time; ``None`` if it has gone."""
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_size, found.st_mtime_ns


# --- the page ------------------------------------------------------------------------------------

_SECTION = re.compile(r'<section\b(?:[^>]*\baria-labelledby="([\w-]+)")?[^>]*>|</section>')


class RenderedPart(NamedTuple):
    """A text of the report, of one version of the records, and the hash of each of its sections."""

    version: str
    html: str
    hashes: dict[str, str]

    @classmethod
    def of(cls, version: str, html: str) -> "RenderedPart":
        """Return the text with the hashes of its sections by key."""
        hashes = {key: _hash(html[start:end]) for key, start, end in _sections(html)}
        return cls(version, html, hashes)

    def since(self, had: Mapping[str, str]) -> str:
        """Return the text with an empty ``<section data-same="KEY">`` for each that is as it was.

        Args:
            had: the hashes of the version that a browser shows.
        """
        pieces, at = [], 0
        for key, start, end in _sections(self.html):
            if had.get(key) == self.hashes[key]:
                pieces += [self.html[at:start], f'<section data-same="{key}"></section>']
                at = end
        return "".join((*pieces, self.html[at:]))


def _sections(html: str) -> Iterator[tuple[str, int, int]]:
    """Yield key, start and end of each outermost section; text is escaped, so tags are tags."""
    depth, start, key = 0, 0, ""
    for found in _SECTION.finditer(html):
        if found[0] == "</section>":
            depth -= 1
            if depth == 0 and key:
                yield key, start, found.end()
            continue
        if depth == 0:
            start, key = found.start(), found[1] or ""
        depth += 1


def _hash(part: str) -> str:
    return hashlib.sha256(part.encode("utf-8", "replace")).hexdigest()


class PageSource(Protocol):
    """Reads the report and renders it in the current language; both are called in a thread."""

    def gather(self) -> Report:
        """Return the report of the records as they are now."""

    def page(self, view: Report) -> str:
        """Return the whole page."""

    def content(self, view: Report) -> str:
        """Return what the page shows, without the page around it."""

    def points(self, view: Report) -> str:
        """Return the points of the page's charts, as JSON."""


PagePart = Literal["page", "content", "points"]
"""The whole page, its content, or the points of its charts."""


class LivePage:
    """The report as it was rendered last, for whoever asks.

    Args:
        source: reads and renders it.
        clock: seconds that never go back.
        cpu: seconds of CPU that the thread has used.

    Attributes:
        version: of the records that are shown; ``None`` before the first rendering.
        renders: how often something was rendered.
    """

    def __init__(
        self,
        source: PageSource,
        clock: Callable[[], float] = time.monotonic,
        cpu: Callable[[], float] = time.thread_time,
    ) -> None:
        self._source = source
        self._clock = clock
        self._cpu = cpu
        self._alone = asyncio.Lock()
        self._view: Report | None = None
        self._parts: dict[tuple[PagePart, messages.Language], RenderedPart] = {}
        self._not_before = 0.0
        self._hashes: OrderedDict[tuple[str, messages.Language], dict[str, str]] = OrderedDict()
        self.version: str | None = None
        self.renders = 0

    @property
    def is_due(self) -> bool:
        """Whether enough time has passed since the last rendering."""
        return self._clock() >= self._not_before

    async def of(self, version: str, part: PagePart) -> RenderedPart:
        """Return a part of the page in the current language.

        The first who asks for it renders it for all.
        """
        key = part, messages.language()
        async with self._alone:
            if self.version != version or self._view is None:
                self._view = await self._timed(self._source.gather)
                self.version, self._parts = version, {}
            if key not in self._parts:
                html = await self._timed(partial(self._render, self._view, part))
                self._parts[key] = RenderedPart.of(version, html)
                self.renders += 1
                if part != "points":
                    self._remember(version, self._parts[key].hashes)
            return self._parts[key]

    def _render(self, view: Report, part: PagePart) -> str:
        if part == "page":
            return self._source.page(view)
        if part == "points":
            return self._source.points(view)
        return self._source.content(view)

    def _remember(self, version: str, hashes: dict[str, str]) -> None:
        self._hashes[version, messages.language()] = hashes
        while len(self._hashes) > MOST_VERSIONS:
            self._hashes.popitem(last=False)

    async def _timed(self, work: Callable[[], Result]) -> Result:
        """Run ``work`` in a thread, and rest for a time that its cost in CPU decides."""

        def timed() -> tuple[Result, float]:
            began = self._cpu()
            return work(), self._cpu() - began

        result, seconds = await asyncio.to_thread(timed)
        pause = min(seconds / RENDER_SHARE, LONGEST_PAUSE_SECONDS)
        self._not_before = max(self._not_before, self._clock() + pause)
        return result

    def hashes_of(self, version: str) -> dict[str, str]:
        """Return the hashes of a version's sections in the current language.

        There are none if it was rendered too long ago.
        """
        return self._hashes.get((version, messages.language()), {})


# --- the feed ------------------------------------------------------------------------------------


class _Subscriber:
    """One open page: the events that wait for it. ``None`` ends the stream."""

    def __init__(self) -> None:
        self.waiting: asyncio.Queue[bytes | None] = asyncio.Queue()

    def put(self, frame: bytes) -> bool:
        """Queue an event; return whether the page keeps up."""
        if self.waiting.qsize() >= MOST_WAITING:
            self.end()
            return False
        self.waiting.put_nowait(frame)
        return True

    def end(self) -> None:
        """End the stream at once; what waits is given again when the page connects again."""
        while not self.waiting.empty():
            self.waiting.get_nowait()
        self.waiting.put_nowait(None)


class LiveFeed:
    """Sends to all open pages what one reader finds.

    Args:
        reader: looks at the records.
        page: renders the report when the records changed.
        clock: seconds that never go back.
    """

    def __init__(
        self,
        reader: RecordReader,
        page: LivePage,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._reader = reader
        self._page = page
        self._clock = clock
        self._name = uuid.uuid4().hex[:12]
        self._number = 0
        self._kept: deque[tuple[int, bytes]] = deque(maxlen=MOST_KEPT)
        self._subscribers: set[_Subscriber] = set()
        self._task: asyncio.Task[None] | None = None
        self._announced = ""
        self._looking = asyncio.Lock()
        self._sent_at = clock()
        self._is_closed = False

    @property
    def pages(self) -> int:
        """How many pages are connected."""
        return len(self._subscribers)

    async def current(self, part: PagePart = "page") -> RenderedPart:
        """Return a part of the page as the records are now, in the current language.

        It may be as old as the pause between two renderings.
        """
        shown = self._page.version
        if shown is None or self._page.is_due:
            shown = await self._look()
        return await self._page.of(shown, part)

    async def _look(self) -> str:
        """Look at the records and send the points; return the version of the records."""
        async with self._looking:
            for points in await asyncio.to_thread(self._reader.read):
                self.publish("points", points)
            return self._reader.version

    async def since(self, version: str) -> RenderedPart:
        """Return the current content, without the sections that ``version`` has just so."""
        part = await self.current("content")
        return part._replace(html=part.since(self._page.hashes_of(version)))

    async def events(self, last_id: str | None) -> AsyncIterator[bytes]:
        """Yield server-sent events until the page leaves, falls behind, or the server stops.

        Args:
            last_id: of the last event that the page got; it is given what it missed.
        """
        subscriber = _Subscriber()
        missed = self._missed(last_id)
        hello = {"version": self._reader.version, "gap": last_id is not None and missed is None}
        self._subscribers.add(subscriber)
        self._start()
        try:
            yield f"retry: {RETRY_MILLISECONDS}\n".encode() + _frame("hello", hello)
            for one in missed or ():
                yield one
            while not self._is_closed and (frame := await subscriber.waiting.get()) is not None:
                yield frame
        finally:
            self._subscribers.discard(subscriber)

    def _missed(self, last_id: str | None) -> list[bytes] | None:
        """Return the events since ``last_id``; ``None`` if some of them are not kept."""
        name, _, number = (last_id or "").partition("-")
        if name != self._name or not number.isdecimal():
            return None
        first = self._kept[0][0] if self._kept else self._number + 1
        if not first - 1 <= int(number) <= self._number:
            return None
        return [frame for at, frame in self._kept if at > int(number)]

    def publish(self, kind: str, data: Any) -> None:
        """Send an event to every page; pages that do not keep up are disconnected."""
        self._number += 1
        frame = _frame(kind, data, f"{self._name}-{self._number}")
        self._kept.append((self._number, frame))
        self._send(frame)

    def _send(self, frame: bytes) -> None:
        self._sent_at = self._clock()
        for subscriber in tuple(self._subscribers):
            if not subscriber.put(frame):
                self._subscribers.discard(subscriber)

    def close(self) -> None:
        """End every stream, so that the server can stop."""
        self._is_closed = True
        for subscriber in tuple(self._subscribers):
            subscriber.end()
        if self._task is not None:
            self._task.cancel()

    # --- the one reader --------------------------------------------------------------------------

    def _start(self) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._watch())

    async def _watch(self) -> None:
        """Look at the records until no page is left."""
        with suppress(asyncio.CancelledError):
            while self._subscribers:
                await self.tick()
                await asyncio.sleep(INTERVAL_SECONDS)

    async def tick(self) -> None:
        """Look once: send new points, and that the report changed if a rendering is due."""
        version = await self._look()
        if version not in {self._announced, self._page.version} and self._page.is_due:
            self._announced = version
            self.publish("changed", {"version": version})
        elif self._clock() - self._sent_at >= PING_SECONDS:
            self._send(PING)


def _frame(kind: str, data: Any, id_: str = "") -> bytes:
    """Return a server-sent event; JSON has no line break, so it is one ``data`` line."""
    head = f"id: {id_}\n" if id_ else ""
    return f"{head}event: {kind}\ndata: ".encode() + msgspec.json.encode(data) + b"\n\n"

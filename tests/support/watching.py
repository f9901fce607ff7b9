"""A workspace with a scored run and one at work, and the app of ``yoyak watch`` on it."""

from collections.abc import Callable, Iterator

import pytest

from support.coroutines import finish
from support.report import training
from yoyak.config import load
from yoyak.runs.workspace import Workspace
from yoyak.scheduler.stages import StageContext, run_stages


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory, corpus) -> Iterator[Workspace]:
    """Lead-n with its dev summaries scored, and tiny-bart at step 17 of 24."""
    workspace = Workspace(tmp_path_factory.mktemp("watched") / "workspace")
    lead, toy = (
        workspace.find_or_create(load.resolve(name).recipe, corpus, lambda: b"{}")
        for name in ("lead", "tiny-bart")
    )
    run_stages(StageContext(lead, corpus, lambda: False))
    for event in training(24, 17):
        toy.emit(event)
    with toy.lock():
        yield workspace


ROUNDS = 3
"""As often a picture has to be the same: a new screen starts its work after it has been shown."""


class Watching:
    """The app on a screen of some size, driven by a test."""

    def __init__(self, app, pilot) -> None:
        self.app, self._pilot = app, pilot

    async def press(self, *keys: str) -> None:
        """Press keys and wait until everything that they started is done."""
        await self._pilot.press(*keys)
        await self.settled()

    async def settled(self) -> None:
        """Wait for what keys start, for what that starts, and for a picture that stays as it is."""
        before, unchanged = None, 0
        while unchanged < ROUNDS and not self.app._exit:
            await self._pilot.pause()
            busy = any(not worker.is_finished for worker in self.app.workers)
            await self.app.workers.wait_for_complete()
            now = None if busy or self.app.screen._layout_required else self.lines
            unchanged = unchanged + 1 if now is not None and now == before else 0
            before = now

    @property
    def lines(self) -> list[str]:
        """What is on the screen."""
        strips = self.app.screen._compositor.render_strips()
        return ["".join(segment.text for segment in strip).rstrip() for strip in strips]

    @property
    def screen(self) -> str:
        return "\n".join(self.lines)


@pytest.fixture
def watching(watched: Workspace) -> Callable[..., None]:
    """Runs a coroutine function with the app, as wide and high as asked."""
    from yoyak.terminal.watch_app import WatchApp

    def run(test, width: int = 120, height: int = 40, workspace=watched, controls=None):
        async def driven() -> None:
            app = WatchApp(workspace, controls)
            async with app.run_test(size=(width, height)) as pilot:
                watching = Watching(app, pilot)
                await watching.settled()
                await test(watching)

        finish(driven())

    return run

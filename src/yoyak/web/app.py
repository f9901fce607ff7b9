"""Serve the live report, a page to try systems and one to steer runs, to this machine only.

Binds to 127.0.0.1, checks hosts (DNS rebinding), shares nothing across origins, and forbids
framing and sniffing in every response. What computes or changes anything is taken from these pages
only, and what changes the workspace also needs a session (``sessions``).
"""

import math
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from yoyak import messages
from yoyak.config.project import NO_BUDGET, Budget
from yoyak.errors import Unavailable
from yoyak.prediction.resident_model import ResidentModel
from yoyak.report.model.load import gather
from yoyak.report.model.report import Report
from yoyak.report.render import charts, html
from yoyak.report.sections.page import sections
from yoyak.runs.stop_signals import on_stop_signal
from yoyak.runs.workspace import Workspace
from yoyak.submission.manifest import CSV
from yoyak.web.api import Api
from yoyak.web.language import LanguageMiddleware
from yoyak.web.live_feed import LiveFeed, LivePage, RecordReader
from yoyak.web.playground import Playground
from yoyak.web.responses import (
    EXCEPTION_HANDLERS,
    HEADERS,
    in_thread,
    response,
)
from yoyak.web.row_pages import RowPages
from yoyak.web.sessions import Sessions
from yoyak.web.steer import SteerContext, SteerPage

if TYPE_CHECKING:
    import uvicorn
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

HOST = "127.0.0.1"

_RECORDS = ("events.jsonl", "recipe.json", "provenance.json", "identity.json", "manifest.json")

_DOWNLOAD = {"Content-Disposition": f'attachment; filename="{CSV}"'}
_FILES = {
    "language.js": "text/javascript",
    "form.js": "text/javascript",
    "live.js": "text/javascript",
    "try.js": "text/javascript",
    "steer.js": "text/javascript",
    "pages.css": "text/css",
}
"""The pages' own files."""


def serve(
    app: "Starlette",
    host: str,
    port: int,
    *,
    drain_seconds: float = 5.0,
    on_start: Callable[[int], None] = lambda _: None,
) -> None:
    """Serve until the process is asked to stop; open requests are answered first.

    Args:
        app: what to serve.
        host: address to listen on.
        port: port to listen on; 0 takes a free one.
        drain_seconds: how long open requests may go on after the first stop signal.
        on_start: called with the port when the server listens.

    Raises:
        Unavailable: the ``[serve]`` extra is not installed, or the port is taken.
    """
    try:
        import uvicorn
    except ModuleNotFoundError as error:
        raise Unavailable("report.no-serve") from error
    try:
        listener = socket.create_server((host, port), backlog=1024)
    except OSError as error:
        raise Unavailable("serving.no-port", host=host, port=port, reason=error) from error
    with listener:
        on_start(listener.getsockname()[1])
        config = uvicorn.Config(
            app, log_level="warning", timeout_graceful_shutdown=math.ceil(drain_seconds)
        )
        server = _server(config, getattr(app.state, "feed", None))

        def stop() -> None:
            server.should_exit = True

        # For a signal before uvicorn's own handlers; it raises theirs again when all is answered.
        with on_stop_signal(stop):
            server.run(sockets=[listener])


def _server(config: "uvicorn.Config", feed: LiveFeed | None) -> "uvicorn.Server":
    """Return a server that ends the streams of open pages before it waits for open requests."""
    import uvicorn

    class Server(uvicorn.Server):
        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            if feed is not None:
                feed.close()
            await super().shutdown(sockets)

    return Server(config)


def api_application(api: Api) -> "Starlette":
    """Return the API alone as an ASGI application, for callers from other machines."""
    from starlette.applications import Starlette

    return Starlette(routes=api.routes())


def application(
    workspace: Workspace,
    budget: Budget = NO_BUDGET,
    *,
    models: Sequence[ResidentModel] = (),
    api: Api | None = None,
    steer: SteerContext | None = None,
    announce: Callable[[str], None] = lambda _: None,
) -> "Starlette":
    """Return the pages of one workspace as an ASGI application in the current language.

    Args:
        workspace: what the pages show.
        budget: of disk, as in ``yoyak.toml``.
        models: what answers the try-it form, instead of finished runs loaded when asked.
        api: its routes are served beside the pages.
        steer: what the steering page works on; without it there is no such page.
        announce: called with each token that signs a browser in to steer.
    """
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware
    from starlette.routing import Route

    pages = _Pages(workspace, budget)
    playground = Playground(workspace, models)
    sessions = Sessions(announce)
    steering = (
        SteerPage(workspace, steer, sessions, playground.cache.clear).routes() if steer else []
    )

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        try:
            yield
        finally:
            pages.feed.close()
            playground.close()

    app = Starlette(
        routes=[
            Route("/", pages.whole),
            Route("/part", pages.part),
            Route("/points", pages.chart_points),
            Route("/events", pages.events),
            Route("/files/{name}", pages.file),
            Route("/api/view", pages.view),
            Route("/records/{path:path}", pages.record),
            *RowPages(workspace).routes(),
            *playground.routes(),
            *steering,
            *(api.routes() if api is not None else ()),
        ],
        middleware=[
            Middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"]),
            Middleware(LanguageMiddleware, messages.language()),
        ],
        exception_handlers=EXCEPTION_HANDLERS,
        lifespan=lifespan,
    )
    app.state.feed = pages.feed
    app.state.sessions = sessions
    return app


class _Pages:
    """The live report and what it links to."""

    def __init__(self, workspace: Workspace, budget: Budget) -> None:
        self._workspace = workspace
        self._budget = budget
        self.feed = LiveFeed(RecordReader(workspace), LivePage(self))

    def gather(self) -> Report:
        """Return the report of the records as they are now."""
        return gather(self._workspace, budget=self._budget)

    def page(self, view: Report) -> str:
        """Return the whole page."""
        return html.render(view, live=True)

    def content(self, view: Report) -> str:
        """Return what the page shows, without the page around it."""
        return html.content(view, messages.language(), live=True)

    def points(self, view: Report) -> str:
        """Return the points of the page's charts, as JSON."""
        return msgspec.json.encode(charts.points(charts.draw(view, sections(view)))).decode()

    async def whole(self, _: "Request") -> "Response":
        """Return the whole page."""
        page = await self.feed.current()
        mark = f'<div id="live" data-version="{page.version}"'
        return response(page.html.replace('<div id="live"', mark, 1))

    async def part(self, request: "Request") -> "Response":
        """Return the content, less the sections that version ``since`` has just so."""
        part = await self.feed.since(request.query_params.get("since", ""))
        return response(part.html, headers={"ETag": f'"{part.version}"'})

    async def chart_points(self, _: "Request") -> "Response":
        """Return the points of the page's charts, for pages that cannot be sent the new ones."""
        part = await self.feed.current("points")
        return response(part.html, kind="application/json")

    async def events(self, request: "Request") -> "Response":
        """Return the stream of events; ``last`` is for browsers that connect anew by a script."""
        from starlette.responses import StreamingResponse

        last = request.headers.get("last-event-id") or request.query_params.get("last")
        return StreamingResponse(
            self.feed.events(last), media_type="text/event-stream", headers=HEADERS
        )

    async def file(self, request: "Request") -> "Response":
        """Return a script or style sheet of the pages."""
        name = str(request.path_params["name"])
        if name not in _FILES:
            return response("", status=404)
        return response((files(__package__) / name).read_bytes(), kind=_FILES[name])

    async def view(self, _: "Request") -> "Response":
        """Return the view as JSON."""
        data = msgspec.json.encode(await in_thread(self.gather))
        return response(data, kind="application/json")

    async def record(self, request: "Request") -> "Response":
        """Return a record that the page links to; nothing else of the workspace is served."""
        path = self._record_path(str(request.path_params.get("path", "")))
        if path is None:
            return response("", status=404)
        if path.name == CSV:
            return response(path.read_bytes(), kind="text/csv", headers=_DOWNLOAD)
        return response(path.read_text(encoding="utf-8", errors="replace"), kind="text/plain")

    def _record_path(self, wanted: str) -> Path | None:
        root = self._workspace.folder.resolve()
        try:
            path = (root / wanted).resolve()
            is_file = path.is_file()
        except (ValueError, OSError):  # NUL, or a name too long for the file system
            return None
        allowed = (
            path.name in _RECORDS
            or (path.suffix == ".json" and path.parent.name == "scores")
            or (path.name == CSV and self._workspace.submissions_folder.resolve() in path.parents)
        )
        inside = path.is_relative_to(root) and not any(
            part.startswith(".") for part in path.relative_to(root).parts
        )
        return path if allowed and inside and is_file else None

"""Serve the live report, and a page to try systems, over HTTP to this machine only.

Binds to 127.0.0.1, checks hosts (DNS rebinding), shares nothing across origins, and forbids
framing and sniffing in every response. Only the try-it form accepts POST, from this origin only.
"""

import math
import os
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import parse_qs

import msgspec

from yoyak import messages
from yoyak.config.project import NO_BUDGET, Budget
from yoyak.errors import Unavailable, YoyakError
from yoyak.prediction.resident_model import ResidentModel
from yoyak.report.model.load import gather
from yoyak.report.model.report import Report
from yoyak.report.render import html
from yoyak.report.render.assets import assets
from yoyak.runs.stop_signals import on_stop_signal
from yoyak.runs.workspace import Workspace
from yoyak.submission.manifest import CSV
from yoyak.web import playground
from yoyak.web.api import Api

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

HOST = "127.0.0.1"

_HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; script-src 'self' {assets().script_hashes}; connect-src 'self'; "
        "style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
        "form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # "no-referrer" would make the form's origin "null"
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_RECORDS = ("events.jsonl", "recipe.json", "provenance.json", "identity.json", "manifest.json")

_DOWNLOAD = {"Content-Disposition": f'attachment; filename="{CSV}"'}
_MOST_BYTES = 9 * playground.MOST_CHARACTERS + 1_000
"""Limit of a request body: a Hangul syllable takes nine bytes in a form, six in JSON."""

Result = TypeVar("Result")


class _TryRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Request of the JSON endpoint."""

    dialogue: str


class _TryResponse(msgspec.Struct, frozen=True):
    """Successful response of the JSON endpoint."""

    answers: tuple[playground.PlaygroundAnswer, ...]


class _TryError(msgspec.Struct, frozen=True):
    """Error response of the JSON endpoint."""

    error: str


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
        server = uvicorn.Server(config)

        def stop() -> None:
            server.should_exit = True

        # For a signal before uvicorn's own handlers; it raises theirs again when all is answered.
        with on_stop_signal(stop):
            server.run(sockets=[listener])


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
) -> "Starlette":
    """Return the pages of one workspace as an ASGI application in the current language.

    Args:
        workspace: what the pages show.
        budget: of disk, as in ``yoyak.toml``.
        models: what answers the try-it form, instead of every finished run loaded for each form.
        api: its routes are served beside the pages.
    """
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware
    from starlette.routing import Route

    pages = _Pages(workspace, messages.language(), budget, models)
    return Starlette(
        routes=[
            Route("/", pages.page),
            Route("/part", pages.part),
            Route("/live.js", pages.script),
            Route("/api/view", pages.view),
            Route("/api/try", pages.try_api, methods=["POST"]),
            Route("/try", pages.try_page, methods=["GET", "POST"]),
            Route("/records/{path:path}", pages.record),
            *(api.routes() if api is not None else ()),
        ],
        middleware=[
            Middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"]),
        ],
    )


class _Pages:
    """One method per page; records are read in a separate thread."""

    def __init__(
        self,
        workspace: Workspace,
        language: messages.Language,
        budget: Budget,
        models: Sequence[ResidentModel],
    ) -> None:
        self._workspace = workspace
        self._budget = budget
        self._language = language
        self._models = models
        self._one_at_a_time = threading.Lock()

    async def page(self, _: "Request") -> "Response":
        """Return the whole page."""
        return _response(await self._in_language(lambda: html.render(self._view(), live=True)))

    async def part(self, request: "Request") -> "Response":
        """Return the current page content; 304 if it has not changed since the version shown."""
        version = await self._in_language(lambda: version_of(self._workspace))
        headers = {"ETag": version}
        if request.headers.get("if-none-match") == version:
            return _response("", status=304, headers=headers)
        return _response(
            await self._in_language(lambda: html.render(self._view(), live=True)), headers=headers
        )

    async def script(self, _: "Request") -> "Response":
        """Return the script that fetches the part and reports a lost server."""
        code = (files(__package__) / "live.js").read_text(encoding="utf-8")
        return _response(code, kind="text/javascript")

    async def view(self, _: "Request") -> "Response":
        """Return the view as JSON."""
        data = msgspec.json.encode(await self._in_language(self._view))
        return _response(data.decode(), kind="application/json")

    async def record(self, request: "Request") -> "Response":
        """Return a record that the page links to; nothing else of the workspace is served."""
        path = self._record_path(str(request.path_params.get("path", "")))
        if path is None:
            return _response("", status=404)
        if path.name == CSV:
            return _response(path.read_bytes(), kind="text/csv", headers=_DOWNLOAD)
        return _response(path.read_text(encoding="utf-8", errors="replace"), kind="text/plain")

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

    async def try_page(self, request: "Request") -> "Response":
        """Return the form and, below it, the systems' answers."""
        pasted, problem = "", ""
        answers: tuple[playground.PlaygroundAnswer, ...] = ()
        if request.method == "POST":
            refused = _refusal(request)
            if refused is not None:
                return refused
            pasted = parse_qs(await _text(request)).get("dialogue", [""])[0]
            answers, problem = await self._summaries(pasted)
        return _response(
            await self._in_language(lambda: playground.render(pasted, answers, problem)),
            status=400 if problem else 200,
        )

    async def try_api(self, request: "Request") -> "Response":
        """Answer ``{"dialogue": "…"}`` with ``{"answers": […]}`` or ``{"error": "…"}``."""
        refused = _refusal(request)
        if refused is not None:
            return refused
        try:
            posted = msgspec.json.decode(await _text(request), type=_TryRequest)
        except msgspec.DecodeError as error:
            return _json(_TryError(error=str(error)), status=400)
        answers, problem = await self._summaries(posted.dialogue)
        if problem:
            return _json(_TryError(error=problem), status=400)
        return _json(_TryResponse(answers=answers))

    async def _summaries(self, pasted: str) -> tuple[tuple[playground.PlaygroundAnswer, ...], str]:
        def work() -> tuple[tuple[playground.PlaygroundAnswer, ...], str]:
            try:
                if self._models:
                    return tuple(playground.ask_models(self._models, pasted)), ""
                with self._one_at_a_time:
                    return tuple(playground.try_all(self._workspace, pasted)), ""
            except YoyakError as error:
                return (), str(error)

        return await self._in_language(work)

    def _view(self) -> Report:
        return gather(self._workspace, budget=self._budget)

    async def _in_language(self, work: Callable[[], Result]) -> Result:
        """Run ``work`` in a thread, in the language that the server was started in."""
        from starlette.concurrency import run_in_threadpool

        def localised() -> Result:
            with messages.speaking(self._language):
                return work()

        return await run_in_threadpool(localised)


def version_of(workspace: Workspace) -> str:
    """Return an ETag that changes with every event, score, submission and change of workers."""
    folders = (workspace.runs_folder, workspace.submissions_folder)
    known = [
        (str(path), found.st_size, found.st_mtime_ns)
        for folder in folders
        for pattern in ("*/events.jsonl", "*/scores/*.json", "*/manifest.json")
        for path in sorted(folder.glob(pattern))
        if (found := _stat(path)) is not None
    ]
    alive = [run.holder() for run in workspace.runs()]
    return f'"{sha256(repr((known, alive)).encode()).hexdigest()[:32]}"'


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None  # deleted since it was listed


def _response(
    body: str | bytes,
    *,
    status: int = 200,
    kind: str = "text/html",
    headers: Mapping[str, str] | None = None,
) -> "Response":
    from starlette.responses import Response

    return Response(
        body, status_code=status, media_type=kind, headers=_HEADERS | dict(headers or {})
    )


def _json(value: _TryResponse | _TryError, status: int = 200) -> "Response":
    return _response(msgspec.json.encode(value).decode(), status=status, kind="application/json")


def _refusal(request: "Request") -> "Response | None":
    """Return 403 for a form posted by another site (per browser headers), 413 if it is too long."""
    origin = request.headers.get("origin")
    site = request.headers.get("sec-fetch-site", "same-origin")
    ours = f"http://{request.headers.get('host', '')}"
    if (origin is not None and origin != ours) or site not in {"same-origin", "none"}:
        return _response("", status=403)
    if int(request.headers.get("content-length", "0")) > _MOST_BYTES:
        return _response("", status=413)
    return None


async def _text(request: "Request") -> str:
    """Return the body, cut at the most bytes that a dialogue can take."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST_BYTES:
            break
    return body[:_MOST_BYTES].decode("utf-8", errors="replace")

"""The report over HTTP for this machine only: the same view, live, and a page to try systems.

Bound to 127.0.0.1, hosts are checked (DNS rebinding), nothing is shared across origins, every
answer forbids framing and sniffing. Only the try-it form is ever posted, and only from here.
"""

import os
import threading
from collections.abc import Callable, Mapping
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import parse_qs

import msgspec

from yoyak import messages
from yoyak.config.project import NO_BUDGET, Budget
from yoyak.errors import Unavailable, YoyakError
from yoyak.report.model.load import gather
from yoyak.report.model.report import Report
from yoyak.report.render import html
from yoyak.runs.workspace import Workspace
from yoyak.web import playground

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

HOST = "127.0.0.1"
PORT = 8642

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'unsafe-inline'; "
        "img-src data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # none at all would make the form's origin "null"
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_RECORDS = ("events.jsonl", "recipe.json", "provenance.json", "identity.json", "manifest.json")
_MOST_BYTES = 9 * playground.MOST_CHARACTERS + 1_000
"""A Hangul syllable takes nine bytes in a form, six in JSON."""

Result = TypeVar("Result")


class _Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the JSON endpoint is asked."""

    dialogue: str


class _Answered(msgspec.Struct, frozen=True):
    """What it answers."""

    answers: tuple[playground.PlaygroundAnswer, ...]


class _Failed(msgspec.Struct, frozen=True):
    """Why it does not."""

    error: str


def serve(workspace: Workspace, port: int = PORT, budget: Budget = NO_BUDGET) -> None:
    """Serves the workspace until the process is asked to stop.

    Raises:
        Unavailable: the ``[serve]`` extra is not installed.
    """
    try:
        import uvicorn
    except ModuleNotFoundError as error:
        raise Unavailable("report.no-serve") from error
    uvicorn.run(application(workspace, budget), host=HOST, port=port, log_level="warning")


def application(workspace: Workspace, budget: Budget = NO_BUDGET) -> "Starlette":
    """The pages of one workspace as an ASGI application, in the language that is spoken now."""
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware
    from starlette.routing import Route

    pages = _Pages(workspace, messages.language(), budget)
    return Starlette(
        routes=[
            Route("/", pages.page),
            Route("/part", pages.part),
            Route("/live.js", pages.script),
            Route("/api/view", pages.view),
            Route("/api/try", pages.try_api, methods=["POST"]),
            Route("/try", pages.try_page, methods=["GET", "POST"]),
            Route("/records/{path:path}", pages.record),
        ],
        middleware=[
            Middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"]),
        ],
    )


class _Pages:
    """One method a page; reading the records happens in a thread of its own."""

    def __init__(self, workspace: Workspace, language: messages.Language, budget: Budget) -> None:
        self._workspace = workspace
        self._budget = budget
        self._language = language
        self._one_at_a_time = threading.Lock()

    async def page(self, _: "Request") -> "Response":
        """The whole page."""
        return _answer(await self._spoken(lambda: html.render(self._view(), live=True)))

    async def part(self, request: "Request") -> "Response":
        """The page anew; 304 where nothing has happened since the version that is shown."""
        version = await self._spoken(lambda: version_of(self._workspace))
        headers = {"ETag": version}
        if request.headers.get("if-none-match") == version:
            return _answer("", status=304, headers=headers)
        return _answer(
            await self._spoken(lambda: html.render(self._view(), live=True)), headers=headers
        )

    async def script(self, _: "Request") -> "Response":
        """The few lines that fetch the part and say when the server is gone."""
        code = (files(__package__) / "live.js").read_text(encoding="utf-8")
        return _answer(code, kind="text/javascript")

    async def view(self, _: "Request") -> "Response":
        """The view as JSON."""
        data = msgspec.json.encode(await self._spoken(self._view))
        return _answer(data.decode(), kind="application/json")

    async def record(self, request: "Request") -> "Response":
        """A record that the page links to; nothing else of the workspace is given out."""
        path = self._record_path(str(request.path_params.get("path", "")))
        if path is None:
            return _answer("", status=404)
        return _answer(path.read_text(encoding="utf-8", errors="replace"), kind="text/plain")

    def _record_path(self, wanted: str) -> Path | None:
        root = self._workspace.folder.resolve()
        try:
            path = (root / wanted).resolve()
            is_file = path.is_file()
        except (ValueError, OSError):  # a NUL, or a name that is too long for the file system
            return None
        allowed = path.name in _RECORDS or (path.suffix == ".json" and path.parent.name == "scores")
        inside = path.is_relative_to(root) and not any(
            part.startswith(".") for part in path.relative_to(root).parts
        )
        return path if allowed and inside and is_file else None

    async def try_page(self, request: "Request") -> "Response":
        """The form, and below it what the systems answered to it."""
        pasted, problem = "", ""
        tried: tuple[playground.PlaygroundAnswer, ...] = ()
        if request.method == "POST":
            refused = _from_elsewhere(request)
            if refused is not None:
                return refused
            pasted = parse_qs(await _text(request)).get("dialogue", [""])[0]
            tried, problem = await self._tried(pasted)
        return _answer(
            await self._spoken(lambda: playground.render(pasted, tried, problem)),
            status=400 if problem else 200,
        )

    async def try_api(self, request: "Request") -> "Response":
        """``{"dialogue": "…"}`` to ``{"answers": […]}`` or ``{"error": "…"}``."""
        refused = _from_elsewhere(request)
        if refused is not None:
            return refused
        try:
            asked = msgspec.json.decode(await _text(request), type=_Asked)
        except msgspec.DecodeError as error:
            return _json(_Failed(error=str(error)), status=400)
        tried, problem = await self._tried(asked.dialogue)
        if problem:
            return _json(_Failed(error=problem), status=400)
        return _json(_Answered(answers=tried))

    async def _tried(self, pasted: str) -> tuple[tuple[playground.PlaygroundAnswer, ...], str]:
        def work() -> tuple[tuple[playground.PlaygroundAnswer, ...], str]:
            with self._one_at_a_time:
                try:
                    return tuple(playground.try_all(self._workspace, pasted)), ""
                except YoyakError as error:
                    return (), str(error)

        return await self._spoken(work)

    def _view(self) -> Report:
        return gather(self._workspace, budget=self._budget)

    async def _spoken(self, work: Callable[[], Result]) -> Result:
        """Runs ``work`` in a thread, in the language that the server was started in."""
        from starlette.concurrency import run_in_threadpool

        def spoken() -> Result:
            with messages.speaking(self._language):
                return work()

        return await run_in_threadpool(spoken)


def version_of(workspace: Workspace) -> str:
    """Changes with every event, score and submission, and when a worker comes or goes."""
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


def _answer(
    body: str,
    *,
    status: int = 200,
    kind: str = "text/html",
    headers: Mapping[str, str] | None = None,
) -> "Response":
    from starlette.responses import Response

    return Response(
        body, status_code=status, media_type=kind, headers=_HEADERS | dict(headers or {})
    )


def _json(value: _Answered | _Failed, status: int = 200) -> "Response":
    return _answer(msgspec.json.encode(value).decode(), status=status, kind="application/json")


def _from_elsewhere(request: "Request") -> "Response | None":
    """A refusal for a form that another site's page posts here (a browser always says so)."""
    origin = request.headers.get("origin")
    site = request.headers.get("sec-fetch-site", "same-origin")
    ours = f"http://{request.headers.get('host', '')}"
    if (origin is not None and origin != ours) or site not in {"same-origin", "none"}:
        return _answer("", status=403)
    if int(request.headers.get("content-length", "0")) > _MOST_BYTES:
        return _answer("", status=413)
    return None


async def _text(request: "Request") -> str:
    """The body, no more of it than a dialogue can be."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST_BYTES:
            break
    return body[:_MOST_BYTES].decode("utf-8", errors="replace")

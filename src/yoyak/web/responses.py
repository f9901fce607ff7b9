"""What requests are refused, and the headers of every response.

Pages of other sites can make a browser send requests here: what changes anything or computes is
taken only from this server's own pages, as JSON, and never framed, sniffed or cached.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeVar

import msgspec

from yoyak import messages
from yoyak.errors import YoyakError
from yoyak.report.render.assets import assets

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; script-src 'self' {assets().script_hashes}; connect-src 'self'; "
        "style-src 'self' 'unsafe-inline'; img-src data: blob:; base-uri 'none'; "
        "form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # "no-referrer" would make the form's origin "null"
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}

Body = TypeVar("Body", bound=msgspec.Struct)
Result = TypeVar("Result")


class Refused(Exception):
    """A request that is not answered as asked; ``message`` is for people."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


class _Problem(msgspec.Struct, frozen=True):
    error: str


def response(
    body: str | bytes,
    *,
    status: int = 200,
    kind: str = "text/html",
    headers: Mapping[str, str] | None = None,
) -> "Response":
    """Return a response with the headers of every page."""
    from starlette.responses import Response

    return Response(
        body, status_code=status, media_type=kind, headers=HEADERS | dict(headers or {})
    )


def json_response(
    value: object, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> "Response":
    """Return ``value`` as JSON."""
    return response(
        msgspec.json.encode(value), status=status, kind="application/json", headers=headers
    )


def problem(status: int, message: str) -> "Response":
    """Return ``{"error": message}``."""
    return json_response(_Problem(error=message), status=status)


def require_own_page(request: "Request") -> None:
    """Refuse a request that a browser says comes from another site.

    Programs send neither header, and nothing of a browser's can be stolen with them.

    Raises:
        Refused: with 403.
    """
    origin = request.headers.get("origin")
    site = request.headers.get("sec-fetch-site", "same-origin")
    ours = f"http://{request.headers.get('host', '')}"
    if (origin is not None and origin != ours) or site not in {"same-origin", "none"}:
        raise Refused(403, messages.text("serving.other-site"))


async def read_json(request: "Request", kind: type[Body], most_bytes: int) -> Body:
    """Return the JSON body of a request.

    Raises:
        Refused: 415 if it is not sent as JSON (which no other site's page can without asking), 413
            if it is too long, 400 if it is not what is expected.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise Refused(415, messages.text("serving.json-only"))
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > most_bytes:
            raise Refused(413, messages.text("serving.too-long", most=most_bytes))
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refused(400, messages.text("serving.bad-json", reason=error)) from error


async def on_error(request: "Request", error: Exception) -> "Response":
    """Return why a request has no other answer: it was refused, or the work for it failed.

    What a page posts can be sent differently (400); what it only reads is on this side (500).
    """
    if isinstance(error, Refused):
        return problem(error.status, error.message)
    return problem(400 if request.method == "POST" else 500, str(error))


EXCEPTION_HANDLERS = {Refused: on_error, YoyakError: on_error}
"""What an application answers where a handler raises."""


async def in_thread(work: Callable[[], Result]) -> Result:
    """Run ``work`` in a thread, in the language of the request."""
    from starlette.concurrency import run_in_threadpool

    return await run_in_threadpool(work)

"""The language of an answer: what the request asks for, the reader has chosen, or the server's."""

from typing import TYPE_CHECKING

from yoyak import messages

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

COOKIE = "yoyak-language"
"""What the reader has chosen on a page; ``language.js`` sets it."""


class LanguageMiddleware:
    """Answer each request in the language of its parameter ``lang``, its cookie, or ``default``.

    The language holds in the threads and tasks that work for the request, too.
    """

    def __init__(self, app: "ASGIApp", default: messages.Language) -> None:
        self._app = app
        self._default = default

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Answer a request."""
        with messages.speaking(self._language_of(scope)):
            await self._app(scope, receive, send)

    def _language_of(self, scope: "Scope") -> messages.Language:
        from starlette.requests import Request

        if scope["type"] != "http":
            return self._default
        request = Request(scope)
        wanted = (request.query_params.get("lang"), request.cookies.get(COOKIE))
        known = [one for each in wanted for one in messages.LANGUAGES if one == each]
        return known[0] if known else self._default

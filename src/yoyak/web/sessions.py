"""Who may steer: a browser that was given the token from the terminal.

The token is printed once, is exchanged once, and another is printed then. The browser keeps an
HttpOnly cookie, which pages of other sites cannot use (SameSite=Strict), and a key that only
scripts of this origin can read: cookies are shared by all ports of a host, keys are not.
"""

import hmac
import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING

from yoyak import messages
from yoyak.web.responses import Refused, require_own_page

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

KEY_HEADER = "x-yoyak-key"
MOST_SESSIONS = 32


class Sessions:
    """The tokens and sessions of one server; they end with it.

    Args:
        announce: called with each new token, to print it in the terminal.
    """

    def __init__(self, announce: Callable[[str], None]) -> None:
        self._announce = announce
        self._token: str | None = None
        self._keys: dict[str, str] = {}
        # Servers on several ports of one host would overwrite each other's cookie.
        self.cookie = f"yoyak-{secrets.token_hex(4)}"

    def new_token(self) -> None:
        """Make a token that signs one browser in, and announce it; the one before it is void."""
        self._token = secrets.token_urlsafe(24)
        self._announce(self._token)

    def sign_in(self, request: "Request", token: str) -> tuple[str, str]:
        """Exchange the token for the values of cookie and key; a new token is announced.

        Raises:
            Refused: the request is from elsewhere, or the token is wrong or was used.
        """
        require_browser_page(request)
        expected, given = (self._token or "").encode(), token.strip().encode("utf-8", "replace")
        if self._token is None or not hmac.compare_digest(expected, given):
            raise Refused(401, messages.text("pages.steer-bad-token"))
        cookie, key = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        self._keys[cookie] = key
        while len(self._keys) > MOST_SESSIONS:
            del self._keys[next(iter(self._keys))]
        self.new_token()
        return cookie, key

    def set_cookie(self, response: "Response", value: str) -> None:
        """Let the browser keep the cookie until it is closed."""
        response.set_cookie(self.cookie, value, httponly=True, samesite="strict", path="/")

    def require(self, request: "Request") -> None:
        """Return if the request comes from a page of this server in a browser that signed in.

        Raises:
            Refused: 403 for requests of other sites, 401 without a session.
        """
        require_browser_page(request)
        expected = self._keys.get(request.cookies.get(self.cookie, ""))
        given = request.headers.get(KEY_HEADER, "")
        if expected is None or not hmac.compare_digest(expected.encode(), given.encode()):
            raise Refused(401, messages.text("pages.steer-sign-in"))


def require_browser_page(request: "Request") -> None:
    """Refuse what does not say that it comes from this server's own page.

    Raises:
        Refused: with 403.
    """
    require_own_page(request)
    if "origin" not in request.headers:
        raise Refused(403, messages.text("serving.other-site"))

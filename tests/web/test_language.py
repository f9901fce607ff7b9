"""Answers are in the language that the request, the reader or the server has chosen."""

from importlib.resources import files
from importlib.util import find_spec

import pytest

from yoyak import messages
from yoyak.web.language import COOKIE, LanguageMiddleware
from yoyak.web.responses import in_thread, response

pytestmark = [
    pytest.mark.skipif(find_spec("starlette") is None, reason="the [serve] extra is missing"),
    pytest.mark.skipif(
        find_spec("httpx") is None and find_spec("httpx2") is None, reason="httpx is missing"
    ),
]


@pytest.fixture
def client():
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.routing import Route
    from starlette.testclient import TestClient

    async def handler(_):
        return response(f"{messages.language()} {await in_thread(messages.language)}")

    middleware = [Middleware(LanguageMiddleware, "ko")]
    return TestClient(Starlette(routes=[Route("/", handler)], middleware=middleware))


@pytest.mark.parametrize(
    ("asked", "chosen", "language"),
    [
        (None, None, "ko"), (None, "en", "en"), ("en", None, "en"), ("ko", "en", "ko"),
        ("en", "ko", "en"), ("fr", "en", "en"), ("fr", "<x>", "ko"), ("", "", "ko"),
    ],
)  # fmt: skip
def test_the_request_comes_before_the_reader_and_the_server(client, asked, chosen, language):
    query = {} if asked is None else {"lang": asked}
    headers = {} if chosen is None else {"Cookie": f"other=1; {COOKIE}={chosen}"}
    with messages.speaking("en"):
        answer = client.get("/", params=query, headers=headers)
    assert answer.text == f"{language} {language}"


def test_the_script_sets_the_cookie_that_is_read():
    script = (files("yoyak.web") / "language.js").read_text(encoding="utf-8")
    assert f"`{COOKIE}=${{button.dataset.language}}; path=/;" in script

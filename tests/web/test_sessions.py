"""Signing in: a token works once, in one browser, from the server's own page."""

from http.cookies import SimpleCookie
from types import SimpleNamespace

import pytest

from yoyak.web import sessions
from yoyak.web.responses import Refused
from yoyak.web.sessions import KEY_HEADER, Sessions

ORIGIN = "http://127.0.0.1:8765"
OWN = {"host": "127.0.0.1:8765", "origin": ORIGIN, "sec-fetch-site": "same-origin"}


def request(cookies=None, **headers):
    return SimpleNamespace(headers={**OWN, **headers}, cookies=cookies or {})


@pytest.fixture
def announced():
    return []


@pytest.fixture
def signing(announced):
    made = Sessions(announced.append)
    made.new_token()
    return made


def test_a_token_signs_one_browser_in_once(signing, announced):
    cookie, key = signing.sign_in(request(), announced[0])
    signing.require(request({signing.cookie: cookie}, **{KEY_HEADER: key}))
    with pytest.raises(Refused, match="used already") as refused:
        signing.sign_in(request(), announced[0])
    assert refused.value.status == 401
    assert len(set(announced)) == 2
    other, _ = signing.sign_in(request(), announced[1])
    assert other != cookie


@pytest.mark.parametrize("token", ["", "x", "토큰", "\ud800"])
def test_a_wrong_token_signs_nobody_in(signing, announced, token):
    with pytest.raises(Refused):
        signing.sign_in(request(), token)
    signing.sign_in(request(), f" {announced[0]} ")


def test_nobody_signs_in_before_a_token_was_announced(announced):
    with pytest.raises(Refused):
        Sessions(announced.append).sign_in(request(), "")


def test_cookie_and_key_are_both_needed(signing, announced):
    cookie, key = signing.sign_in(request(), announced[0])
    cookie2, key2 = signing.sign_in(request(), announced[1])
    wrong = [
        ({}, key), ({signing.cookie: cookie}, ""), ({signing.cookie: cookie}, key2),
        ({signing.cookie: cookie2}, key), ({"yoyak": cookie}, key), ({signing.cookie: ""}, ""),
    ]  # fmt: skip
    for cookies, given in wrong:
        with pytest.raises(Refused) as refused:
            signing.require(request(cookies, **{KEY_HEADER: given}))
        assert refused.value.status == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9999"},
        {"origin": "https://127.0.0.1:8765"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_other_origins_are_refused_even_with_cookie_and_key(signing, announced, headers):
    cookie, key = signing.sign_in(request(), announced[0])
    given = request({signing.cookie: cookie}, **{KEY_HEADER: key}, **headers)
    for attempt in (lambda: signing.require(given), lambda: signing.sign_in(given, announced[1])):
        with pytest.raises(Refused) as refused:
            attempt()
        assert refused.value.status == 403


def test_a_request_without_an_origin_is_refused(signing, announced):
    cookie, key = signing.sign_in(request(), announced[0])
    given = request({signing.cookie: cookie}, **{KEY_HEADER: key})
    del given.headers["origin"]
    with pytest.raises(Refused):
        signing.require(given)


def test_the_cookie_is_for_this_server_and_no_script(signing):
    responses = pytest.importorskip("starlette.responses")
    answer = responses.Response()
    signing.set_cookie(answer, "value")
    morsel = SimpleCookie(answer.headers["set-cookie"])[signing.cookie]
    assert morsel.value == "value"
    assert morsel["httponly"]
    assert morsel["samesite"] == "strict"
    assert not morsel["domain"]
    assert Sessions(print).cookie != signing.cookie


def test_the_oldest_sessions_end_when_there_are_too_many(signing, announced, monkeypatch):
    monkeypatch.setattr(sessions, "MOST_SESSIONS", 2)
    made = [signing.sign_in(request(), announced[-1]) for _ in range(3)]
    ends = []
    for cookie, key in made:
        try:
            signing.require(request({signing.cookie: cookie}, **{KEY_HEADER: key}))
            ends.append("in")
        except Refused:
            ends.append("out")
    assert ends == ["out", "in", "in"]

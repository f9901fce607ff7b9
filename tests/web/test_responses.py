"""What every response carries, and what requests are refused."""

import re
from types import SimpleNamespace

import msgspec
import pytest

from support.coroutines import finish
from yoyak.web import responses
from yoyak.web.responses import Refused, read_json, require_own_page


class Body(msgspec.Struct, forbid_unknown_fields=True):
    text: str


def request(body=b"", kind="application/json", **headers):
    async def stream():
        for at in range(0, len(body), 7):
            yield body[at : at + 7]

    given = {"host": "127.0.0.1:1", "content-type": kind, **headers}
    return SimpleNamespace(headers=given, stream=stream)


def test_every_response_forbids_what_the_pages_do_not_need():
    policy = responses.HEADERS["Content-Security-Policy"]
    for part in ("default-src 'none'", "base-uri 'none'", "frame-ancestors 'none'"):
        assert part in policy
    scripts = re.search(r"script-src ([^;]*)", policy)[1]
    assert "unsafe" not in scripts
    assert "http" not in policy
    assert responses.HEADERS["X-Content-Type-Options"] == "nosniff"


def test_a_body_is_read_as_json_of_its_type():
    body = '{"text": "가나다"}'.encode()
    assert finish(read_json(request(body), Body, 100)).text == "가나다"
    charset = "application/json; charset=utf-8"
    assert finish(read_json(request(body, charset), Body, 100)).text == "가나다"


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b'{"text": "x"}', "text/plain", 415),
        (b'{"text": "x"}', "", 415),
        (b'{"text": "' + b"x" * 100 + b'"}', "application/json", 413),
        (b'{"text": 1}', "application/json", 400),
        (b'{"text": "x", "more": 1}', "application/json", 400),
        (b'{"text": "\xff"}', "application/json", 400),
        (b"", "application/json", 400),
    ],
)
def test_other_bodies_are_refused(body, kind, status):
    with pytest.raises(Refused) as refused:
        finish(read_json(request(body, kind), Body, 100))
    assert refused.value.status == status


def test_requests_of_other_sites_are_refused_and_programs_are_not():
    require_own_page(request())
    require_own_page(request(**{"origin": "http://127.0.0.1:1", "sec-fetch-site": "same-origin"}))
    for headers in ({"origin": "null"}, {"origin": "http://127.0.0.1"}, {"sec-fetch-site": "x"}):
        with pytest.raises(Refused):
            require_own_page(request(**headers))

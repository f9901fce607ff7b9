"""Scripts and styles of the page: inlined whole, and allowed by their hash alone.

Files in ``page/`` are classic scripts and style sheets without imports. Each script runs at the end
of the body, in the order of ``SCRIPTS``. Whatever needs one adds its name there.

Data are ``<script>`` blocks of a type that browsers never run: ``json_block`` as it is, and
``packed_block`` compressed, which ``yoyakPage.unpack`` reads.

What the page shows (``#live``) is replaced as a whole when the reader changes the language or the
live server sends another content. Once at the start and after each replacement, the document gets
the event ``yoyak:content`` (``detail.language``): each script then builds what it draws anew, from
its data block and from ``location.hash``. Rows are addressed there: see ``row_address``.
"""

import base64
import zlib
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlencode

import msgspec

if TYPE_CHECKING:
    from markupsafe import Markup

SCRIPTS: tuple[str, ...] = ("uPlot-1.6.32.min.js", "page.js", "charts.js", "explorer.js")
STYLES: tuple[str, ...] = ("uPlot-1.6.32.min.css", "page.css", "explorer.css")

_NONE = "'none'"
_ESCAPED = {one: f"\\u{ord(one):04x}" for one in "<>&\u2028\u2029"}


class Assets(NamedTuple):
    """The contents for ``<script>`` and ``<style>`` elements, and what a policy allows of them."""

    scripts: "tuple[Markup, ...]"
    styles: "tuple[Markup, ...]"
    script_hashes: str
    """CSP sources: ``'sha256-…' 'sha256-…'``."""


@cache
def assets() -> Assets:
    """Return all scripts and styles of the page.

    Raises:
        ValueError: a file holds the end tag of its element, which would end it early.
    """
    scripts = tuple(_content(name, "script") for name in SCRIPTS)
    hashes = (base64.b64encode(sha256(code.encode()).digest()).decode("ascii") for code in scripts)
    return Assets(
        scripts=scripts,
        styles=tuple(_content(name, "style") for name in STYLES),
        script_hashes=" ".join(f"'sha256-{one}'" for one in hashes),
    )


def _content(name: str, element: str) -> "Markup":
    from markupsafe import Markup

    content = (files(__package__) / "page" / name).read_text(encoding="utf-8")
    if f"</{element}" in content.lower() or "<!--" in content:
        raise ValueError(f"{name} holds <!-- or </{element}")
    # Safe: a file of the package, checked above.
    return Markup(content)  # noqa: S704


def policy() -> str:
    """Return the Content-Security-Policy of a page that stands alone in a file."""
    return (
        f"default-src 'none'; script-src {assets().script_hashes or _NONE}; "
        "style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def json_block(name: str, value: Any) -> "Markup":
    """Return a data block with the id ``name``; what could end the block is escaped."""
    text = msgspec.json.encode(value).decode()
    for character, escape in _ESCAPED.items():
        text = text.replace(character, escape)
    return _block(name, "application/json", text)


def packed_block(name: str, text: str) -> "Markup":
    """Return ``text`` as a data block with the id ``name``, compressed (raw deflate, base64)."""
    packer = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    packed = packer.compress(text.encode("utf-8", "replace")) + packer.flush()
    return _block(name, "application/octet-stream", base64.b64encode(packed).decode())


def _block(name: str, kind: str, text: str) -> "Markup":
    from markupsafe import Markup

    # Safe: JSON without <, > and &, or base64.
    return Markup(f'<script type="{kind}" id="{name}">') + Markup(text) + Markup("</script>")  # noqa: S704


def row_address(**filters: str) -> str:
    """Return the address of the rows that ``filters`` select, such as ``#rows?fault=repetition``.

    Filters, which all hold at once; ``page/explorer.js`` has more, which its own links use:

    * ``fault``: a value of ``ErrorType``, such as ``invented_name``; ``of``: ``a`` for the faults
      of system ``a`` alone
    * ``a``, ``b``: the ids of the runs to compare
    * ``topic``: its last word, or a part of it; ``speakers``: their number
    * ``chars`` and ``turns`` of the dialogue; ``length`` (characters), ``score`` and
      ``difference`` (points) of ``a``: the lowest and the highest, ``26..310``
    * ``sort``: the id of a run, whose scores then rise; with ``-`` before it they fall
    * ``row``: the id of the row to open
    """
    return f"#rows?{urlencode(filters)}"

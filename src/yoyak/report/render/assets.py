"""Scripts and styles of the page: inlined whole, and allowed by their hash alone.

Files in ``page/`` are classic scripts and style sheets without imports. Each script runs at the end
of the body, in the order of ``SCRIPTS``. Whatever needs one adds its name there.
"""

import base64
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from markupsafe import Markup

SCRIPTS: tuple[str, ...] = ()
STYLES: tuple[str, ...] = ()

_NONE = "'none'"


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

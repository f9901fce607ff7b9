"""The report as one HTML file: no script, no request, nothing outside it.

The page is drawn by Jinja with autoescaping; the only markup that passes as it is are the SVG
charts, which ``report.charts`` draws from numbers and names that it escapes itself.
"""

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING
from urllib.parse import quote

from yoyak import messages
from yoyak.events import RunStatus
from yoyak.report.model.report import Report
from yoyak.report.render import charts, format
from yoyak.report.render.escape import plain
from yoyak.report.render.markdown import written
from yoyak.report.sections.blocks import SIGNS, Badge, Bar, Cell, Checked, CodeBlock, Link
from yoyak.report.sections.toc import sections

if TYPE_CHECKING:
    from jinja2 import Environment

_TEMPLATE = "page.html.jinja"

FOLDED = ("configuration", "proofs", "provenance")
"""Sections that are looked up, not read: closed until somebody opens them."""
_STATES = frozenset({*RunStatus, "ok", "watch", "danger"})
"""Badges that are drawn as a pill; the others are a verdict in the text's own line."""


def render(view: Report, *, live: bool = False) -> str:
    """The whole page in the language that is being spoken.

    A ``live`` page loads one script from its own server, and links to records there.
    """
    page = sections(view)
    return (
        environment(__package__)
        .get_template(_TEMPLATE)
        .render(
            view=view,
            live=live,
            language=messages.language(),
            title=messages.text("report.title", title=view.title),
            written=written(view),
            tiles=format.tiles(view.tiles),
            sections=page,
            drawn=charts.draw(view, page),
        )
    )


def kind(block: object) -> str:
    """The name of a block's or cell's type, by which the template chooses how to draw it."""
    return type(block).__name__.lower()


def target(record: str, live: bool) -> str:
    """A record as an address, seen from ``report/`` or from the server's page."""
    return f"{'/records' if live else '..'}/{quote(record, safe='/#')}"


def words(cell: Cell) -> str:
    """A cell's text without what it leads to."""
    return plain(cell.shown if isinstance(cell, Link | CodeBlock | Badge | Checked | Bar) else cell)


@cache
def environment(package: str) -> "Environment":
    """Return Jinja with autoescaping, for the templates that lie in ``package``."""
    from jinja2 import BaseLoader, Environment, StrictUndefined

    class Packaged(BaseLoader):
        """Load templates from the package, wherever it is installed."""

        def get_source(self, _: Environment, template: str) -> tuple[str, None, None]:
            return (files(package) / template).read_text(encoding="utf-8"), None, None

    environment = Environment(
        loader=Packaged(), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {"plain": plain, "kind": kind, "target": target, "words": words}
    environment.globals |= {
        "signs": SIGNS, "text": messages.text, "figures": format,
        "folded": FOLDED, "states": _STATES, "broad": charts.BROAD,
        "figures_first": ("timeline", "ensemble"),
    }  # fmt: skip
    return environment

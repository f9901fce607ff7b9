"""The report as one self-contained HTML file: no requests, no external resources.

Jinja renders the page with autoescaping; the only unescaped markup is the SVG charts, which
``report.render.charts`` builds from numbers and escaped names.
"""

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING
from urllib.parse import quote

from yoyak import messages
from yoyak.events import RunStatus
from yoyak.report.model.report import Report
from yoyak.report.render import charts
from yoyak.report.render.assets import assets, policy
from yoyak.report.render.escape import plain, printable
from yoyak.report.render.markdown import written
from yoyak.report.render.vega_common import colours
from yoyak.report.sections import format
from yoyak.report.sections.blocks import SIGNS, Cell, shown
from yoyak.report.sections.page import sections, tiles

if TYPE_CHECKING:
    from jinja2 import Environment

_TEMPLATE = "page.html.jinja"

FOLDED = ("configuration", "proofs", "provenance")
"""Reference sections, collapsed by default."""
_STATES = frozenset({*RunStatus, "ok", "watch", "danger"})
"""Badge kinds drawn as a pill; all others are shown as inline text."""


def render(view: Report, *, live: bool = False) -> str:
    """Return the whole page in the current language.

    A ``live`` page loads one script from its own server, and links to records there.
    """
    page = sections(view)
    drawn = charts.draw(view, page)
    return (
        environment(__package__)
        .get_template(_TEMPLATE)
        .render(
            view=view,
            live=live,
            assets=assets(),
            policy=policy(),
            language=messages.language(),
            title=messages.text("report.title", title=view.title),
            written=written(view),
            tiles=tiles(view.tiles),
            sections=page,
            drawn=drawn,
            swatches=_swatches(view) if drawn else {},
        )
    )


def _swatches(view: Report) -> dict[str, str]:
    """Return the colour of each system in the charts, by every name that stands in a table."""
    known = colours(view)
    return known | {format.name(one): known[plain(one.name)] for one in view.systems}


def kind(block: object) -> str:
    """Return the type name of a block or cell, by which the template selects its markup."""
    return type(block).__name__.lower()


def target(record: str, live: bool) -> str:
    """Return a record's URL, relative to ``report/`` or on the live server."""
    return f"{'/records' if live else '..'}/{quote(record, safe='/#')}"


def words(cell: Cell) -> str:
    """Return a cell's text without its link."""
    return plain(shown(cell))


@cache
def environment(package: str) -> "Environment":
    """Return a Jinja environment with autoescaping for the templates in ``package``."""
    from jinja2 import BaseLoader, Environment, StrictUndefined

    class Packaged(BaseLoader):
        """Load templates from the package, wherever it is installed."""

        def get_source(self, _: Environment, template: str) -> tuple[str, None, None]:
            return (files(package) / template).read_text(encoding="utf-8"), None, None

    environment = Environment(
        loader=Packaged(), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {
        "plain": plain, "printable": printable, "kind": kind, "target": target, "words": words,
    }  # fmt: skip
    environment.globals |= {
        "signs": SIGNS, "text": messages.text, "figures": format,
        "folded": FOLDED, "states": _STATES, "broad": charts.BROAD,
        "figures_first": ("timeline", "ensemble"),
    }  # fmt: skip
    return environment

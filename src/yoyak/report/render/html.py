"""The report as one self-contained HTML file in every language, which asks for nothing.

Jinja renders the page with autoescaping; its scripts and data come from ``report.render.assets``.
"""

import time
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING
from urllib.parse import quote

from yoyak import messages
from yoyak.events import RunStatus
from yoyak.report.model.report import Report
from yoyak.report.model.rows import RowSource
from yoyak.report.render import charts
from yoyak.report.render.assets import assets, json_block, packed_block, policy
from yoyak.report.render.escape import plain, printable
from yoyak.report.render.explorer import explorer_blocks
from yoyak.report.render.markdown import written
from yoyak.report.render.plots import Drawing, colours
from yoyak.report.sections import format
from yoyak.report.sections.blocks import SIGNS, Cell, Section, shown
from yoyak.report.sections.page import sections, tiles

if TYPE_CHECKING:
    from jinja2 import Environment, Template

FOLDED = ("configuration", "proofs", "provenance")
"""Reference sections, collapsed by default."""
BROAD = frozenset({"timeline", "faults", "slices", "comparison"})
"""Charts that take the full page width."""
_STATES = frozenset({*RunStatus, "ok", "watch", "danger"})
"""Badge kinds drawn as a pill; all others are shown as inline text."""


def render(view: Report, rows: Sequence[RowSource] = (), *, live: bool = False) -> str:
    """Return the whole page in the current language, the other languages packed inside it.

    A ``live`` page loads its scripts and rows from its own server, and links to records there.
    """
    from markupsafe import Markup

    language = messages.language()
    # A live page asks its server for the others.
    others = [] if live else [one for one in messages.LANGUAGES if one != language]
    page = sections(view)
    drawn = charts.draw(view, page)
    data = [json_block("chart-points", charts.points(drawn))]
    data += [packed_block(f"content-{one}", content(view, one, live=live)) for one in others]
    data += explorer_blocks(rows, colours(view), live=live)
    return _template("page.html.jinja").render(
        live=live,
        language=language,
        title=messages.text("report.title", title=view.title),
        content=Markup(_content(view, page, drawn, live=live)),  # noqa: S704 - our own template
        data=data,
        assets=assets(),
        policy=policy(),
    )


def content(view: Report, language: messages.Language, *, live: bool = False) -> str:
    """Return what the page shows in ``language``, without the page around it."""
    with messages.speaking(language):
        page = sections(view)
        return _content(view, page, charts.draw(view, page), live=live)


def _content(
    view: Report, page: Sequence[Section], drawn: Mapping[str, Drawing], *, live: bool
) -> str:
    return _template("content.html.jinja").render(
        live=live,
        language=messages.language(),
        languages=LANGUAGES,
        title=messages.text("report.title", title=view.title),
        written=written(view),
        tiles=tiles(view),
        sections=page,
        drawn=drawn,
        swatches=_swatches(view),
        utc_offset=time.localtime().tm_gmtoff,
    )


LANGUAGES = {"ko": "한국어", "en": "English"}
"""The name of each language in itself."""


def _template(name: str) -> "Template":
    return environment(__package__).get_template(name)


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
        "folded": FOLDED, "states": _STATES, "broad": BROAD,
        "figures_first": ("timeline", "ensemble"),
    }  # fmt: skip
    return environment

"""Pages with a form: they have their texts in every language, so a switch keeps what was typed."""

from typing import TYPE_CHECKING

from yoyak import messages
from yoyak.errors import YoyakError
from yoyak.report.render.assets import json_block
from yoyak.report.render.html import LANGUAGES, environment

if TYPE_CHECKING:
    from markupsafe import Markup


def form_page(name: str, trouble: YoyakError | None = None, **values: object) -> str:
    """Return the page of the template ``name`` in the current language.

    Args:
        name: of the template, the script, and the first part of its keys in ``pages.toml``.
        trouble: why the form cannot be used, shown above it.
        values: what else the template shows.
    """
    texts = {one: _texts(one, trouble) for one in messages.LANGUAGES}
    return (
        environment(__package__)
        .get_template(f"{name}.html.jinja")
        .render(
            name=name,
            language=messages.language(),
            languages=LANGUAGES,
            said=_said,
            trouble=trouble,
            texts=json_block("texts", texts),
            **values,
        )
    )


def _texts(language: messages.Language, trouble: YoyakError | None) -> dict[str, str]:
    """Return what the script puts in place, with the placeholders that it fills in."""
    with messages.speaking(language):
        own = {} if trouble is None else {"trouble": str(trouble)}
    return messages.sentences("pages", language) | own


def _said(key: str) -> "Markup":
    """Return a sentence of ``pages.toml`` in an element that the script finds by its key."""
    from markupsafe import Markup

    return Markup('<span data-text="{}">{}</span>').format(key, messages.text(f"pages.{key}"))

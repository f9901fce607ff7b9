"""Complete the values of options and arguments in the shell: recipes, settings, protocols."""

from collections.abc import Iterator


def recipe_names(incomplete: str) -> Iterator[str]:
    """Yield the bundled recipes that begin with ``incomplete``."""
    from yoyak.config import load

    yield from (name for name in load.names() if name.startswith(incomplete))


def setting_names(incomplete: str) -> Iterator[str]:
    """Yield the settings of a recipe that begin with ``incomplete``, ready for their value."""
    from yoyak.config import load

    for name, _ in load.settings_of(load.resolve("tiny-qlora").recipe):
        if name.startswith(incomplete):
            yield f"{name}="


def protocol_names(incomplete: str) -> Iterator[str]:
    """Yield the named protocols that begin with ``incomplete``."""
    from yoyak.metrics.protocol import NAMED

    yield from (name for name in NAMED if name.startswith(incomplete))

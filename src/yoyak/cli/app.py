"""The table of verbs. A verb's module is imported when it is called, so ``--help`` stays light."""

from importlib import import_module
from typing import Annotated, Any

import typer

from yoyak import __version__
from yoyak.cli.help import LocalCommand, LocalGroup
from yoyak.messages import LANGUAGES, text

VERBS = {
    "init": "init:init",
    "check": "system:check",
    "show": "runs:show",
    "plan": "system:plan",
    "run": "runs:run",
    "status": "runs:status",
    "watch": "runs:watch",
    "stop": "runs:stop",
    "prioritise": "runs:prioritise",
    "score": "metrics:score",
    "compare": "metrics:compare",
    "tune": "tune:tune",
    "screen": "studies:screen",
    "experiment": "experiment:experiment",
    "import": "submission:import_",
    "submit": "submission:submit",
    "report": "runs:report",
    "predict": "predict:predict",
    "serve": "serving:serve",
    "export": "export:export",
    "backup": "runs:backup",
    "sync": "sync:sync",
    "prune": "system:prune",
    "help": "topics:help_",
}
"""Verb to ``module:name`` in this package, in the order of ``--help``; a name may be a group."""

ALIASES = {"doctor": "check"}


def load_verb(name: str) -> Any:
    """Import a verb and return its click command or group."""
    module, _, attribute = VERBS[ALIASES.get(name, name)].partition(":")
    found = getattr(import_module(f"yoyak.cli.{module}"), attribute)
    if isinstance(found, typer.Typer):
        found.info.cls = LocalGroup
        for one in found.registered_commands:
            one.cls = LocalCommand
        return typer.main.get_group(found)
    single = typer.Typer(
        add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False
    )
    single.command(name, cls=LocalCommand, help=_help_of(name))(found)
    return typer.main.get_command(single)


class LazyGroup(LocalGroup):
    """A group whose commands are placeholders with a name and a help line until one is called."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Replace the placeholder that the arguments name by the real command."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, command if name is None else load_verb(name), rest


def _help_of(name: str) -> str:
    return text(f"cli.verb-{ALIASES.get(name, name)}")


def _placeholder() -> None:
    """Stand for a verb that is not imported yet."""


def _print_version(is_asked: bool) -> None:
    if is_asked:
        print(__version__)
        raise typer.Exit


def _check_language(lang: str | None) -> str | None:
    if lang is not None and lang not in LANGUAGES:
        raise typer.BadParameter(text("cli.bad-lang", known=", ".join(LANGUAGES)))
    return lang


app = typer.Typer(
    cls=LazyGroup,
    help=text("cli.about"),
    no_args_is_help=True,
    rich_markup_mode=None,  # importing rich would double the time that --help takes
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _name in (*VERBS, *ALIASES):
    app.command(_name, help=_help_of(_name), hidden=_name in ALIASES)(_placeholder)


@app.callback()
def _options(
    lang: Annotated[
        str | None, typer.Option(callback=_check_language, help=text("cli.option-lang"))
    ] = None,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help=text("cli.option-version")
        ),
    ] = False,
) -> None:
    """Declare the options that stand before a verb; their callbacks do the work."""

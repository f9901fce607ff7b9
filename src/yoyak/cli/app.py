"""The table of verbs; each one's work is a call into the room below."""

from collections.abc import Callable
from typing import Annotated

import typer

from yoyak import __version__
from yoyak.cli import export, metrics, runs, submission, system, tune
from yoyak.messages import LANGUAGES, text

app = typer.Typer(
    help=text("cli.about"),
    no_args_is_help=True,
    rich_markup_mode=None,  # rich would double the time that --help takes
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

VERBS: dict[str, Callable[..., None]] = {
    "check": system.check,
    "show": runs.show,
    "plan": system.plan,
    "run": runs.run,
    "status": runs.status,
    "watch": runs.watch,
    "score": metrics.score,
    "compare": metrics.compare,
    "import": submission.import_,
    "submit": submission.submit,
    "report": runs.report,
    "serve": runs.serve,
    "backup": runs.backup,
    "export": export.export,
    "prune": system.prune,
}
for name, verb in VERBS.items():
    app.command(name, help=text(f"cli.verb-{name}"))(verb)
app.add_typer(tune.tune, name="tune")


def _print_version(asked: bool) -> None:
    if asked:
        print(__version__)
        raise typer.Exit


def _check_language(lang: str | None) -> str | None:
    if lang is not None and lang not in LANGUAGES:
        raise typer.BadParameter(text("cli.bad-lang", known=", ".join(LANGUAGES)))
    return lang


@app.callback()
def _yoyak(
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
    pass

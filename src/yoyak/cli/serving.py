"""The verb serve."""

import sys
import webbrowser
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from yoyak.cli.context import CommandContext, open_context
from yoyak.cli.options import WorkspaceFolder
from yoyak.errors import BadData, InputMissing, UsageError
from yoyak.messages import text

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from yoyak.prediction.resident_model import Limits, ResidentModel
    from yoyak.web.steer import SteerContext

LOOPBACK = "127.0.0.1"
SHORTEST_KEY = 16


def serve(
    runs: Annotated[
        list[str] | None,
        typer.Option("--run", metavar="RUN", help=text("cli.option-serve-run"), show_default=False),
    ] = None,
    host: Annotated[str, typer.Option("--host", help=text("cli.option-host"))] = LOOPBACK,
    port: Annotated[
        int, typer.Option("--port", min=0, max=65_535, help=text("cli.option-port"))
    ] = 8765,
    keys: Annotated[
        Path | None, typer.Option("--keys", help=text("cli.option-keys"), show_default=False)
    ] = None,
    timeout: Annotated[
        float, typer.Option("--timeout", min=1, help=text("cli.option-timeout"))
    ] = 120,
    waiting: Annotated[int, typer.Option("--queue", min=1, help=text("cli.option-queue"))] = 256,
    batch: Annotated[int, typer.Option("--batch", min=1, help=text("cli.option-batch"))] = 32,
    log_texts: Annotated[bool, typer.Option("--log-texts", help=text("cli.option-log-texts"))] = (
        False
    ),
    open_browser: Annotated[bool, typer.Option("--open", help=text("cli.option-open"))] = False,
    workspace: WorkspaceFolder = None,
) -> None:
    """Serve the live report, and trained runs through an OpenAI-compatible API."""
    from yoyak.prediction.resident_model import Limits
    from yoyak.web import app as serving
    from yoyak.web.api import Api, ApiSettings

    context = open_context(None, workspace)
    remote = host not in {LOOPBACK, "localhost", "::1"}
    if remote and not runs:
        raise UsageError("serving.remote-needs-run", host=host)
    if remote and keys is None:
        raise UsageError("serving.remote-needs-keys", host=host)
    settings = ApiSettings(
        keys=frozenset() if keys is None else read_keys(keys), seconds=timeout, texts=log_texts
    )
    with ExitStack() as stack:
        models = [
            stack.enter_context(model)
            for model in _models(context, runs or (), Limits(waiting, batch))
        ]
        api = Api({model.model.name: model for model in models}, settings) if models else None
        address = [""]  # known when the server listens
        app: Starlette
        if remote and api is not None:
            app = serving.api_application(api)
        else:
            app = serving.application(
                context.workspace,
                context.project.budget,
                models=models,
                api=api,
                steer=_steer_context(context),
                announce=lambda token: _announce(address[0], token),
            )

        def on_start(found_port: int) -> None:
            address[0] = f"http://{host}:{found_port}"
            _print_addresses(address[0], models, is_page=not remote)
            if not remote:
                app.state.sessions.new_token()
                if open_browser:
                    webbrowser.open(address[0])

        serving.serve(app, host, port, drain_seconds=timeout if models else 5, on_start=on_start)


def _print_addresses(url: str, models: "Sequence[ResidentModel]", *, is_page: bool) -> None:
    if is_page:
        print(text("serving.page", url=url), file=sys.stderr)
    if models:
        names = ", ".join(model.model.name for model in models)
        print(text("serving.api", url=url, models=names), file=sys.stderr)
    print(text("serving.ready"), file=sys.stderr, flush=True)


def _announce(url: str, token: str) -> None:
    print(text("serving.steer", url=f"{url}/steer#{token}"), file=sys.stderr, flush=True)


def _steer_context(context: CommandContext) -> "SteerContext":
    from yoyak.web.steer import SteerContext

    newest = [context]

    def now() -> CommandContext:
        """Return a context of the data that a command would take now; it reads them once."""
        found = open_context(None, context.workspace.folder)
        if found.data_folder != newest[0].data_folder:
            newest[0] = found
        return newest[0]

    usual = open_context(None, None).workspace.folder.resolve()
    named = context.workspace.folder.resolve()
    return SteerContext(
        project=context.project,
        corpus=lambda: now().corpus,
        contest=lambda: now().contest,
        workspace_option=() if named == usual else ("--workspace", context.short(named)),
    )


def read_keys(path: Path) -> frozenset[str]:
    """Return the keys of a file, one a line; blank lines and lines that begin with # are left out.

    Raises:
        InputMissing: there is no such file.
        BadData: it holds no key, or one that is short enough to be guessed.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError as error:
        raise InputMissing("serving.no-file", path=path) from error
    found = set()
    for number, line in enumerate(lines, 1):
        key = line.strip()
        if not key or key.startswith("#"):
            continue
        if len(key) < SHORTEST_KEY:
            raise BadData("serving.short-key", path=path, line=number)
        found.add(key)
    if not found:
        raise BadData("serving.no-keys", path=path)
    return frozenset(found)


def _models(
    context: CommandContext, names: Sequence[str], limits: "Limits"
) -> "list[ResidentModel]":
    """Return the models of the runs, not loaded yet."""
    from yoyak.prediction.model import trained_model
    from yoyak.prediction.resident_model import ResidentModel

    found = {run.name: run for run in (context.run(name) for name in names)}
    for name in found:
        print(text("serving.loading", run=name), file=sys.stderr)
    return [ResidentModel(trained_model(run), limits) for run in found.values()]

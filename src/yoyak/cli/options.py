"""The options that several verbs share, each with one meaning everywhere."""

from pathlib import Path
from typing import Annotated

import typer

from yoyak.cli import completion
from yoyak.messages import text

DataFolder = Annotated[
    Path | None, typer.Option("--data", help=text("cli.option-data"), show_default=False)
]
WorkspaceFolder = Annotated[
    Path | None, typer.Option("--workspace", help=text("cli.option-workspace"), show_default=False)
]
Sets = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="A.B=VALUE",
        help=text("cli.option-set"),
        show_default=False,
        autocompletion=completion.setting_names,
    ),
]
Allow = Annotated[
    list[str] | None, typer.Option("--allow", help=text("cli.option-allow"), show_default=False)
]
SkipPlan = Annotated[bool, typer.Option("--skip-plan", help=text("cli.option-skip-plan"))]
AsJson = Annotated[bool, typer.Option("--json", help=text("cli.option-json"))]
ProtocolName = Annotated[
    str,
    typer.Option(
        "--protocol",
        help=text("cli.option-protocol"),
        show_default=True,
        autocompletion=completion.protocol_names,
    ),
]

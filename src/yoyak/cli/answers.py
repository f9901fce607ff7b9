"""The verbs of the answer: submit."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from yoyak.cli.options import AsJson, DataFolder, WorkspaceFolder
from yoyak.cli.place import Place, open_place
from yoyak.messages import text

SystemName = Annotated[
    str | None, typer.Argument(help=text("cli.option-system"), show_default=False)
]


def submit(
    system: SystemName = None,
    check: Annotated[
        Path | None, typer.Option("--check", help=text("cli.option-check"), show_default=False)
    ] = None,
    data: DataFolder = None,
    workspace: WorkspaceFolder = None,
    as_json: AsJson = False,
) -> None:
    """Writes the submission of a scored system, or judges the file that ``--check`` names."""
    import msgspec

    from yoyak.final.hand_in import hand_in

    place = open_place(data, workspace)
    if check is not None:
        _check(place, check, as_json)
        return
    submission = hand_in(place.workspace, place.corpus, system)
    shown = msgspec.structs.replace(
        submission,
        path=place.short(Path(submission.path)),
        manifest=place.short(Path(submission.manifest)),
    )
    if as_json:
        print(msgspec.json.encode(shown).decode())
    else:
        print(text("cli.submission-at", path=shown.path))
        print(f"sha256      {shown.sha256}", file=sys.stderr)


def _check(place: Place, path: Path, as_json: bool) -> None:
    import msgspec

    from yoyak.final.evidence import gather
    from yoyak.final.submission import check_file, refusal

    verdict = check_file(path, gather(place.corpus))
    if as_json:
        print(msgspec.json.encode(verdict).decode())
    for fault in verdict.warnings:
        print(text("cli.gate-warning", rule=fault.rule, fault=fault.text), file=sys.stderr)
    if not verdict.accepted:
        raise refusal(str(path), verdict)
    if not as_json:
        print(text("cli.gate-passed", path=path, rules=verdict.rules, rows=verdict.rows))

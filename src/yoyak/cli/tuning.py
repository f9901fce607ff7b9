"""The verbs of tuning: tune decode, tune soup."""

import sys
from typing import Annotated

import typer

from yoyak.cli.options import AsJson, DataFolder, WorkspaceFolder
from yoyak.cli.place import Place, open_place
from yoyak.errors import UsageError
from yoyak.messages import text
from yoyak.store.run import Run

RunName = Annotated[str, typer.Argument(help=text("cli.argument-run"), metavar="RUN")]

tune = typer.Typer(help=text("cli.verb-tune"), no_args_is_help=True, rich_markup_mode=None)


@tune.command("decode", help=text("cli.verb-tune-decode"))
def decode(
    run: RunName,
    decodes: Annotated[
        str | None, typer.Option("--decodes", help=text("cli.option-decodes"), show_default=False)
    ] = None,
    freeze: Annotated[bool, typer.Option("--freeze", help=text("cli.option-freeze"))] = False,
    checkpoint: Annotated[
        int | None,
        typer.Option("--checkpoint", help=text("cli.option-checkpoint"), show_default=False),
    ] = None,
    data: DataFolder = None,
    workspace: WorkspaceFolder = None,
    as_json: AsJson = False,
) -> None:
    """Searches a better decoding, or stores the decodings that ``--decodes`` names."""
    from yoyak.queue.tuning import OWN, decode_elsewhere, parse_decodes

    place = open_place(data, workspace)
    found = place.run(run)
    if decodes is None and checkpoint is None:
        _search(place, found, freeze, as_json)
        return
    if freeze:
        raise UsageError("cli.freeze-search")
    if decodes is not None:
        parse_decodes(decodes, found.recipe.decode)
    what, of = ("store", ()) if checkpoint is None else ("checkpoint", (str(checkpoint),))
    decode_elsewhere(found, place.data_folder, what, decodes or OWN, *of)
    _show_candidates(place, found, as_json)


@tune.command("soup", help=text("cli.verb-tune-soup"))
def soup(
    runs: Annotated[list[str], typer.Argument(help=text("cli.argument-soup"), metavar="RUN…")],
    decodes: Annotated[
        str | None, typer.Option("--decodes", help=text("cli.option-decodes"), show_default=False)
    ] = None,
    data: DataFolder = None,
    workspace: WorkspaceFolder = None,
    as_json: AsJson = False,
) -> None:
    """Averages several fine-tunes of one base, or the checkpoints of one run, into a candidate."""
    from yoyak.queue.tuning import OWN, decode_elsewhere, parse_decodes

    place = open_place(data, workspace)
    first, *others = (place.run(name) for name in dict.fromkeys(runs))
    if decodes is not None:
        parse_decodes(decodes, first.recipe.decode)
    members = [str(run.folder) for run in others]
    decode_elsewhere(first, place.data_folder, "soup", decodes or OWN, *members)
    _show_candidates(place, first, as_json)


def _search(place: Place, run: Run, freeze: bool, as_json: bool) -> None:
    import msgspec

    from yoyak.final.sweep import Sweep, name_of
    from yoyak.queue import tuning
    from yoyak.report import answerboard
    from yoyak.report.text import console

    tuning.decode_elsewhere(run, place.data_folder, "sweep")
    encoded = (run.folder / tuning.SWEEP).read_bytes()
    found = msgspec.json.decode(encoded, type=Sweep)
    if as_json:
        print(msgspec.json.encode(found).decode())
    else:
        console(sys.stdout).print(answerboard.sweep(found))
    if not freeze:
        return
    winner = name_of(found.winner)
    if found.worth_freezing:
        tuning.freeze(run, found.winner)
        print(text("cli.frozen", decode=winner, recipe=run.recipe.name), file=sys.stderr)
    else:
        print(text("cli.not-frozen", decode=winner), file=sys.stderr)


def _show_candidates(place: Place, run: Run, as_json: bool) -> None:
    import msgspec

    from yoyak.final.candidates import candidates
    from yoyak.report import answerboard
    from yoyak.report.text import console

    found = candidates(place.workspace, place.corpus, [run.name])
    if as_json:
        cards = {one.lineage.name: one.card.rouge for one in found}
        print(msgspec.json.encode(cards).decode())
    else:
        console(sys.stdout).print(answerboard.candidates(found))

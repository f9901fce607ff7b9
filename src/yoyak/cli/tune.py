"""The commands of yoyak tune; those that start studies are in ``cli/studies.py``."""

import sys
from typing import Annotated

import typer

from yoyak.cli import studies
from yoyak.cli.context import CommandContext, open_context
from yoyak.cli.options import AsJson, DataFolder, WorkspaceFolder
from yoyak.errors import UsageError
from yoyak.messages import text
from yoyak.runs.run import Run

RunName = Annotated[str, typer.Argument(help=text("cli.argument-run"), metavar="RUN")]

tune = typer.Typer(help=text("cli.verb-tune"), no_args_is_help=True, rich_markup_mode=None)
tune.command("train", help=text("cli.verb-tune-train"))(studies.train)
tune.command("prompt", help=text("cli.verb-tune-prompt"))(studies.prompt)


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
    """Search a better decoding, or decode dev and test in those that ``--decodes`` names."""
    from yoyak.scheduler.decode_jobs import OWN, decode_in_process, parse_decodes

    context = open_context(data, workspace)
    found = context.run(run)
    if decodes is None and checkpoint is None:
        _search(context, found, freeze, as_json)
        return
    if freeze:
        raise UsageError("cli.freeze-search")
    if decodes is not None:
        parse_decodes(decodes, found.recipe.decode)
    what, of = ("store", ()) if checkpoint is None else ("checkpoint", (str(checkpoint),))
    decode_in_process(found, context.data_folder, what, decodes or OWN, *of)
    _show_candidates(context, found, as_json)


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
    """Average fine-tunes of one base, or the checkpoints of one run, into a candidate."""
    from yoyak.scheduler.decode_jobs import OWN, decode_in_process, parse_decodes

    context = open_context(data, workspace)
    first, *others = (context.run(name) for name in dict.fromkeys(runs))
    if decodes is not None:
        parse_decodes(decodes, first.recipe.decode)
    members = [str(run.folder) for run in others]
    decode_in_process(first, context.data_folder, "soup", decodes or OWN, *members)
    _show_candidates(context, first, as_json)


def _search(context: CommandContext, run: Run, freeze: bool, as_json: bool) -> None:
    import msgspec

    from yoyak.ensemble.candidates import name_of
    from yoyak.ensemble.decode_search import DecodeSearch
    from yoyak.report.sections.ensemble import decode_search
    from yoyak.scheduler import decode_jobs
    from yoyak.terminal.render import show

    decode_jobs.decode_in_process(run, context.data_folder, "sweep")
    encoded = (run.folder / decode_jobs.SWEEP).read_bytes()
    found = msgspec.json.decode(encoded, type=DecodeSearch)
    if as_json:
        print(msgspec.json.encode(found).decode())
    else:
        show(decode_search(found), sys.stdout)
    if not freeze:
        return
    winner = name_of(found.winner)
    if found.worth_freezing:
        decode_jobs.freeze(run, found.winner)
        print(text("cli.frozen", decode=winner, recipe=run.recipe.argument), file=sys.stderr)
    else:
        print(text("cli.not-frozen", decode=winner), file=sys.stderr)


def _show_candidates(context: CommandContext, run: Run, as_json: bool) -> None:
    import msgspec

    from yoyak.ensemble.candidates import candidates
    from yoyak.report.sections import ensemble
    from yoyak.terminal.render import show

    found = candidates(context.workspace, context.corpus, [run.name])
    if as_json:
        cards = {one.lineage.name: one.card.rouge for one in found}
        print(msgspec.json.encode(cards).decode())
    else:
        show(ensemble.candidates(found), sys.stdout)

"""The commands import and submit."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from yoyak.cli.context import CommandContext, open_context
from yoyak.cli.options import AsJson, DataFolder, WorkspaceFolder
from yoyak.data.contest import FILE as CONTEST
from yoyak.errors import InputMissing, UsageError
from yoyak.messages import text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from yoyak.ensemble.candidates import Candidate, Lineage
    from yoyak.report.sections.ensemble import LedgerView
    from yoyak.submission.ledger import Entry
    from yoyak.submission.manifest import SubmissionManifest
    from yoyak.submission.submit import Submitted

Systems = Annotated[
    list[str] | None, typer.Argument(help=text("cli.option-system"), show_default=False)
]
ROWS_SHOWN = 5
LIST = "list"
"""Value of ``--result`` that only shows the ledger."""


def import_(
    name: Annotated[str, typer.Argument(help=text("cli.argument-import-name"))],
    files: Annotated[list[Path], typer.Argument(help=text("cli.argument-import-files"))],
    column: Annotated[
        str | None, typer.Option(help=text("cli.option-column"), show_default=False)
    ] = None,
    data: DataFolder = None,
    workspace: WorkspaceFolder = None,
    as_json: AsJson = False,
) -> None:
    """Import predictions of another program and score those of dev."""
    import msgspec

    from yoyak.ensemble.imports import import_files
    from yoyak.report.sections import ensemble
    from yoyak.terminal.render import show

    context = open_context(data, workspace)
    found = import_files(context.workspace, context.corpus, name, files, column=column)
    if as_json:
        card = found.scorecard()
        alarms = [] if card is None else [alarm.key for alarm in card.alarms]
        shown = msgspec.to_builtins(found.record) | {"alarms": alarms}
        print(msgspec.json.encode(shown).decode())
    else:
        show(ensemble.imported(found), sys.stdout)


def submit(
    systems: Systems = None,
    blend: Annotated[
        str | None,
        typer.Option(
            "--blend", metavar="METHOD", help=text("cli.option-blend"), show_default=False
        ),
    ] = None,
    check: Annotated[
        Path | None, typer.Option("--check", help=text("cli.option-check"), show_default=False)
    ] = None,
    result: Annotated[
        str | None,
        typer.Option(
            "--result",
            metavar="N[=PUBLIC[,PRIVATE]]|list",
            help=text("cli.option-result"),
            show_default=False,
        ),
    ] = None,
    data: DataFolder = None,
    workspace: WorkspaceFolder = None,
    as_json: AsJson = False,
) -> None:
    """Write a submission, validate the file of ``--check``, or record the ``--result`` of one."""
    if sum(option is not None for option in (blend, check, result)) > 1:
        raise UsageError("cli.submit-one")
    context = open_context(data, workspace)
    if check is not None:
        _check(context, check, as_json)
    elif result is not None:
        _ledger(context, result, as_json)
    else:
        _submit(context, systems or [], blend, as_json)


# --- writing -------------------------------------------------------------------------------------


def _submit(context: CommandContext, systems: list[str], blend: str | None, as_json: bool) -> None:
    from yoyak.submission.submit import submit_ensemble, submit_system

    method = blend or ("mbr" if len(systems) > 1 else None)
    if method is None:
        one = systems[0] if systems else None
        submitted = submit_system(context.workspace, context.corpus, one)
    else:
        submitted = submit_ensemble(context.workspace, context.corpus, method, systems)
        if submitted.left_out:
            left_out = ", ".join(submitted.left_out)
            print(text("cli.left-out", systems=left_out), file=sys.stderr)
    for key, names in (("stale", submitted.stale), ("unverified", submitted.unverified)):
        if names:
            print(text(f"submission.note-{key}", names=", ".join(names)), file=sys.stderr)
    _show(context, submitted, as_json)


def _show(context: CommandContext, submitted: "Submitted", as_json: bool) -> None:
    import msgspec

    from yoyak.report.render.json import floor_figures
    from yoyak.report.sections import ensemble
    from yoyak.report.sections.scorecard import alarms, faults
    from yoyak.submission.manifest import read_manifest
    from yoyak.terminal.render import show

    submission = msgspec.structs.replace(
        submitted.submission,
        path=context.short(Path(submitted.submission.path)),
        manifest=context.short(Path(submitted.submission.manifest)),
    )
    if as_json:
        shown = msgspec.to_builtins(submission)
        if submitted.nested is not None:
            shown |= {"nested": msgspec.to_builtins(submitted.nested)}
        found = read_manifest(Path(submitted.submission.manifest))
        shown |= {
            "floors": msgspec.to_builtins(floor_figures(found.dev.floors)),
            "alarms": [alarm.key for alarm in found.dev.alarms],
            "warnings": [fault.rule for fault in found.warnings],
            "toys": [member.system for member in found.members if member.toy],
        }
        print(msgspec.json.encode(shown).decode())
        return
    if submitted.nested is not None:
        show(ensemble.cross_validation(submitted.nested), sys.stdout)
    print(text("cli.submission-at", path=submission.path))
    contest = context.data_folder / CONTEST
    if not contest.is_file():
        print(text("cli.no-contest", file=context.short(contest)), file=sys.stderr)
    found = read_manifest(Path(submitted.submission.manifest))
    if found.dev.alarms:
        print(text("cli.submission-alarms"), file=sys.stderr)
        show(alarms(found.dev.alarms), sys.stderr)
    show(faults(found.warnings), sys.stderr)
    if found.dev.floors is not None:
        show(ensemble.floors(found.dev.floors), sys.stderr)
    for line in _about(found, Path(submitted.submission.manifest).parent.name):
        print(line, file=sys.stderr)
    print(f"sha256      {submission.sha256}", file=sys.stderr)


def _about(found: "SubmissionManifest", number: str) -> "Iterator[str]":
    """Yield the method and dev score, and the next command."""
    from yoyak.report.model.report import TOY
    from yoyak.report.sections.format import score

    interval = found.dev.interval
    yield text(
        "cli.submission-answer",
        method=found.method,
        members=", ".join(
            f"{one.system}/{one.decode}{TOY if one.toy else ''}" for one in found.members
        ),
        mean=score(found.dev.rouge.mean),
        low=score(interval.low),
        high=score(interval.high),
        rules=found.rules,
    )
    if any(one.toy for one in found.members):
        yield f"{TOY} {text('report.toy-note')}"
    yield text("cli.submission-next", number=number)


# --- judging -------------------------------------------------------------------------------------


def _check(context: CommandContext, path: Path, as_json: bool) -> None:
    import msgspec

    from yoyak.report.sections.scorecard import faults
    from yoyak.submission.submit import context_for_file
    from yoyak.submission.write import check_file, refusal
    from yoyak.terminal.render import show

    checked = check_file(path, context_for_file(context.workspace, context.corpus, path))
    if as_json:
        print(msgspec.json.encode(checked).decode())
    show(faults(checked.warnings), sys.stderr)
    if not checked.accepted:
        raise refusal(str(path), checked)
    if not as_json:
        print(text("cli.gate-passed", path=path, rules=checked.rules, rows=checked.rows))


# --- results -------------------------------------------------------------------------------------


class _Result(NamedTuple):
    """Leaderboard scores, 0 to 100; ``None`` where only the upload is recorded."""

    number: int
    public: float | None
    private: float | None


def _parsed(words: str) -> _Result:
    """Parse ``3``, ``3=46.2`` or ``3=46.2,45.9``."""
    number, equals, points = words.partition("=")
    public, _, private = points.partition(",")
    try:
        return _Result(
            int(number), float(public) if equals else None, float(private) if private else None
        )
    except ValueError as error:
        raise UsageError("cli.bad-result", found=words) from error


def _ledger(context: CommandContext, words: str, as_json: bool) -> None:
    import msgspec

    from yoyak.report.sections import ensemble
    from yoyak.submission.ledger import readable_ledger
    from yoyak.terminal.render import show

    if words != LIST:
        _record(context, _parsed(words))
    entries, damaged = readable_ledger(context.workspace.ledger_path)
    for error in damaged:
        print(text("cli.error", error=error), file=sys.stderr)
    if not entries:
        raise InputMissing("cli.no-submission", workspace=context.workspace.folder)
    shown = _ledger_view(context, entries)
    if as_json:
        print(msgspec.json.encode(shown).decode())
    else:
        show(ensemble.ledger(shown), sys.stdout)


def _record(context: CommandContext, result: _Result) -> None:
    from yoyak.submission.ledger import Leaderboard, record_result, record_upload

    ledger, folder = context.workspace.ledger_path, context.workspace.submissions_folder
    if result.public is None:
        record_upload(ledger, result.number, context.contest)
    boards = ((Leaderboard.PUBLIC, result.public), (Leaderboard.PRIVATE, result.private))
    for board, points in boards:
        if points is not None:
            record_result(ledger, result.number, board, points, submissions=folder)


def _ledger_view(context: CommandContext, entries: "tuple[Entry, ...]") -> "LedgerView":
    """Build the view of the ledger, the files and today's remaining uploads."""
    from yoyak.report.sections.ensemble import LedgerView
    from yoyak.submission.ledger import changed_files, quota

    contest = context.contest
    today = quota(entries, contest)
    return LedgerView(
        entries=entries,
        changed=changed_files(entries, context.workspace.submissions_folder),
        contest=context.short(context.data_folder / CONTEST),
        used=None if today is None else today.used,
        left=None if today is None else today.left,
        resets_at=None if today is None else today.resets_at,
        closes_at=contest.closes_at,
    )


# --- rows ----------------------------------------------------------------------------------------


def draw_review(
    context: CommandContext, systems: list[str], names: "Mapping[str, str]", limit: int
) -> None:
    """Show what an ensemble of the systems chooses, on rows that differ most and that cost most.

    Shows nothing where one of the systems is a file, or fewer than two have complete predictions;
    ``names`` maps a system to the name that is shown.
    """
    from yoyak.ensemble.cross_validation import cross_validate
    from yoyak.ensemble.member_selection import dev_scores
    from yoyak.ensemble.review import review_rows
    from yoyak.report.sections import ensemble, examples
    from yoyak.terminal.render import show

    found = tuple(
        one._replace(lineage=_renamed(one.lineage, names)) for one in _candidates(context, systems)
    )
    if len(found) < 2:
        return
    nested = cross_validate(dev_scores(found, context.corpus.dev))
    print()
    show(ensemble.cross_validation(nested), sys.stdout)
    for order in ("disagreement", "regret", "worst"):
        rows = review_rows(
            found, context.corpus.dev, nested.choice, order=order, limit=min(limit, ROWS_SHOWN)
        )
        print()
        show(examples.review(rows, text(f"cli.review-{order}")), sys.stdout)


def _renamed(lineage: "Lineage", names: "Mapping[str, str]") -> "Lineage":
    import msgspec

    system = names.get(lineage.system, lineage.system)
    return msgspec.structs.replace(lineage, system=system)


def _candidates(context: CommandContext, systems: list[str]) -> "tuple[Candidate, ...]":
    from yoyak.ensemble.candidates import candidates

    try:
        return candidates(context.workspace, context.corpus, systems)
    except InputMissing:
        return ()

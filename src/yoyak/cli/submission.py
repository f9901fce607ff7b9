"""The verbs of the answer: import, submit."""

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
    from collections.abc import Iterator

    from rich.console import Console

    from yoyak.ensemble.candidates import Candidate
    from yoyak.submission.ledger import Entry
    from yoyak.submission.submit import Submitted
    from yoyak.terminal.submission import Board

Systems = Annotated[
    list[str] | None, typer.Argument(help=text("cli.option-system"), show_default=False)
]
ROWS_SHOWN = 5
LIST = "list"
"""As a result: nothing is entered, the ledger is only shown."""


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
    """Takes in predictions that another program wrote; those of dev are scored."""
    import msgspec

    from yoyak.ensemble.imports import import_files
    from yoyak.terminal import submission as submission_view
    from yoyak.terminal.status import console

    place = open_context(data, workspace)
    found = import_files(place.workspace, place.corpus, name, files, column=column)
    if as_json:
        print(msgspec.json.encode(found.record).decode())
    else:
        console(sys.stdout).print(submission_view.imported(found))


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
    """Writes a submission, judges the file of ``--check``, or records the ``--result`` of one."""
    if sum(option is not None for option in (blend, check, result)) > 1:
        raise UsageError("cli.submit-one")
    place = open_context(data, workspace)
    if check is not None:
        _check(place, check, as_json)
    elif result is not None:
        _ledger(place, result, as_json)
    else:
        _hand_in(place, systems or [], blend, as_json)


# --- writing -------------------------------------------------------------------------------------


def _hand_in(place: CommandContext, systems: list[str], blend: str | None, as_json: bool) -> None:
    from yoyak.submission.submit import Submitted, submit_ensemble
    from yoyak.submission.submit import submit as submit_system

    method = blend or ("mbr" if len(systems) > 1 else None)
    if method is None:
        one = systems[0] if systems else None
        handed = Submitted(submit_system(place.workspace, place.corpus, one), None)
    else:
        handed = submit_ensemble(place.workspace, place.corpus, method, systems)
        if handed.left_out:
            left_out = ", ".join(handed.left_out)
            print(text("cli.left-out", systems=left_out), file=sys.stderr)
    _show(place, handed, as_json)


def _show(place: CommandContext, handed: "Submitted", as_json: bool) -> None:
    import msgspec

    from yoyak.terminal import submission as submission_view
    from yoyak.terminal.status import console

    submission = msgspec.structs.replace(
        handed.submission,
        path=place.short(Path(handed.submission.path)),
        manifest=place.short(Path(handed.submission.manifest)),
    )
    if as_json:
        shown = msgspec.to_builtins(submission)
        if handed.nested is not None:
            shown |= {"nested": msgspec.to_builtins(handed.nested)}
        print(msgspec.json.encode(shown).decode())
        return
    if handed.nested is not None:
        console(sys.stdout).print(submission_view.nested(handed.nested))
    print(text("cli.submission-at", path=submission.path))
    contest = place.data_folder / CONTEST
    if not contest.is_file():
        print(text("cli.no-contest", file=place.short(contest)), file=sys.stderr)
    for line in _about(Path(handed.submission.manifest)):
        print(line, file=sys.stderr)
    print(f"sha256      {submission.sha256}", file=sys.stderr)


def _about(manifest: Path) -> "Iterator[str]":
    """What was handed in, what the gate let pass but not in silence, and what comes next."""
    from yoyak.report.render.format import score
    from yoyak.submission.write import read_manifest

    found = read_manifest(manifest)
    interval = found.dev.interval
    yield text(
        "cli.submission-answer",
        method=found.method,
        members=", ".join(f"{one.system}/{one.decode}" for one in found.members),
        mean=score(found.dev.rouge.mean),
        low=score(interval.low),
        high=score(interval.high),
        rules=found.rules,
    )
    for fault in found.warnings:
        yield text("cli.gate-warning", rule=fault.rule, fault=fault.text)
    yield text("cli.submission-next", number=manifest.parent.name)


# --- judging -------------------------------------------------------------------------------------


def _check(place: CommandContext, path: Path, as_json: bool) -> None:
    import msgspec

    from yoyak.submission.submit import evidence_for
    from yoyak.submission.write import check_file, refusal

    verdict = check_file(path, evidence_for(place.workspace, place.corpus, path))
    if as_json:
        print(msgspec.json.encode(verdict).decode())
    for fault in verdict.warnings:
        print(text("cli.gate-warning", rule=fault.rule, fault=fault.text), file=sys.stderr)
    if not verdict.accepted:
        raise refusal(str(path), verdict)
    if not as_json:
        print(text("cli.gate-passed", path=path, rules=verdict.rules, rows=verdict.rows))


# --- results -------------------------------------------------------------------------------------


class _Result(NamedTuple):
    """What a person read off the leaderboard, 0 to 100; nothing yet of a mere upload."""

    number: int
    public: float | None
    private: float | None


def _parsed(words: str) -> _Result:
    """``3``, ``3=46.2`` or ``3=46.2,45.9``."""
    number, equals, points = words.partition("=")
    public, _, private = points.partition(",")
    try:
        return _Result(
            int(number), float(public) if equals else None, float(private) if private else None
        )
    except ValueError as error:
        raise UsageError("cli.bad-result", found=words) from error


def _ledger(place: CommandContext, words: str, as_json: bool) -> None:
    import msgspec

    from yoyak.submission.ledger import read_ledger
    from yoyak.terminal import submission as submission_view
    from yoyak.terminal.status import console

    if words != LIST:
        _record(place, _parsed(words))
    entries = read_ledger(place.workspace.ledger_path)
    if not entries:
        raise InputMissing("cli.no-submission", workspace=place.workspace.folder)
    shown = _board(place, entries)
    if as_json:
        print(msgspec.json.encode(shown).decode())
    else:
        console(sys.stdout).print(submission_view.ledger(shown))


def _record(place: CommandContext, result: _Result) -> None:
    from yoyak.submission.ledger import Board, record_result, record_upload

    ledger, folder = place.workspace.ledger_path, place.workspace.submissions_folder
    if result.public is None:
        record_upload(ledger, result.number, place.contest)
    boards = ((Board.PUBLIC, result.public), (Board.PRIVATE, result.private))
    for board, points in boards:
        if points is not None:
            record_result(ledger, result.number, board, points, submissions=folder)


def _board(place: CommandContext, entries: "tuple[Entry, ...]") -> "Board":
    """The ledger, and what the contest leaves of today's uploads."""
    from yoyak.submission.ledger import quota
    from yoyak.terminal.submission import Board

    contest = place.contest
    today = quota(entries, contest)
    return Board(
        entries=entries,
        contest=place.short(place.data_folder / CONTEST),
        used=None if today is None else today.used,
        left=None if today is None else today.left,
        resets_at=None if today is None else today.resets_at,
        closes_at=contest.closes_at,
    )


# --- rows ----------------------------------------------------------------------------------------


def draw_review(place: CommandContext, systems: list[str], out: "Console") -> None:
    """What a blend of the systems chooses, on the rows that differ most and that cost most.

    Draws nothing where one of the systems is a file, or fewer than two have whole predictions.
    """
    from yoyak.ensemble.cross_validation import cross_validate
    from yoyak.ensemble.member_selection import dev_scores
    from yoyak.ensemble.review import review_rows
    from yoyak.terminal import review
    from yoyak.terminal import submission as submission_view

    found = _candidates(place, systems)
    if len(found) < 2:
        return
    nested = cross_validate(dev_scores(found, place.corpus.dev))
    out.print(submission_view.nested(nested))
    for order in ("disagreement", "regret", "worst"):
        rows = review_rows(found, place.corpus.dev, nested.choice, order=order, limit=ROWS_SHOWN)
        out.print()
        out.print(review.rows(rows, text(f"cli.review-{order}")))


def _candidates(place: CommandContext, systems: list[str]) -> "tuple[Candidate, ...]":
    from yoyak.ensemble.candidates import candidates

    try:
        return candidates(place.workspace, place.corpus, systems)
    except InputMissing:
        return ()

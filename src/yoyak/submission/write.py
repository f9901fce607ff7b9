"""Write ``submission.csv``: the only writer, from scored predictions to a validated file.

``submissions/<n>/`` holds ``submission.csv`` and ``manifest.json``. Both are written to a temporary
folder, fsynced, read back and renamed into place: a writer that is killed leaves the submissions
as they were, or one more complete one. Writers take turns by a lock, and no number is used twice.
"""

import fcntl
import os
import shutil
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import msgspec

from yoyak import __version__
from yoyak.data.text_file import refuse_other_formats
from yoyak.ensemble.gain import Gain
from yoyak.errors import BadData, CannotWrite, InputMissing
from yoyak.files import atomic
from yoyak.files.disk_errors import explain_write_errors
from yoyak.submission import ledger
from yoyak.submission.context import ValidationContext
from yoyak.submission.manifest import (
    CSV,
    MANIFEST,
    DevScore,
    Member,
    SubmissionManifest,
    manifests,
    read_manifest,
    submission_numbers,
)
from yoyak.submission.validate import ValidationResult, validate
from yoyak.values import Prediction, Submission, Value


class Draft(Value, frozen=True, kw_only=True):
    """Answers to test that are to be submitted, and their origin.

    ``data_sha256`` are the fingerprints of train, dev and test. ``dev`` is ``None`` where the same
    way of answering was not scored on dev; such a draft is refused.
    """

    method: str
    members: tuple[Member, ...]
    predictions: tuple[Prediction, ...]
    data_sha256: dict[str, str]
    dev: DevScore | None = None
    components: tuple[float, float, float] | None = None
    """Weights of R1, R2 and RL in MBR; ``None`` for other methods."""
    held_out: Gain | None = None
    """Cross-validated gain of the ensemble; ``None`` if nothing was learned."""


def write_submission(draft: Draft, context: ValidationContext, folder: Path) -> Submission:
    """Write the next submission below ``folder``.

    Raises:
        BadData: the draft has no dev score, an id is missing, or the gate refuses the file.
        CannotWrite: the folder cannot be written, or the file does not read back as written.
        DiskFull: there is no room.
    """
    content = _validated(draft, context)
    with _lock(folder):
        return _write(draft, content, folder)


def write_once(
    draft: Draft, context: ValidationContext, folder: Path, ledger_path: Path
) -> Submission:
    """Write and record a submission, or return the one that holds this very answer already.

    Raises:
        BadData, CannotWrite, DiskFull: as ``write_submission``.
    """
    content = _validated(draft, context)
    with _lock(folder):
        recorded = {entry.number for entry in ledger.read_ledger(ledger_path)}
        submission = _same_answer(draft, content, folder) or _write(
            draft, content, folder, recorded
        )
        written = Path(submission.path).parent
        if int(written.name) not in recorded:
            ledger.record_written(ledger_path, written)
    return submission


class _Content(NamedTuple):
    data: bytes
    result: ValidationResult
    dev: DevScore


def _validated(draft: Draft, context: ValidationContext) -> _Content:
    if draft.dev is None or context.outputs is None:
        raise BadData("submission.unscored", method=draft.method)
    data = render(draft.predictions, context)
    result = validate(data, context)
    if not result.accepted:
        raise refusal(CSV, result)
    return _Content(data, result, draft.dev)


def _write(
    draft: Draft, content: _Content, folder: Path, recorded: Collection[int] = ()
) -> Submission:
    data, result, dev = content
    final = folder / str(next_number(folder, recorded))
    temporary = folder / f".{final.name}.tmp-{os.getpid()}"
    manifest = SubmissionManifest(
        sha256=result.sha256,
        rows=result.rows,
        method=draft.method,
        members=draft.members,
        components=draft.components,
        data_sha256=draft.data_sha256,
        dev=dev,
        held_out=draft.held_out,
        rules=result.rules,
        warnings=result.warnings,
        yoyak=__version__,
        written_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    with explain_write_errors(folder):
        temporary.mkdir()
        atomic.write_bytes(temporary / CSV, data)
        atomic.write_bytes(
            temporary / MANIFEST, msgspec.json.format(msgspec.json.encode(manifest), indent=2)
        )
        if (temporary / CSV).read_bytes() != data:
            raise CannotWrite("submission.read-back", file=temporary / CSV)
        temporary.rename(final)
        atomic.sync_folder(folder)
    return _submission(final, manifest)


def _same_answer(draft: Draft, content: _Content, folder: Path) -> Submission | None:
    """Find a submission of the same bytes, origin and data whose file is unchanged."""
    digest = content.result.sha256
    origin = (digest, draft.method, draft.members, draft.data_sha256)
    for path in manifests(folder):
        known = read_manifest(path)
        if (known.sha256, known.method, known.members, known.data_sha256) == origin:
            file = path.with_name(CSV)
            if file.is_file() and sha256(file.read_bytes()).hexdigest() == digest:
                return _submission(path.parent, known)
    return None


def _submission(folder: Path, manifest: SubmissionManifest) -> Submission:
    return Submission(
        path=str(folder / CSV),
        rows=manifest.rows,
        sha256=manifest.sha256,
        manifest=str(folder / MANIFEST),
    )


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """Hold the lock of ``folder``; leftovers of writers that were killed are removed."""
    with explain_write_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for leftover in folder.glob(".*.tmp-*"):
                shutil.rmtree(leftover)
            yield


def next_number(folder: Path, recorded: Collection[int] = ()) -> int:
    """Return one more than any number below ``folder`` or in the ledger: none is used twice."""
    return 1 + max((*submission_numbers(folder), *recorded), default=0)


def render(predictions: Sequence[Prediction], context: ValidationContext) -> bytes:
    """Render the submission's bytes; rows follow the sample, whatever order predictions have.

    Raises:
        BadData: an id is missing, unknown or repeated.
    """
    answers = {one.id: one.text for one in predictions}
    wanted = set(context.csv_format.ids)
    if len(answers) != len(predictions) or answers.keys() != wanted:
        unlike = sorted(answers.keys() ^ wanted)
        raise BadData(
            "submission.wrong-ids",
            found=len(predictions),
            expected=len(wanted),
            count=len(unlike),
            ids=", ".join(unlike[:5]),
        )
    return context.csv_format.render(answers)


def check_file(path: Path, context: ValidationContext) -> ValidationResult:
    """Validate any file, whoever wrote it.

    Raises:
        InputMissing: there is no such file.
        BadData: it is of a format that is no text, such as an Excel workbook.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputMissing("submission.no-file", file=path, problem=error.strerror) from error
    refuse_other_formats(path, data)
    return validate(data, context)


def refusal(name: str, result: ValidationResult) -> BadData:
    """Build the error that names every rule that a refused file breaks."""
    return BadData(
        "submission.refused",
        file=name,
        count=len(result.errors),
        faults="\n".join(f"  {fault.rule}: {fault.text}" for fault in result.errors),
    )

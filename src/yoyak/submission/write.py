"""The only writer of a submission: from scored predictions to a file checked and read back.

``submissions/<n>/`` holds ``submission.csv`` and ``manifest.json``. Both are written to a folder
beside it, forced to the disk, judged, and only then renamed into place: whoever kills the writer
finds the submissions as they were, or one more whole one.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from yoyak import __version__
from yoyak.ensemble.gain import Gain
from yoyak.errors import BadData, CannotWrite, InputMissing
from yoyak.files import atomic
from yoyak.files.disk_errors import saying_why
from yoyak.files.format import SUBMISSION, decode_record
from yoyak.metrics.scorecard import Scorecard
from yoyak.submission.context import ValidationContext
from yoyak.submission.validate import ValidationFault, ValidationResult, validate
from yoyak.values import Interval, Prediction, Rouge, Submission, Value

CSV = "submission.csv"
MANIFEST = "manifest.json"


class Member(Value, frozen=True, kw_only=True):
    """One system whose predictions are in the answer; hashes are of recipes as resolved.

    ``recipe`` and ``recipe_sha256`` are ``None`` for imported predictions.
    """

    system: str
    decode: str
    recipe: str | None = None
    recipe_sha256: str | None = None
    votes: float = 1.0


class DevScore(Value, frozen=True, kw_only=True):
    """What the same answer scored on dev, and under which protocol.

    ``row_means`` are the rows' means of R1, R2 and RL (0 to 1) in dev's order: what two
    submissions have in common decides how well their difference is known.
    """

    rouge: Rouge
    interval: Interval
    signature: str
    row_means: tuple[float, ...]

    @property
    def rows(self) -> int:
        """The rows that were scored."""
        return len(self.row_means)


def dev_score(card: Scorecard) -> DevScore:
    """A scorecard, as far as a manifest keeps it."""
    return DevScore(
        rouge=card.rouge,
        interval=card.interval,
        signature=card.protocol.signature,
        row_means=tuple(round(row.rouge.mean, 6) for row in card.rows),
    )


class Draft(Value, frozen=True, kw_only=True):
    """An answer for test that wants to be handed in, with where it comes from.

    ``data_sha256`` are the fingerprints of train, dev and test. ``dev`` is ``None`` where nobody
    scored this answer's way of answering on dev; such a draft is refused.
    """

    method: str
    members: tuple[Member, ...]
    predictions: tuple[Prediction, ...]
    data_sha256: dict[str, str]
    dev: DevScore | None = None
    components: tuple[float, float, float] | None = None
    """Weights of R1, R2 and RL in the consensus, where there is one."""
    held_out: Gain | None = None
    """What learning such a blend was worth on rows it had not seen; ``None`` if nothing was."""


class SubmissionManifest(Value, frozen=True, kw_only=True):
    """Where every byte of a submission comes from."""

    sha256: str
    rows: int
    method: str
    members: tuple[Member, ...]
    components: tuple[float, float, float] | None
    data_sha256: dict[str, str]
    dev: DevScore
    held_out: Gain | None = None
    rules: int
    warnings: tuple[ValidationFault, ...]
    yoyak: str
    written_at: str
    format: int = SUBMISSION.number


def write_submission(draft: Draft, evidence: ValidationContext, folder: Path) -> Submission:
    """Writes the next submission below ``folder``.

    Raises:
        BadData: the draft has no dev score, an id is missing, or the gate refuses the file.
        CannotWrite: the folder cannot be written, or the file does not read back as written.
        DiskFull: there is no room.
    """
    dev = draft.dev
    if dev is None or evidence.outputs is None:
        raise BadData("submission.unscored", method=draft.method)
    data = render(draft.predictions, evidence)
    verdict = validate(data, evidence)
    if not verdict.accepted:
        raise refusal(CSV, verdict)
    manifest = _manifest(draft, dev, verdict)
    with _writing(folder) as (temporary, final):
        atomic.write_bytes(temporary / CSV, data)
        atomic.write_bytes(
            temporary / MANIFEST, msgspec.json.format(msgspec.json.encode(manifest), indent=2)
        )
        _read_back(temporary / CSV, data)
        temporary.rename(final)
        atomic.sync_folder(folder)
    return Submission(
        path=str(final / CSV),
        rows=verdict.rows,
        sha256=verdict.sha256,
        manifest=str(final / MANIFEST),
    )


def render(predictions: Sequence[Prediction], evidence: ValidationContext) -> bytes:
    """The bytes of the submission; ids follow the sample, whatever order the predictions have.

    Raises:
        BadData: an id is missing, unknown or twice; naming all of them is better than guessing.
    """
    answers = {one.id: one.text for one in predictions}
    wanted = set(evidence.layout.ids)
    if len(answers) != len(predictions) or answers.keys() != wanted:
        unlike = sorted(answers.keys() ^ wanted)
        raise BadData(
            "submission.wrong-ids",
            found=len(predictions),
            expected=len(wanted),
            count=len(unlike),
            ids=", ".join(unlike[:5]),
        )
    return evidence.layout.render(answers)


def check_file(path: Path, evidence: ValidationContext) -> ValidationResult:
    """The gate's verdict on any file, whoever wrote it.

    Raises:
        InputMissing: there is no such file.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputMissing("submission.no-file", file=path, problem=error.strerror) from error
    return validate(data, evidence)


def refusal(name: str, verdict: ValidationResult) -> BadData:
    """The error that says why a file is refused."""
    return BadData(
        "submission.refused",
        file=name,
        count=len(verdict.errors),
        faults="\n".join(f"  {fault.rule}: {fault.text}" for fault in verdict.errors),
    )


def read_manifest(path: Path) -> SubmissionManifest:
    """The manifest of a submission.

    Raises:
        BadData: it is not one that this version writes.
    """
    try:
        return decode_record(path.read_bytes(), SubmissionManifest, SUBMISSION, path)
    except msgspec.DecodeError as error:
        raise BadData("submission.bad-record", file=path, line=1, problem=str(error)) from error


def _manifest(draft: Draft, dev: DevScore, verdict: ValidationResult) -> SubmissionManifest:
    return SubmissionManifest(
        sha256=verdict.sha256,
        rows=verdict.rows,
        method=draft.method,
        members=draft.members,
        components=draft.components,
        data_sha256=draft.data_sha256,
        dev=dev,
        held_out=draft.held_out,
        rules=verdict.rules,
        warnings=verdict.warnings,
        yoyak=__version__,
        written_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


# --- the disk ------------------------------------------------------------------------------------


@contextmanager
def _writing(folder: Path) -> Iterator[tuple[Path, Path]]:
    """A temporary folder and the next free numbered one; one writer at a time."""
    with saying_why(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for left in folder.glob(".*.tmp-*"):  # by writers that were killed: the lock is ours
                shutil.rmtree(left)
            final = folder / str(next_number(folder))
            temporary = folder / f".{final.name}.tmp-{os.getpid()}"
            temporary.mkdir()
            yield temporary, final


def next_number(folder: Path) -> int:
    """One more than the highest number that a submission below ``folder`` has."""
    names = (path.name for path in folder.iterdir())
    return 1 + max((int(name) for name in names if name.isdigit()), default=0)


def _read_back(path: Path, data: bytes) -> None:
    if path.read_bytes() != data:
        raise CannotWrite("submission.read-back", file=path)

"""The manifest beside a submission: where every byte of ``submission.csv`` comes from.

A submission is a folder ``submissions/<n>/`` with ``submission.csv`` and ``manifest.json``; folders
of any other name (copies such as ``1-backup``) are not submissions.
"""

import re
from pathlib import Path

import msgspec

from yoyak.ensemble.gain import Gain
from yoyak.errors import BadData
from yoyak.files.format import SUBMISSION, decode_record
from yoyak.metrics.baselines import TrivialBaselines
from yoyak.metrics.sanity_checks import Alarm
from yoyak.metrics.scorecard import Scorecard
from yoyak.submission.validate import ValidationFault
from yoyak.values import Interval, Rouge, Value

CSV = "submission.csv"
MANIFEST = "manifest.json"
_NUMBER = re.compile(r"[1-9][0-9]*", re.ASCII)


class Member(Value, frozen=True, kw_only=True):
    """One system whose predictions are in the answer; hashes are of recipes as resolved.

    ``recipe`` and ``recipe_sha256`` are ``None`` for imported predictions. ``provenance`` has the
    hashes that bind its answers (weights, recipe, decoding, and the files of dev, test and score);
    it is empty for runs of a version that recorded none. ``toy`` marks a model from scratch.
    """

    system: str
    decode: str
    recipe: str | None = None
    recipe_sha256: str | None = None
    votes: float = 1.0
    toy: bool = False
    provenance: dict[str, str] = {}


class DevScore(Value, frozen=True, kw_only=True):
    """Score of the same answer on dev, and its protocol.

    ``floors`` are the trivial baselines on the same rows (``None`` in format 1), ``alarms`` the
    reasons to doubt it. ``row_means`` are the rows' means of R1, R2 and RL
    (0 to 1) in dev's order, for paired comparisons of submissions.
    """

    rouge: Rouge
    interval: Interval
    signature: str
    row_means: tuple[float, ...]
    floors: TrivialBaselines | None = None
    alarms: tuple[Alarm, ...] = ()

    @property
    def rows(self) -> int:
        """The number of rows scored."""
        return len(self.row_means)


def dev_score(card: Scorecard) -> DevScore:
    """Reduce a scorecard to what a manifest keeps."""
    return DevScore(
        rouge=card.rouge,
        interval=card.interval,
        signature=card.protocol.signature,
        row_means=tuple(round(row.rouge.mean, 6) for row in card.rows),
        floors=card.floors,
        alarms=card.alarms,
    )


class SubmissionManifest(Value, frozen=True, kw_only=True):
    """Origin of a submission; ``data_sha256`` are the fingerprints of train, dev and test."""

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


def read_manifest(path: Path) -> SubmissionManifest:
    """Read a submission's manifest.

    Raises:
        BadData: it is damaged, or a newer version wrote it.
    """
    try:
        return decode_record(path.read_bytes(), SubmissionManifest, SUBMISSION, path)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadData("submission.bad-record", file=path, line=1, problem=str(error)) from error


def manifests(folder: Path) -> list[Path]:
    """List the manifests of the submissions below ``folder``, in order of their numbers."""
    return [
        path
        for number in submission_numbers(folder)
        if (path := folder / str(number) / MANIFEST).is_file()
    ]


def submission_numbers(folder: Path) -> list[int]:
    """Return the numbers of the submissions below ``folder`` in ascending order."""
    names = (path.name for path in folder.iterdir()) if folder.is_dir() else ()
    return sorted(int(name) for name in names if _NUMBER.fullmatch(name))

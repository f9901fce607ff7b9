"""The frozen values that packages exchange: dialogues, predictions, scores.

Scores are fractions 0 to 1 and become ×100 only when rendered; a field's name carries its unit.
``None`` means "not known", which is never the same as zero.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Literal, Self

import msgspec


class Value(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of all values: unknown fields are refused.

    Each class repeats ``frozen`` and ``kw_only``: type checkers do not see them inherited.
    """


class Severity(StrEnum):
    """How bad a finding is: an error refuses, a warning is shown."""

    ERROR = "error"
    WARNING = "warning"


class DevMetric(StrEnum):
    """The metrics on dev that can choose the best checkpoint."""

    ROUGE_MEAN = "rouge_mean"
    ROUGE1 = "rouge1"
    ROUGE2 = "rouge2"
    ROUGEL = "rougeL"
    EVAL_LOSS = "eval_loss"
    """Cross-entropy per token of the reference summaries; the only one where less is better."""

    def is_better(self, value: float, than: float) -> bool:
        """Return whether ``value`` is better than ``than``."""
        return value < than if self is DevMetric.EVAL_LOSS else value > than


# --- data -----------------------------------------------------------------------


class Turn(Value, frozen=True, kw_only=True):
    """One turn of a dialogue; ``speaker`` is the tag as written, ``#Person1#``.

    ``speaker`` is empty for a line that stands before the first tag, or has none at all.
    """

    speaker: str
    text: str

    @property
    def line(self) -> str:
        """The turn as one line of a dialogue."""
        return f"{self.speaker}: {self.text}" if self.speaker else self.text


class Dialogue(Value, frozen=True, kw_only=True):
    """One row of the contest: turns, and the reference summaries where there are any."""

    id: str
    turns: tuple[Turn, ...]
    references: tuple[str, ...] = ()
    topic: str | None = None

    @property
    def text(self) -> str:
        """The dialogue as the file has it: one ``#Person1#: …`` line a turn."""
        return "\n".join(turn.line for turn in self.turns)

    @property
    def speakers(self) -> tuple[str, ...]:
        """The speakers in order of appearance, each once."""
        return tuple(dict.fromkeys(turn.speaker for turn in self.turns if turn.speaker))


SplitName = Literal["train", "dev", "test", "dev2"]
"""``dev2`` is an optional second dev set: scored and shown beside dev, never mixed with it."""

SPLITS: tuple[SplitName, ...] = ("train", "dev", "test")
"""The splits that every data folder has."""


class Split(Value, frozen=True, kw_only=True):
    """All rows of one file, in file order; ``fingerprint`` is the SHA-256 of their content.

    ``cleaned`` tells how many dialogues each clean-up rule changed; a rule that changed none is
    left out. ``speaker_names`` has, by id, the tag that each name of a speaker was replaced by.
    ``cut_ids`` are rows with a cell as long as Excel's limit, ``unread_summaries`` counts the
    summaries of test in corpora that have them.
    """

    name: SplitName
    dialogues: tuple[Dialogue, ...]
    fingerprint: str
    cleaned: dict[str, int] = {}
    speaker_names: dict[str, dict[str, str]] = {}
    cut_ids: tuple[str, ...] = ()
    unread_summaries: int = 0


class Corpus(Value, frozen=True, kw_only=True):
    """The three splits of a data folder, and the text of the sample submission."""

    folder: str
    train: Split
    dev: Split
    test: Split
    sample_submission: str | None = None
    dev2: Split | None = None


# --- prompts and predictions -----------------------------------------------------------------


class Message(Value, frozen=True, kw_only=True):
    """One chat message."""

    role: Literal["system", "user", "assistant"]
    text: str


class Source(Value, frozen=True, kw_only=True):
    """The prompt of one dialogue: chat messages, or plain text for encoder-decoders.

    ``turns_dropped`` counts the middle turns that were left out, as text, to keep the length.
    """

    id: str
    messages: tuple[Message, ...] = ()
    text: str | None = None
    turns_dropped: int = 0


class StopReason(StrEnum):
    """Why a prediction ended."""

    STOP_TOKEN = "stop_token"  # noqa: S105 -- a token of language, not a secret
    LENGTH = "length"
    COPIED = "copied"
    IMPORTED = "imported"


class Prediction(Value, frozen=True, kw_only=True):
    """One generated summary.

    ``raw`` is the text as decoded, ``text`` the summary that is scored and submitted; ``tokens``
    and ``seconds`` are ``None`` where they were not measured (imported files).
    """

    id: str
    text: str
    raw: str
    tokens: int | None = None
    stop: StopReason = StopReason.IMPORTED
    seconds: float | None = None


class PredictedTexts(dict[str, str]):
    """The predicted text of each id, in file order and in NFC.

    ``as_written`` holds the texts that were not in NFC; ``has_dialogues`` says that the file also
    holds dialogues, as the contest's own files do and files of predictions rarely do. ``sha256`` is
    that of the file's bytes as they were read.
    """

    as_written: Mapping[str, str] = MappingProxyType({})
    has_dialogues: bool = False
    sha256: str = ""


# --- scores -----------------------------------------------------------------------


class ReferenceMode(StrEnum):
    """How the scores against several references are combined."""

    MEAN = "mean"
    MAX = "max"


class TagMode(StrEnum):
    """What happens to ``#Person1#`` before the analyser.

    Left to it, kept whole as one token, removed, or set off with blanks.
    """

    SPLIT = "split"
    ATOMIC = "atomic"
    STRIP = "strip"
    SPACED = "spaced"


class Profile(StrEnum):
    """Whose definition of ROUGE is computed."""

    OFFICIAL = "official"
    ROUGE101 = "rouge101"
    BASELINE_NOTEBOOK = "baseline-notebook"


class Protocol(Value, frozen=True, kw_only=True):
    """The identity of a score: two scores with unlike protocols are not comparable.

    ``analyser`` is name, version and dictionary as resolved, such as
    ``mecab-ko-1.3.7/dic-2.1.1.post2``, never as requested.
    """

    profile: Profile
    analyser: str
    references: ReferenceMode
    tags: TagMode
    items: int
    reference_count: str
    """Number of references an item has: ``1``, ``3``, or ``1-3`` where it varies."""
    data_sha256: str
    """SHA-256 of the ids and references that were scored against."""
    version: int = 1

    @property
    def signature(self) -> str:
        """The protocol on one line, in the style of sacreBLEU (Post 2018)."""
        return "|".join(
            (
                "rouge",
                f"profile:{self.profile}",
                f"tok:{self.analyser}",
                f"refs:{self.reference_count}",
                f"agg:{self.references}",
                f"tags:{self.tags}",
                f"items:{self.items}",
                f"sha:{self.data_sha256[:8]}",
                f"v:{self.version}",
            )
        )


class Score(Value, frozen=True, kw_only=True):
    """Precision, recall and F1 of one measure, each 0 to 1."""

    precision: float
    recall: float
    f1: float


class Rouge(Value, frozen=True, kw_only=True):
    """The F1 of the three measures, each 0 to 1."""

    rouge1: float
    rouge2: float
    rougeL: float

    @property
    def sum(self) -> float:
        """R1 + R2 + RL, 0 to 3 (shown as 0 to 300)."""
        return self.rouge1 + self.rouge2 + self.rougeL

    @property
    def mean(self) -> float:
        """The contest's final result, 0 to 1 (shown as 0 to 100)."""
        return self.sum / 3


class Interval(Value, frozen=True, kw_only=True):
    """A confidence interval; ``level`` is 0.95 for 95 %."""

    low: float
    high: float
    level: float = 0.95


# --- submissions -------------------------------------------------------------------


class Blend(Value, frozen=True, kw_only=True):
    """One summary per dialogue, chosen from the predictions of its members."""

    method: str
    members: tuple[str, ...]
    predictions: tuple[Prediction, ...]


class Submission(Value, frozen=True, kw_only=True):
    """A submission file that was written, read back and checked."""

    path: str
    rows: int
    sha256: str
    manifest: str

    def relative_to(self, folder: str) -> Self:
        """Return the same submission with paths relative to ``folder``."""
        return msgspec.structs.replace(
            self,
            path=self.path.removeprefix(folder).lstrip("/"),
            manifest=self.manifest.removeprefix(folder).lstrip("/"),
        )

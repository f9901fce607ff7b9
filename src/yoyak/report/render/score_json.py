"""Machine-readable JSON of a scorecard: scores ×100, with the scales stated in ``scale``."""

from yoyak.metrics.scorecard import Scorecard
from yoyak.values import Rouge, Value


class Figures(Value, frozen=True, kw_only=True):
    """ROUGE scores, each 0 to 100, and their sum, 0 to 300."""

    rouge1: float
    rouge2: float
    rougeL: float
    mean: float
    sum: float


class ScoreFile(Value, frozen=True, kw_only=True):
    """Output of ``yoyak score --json``; ``card`` holds the full data, as fractions 0 to 1."""

    rouge1: float
    rouge2: float
    rougeL: float
    mean: float
    sum: float
    scale: str = "rouge1, rouge2, rougeL, mean: 0 to 100; sum: 0 to 300; card: 0 to 1"
    interval: tuple[float, float]
    """Confidence interval of the mean, at the card's level."""
    rows: int
    signature: str
    floors: dict[str, Figures]
    alarms: tuple[str, ...]
    card: Scorecard


def score_file(card: Scorecard) -> ScoreFile:
    """Return the JSON output for ``card``."""
    floors = {"constant": card.floors.constant, "unrelated": card.floors.unrelated}
    quoted = figures(card.rouge)
    return ScoreFile(
        rouge1=quoted.rouge1,
        rouge2=quoted.rouge2,
        rougeL=quoted.rougeL,
        mean=quoted.mean,
        sum=quoted.sum,
        interval=(100 * card.interval.low, 100 * card.interval.high),
        rows=card.n,
        signature=card.protocol.signature,
        floors={name: figures(rouge) for name, rouge in floors.items() if rouge is not None},
        alarms=tuple(alarm.key for alarm in card.alarms),
        card=card,
    )


def figures(rouge: Rouge) -> Figures:
    """Return ``rouge`` times 100."""
    return Figures(
        rouge1=100 * rouge.rouge1,
        rouge2=100 * rouge.rouge2,
        rougeL=100 * rouge.rougeL,
        mean=100 * rouge.mean,
        sum=100 * rouge.sum,
    )

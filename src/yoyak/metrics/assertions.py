"""Hold a score in a test: fail with a table of the worst rows."""

from collections.abc import Mapping

from yoyak.errors import UsageError
from yoyak.messages import text, visible
from yoyak.metrics.protocol import OFFICIAL, Definition
from yoyak.metrics.scorecard import Scorecard
from yoyak.metrics.text_lists import Predictions, References, rows_by_id, score

_SHOWN = 10


def assert_rouge_at_least(
    predictions: Predictions,
    references: References,
    least: float,
    *,
    protocol: str | Definition = OFFICIAL,
) -> Scorecard:
    """Return the scorecard if its mean is at least ``least``, a fraction 0 to 1; else fail.

    Raises:
        AssertionError: the mean is below; its text names the ten worst rows, worst first.
        UsageError: ``least`` is no fraction; further errors are those of ``yoyak.metrics.score``.
    """
    __tracebackhide__ = True  # pytest then shows the line of the test
    if not 0 <= least <= 1:
        raise UsageError("metrics.no-fraction", found=least, fraction=least / 100)
    texts, theirs = rows_by_id(predictions, references)
    card = score(texts, theirs, protocol=protocol)
    if card.rouge.mean < least:
        raise AssertionError(_report(card, least, texts, theirs))
    return card


def _report(
    card: Scorecard,
    least: float,
    texts: Mapping[str, str],
    references: Mapping[str, tuple[str, ...]],
) -> str:
    worst = sorted(card.rows, key=lambda row: row.rouge.mean)[:_SHOWN]
    width = max(map(len, ("id", *(row.id for row in worst))))
    lines = [
        text(
            "metrics.below-least",
            mean=f"{100 * card.rouge.mean:.2f}",
            least=f"{100 * least:.2f}",
            low=f"{100 * card.interval.low:.2f}",
            high=f"{100 * card.interval.high:.2f}",
            rows=card.n,
        ),
        *(f"{alarm.severity.value}: {alarm.sentence}" for alarm in card.alarms[:_SHOWN]),
        "",
        text("metrics.worst-rows", count=len(worst)),
        f"{'id':<{width}}     R-1     R-2     R-L    mean",
    ]
    for row in worst:
        measured = (row.rouge.rouge1, row.rouge.rouge2, row.rouge.rougeL, row.rouge.mean)
        lines.append(f"{row.id:<{width}}" + "".join(f"{100 * each:8.2f}" for each in measured))
        lines.append(text("metrics.worst-prediction", text=_short(texts[row.id])))
        lines += [text("metrics.worst-reference", text=_short(each)) for each in references[row.id]]
    return "\n".join(lines)


def _short(written: str, limit: int = 160) -> str:
    return visible(written if len(written) <= limit else f"{written[: limit - 1]}…")

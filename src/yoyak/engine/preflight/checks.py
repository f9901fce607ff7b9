"""The proof card of step 0: what must be true before an hour is spent, each line checked.

Every failure that is on record for this work has a line that would have shown it.
"""

from collections.abc import Iterable, Sequence

from yoyak import messages
from yoyak.config.schema import Recipe
from yoyak.engine.device import Precision
from yoyak.engine.models.model import ModelBundle
from yoyak.engine.preflight.data_checks import (
    RowCheckContext,
    check_rows,
    example_places,
    total_length,
)
from yoyak.engine.preflight.kernel_checks import check_switches
from yoyak.engine.preflight.model_checks import CheckContext, check_model
from yoyak.engine.tokenization.encode import EncodedRow
from yoyak.errors import RunFailed
from yoyak.events import CheckResult
from yoyak.values import Dialogue


def run_checks(
    bundle: ModelBundle,
    rows: Sequence[EncodedRow],
    dialogues: Sequence[Dialogue],
    recipe: Recipe,
    precision: Precision,
) -> tuple[CheckResult, ...]:
    """Every line of the card, red ones too; nothing about the model is changed.

    Args:
        bundle: the model as it is about to be trained, adapters in place.
        rows: the training rows with answers, in the order of ``dialogues``.
        dialogues: what the rows were made of.
        recipe: says how dialogues are shown.
        precision: the declared number formats.
    """
    exhibit = RowCheckContext(bundle.tokenizer, recipe.prompt, dialogues, rows)
    bench = check_context(bundle, rows, precision)
    proved = (*check_rows(exhibit), *check_model(bench))
    if not all(line.passed for line in proved):
        return proved
    return (*proved, *check_switches(bench, recipe.train))


def check_context(
    bundle: ModelBundle, rows: Sequence[EncodedRow], precision: Precision
) -> CheckContext:
    """The bench of a model: the shortest, median and longest row, and four light ones."""
    return CheckContext(
        bundle,
        [rows[place] for place in example_places(rows)],
        [rows[place] for place in light_places(rows)],
        precision,
    )


def light_places(rows: Sequence[EncodedRow]) -> list[int]:
    """Where four rows stand, from the shortest to just below the median: they fit anywhere."""
    ordered = sorted(range(len(rows)), key=lambda place: total_length(rows[place]))
    return [ordered[len(ordered) * eighth // 8] for eighth in range(4)]


def require(checks: Iterable[CheckResult]) -> None:
    """Passes a card without a red line.

    Raises:
        RunFailed: names every red line and what was found.
    """
    red = [line for line in checks if not line.passed]
    if red:
        lines = "; ".join(f"{title_of(line)}: {line.found}" for line in red)
        raise RunFailed("engine.proof-failed", count=len(red), lines=lines)


def title_of(line: CheckResult) -> str:
    """What a line of the card claims, in the reader's language."""
    return messages.text(f"engine.proof-{line.name}")

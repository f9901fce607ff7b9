"""Check the first eight answers before hours are spent on the rest.

If all eight are empty, repeat their prompt or are in another script, something is broken that no
further row can show. Small scratch models are expected to fail: they only cause a warning.
"""

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from yoyak.data.clean import TAG
from yoyak.engine import Emit
from yoyak.engine.tokenization.encode import EncodedRow
from yoyak.engine.tokenization.script_filter import FOREIGN_TEXT
from yoyak.errors import RunFailed
from yoyak.events import Warned
from yoyak.values import Dialogue, Prediction

if TYPE_CHECKING:
    from yoyak.engine.tokenization.tokenizer import ModelTokenizer

CHECKED_ROWS = 8
ECHO_RATIO = 95.0
"""From this similarity (0 to 100) to a passage of its prompt, an answer is an echo."""

GenerateRows = Callable[[Sequence[EncodedRow]], Iterator[Prediction]]


class SmokeCheck(NamedTuple):
    """What the check needs; ``scratch`` models only cause warnings."""

    tokenizer: "ModelTokenizer"
    tags_expected: bool
    scratch: bool
    emit: Emit


class SmokeCheckResult(NamedTuple):
    """How many of ``rows`` answers show each fault."""

    rows: int
    empty: int
    echo: int
    foreign: int
    untagged: int

    @property
    def fatal(self) -> str | None:
        """The fault that every answer shows, if it is one that ends a run."""
        faults = {"empty": self.empty, "echo": self.echo, "foreign": self.foreign}
        return next((name for name, count in faults.items() if count == self.rows), None)


def with_smoke_check(
    rows: Sequence[EncodedRow], generate: GenerateRows, check: SmokeCheck
) -> Iterator[Prediction]:
    """Yield ``generate(rows)``, after its first eight answers were checked.

    The eight are evenly spaced rows of the job: none is generated twice. Fewer than eight rows are
    not checked.

    Raises:
        RunFailed: all eight have the same fault, and the model is not a scratch model.
    """
    if len(rows) < CHECKED_ROWS:
        yield from generate(rows)
        return
    first = rows[:: len(rows) // CHECKED_ROWS][:CHECKED_ROWS]
    chosen = {row.id for row in first}
    answers = list(generate(first))
    prompts = {row.id: check.tokenizer.decode(row.source_ids) for row in first}
    raise_or_warn(inspect_answers(answers, prompts), check)
    yield from answers
    yield from generate([row for row in rows if row.id not in chosen])


def inspect_answers(answers: Sequence[Prediction], prompts: Mapping[str, str]) -> SmokeCheckResult:
    """Count the faults of ``answers``; ``prompts`` are the decoded prompts by row id."""
    return SmokeCheckResult(
        rows=len(answers),
        empty=sum(not answer.text for answer in answers),
        echo=sum(_is_echo(answer.text, prompts[answer.id]) for answer in answers),
        foreign=sum(bool(FOREIGN_TEXT.search(answer.text)) for answer in answers),
        untagged=sum(not re.search(TAG, answer.text) for answer in answers),
    )


def raise_or_warn(result: SmokeCheckResult, check: SmokeCheck) -> None:
    """Stop the run, emit a warning, or do nothing.

    Raises:
        RunFailed: as ``with_smoke_check``.
    """
    fault = result.fatal
    if fault is not None and not check.scratch:
        raise RunFailed(f"engine.canary-{fault}", rows=result.rows)
    if fault is None and check.tags_expected and result.untagged == result.rows:
        fault = "untagged"
    if fault is not None:
        fields = {"rows": str(result.rows)}
        check.emit(Warned(at=time.time(), key=f"engine.canary-{fault}", fields=fields))


def tags_expected(dialogues: Iterable[Dialogue]) -> bool:
    """Return whether most training summaries contain a tag such as ``#Person1#``."""
    tagged = [bool(re.search(TAG, text)) for row in dialogues for text in row.references[:1]]
    return sum(tagged) > len(tagged) / 2


def _is_echo(answer: str, prompt: str) -> bool:
    from rapidfuzz import fuzz

    line = " ".join(prompt.split())
    return bool(answer) and fuzz.partial_ratio(answer, line) >= ECHO_RATIO

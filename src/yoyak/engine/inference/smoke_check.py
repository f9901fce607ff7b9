"""The canary: eight rows are answered and looked at before hours are spent on the rest.

A run that says nothing, repeats its prompt or writes another script on all eight rows has a fault
that no further row can heal. A toy from scratch is expected to talk rubbish: it is only warned of.
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

ROWS = 8
ECHO_RATIO = 95.0
"""From this similarity of an answer to a passage of its prompt on, 0 to 100, it is an echo."""

Generate = Callable[[Sequence[EncodedRow]], Iterator[Prediction]]


class SmokeCheck(NamedTuple):
    """What the canary is judged by; ``scratch`` models only cause warnings."""

    tokenizer: "ModelTokenizer"
    tags_expected: bool
    scratch: bool
    emit: Emit


class SmokeCheckResult(NamedTuple):
    """On how many of ``rows`` answers each fault was seen."""

    rows: int
    empty: int
    echo: int
    foreign: int
    untagged: int

    @property
    def fatal(self) -> str | None:
        """The fault that every answer has, if it is one that ends a run."""
        faults = {"empty": self.empty, "echo": self.echo, "foreign": self.foreign}
        return next((name for name, count in faults.items() if count == self.rows), None)


def with_smoke_check(
    rows: Sequence[EncodedRow], speak: Generate, guard: SmokeCheck
) -> Iterator[Prediction]:
    """``speak(rows)``, its first eight answers judged; with fewer rows than that, unjudged.

    The eight are spread over ``rows`` and are part of the job: none is answered twice.

    Raises:
        RunFailed: all eight have the same fault, and the model is meant for quality.
    """
    if len(rows) < ROWS:
        yield from speak(rows)
        return
    first = rows[:: len(rows) // ROWS][:ROWS]
    chosen = {row.id for row in first}
    answers = list(speak(first))
    raise_or_warn(
        inspect_answers(answers, {row.id: guard.tokenizer.decode(row.source_ids) for row in first}),
        guard,
    )
    yield from answers
    yield from speak([row for row in rows if row.id not in chosen])


def inspect_answers(answers: Sequence[Prediction], prompts: Mapping[str, str]) -> SmokeCheckResult:
    """The symptoms of ``answers``; ``prompts`` holds by id what the model was shown."""
    return SmokeCheckResult(
        rows=len(answers),
        empty=sum(not answer.text for answer in answers),
        echo=sum(_echoes(answer.text, prompts[answer.id]) for answer in answers),
        foreign=sum(bool(FOREIGN_TEXT.search(answer.text)) for answer in answers),
        untagged=sum(not re.search(TAG, answer.text) for answer in answers),
    )


def raise_or_warn(symptoms: SmokeCheckResult, guard: SmokeCheck) -> None:
    """Stops the run, warns, or does nothing.

    Raises:
        RunFailed: see ``guarded``.
    """
    fault = symptoms.fatal
    if fault is not None and not guard.scratch:
        raise RunFailed(f"engine.canary-{fault}", rows=symptoms.rows)
    if fault is None and guard.tags_expected and symptoms.untagged == symptoms.rows:
        fault = "untagged"
    if fault is not None:
        fields = {"rows": str(symptoms.rows)}
        guard.emit(Warned(at=time.time(), key=f"engine.canary-{fault}", fields=fields))


def tags_expected(dialogues: Iterable[Dialogue]) -> bool:
    """Whether most of the summaries to learn from name a tag such as ``#Person1#``."""
    tagged = [bool(re.search(TAG, text)) for row in dialogues for text in row.references[:1]]
    return sum(tagged) > len(tagged) / 2


def _echoes(answer: str, prompt: str) -> bool:
    from rapidfuzz import fuzz

    shown = " ".join(prompt.split())
    return bool(answer) and fuzz.partial_ratio(answer, shown) >= ECHO_RATIO

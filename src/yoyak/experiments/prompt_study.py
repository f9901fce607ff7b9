"""A study of prompts: candidates from a file or by edits of the recipe's prompt."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from yoyak.config.schema import PromptSettings, Recipe
from yoyak.config.toml_file import read_toml
from yoyak.errors import BadRecipe, UsageError
from yoyak.experiments.begin_study import StudyBudget, begin
from yoyak.experiments.study_loop import StudyContext, judge
from yoyak.experiments.successive_halving import halve, most_trials, rounds_of
from yoyak.files import atomic
from yoyak.runs.study import Study, StudyKind, Trial
from yoyak.values import Corpus

LENGTH_HINTS = ("한 문장으로 쓰세요.", "두세 문장으로 쓰세요.", "대화 길이의 20% 이내로 쓰세요.")
"""The last is the contest's own guideline for summaries."""
SHOTS = (1, 3)


class PromptCandidate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One prompt to try; what is ``None`` is as in the recipe."""

    label: str = ""
    system: str | None = None
    instruction: str | None = None
    length_hint: str | None = None
    """A sentence after the instruction."""
    examples: int | None = None
    turn_format: Literal["lines", "numbered", "spaced"] | None = None
    speaker_names: Literal["tags", "words"] | None = None

    def sets(self, prompt: PromptSettings) -> tuple[str, ...]:
        """Return the settings that make it out of the recipe's ``prompt``."""
        instruction = self.instruction
        if self.length_hint is not None:
            first = prompt.instruction if instruction is None else instruction
            instruction = f"{first} {self.length_hint}".strip()
        found: dict[str, Any] = {
            "system": self.system,
            "instruction": instruction,
            "examples": self.examples,
            "turn_format": self.turn_format,
            "speaker_names": self.speaker_names,
        }
        return tuple(
            f"prompt.{name}={json.dumps(value, ensure_ascii=False)}"
            for name, value in found.items()
            if value is not None and value != getattr(prompt, name)
        )


class _PromptFile(msgspec.Struct, forbid_unknown_fields=True):
    prompt: list[PromptCandidate]


def read_candidates(path: Path) -> list[PromptCandidate]:
    """Read the ``[[prompt]]`` tables of a TOML file.

    Raises:
        InputMissing, BadRecipe: it is not there, or holds anything else.
    """
    try:
        return msgspec.convert(read_toml(path), _PromptFile).prompt
    except msgspec.ValidationError as error:
        raise BadRecipe("experiments.bad-prompts", path=path, problem=error) from error


def edits_of(prompt: PromptSettings) -> Iterator[PromptCandidate]:
    """Yield one candidate for each edit of ``prompt``, one thing changed at a time."""
    if prompt.system:
        yield PromptCandidate(label="system –", system="")
    for hint in LENGTH_HINTS:
        yield PromptCandidate(label=f"+ {hint}", length_hint=hint)
    yield PromptCandidate(label="turn_format numbered", turn_format="numbered")
    yield PromptCandidate(label="turn_format spaced", turn_format="spaced")
    yield PromptCandidate(label="speaker_names words", speaker_names="words")
    if prompt.style == "chat":
        for shots in SHOTS:
            yield PromptCandidate(label=f"examples {shots}", examples=shots)


def trials_of(recipe: Recipe, candidates: Sequence[PromptCandidate]) -> list[Trial]:
    """Return the first round: the recipe as it is, then each candidate that differs from it.

    Raises:
        UsageError: none differs.
    """
    named = recipe.file or recipe.name
    found = [Trial(number=0, candidate=0, recipe=named, sets=())]
    known: set[tuple[str, ...]] = {()}
    for one in candidates:
        sets = one.sets(recipe.prompt)
        if sets not in known:
            known.add(sets)
            number = len(found)
            label = one.label or ", ".join(sets)
            found.append(
                Trial(number=number, candidate=number, recipe=named, sets=sets, label=label)
            )
    if len(found) == 1:
        raise UsageError("experiments.no-other-prompt")
    return found


def new_study(
    recipe: Recipe,
    corpus: Corpus,
    candidates: Sequence[Trial],
    budget: StudyBudget,
    *,
    name: str,
    steps: int,
) -> Study:
    """Return a study of prompts before its first trial; ``steps`` are of the training round."""
    sha256 = atomic.sha256_of(recipe.full_hash, [one.sets for one in candidates], steps)
    named = recipe.file or recipe.name
    return begin(StudyKind.PROMPT, corpus, budget, name=name, recipe=named, sha256=sha256)


def budget_of(candidates: int, *, steps: int, seeds: int, width: int) -> StudyBudget:
    """Return what the rounds spend at most."""
    return StudyBudget(most_trials(candidates, rounds_of(steps)), seeds, width)


def run_study(
    study: Study, candidates: Sequence[Trial], context: StudyContext, *, steps: int, base_seed: int
) -> Study:
    """Carry the study through its rounds to its verdict.

    Raises:
        Interrupted: stopped with everything saved.
        RunFailed: the recipe as it is failed.
    """
    study = halve(study, candidates, rounds_of(steps), context)
    return judge(study, context, base_seed=base_seed)

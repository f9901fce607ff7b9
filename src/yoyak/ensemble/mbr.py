"""From candidates to an answer that can be handed in: weighed on dev, applied to test."""

from collections.abc import Sequence
from typing import NamedTuple

from yoyak.ensemble.candidates import Candidate, pool
from yoyak.ensemble.cross_validation import REPEATS, SEED, CrossValidation, cross_validate
from yoyak.ensemble.member_selection import MEMBERS, DevScores, EnsembleConfig
from yoyak.ensemble.methods import EnsembleInputs, ensemble_inputs, gains, run_method, similarity
from yoyak.errors import BadData
from yoyak.metrics.scorecard import evaluate
from yoyak.submission.context import ValidationContext, gather_context
from yoyak.submission.write import Draft, Member, dev_score
from yoyak.values import Blend, Corpus, Split


class EnsembleFit(NamedTuple):
    """Candidates, and what choosing among them is worth on dev."""

    candidates: tuple[Candidate, ...]
    nested: CrossValidation


class EnsembleAnswer(NamedTuple):
    """What can be handed in, and what the gate holds it against."""

    draft: Draft
    evidence: ValidationContext


def fit(
    candidates: Sequence[Candidate],
    corpus: Corpus,
    *,
    members: int = MEMBERS,
    repeats: int = REPEATS,
    seed: int = SEED,
) -> EnsembleFit:
    """The nested evaluation of all blends of ``candidates`` under the contest's protocol."""
    columns = pool(candidates, corpus.dev)
    field = DevScores(
        columns,
        similarity(columns),
        gains(columns, [row.references for row in corpus.dev.dialogues]),
    )
    nested = cross_validate(field, repeats=repeats, seed=seed, members=members)
    return EnsembleFit(tuple(candidates), nested)


def equal_weights(candidates: Sequence[Candidate], method: str) -> EnsembleConfig:
    """One vote for every system, for a blend that learns nothing."""
    systems = dict.fromkeys((one.lineage.system for one in candidates), 1.0)
    return EnsembleConfig(method=method, votes=systems)


def answer(
    candidates: Sequence[Candidate], corpus: Corpus, choice: EnsembleConfig
) -> EnsembleAnswer:
    """The answer of ``choice`` to test, scored by the answer of the same choice to dev.

    Raises:
        BadData: a member has not predicted all of test.
    """
    members = _members(candidates, choice)
    unready = [one.lineage.name for one in members if one.test is None]
    if unready:
        raise BadData("submission.no-test", systems=", ".join(unready))
    dev = apply(members, corpus.dev, choice)
    test = apply(members, corpus.test, choice)
    evidence = gather_context(
        corpus,
        outputs=dev.predictions,
        instructions=[text for one in members for text in one.instructions],
    )
    splits = (corpus.train, corpus.dev, corpus.test)
    draft = Draft(
        method=choice.method,
        members=tuple(_member(one, choice) for one in members),
        predictions=test.predictions,
        data_sha256={split.name: split.fingerprint for split in splits},
        dev=dev_score(evaluate(dev.predictions, corpus.dev)),
        components=choice.components if choice.column is None else None,
    )
    return EnsembleAnswer(draft, evidence)


def apply(members: Sequence[Candidate], split: Split, choice: EnsembleConfig) -> Blend:
    """The answer of ``choice`` to a split."""
    columns = pool(members, split)
    cast: EnsembleInputs = ensemble_inputs(columns)
    if choice.column is None:
        cast = ensemble_inputs(columns, votes=choice.votes, components=choice.components)
    return run_method(choice.method, cast)


def _members(candidates: Sequence[Candidate], choice: EnsembleConfig) -> list[Candidate]:
    if choice.column is not None:
        return [one for one in candidates if one.lineage.name == choice.column]
    return [one for one in candidates if choice.votes.get(one.lineage.system, 0) > 0]


def _member(candidate: Candidate, choice: EnsembleConfig) -> Member:
    lineage = candidate.lineage
    return Member(
        system=lineage.system,
        decode=lineage.decode,
        recipe=lineage.recipe,
        recipe_sha256=lineage.recipe_sha256,
        votes=choice.votes.get(lineage.system, 1.0),
    )

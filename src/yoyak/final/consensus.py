"""From candidates to an answer that can be handed in: weighed on dev, applied to test."""

from collections.abc import Sequence
from typing import NamedTuple

from yoyak.errors import BadData
from yoyak.final.blend import Ballot, ballot, blend, gains, similarity
from yoyak.final.candidates import Candidate, pool
from yoyak.final.evidence import Evidence, gather
from yoyak.final.nested import REPEATS, SEED, Nested, evaluate
from yoyak.final.select import MEMBERS, Choice, Field
from yoyak.final.submission import Draft, Member, dev_score
from yoyak.score.card import judge
from yoyak.values import Blend, Corpus, Split


class Weighed(NamedTuple):
    """Candidates, and what choosing among them is worth on dev."""

    candidates: tuple[Candidate, ...]
    nested: Nested


class Answer(NamedTuple):
    """What can be handed in, and what the gate holds it against."""

    draft: Draft
    evidence: Evidence


def weigh(
    candidates: Sequence[Candidate],
    corpus: Corpus,
    *,
    members: int = MEMBERS,
    repeats: int = REPEATS,
    seed: int = SEED,
) -> Weighed:
    """The nested evaluation of all blends of ``candidates`` under the contest's protocol."""
    columns = pool(candidates, corpus.dev)
    field = Field(
        columns,
        similarity(columns),
        gains(columns, [row.references for row in corpus.dev.dialogues]),
    )
    nested = evaluate(field, repeats=repeats, seed=seed, members=members)
    return Weighed(tuple(candidates), nested)


def equal_choice(candidates: Sequence[Candidate], method: str) -> Choice:
    """One vote for every system, for a blend that learns nothing."""
    systems = dict.fromkeys((one.lineage.system for one in candidates), 1.0)
    return Choice(method=method, votes=systems)


def answer(candidates: Sequence[Candidate], corpus: Corpus, choice: Choice) -> Answer:
    """The answer of ``choice`` to test, scored by the answer of the same choice to dev.

    Raises:
        BadData: a member has not predicted all of test.
    """
    members = _members(candidates, choice)
    unready = [one.lineage.name for one in members if one.test is None]
    if unready:
        raise BadData("final.no-test", systems=", ".join(unready))
    dev = apply(members, corpus.dev, choice)
    test = apply(members, corpus.test, choice)
    evidence = gather(
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
        dev=dev_score(judge(dev.predictions, corpus.dev)),
        components=choice.components if choice.column is None else None,
    )
    return Answer(draft, evidence)


def apply(members: Sequence[Candidate], split: Split, choice: Choice) -> Blend:
    """The answer of ``choice`` to a split."""
    columns = pool(members, split)
    cast: Ballot = ballot(columns)
    if choice.column is None:
        cast = ballot(columns, votes=choice.votes, components=choice.components)
    return blend(choice.method, cast)


def _members(candidates: Sequence[Candidate], choice: Choice) -> list[Candidate]:
    if choice.column is not None:
        return [one for one in candidates if one.lineage.name == choice.column]
    return [one for one in candidates if choice.votes.get(one.lineage.system, 0) > 0]


def _member(candidate: Candidate, choice: Choice) -> Member:
    lineage = candidate.lineage
    return Member(
        system=lineage.system,
        decode=lineage.decode,
        recipe=lineage.recipe,
        recipe_sha256=lineage.recipe_sha256,
        votes=choice.votes.get(lineage.system, 1.0),
    )

"""Submit: from a workspace to a submission of one system or of an ensemble.

What is submitted is what was scored: a candidate whose predictions or score were edited, or made
from other data, weights or decoding than now, is refused (``yoyak.runs.stage_records``).
"""

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from yoyak.ensemble.candidates import Candidate, candidates, pool
from yoyak.errors import BadData, InputMissing
from yoyak.messages import text
from yoyak.metrics.scorecard import evaluate
from yoyak.runs.workspace import Workspace
from yoyak.submission.contest_rules import check_contest_rules
from yoyak.submission.context import ValidationContext, gather_context
from yoyak.submission.manifest import (
    Member,
    SubmissionManifest,
    dev_score,
    manifests,
    read_manifest,
)
from yoyak.submission.write import Draft, render, write_once
from yoyak.values import Blend, Corpus, Split, Submission

if TYPE_CHECKING:
    from yoyak.ensemble.cross_validation import CrossValidation
    from yoyak.ensemble.member_selection import EnsembleConfig


class Submitted(NamedTuple):
    """A submission; ``nested`` is the cross-validation of its ensemble, where one was learned.

    ``left_out`` names the systems that have not answered test, ``stale`` those whose answers do
    not belong to these data any more, ``unverified`` the members of which an older version
    recorded no hashes.
    """

    submission: Submission
    nested: "CrossValidation | None" = None
    left_out: tuple[str, ...] = ()
    stale: tuple[str, ...] = ()
    unverified: tuple[str, ...] = ()


class ReadyCandidates(NamedTuple):
    """Candidates of a workspace, sorted by what can be done with them.

    ``ready`` have answered all of test and are what they were scored as, ``stale`` have answered it
    and are not, ``unanswered`` have not. Each is in order of the dev mean.
    """

    ready: tuple[Candidate, ...]
    stale: tuple[Candidate, ...]
    unanswered: tuple[Candidate, ...]


def submit(workspace: Workspace, corpus: Corpus, system: str | None = None) -> Submission:
    """Write the submission of ``system``, by default of the best on dev.

    The same answer is written once: asked again, the existing submission is returned.

    Args:
        workspace: runs, imports, and where the submission goes.
        corpus: the data.
        system: a run, a recipe (its newest run) or an import.

    Raises:
        InputMissing: nothing on these data is predicted and scored, or is called ``system``.
        BadData: the answers are stale or edited, the gate refuses them, or the contest's rules
            seem broken.
    """
    return submit_system(workspace, corpus, system).submission


def submit_system(workspace: Workspace, corpus: Corpus, system: str | None = None) -> Submitted:
    """Submit one system as ``submit`` does; the result says which candidates were left out."""
    found = ready_candidates(workspace, corpus, () if system is None else (system,))
    best = found.ready[0] if found.ready else None
    if found.stale and (best is None or (system and _mean(found.stale[0]) >= _mean(best))):
        raise _stale(found.stale[0])
    if best is None:
        raise InputMissing("submission.no-scored-run", workspace=workspace.folder)
    check_contest_rules(corpus, [best.recipe] if best.recipe else [])
    submission = _file(workspace, _draft(best, corpus), context_of(best, corpus))
    return Submitted(submission, stale=_names(found.stale), unverified=_unverified([best]))


def submit_ensemble(
    workspace: Workspace, corpus: Corpus, method: str, systems: Sequence[str] = ()
) -> Submitted:
    """Write the submission of an ensemble of ``systems``, by default of everything that is ready.

    ``mbr`` learns members, votes and weights on dev; where no ensemble beats the best system, that
    system's answer is submitted as it is. Every other method gives each system one vote.

    Raises:
        InputMissing: as ``submit``, or fewer than two candidates are ready.
        UsageError: there is no such method.
        BadData: a named system is stale or edited, the gate refuses the answer, or the contest's
            rules seem broken.
    """
    from yoyak.ensemble.cross_validation import cross_validate
    from yoyak.ensemble.member_selection import dev_scores, equal_weights
    from yoyak.ensemble.methods import load_method

    load_method(method)
    found = ready_candidates(workspace, corpus, systems)
    ready, left_out = found.ready, _systems(found.unanswered)
    if found.stale and (systems or len(ready) < 2):
        raise _stale(found.stale[0])
    if len(ready) < 2:
        names = ", ".join(_names(ready)) or "–"
        waiting = ", ".join(left_out) or "–"
        raise InputMissing("submission.few-to-blend", ready=names, waiting=waiting)
    check_contest_rules(corpus, [one.recipe for one in ready if one.recipe])
    nested = cross_validate(dev_scores(ready, corpus.dev)) if method == "mbr" else None
    config = equal_weights(ready, method) if nested is None else nested.choice
    draft, context = ensemble_answer(ready, corpus, config)
    if nested is not None and config.column is None:
        draft = msgspec.structs.replace(draft, held_out=nested.blend)
    return Submitted(
        _file(workspace, draft, context),
        nested,
        left_out,
        _names(found.stale),
        _unverified(_members(ready, config)),
    )


def ready_candidates(
    workspace: Workspace, corpus: Corpus, names: Sequence[str] = ()
) -> ReadyCandidates:
    """Sort the candidates into ready, stale and those that have not answered test.

    Raises:
        InputMissing: a name has no candidate.
    """
    found = candidates(workspace, corpus, names)
    answered = [one for one in found if one.test is not None]
    return ReadyCandidates(
        tuple(one for one in answered if not one.stale),
        tuple(one for one in answered if one.stale),
        tuple(one for one in found if one.test is None),
    )


def _file(workspace: Workspace, draft: Draft, context: ValidationContext) -> Submission:
    return write_once(draft, context, workspace.submissions_folder, workspace.ledger_path)


def _stale(candidate: Candidate) -> BadData:
    """Return the error that names everything that is stale about a candidate."""
    lineage = candidate.lineage
    reasons = "; ".join(
        text(f"submission.because-{one.reason}", output=one.output) for one in candidate.stale
    )
    key = "stale-import" if candidate.recipe is None else "stale-run"
    if candidate.variant is not None:
        key = "stale-variant"
    return BadData(
        f"submission.{key}",
        name=lineage.name,
        system=lineage.system,
        recipe=lineage.recipe if candidate.recipe is None else candidate.recipe.argument,
        reasons=reasons,
    )


def _mean(candidate: Candidate) -> float:
    return candidate.card.rouge.mean


def _names(found: Sequence[Candidate]) -> tuple[str, ...]:
    return tuple(one.lineage.name for one in found)


def _systems(found: Sequence[Candidate]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one.lineage.system for one in found))


def _unverified(found: Sequence[Candidate]) -> tuple[str, ...]:
    return _names([one for one in found if not one.verifiable])


# --- what a file is checked against --------------------------------------------------------------


def context_of(candidate: Candidate, corpus: Corpus) -> ValidationContext:
    """Gather what the gate checks the answers of one candidate against."""
    return gather_context(corpus, outputs=candidate.dev, instructions=candidate.instructions)


def context_for_file(workspace: Workspace, corpus: Corpus, path: Path) -> ValidationContext:
    """Gather what the gate checks a file against, with its system's dev outputs if known.

    They are known where the file is, byte for byte, the answer of one candidate of the workspace,
    or an ensemble's submission whose members are still there.
    """
    context = gather_context(corpus)
    data = path.read_bytes() if path.is_file() else b""
    ready = ready_candidates(workspace, corpus).ready
    for candidate in ready:
        if candidate.test and render(candidate.test, context) == data:
            return context_of(candidate, corpus)
    digest = sha256(data).hexdigest()
    for manifest in map(read_manifest, manifests(workspace.submissions_folder)):
        if manifest.sha256 == digest and (members := members_of(manifest, ready)):
            return ensemble_answer(members, corpus, config_of(manifest)).context
    return context


def members_of(manifest: SubmissionManifest, found: Sequence[Candidate]) -> tuple[Candidate, ...]:
    """Return the members of an ensemble's submission; none if one is gone, or it is no ensemble."""
    names = {f"{one.system}/{one.decode}" for one in manifest.members}
    members = tuple(one for one in found if one.lineage.name in names)
    return members if len(members) == len(names) > 1 else ()


def config_of(manifest: SubmissionManifest) -> "EnsembleConfig":
    """Return the ensemble configuration of a submission."""
    from yoyak.ensemble.member_selection import EnsembleConfig
    from yoyak.ensemble.methods import EQUAL

    votes = {one.system: one.votes for one in manifest.members}
    components = manifest.components or EQUAL
    return EnsembleConfig(method=manifest.method, votes=votes, components=components)


# --- drafts --------------------------------------------------------------------------------------


class EnsembleAnswer(NamedTuple):
    """A draft, and what the gate checks it against."""

    draft: Draft
    context: ValidationContext


def ensemble_answer(
    candidates: Sequence[Candidate], corpus: Corpus, config: "EnsembleConfig"
) -> EnsembleAnswer:
    """Apply ``config`` to test, and to dev for its score.

    Raises:
        BadData: a member has not predicted all of test.
    """
    members = _members(candidates, config)
    unanswered = [one for one in members if one.test is None]
    if unanswered:
        raise BadData("submission.no-test", systems=", ".join(_names(unanswered)))
    dev = _apply(members, corpus.dev, config)
    test = _apply(members, corpus.test, config)
    context = gather_context(
        corpus,
        outputs=dev.predictions,
        instructions=[each for one in members for each in one.instructions],
    )
    draft = Draft(
        method=config.method,
        members=tuple(_member(one, config.votes.get(one.lineage.system, 1.0)) for one in members),
        predictions=test.predictions,
        data_sha256=_fingerprints(corpus),
        dev=dev_score(evaluate(dev.predictions, corpus.dev)),
        components=config.components if config.column is None else None,
    )
    return EnsembleAnswer(draft, context)


def _draft(candidate: Candidate, corpus: Corpus) -> Draft:
    return Draft(
        method="best",
        members=(_member(candidate),),
        predictions=candidate.test or (),
        data_sha256=_fingerprints(corpus),
        dev=dev_score(candidate.card),
    )


def _apply(members: Sequence[Candidate], split: Split, config: "EnsembleConfig") -> Blend:
    from yoyak.ensemble.methods import ensemble_inputs, run_method

    columns = pool(members, split)
    inputs = ensemble_inputs(columns)
    if config.column is None:
        inputs = ensemble_inputs(columns, votes=config.votes, components=config.components)
    return run_method(config.method, inputs)


def _members(candidates: Sequence[Candidate], config: "EnsembleConfig") -> list[Candidate]:
    if config.column is not None:
        return [one for one in candidates if one.lineage.name == config.column]
    return [one for one in candidates if config.votes.get(one.lineage.system, 0) > 0]


def _member(candidate: Candidate, votes: float = 1.0) -> Member:
    lineage = candidate.lineage
    return Member(
        system=lineage.system,
        decode=lineage.decode,
        recipe=lineage.recipe,
        recipe_sha256=lineage.recipe_sha256,
        votes=votes,
        toy=candidate.recipe is not None and candidate.recipe.model.scratch is not None,
        provenance=candidate.provenance,
    )


def _fingerprints(corpus: Corpus) -> dict[str, str]:
    return {split.name: split.fingerprint for split in (corpus.train, corpus.dev, corpus.test)}

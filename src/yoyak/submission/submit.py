"""From a workspace to a submission: one system's answer, or the consensus of several."""

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from yoyak.ensemble.candidates import Candidate, candidates, pool
from yoyak.errors import BadData, InputMissing
from yoyak.metrics.scorecard import evaluate
from yoyak.runs.workspace import Workspace
from yoyak.submission import ledger
from yoyak.submission.contest_rules import check_contest_rules
from yoyak.submission.context import ValidationContext, gather_context
from yoyak.submission.write import (
    CSV,
    MANIFEST,
    Draft,
    Member,
    SubmissionManifest,
    dev_score,
    read_manifest,
    render,
    write_submission,
)
from yoyak.values import Blend, Corpus, Split, Submission

if TYPE_CHECKING:
    from yoyak.ensemble.cross_validation import CrossValidation
    from yoyak.ensemble.member_selection import EnsembleConfig


class Submitted(NamedTuple):
    """A submission; ``nested`` is what its blend is worth, where one was learned.

    ``left_out`` names the systems that were not asked because they have not answered test.
    """

    submission: Submission
    nested: "CrossValidation | None" = None
    left_out: tuple[str, ...] = ()


def submit(workspace: Workspace, corpus: Corpus, system: str | None = None) -> Submission:
    """Writes the submission of ``system``, by default of the best on dev.

    The same answer is written once: asked again, the file that is there is named again.

    Args:
        workspace: runs, imports, and where the submission goes.
        corpus: the data.
        system: a run, a recipe (its newest run) or an import.

    Raises:
        InputMissing: nothing on these data is predicted and scored, or is called ``system``.
        BadData: the gate refuses the answer, or the contest's rules seem broken.
    """
    ready = _some_ready(workspace, corpus, () if system is None else (system,))
    best = ready[0]
    check_contest_rules(corpus, [best.recipe] if best.recipe else [])
    return file_answer(workspace, _draft(best, corpus), evidence_of(best, corpus))


def submit_ensemble(
    workspace: Workspace, corpus: Corpus, method: str, systems: Sequence[str] = ()
) -> Submitted:
    """Writes the submission of a blend of ``systems``, by default of everything that is ready.

    ``mbr`` learns members, votes and weights on dev; where no consensus beats the best system, that
    system's answer is handed in as it is. Every other blend gives each system one vote.

    Raises:
        InputMissing: as ``hand_in``, or fewer than two candidates are ready.
        UsageError: there is no such blend.
        BadData: the gate refuses the answer, or the contest's rules seem broken.
    """
    from yoyak.ensemble.cross_validation import cross_validate
    from yoyak.ensemble.member_selection import dev_scores, equal_weights
    from yoyak.ensemble.methods import load_method

    load_method(method)
    found = candidates(workspace, corpus, systems)
    ready = tuple(one for one in found if one.test is not None)
    left_out = tuple(dict.fromkeys(one.lineage.system for one in found if one.test is None))
    if len(ready) < 2:
        names = ", ".join(one.lineage.name for one in ready) or "–"
        waiting = ", ".join(left_out) or "–"
        raise InputMissing("submission.few-to-blend", ready=names, waiting=waiting)
    check_contest_rules(corpus, [one.recipe for one in ready if one.recipe])
    nested = cross_validate(dev_scores(ready, corpus.dev)) if method == "mbr" else None
    choice = equal_weights(ready, method) if nested is None else nested.choice
    draft, evidence = ensemble_answer(ready, corpus, choice)
    if nested is not None and choice.column is None:
        draft = msgspec.structs.replace(draft, held_out=nested.blend)
    return Submitted(file_answer(workspace, draft, evidence), nested, left_out)


def file_answer(workspace: Workspace, draft: Draft, evidence: ValidationContext) -> Submission:
    """Writes and records an answer, unless the very file is there already.

    Raises:
        BadData: the gate refuses the answer.
    """
    found = _written_before(workspace.submissions_folder, draft, evidence)
    submission = found or write_submission(draft, evidence, workspace.submissions_folder)
    folder = Path(submission.path).parent
    recorded = {entry.number for entry in ledger.read_ledger(workspace.ledger_path)}
    if int(folder.name) not in recorded:
        ledger.record_written(workspace.ledger_path, folder)
    return submission


def ready_candidates(
    workspace: Workspace, corpus: Corpus, names: Sequence[str] = ()
) -> tuple[Candidate, ...]:
    """The candidates that have answered all of test too, the best dev mean first.

    Raises:
        InputMissing: a name has no candidate.
    """
    return tuple(one for one in candidates(workspace, corpus, names) if one.test is not None)


def _some_ready(
    workspace: Workspace, corpus: Corpus, names: Sequence[str]
) -> tuple[Candidate, ...]:
    ready = ready_candidates(workspace, corpus, names)
    if not ready:
        raise InputMissing("submission.no-scored-run", workspace=workspace.folder)
    return ready


def evidence_of(candidate: Candidate, corpus: Corpus) -> ValidationContext:
    """What the gate holds the answer of one candidate against."""
    return gather_context(corpus, outputs=candidate.dev, instructions=candidate.instructions)


def evidence_for(workspace: Workspace, corpus: Corpus, path: Path) -> ValidationContext:
    """What the gate holds a file against: how its system did on dev, if that is known.

    It is known where the file is, byte for byte, the answer of one candidate of the workspace, or
    a blend that was handed in from it.
    """
    evidence = gather_context(corpus)
    data = path.read_bytes() if path.is_file() else b""
    ready = ready_candidates(workspace, corpus)
    for candidate in ready:
        if candidate.test and render(candidate.test, evidence) == data:
            return evidence_of(candidate, corpus)
    digest = sha256(data).hexdigest()
    for manifest in map(read_manifest, manifests(workspace.submissions_folder)):
        if manifest.sha256 == digest and (known := _blended(manifest, ready, corpus)):
            return known
    return evidence


def _blended(
    manifest: SubmissionManifest, ready: Sequence[Candidate], corpus: Corpus
) -> ValidationContext | None:
    """What a blend's own dev outputs are, while all of its members are still there."""
    members = members_of(manifest, ready)
    return ensemble_answer(members, corpus, choice_of(manifest)).evidence if members else None


def members_of(manifest: SubmissionManifest, found: Sequence[Candidate]) -> tuple[Candidate, ...]:
    """Those of ``found`` that a blend was made of; nobody where one is gone, or it is no blend."""
    names = {f"{one.system}/{one.decode}" for one in manifest.members}
    members = tuple(one for one in found if one.lineage.name in names)
    return members if len(members) == len(names) > 1 else ()


def choice_of(manifest: SubmissionManifest) -> "EnsembleConfig":
    """The way of a blend that was handed in to answer any rows."""
    from yoyak.ensemble.member_selection import EnsembleConfig
    from yoyak.ensemble.methods import EQUAL

    votes = {one.system: one.votes for one in manifest.members}
    components = manifest.components or EQUAL
    return EnsembleConfig(method=manifest.method, votes=votes, components=components)


# --- drafts ---------------------------------------------------------------------------------------


class EnsembleAnswer(NamedTuple):
    """A draft, and what the gate checks it against."""

    draft: Draft
    evidence: ValidationContext


def ensemble_answer(
    candidates: Sequence[Candidate], corpus: Corpus, choice: "EnsembleConfig"
) -> EnsembleAnswer:
    """Apply ``choice`` to test, and to dev for its score.

    Raises:
        BadData: a member has not predicted all of test.
    """
    members = _members(candidates, choice)
    unready = [one.lineage.name for one in members if one.test is None]
    if unready:
        raise BadData("submission.no-test", systems=", ".join(unready))
    dev = apply_ensemble(members, corpus.dev, choice)
    test = apply_ensemble(members, corpus.test, choice)
    evidence = gather_context(
        corpus,
        outputs=dev.predictions,
        instructions=[text for one in members for text in one.instructions],
    )
    splits = (corpus.train, corpus.dev, corpus.test)
    draft = Draft(
        method=choice.method,
        members=tuple(member_of(one, choice.votes.get(one.lineage.system, 1.0)) for one in members),
        predictions=test.predictions,
        data_sha256={split.name: split.fingerprint for split in splits},
        dev=dev_score(evaluate(dev.predictions, corpus.dev)),
        components=choice.components if choice.column is None else None,
    )
    return EnsembleAnswer(draft, evidence)


def apply_ensemble(members: Sequence[Candidate], split: Split, choice: "EnsembleConfig") -> Blend:
    """Apply ``choice`` to a split."""
    from yoyak.ensemble.methods import ensemble_inputs, run_method

    columns = pool(members, split)
    inputs = ensemble_inputs(columns)
    if choice.column is None:
        inputs = ensemble_inputs(columns, votes=choice.votes, components=choice.components)
    return run_method(choice.method, inputs)


def _members(candidates: Sequence[Candidate], choice: "EnsembleConfig") -> list[Candidate]:
    if choice.column is not None:
        return [one for one in candidates if one.lineage.name == choice.column]
    return [one for one in candidates if choice.votes.get(one.lineage.system, 0) > 0]


def member_of(candidate: Candidate, votes: float = 1.0) -> Member:
    """Describe a candidate for the manifest."""
    lineage = candidate.lineage
    return Member(
        system=lineage.system,
        decode=lineage.decode,
        recipe=lineage.recipe,
        recipe_sha256=lineage.recipe_sha256,
        votes=votes,
    )


def _draft(candidate: Candidate, corpus: Corpus) -> Draft:
    splits = (corpus.train, corpus.dev, corpus.test)
    return Draft(
        method="best",
        members=(member_of(candidate),),
        predictions=candidate.test or (),
        data_sha256={split.name: split.fingerprint for split in splits},
        dev=dev_score(candidate.card),
    )


def _written_before(folder: Path, draft: Draft, evidence: ValidationContext) -> Submission | None:
    digest = sha256(render(draft.predictions, evidence)).hexdigest()
    for path in manifests(folder):
        manifest = read_manifest(path)
        same = manifest.sha256 == digest and manifest.members == draft.members
        if same and sha256(path.with_name(CSV).read_bytes()).hexdigest() == digest:
            file = str(path.with_name(CSV))
            return Submission(path=file, rows=manifest.rows, sha256=digest, manifest=str(path))
    return None


def manifests(folder: Path) -> list[Path]:
    """Where the submissions below ``folder`` say what they are, the oldest first."""
    return sorted(folder.glob(f"[0-9]*/{MANIFEST}"), key=lambda path: int(path.parent.name))

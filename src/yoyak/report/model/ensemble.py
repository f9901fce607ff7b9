"""The newest blend that was handed in: who votes, what it is worth, and what it chose."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from yoyak.ensemble.candidates import candidates
from yoyak.report.model.sources import relative
from yoyak.report.model.values import Blended, Example, Measured, Voter
from yoyak.runs.workspace import Workspace
from yoyak.submission.submit import choice_of, manifests, members_of
from yoyak.submission.write import SubmissionManifest, read_manifest
from yoyak.terminal.review import alike
from yoyak.values import Corpus

if TYPE_CHECKING:
    from yoyak.ensemble.review import ReviewRow

EACH = 2
"""Rows of each kind; ``yoyak compare --rows`` has more."""


def newest_blend(workspace: Workspace, corpus: Corpus | None) -> Blended | None:
    """The newest submission that is a blend; its rows are of ``corpus``'s dev."""
    for path in reversed(manifests(workspace.submissions_folder)):
        manifest = read_manifest(path)
        if len(manifest.members) > 1:
            return Blended(
                number=path.parent.name,
                method=manifest.method,
                voters=tuple(
                    Voter(system=one.system, decode=one.decode, votes=one.votes)
                    for one in manifest.members
                ),
                components=manifest.components,
                dev=Measured(value=manifest.dev.rouge.mean, interval=manifest.dev.interval),
                held_out=manifest.held_out,
                rows=() if corpus is None else tuple(_rows(workspace, corpus, manifest)),
                record=relative(workspace, path),
            )
    return None


def _rows(workspace: Workspace, corpus: Corpus, manifest: SubmissionManifest) -> Iterator[Example]:
    """Where members differ most, where the choice cost most, and where it scores least."""
    members = members_of(manifest, candidates(workspace, corpus))
    if not members:
        return
    from yoyak.ensemble.review import review_rows

    found = review_rows(members, corpus.dev, choice_of(manifest), limit=len(corpus.dev.dialogues))
    costly = [row for row in found if row.regret is not None and row.regret > 0]
    orders: dict[str, Sequence[ReviewRow]] = {
        "disagreement": found,
        "regret": sorted(costly, key=lambda row: -(row.regret or 0.0)),
        "worst": sorted(found, key=lambda row: row.chosen.score or 0.0),
    }
    shown: set[str] = set()
    for why, ordered in orders.items():
        fresh = [row for row in ordered if row.id not in shown][:EACH]
        shown |= {row.id for row in fresh}
        yield from (_example(row, why) for row in fresh)


def _example(row: "ReviewRow", why: str) -> Example:
    said = list(alike(row))
    return Example(
        id=row.id,
        dialogue=row.dialogue,
        references=row.references,
        answers=tuple((one.names, one.text, one.score) for one in said),
        why=why,
        chosen=next(place for place, one in enumerate(said) if one.chosen),
    )

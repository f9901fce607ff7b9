"""The newest submitted blend: its members, its score, and its choices on dev."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from yoyak.ensemble.candidates import candidates
from yoyak.report.model.report import Blended, Example, Measured, Voter
from yoyak.runs.workspace import Workspace
from yoyak.submission.manifest import SubmissionManifest, manifests, read_manifest
from yoyak.submission.submit import config_of, members_of
from yoyak.values import Corpus

if TYPE_CHECKING:
    from yoyak.ensemble.review import ReviewOption, ReviewRow

EACH = 2
"""Rows shown of each kind; ``yoyak compare --rows`` shows more."""


def newest_blend(workspace: Workspace, corpora: Mapping[str, Corpus]) -> Blended | None:
    """Return the newest submission with several members.

    Its rows are from the one of ``corpora`` (by fingerprint of dev) that it was made from.
    """
    for path in reversed(manifests(workspace.submissions_folder)):
        manifest = read_manifest(path)
        if len(manifest.members) > 1:
            corpus = corpora.get(manifest.data_sha256.get("dev", ""))
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
                record=workspace.relative(path),
            )
    return None


def _rows(workspace: Workspace, corpus: Corpus, manifest: SubmissionManifest) -> Iterator[Example]:
    """Yield the rows with the most disagreement, the highest regret and the lowest score."""
    members = members_of(manifest, candidates(workspace, corpus))
    if not members:
        return
    from yoyak.ensemble.review import review_rows

    found = review_rows(members, corpus.dev, config_of(manifest), limit=len(corpus.dev.dialogues))
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
    answers = list(alike(row))
    return Example(
        id=row.id,
        dialogue=row.dialogue,
        references=row.references,
        answers=tuple((one.names, one.text, one.score) for one in answers),
        why=why,
        chosen=next(place for place, one in enumerate(answers) if one.chosen),
    )


class Alike(NamedTuple):
    """Candidates with the same summary of a row."""

    names: str
    text: str
    score: float
    """Scored against the references; without references, against the other candidates."""
    chosen: bool


def alike(row: "ReviewRow") -> Iterator[Alike]:
    """Yield the distinct summaries of a row, in the order of preference."""
    several = _several({option.system for option in row.options}, row.options)
    by_text = sorted(row.options, key=lambda option: row.options.index(_first(option, row)))
    for answer, group in groupby(by_text, key=lambda option: option.text):
        options = list(group)
        first = options[0]
        yield Alike(
            names=", ".join(_name(option, several) for option in options),
            text=answer,
            score=first.expected if first.score is None else first.score,
            chosen=any(option.chosen for option in options),
        )


def _name(option: "ReviewOption", several: set[str]) -> str:
    return f"{option.system}/{option.decode}" if option.system in several else option.system


def _several(systems: set[str], options: Sequence["ReviewOption"]) -> set[str]:
    """Return the systems that have candidates from more than one decoding."""
    names = [option.system for option in options]
    return {system for system in systems if names.count(system) > 1}


def _first(option: "ReviewOption", row: "ReviewRow") -> "ReviewOption":
    return next(other for other in row.options if other.text == option.text)

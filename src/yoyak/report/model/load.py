"""Loading of a workspace into a report: the only part of the report that reads runs from disk."""

import os
import re
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import msgspec

from yoyak.config.project import NO_BUDGET, Budget
from yoyak.data.corpus import read_corpus
from yoyak.errors import BadData, InputMissing
from yoyak.events import AnyEvent, RunState, RunStatus, fold
from yoyak.metrics.scorecard import Scorecard
from yoyak.report.model import consistency, groups
from yoyak.report.model.build import Rest, build
from yoyak.report.model.examples import Said, examples
from yoyak.report.model.history import RunHistory
from yoyak.report.model.report import (
    Blended,
    Difference,
    DiskSpace,
    Fact,
    Report,
    ReportFinding,
    Sentence,
    SubmissionSummary,
)
from yoyak.runs.provenance import Provenance
from yoyak.runs.run import Run
from yoyak.runs.workspace import Workspace
from yoyak.submission.ledger import read_ledger
from yoyak.submission.manifest import CSV, Member, manifests, read_manifest
from yoyak.values import Corpus, Prediction

_HANGUL = re.compile("[가-힣]")


class _Read(NamedTuple):
    """Records of a run, each read once."""

    run: Run
    record: RunHistory
    card: Scorecard | None
    predictions: list[Prediction]
    garbled: int
    unknown: int


def gather(workspace: Workspace, *, compared: bool = True, budget: Budget = NO_BUDGET) -> Report:
    """Build the report of a workspace.

    Without ``compared`` (for ``status``), compute no statistics, run no lint rules, and read only
    the relevant lines of long logs.
    """
    found = _named_apart([_read(workspace, run, compared) for run in workspace.runs()])
    cards = {one.run.name: one.card for one in found if one.card is not None}
    runs = [one.run for one in found]
    records = _compared(found, cards) if compared else [one.record for one in found]
    said = [
        Said(one.record.name, one.predictions, one.card) for one in found if one.card is not None
    ]
    disk = _disk(workspace)
    data = _data(workspace, runs) if compared else _Data(None, ())
    rest = Rest(
        title=_title(workspace, runs),
        workspace=str(workspace.folder),
        written_at=time.time(),
        floors=tuple(groups.floors(workspace, runs, cards)),
        submissions=tuple(submissions(workspace)),
        provenance=tuple(provenance(workspace, runs)) if compared else (),
        pairs=groups.pairs({one.name: one.card for one in said}) if compared else (),
        blended=_blended(workspace, data.corpus) if compared else None,
        examples=examples(data.corpus, said) if data.corpus is not None else (),
        disk=disk,
        budget=budget,
        workspace_gb=_size_gb(workspace.folder) if compared else 0.0,
    )
    view = build(records, rest)
    if not compared:
        return msgspec.structs.replace(view, findings=tuple(_skipped_lines(workspace, found)))
    checked = consistency.check(consistency.stated(records, view, disk))
    checked = (*checked, *_skipped_lines(workspace, found), *data.findings)
    return msgspec.structs.replace(view, findings=checked)


def _blended(workspace: Workspace, corpus: Corpus | None) -> Blended | None:
    from yoyak.report.model.ensemble import newest_blend  # not needed by ``yoyak status``

    return newest_blend(workspace, corpus)


class _Data(NamedTuple):
    """Data of the newest run; no corpus if it is missing or changed since the run."""

    corpus: Corpus | None
    findings: tuple[ReportFinding, ...]


def _data(workspace: Workspace, runs: Sequence[Run]) -> _Data:
    if not runs:
        return _Data(None, ())
    identity = runs[-1].identity
    record = workspace.relative(runs[-1].folder / "identity.json")
    fields = {"folder": identity.data_folder, "run": runs[-1].name}
    try:
        corpus = read_corpus(Path(identity.data_folder))
    except (InputMissing, BadData):
        what = Sentence(key="report.lint-data-gone", fields=fields)
        return _Data(None, (ReportFinding(rule="data-gone", what=what, record=record),))
    if corpus.dev.fingerprint != identity.dev_sha256:
        what = Sentence(key="report.lint-data-changed", fields=fields)
        return _Data(None, (ReportFinding(rule="data-changed", what=what, record=record),))
    return _Data(corpus, ())


def _title(workspace: Workspace, runs: Sequence[Run]) -> str:
    return Path(runs[-1].identity.data_folder).name if runs else workspace.folder.resolve().name


def _read(workspace: Workspace, run: Run, compared: bool) -> _Read:
    folder, card, log = (
        workspace.relative(run.folder),
        run.scorecard("dev"),
        run.log(whole=compared),
    )
    predictions = run.predictions("dev") if compared else []
    address = f"{folder}/scores/dev.json"
    state = _state(run, log.events)
    record = RunHistory(
        id=run.name,
        folder=folder,
        recipe=run.recipe,
        events=tuple(log.events),
        status=state.status,
        state=state,
        quality=None if card is None else groups.quality(card, address, intervals=compared),
        decode_seconds_per_100=_decode_seconds_per_100(predictions),
        tokens_per_character=_tokens_per_character(predictions),
        summary_lengths=tuple(len(one.text) for one in predictions),
        whole=compared,
        damaged=log.garbled + log.unknown > 0,
    )
    return _Read(run, record, card, predictions, log.garbled, log.unknown)


def _state(run: Run, events: Sequence[AnyEvent]) -> RunState:
    """Return the same as ``run.state()``, from events that are already read."""
    state = fold(events)
    if state.status is RunStatus.RUNNING and run.holder() is None:
        return msgspec.structs.replace(state, status=RunStatus.INTERRUPTED)
    return state


def _decode_seconds_per_100(predictions: Sequence[Prediction]) -> float | None:
    seconds = [one.seconds for one in predictions if one.seconds is not None]
    return 100 * sum(seconds) / len(seconds) if len(seconds) == len(predictions) > 0 else None


def _tokens_per_character(predictions: Sequence[Prediction]) -> float | None:
    """Return the generated tokens (including the stop token) per Hangul syllable of the output."""
    measured = [(one.tokens, one.raw) for one in predictions if one.tokens is not None]
    syllables = sum(len(_HANGUL.findall(raw)) for _, raw in measured)
    return sum(tokens for tokens, _ in measured) / syllables if syllables else None


def _named_apart(found: Sequence[_Read]) -> list[_Read]:
    """Label the runs that share a recipe with their ids, which are their folders' names."""
    recipes = [one.record.recipe.name for one in found]
    return [
        one._replace(record=one.record._replace(label=one.record.id))
        if recipes.count(one.record.recipe.name) > 1
        else one
        for one in found
    ]


def _compared(found: Sequence[_Read], cards: groups.Cards) -> list[RunHistory]:
    against = groups.baseline([one.run for one in found], cards)
    known: dict[str, Difference] = {}
    if against is not None:
        known = groups.differences(cards, against)
    learned = {
        one.run.name: one.card
        for one in found
        if one.card is not None and one.record.recipe.engine != "lead"
    }
    tied = groups.tied_with_best(learned)
    return [
        one.record._replace(
            difference=known.get(one.run.name),
            tied_with_best=one.run.name in tied if one.run.name in learned else None,
        )
        for one in found
    ]


def _skipped_lines(workspace: Workspace, found: Sequence[_Read]) -> Iterator[ReportFinding]:
    """Yield a finding for each log with unreadable lines or unknown events."""
    for one in found:
        counts = {"garbled-log": one.garbled, "unknown-events": one.unknown}
        for rule, lines in counts.items():
            if lines:
                fields = {"run": one.run.name, "lines": str(lines)}
                yield ReportFinding(
                    rule=rule,
                    what=Sentence(key=f"report.lint-{rule}", fields=fields),
                    record=workspace.relative(one.run.log_path),
                )


def _disk(workspace: Workspace) -> DiskSpace:
    """Return the space of the disk that the workspace is, or would be, on."""
    places = (workspace.folder, *workspace.folder.absolute().parents)
    usage = shutil.disk_usage(next(one for one in places if one.is_dir()))
    return DiskSpace(free_gb=usage.free / 1e9, total_gb=usage.total / 1e9)


def _size_gb(folder: Path) -> float:
    """Return the size of the workspace; files deleted meanwhile count as empty."""
    size = 0
    for where, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                size += Path(where, name).lstat().st_size
    return size / 1e9


# --- submissions and provenance ------------------------------------------------------------


def submissions(workspace: Workspace) -> Iterator[SubmissionSummary]:
    """Yield every written submission, with the leaderboard score where the ledger has one."""
    ledger = workspace.ledger_path
    noted = {entry.number: entry for entry in read_ledger(ledger)} if ledger.is_file() else {}
    for path in manifests(workspace.submissions_folder):
        manifest = read_manifest(path)
        entry = noted.get(int(path.parent.name))
        yield SubmissionSummary(
            number=path.parent.name,
            system=" + ".join(_called(manifest.members)),
            method=manifest.method,
            rows=manifest.rows,
            sha256=manifest.sha256,
            path=workspace.relative(path.with_name(CSV)),
            dev_mean=manifest.dev.rouge.mean,
            public_score=entry.public if entry else None,
            warnings=manifest.warnings,
            record=workspace.relative(path),
        )


def _called(members: Sequence[Member]) -> list[str]:
    """Return the members' recipe names; the system name where the recipe is not unique."""
    recipes = [member.recipe for member in members]
    return [
        recipe if recipe and recipes.count(recipe) == 1 else member.system
        for member, recipe in zip(members, recipes, strict=True)
    ]


_PACKAGES = (
    "torch", "transformers", "peft", "bitsandbytes", "accelerate", "tokenizers", "numpy", "scipy",
    "rapidfuzz", "msgspec", "python-mecab-ko", "python-mecab-ko-dic",
)  # fmt: skip
"""Packages that can change a result; the record lists every other package too."""


def provenance(workspace: Workspace, runs: Sequence[Run]) -> Iterator[Fact]:
    """Yield every recorded fact once; where runs differ, each value with its first run."""
    yield Fact(label="workspace", value=str(workspace.folder), record="")
    said: set[tuple[str, str]] = set()
    for run in runs:
        path = run.folder / "provenance.json"
        for label, value in _facts(run.provenance, run.recipe.train.seed):
            if value and (label, value) not in said:
                said.add((label, value))
                yield Fact(label=label, value=value, record=workspace.relative(path))


def _facts(known: Provenance, seed: int) -> Iterator[tuple[str, str]]:
    yield "command", " ".join(known.command)
    yield "data", known.data_folder
    yield from ((split, value) for split, value in known.data_sha256.items())
    if known.code is not None:
        yield "commit", known.code.commit
        yield "dirty", known.code.dirty_sha256 or ""
    yield "yoyak", known.yoyak
    yield "python", known.python
    yield "platform", known.platform
    yield "processor", known.processor
    yield "gpus", ", ".join(known.gpus)
    versions = (f"{name} {known.packages[name]}" for name in _PACKAGES if name in known.packages)
    yield "packages", ", ".join(versions)
    yield "environment", " ".join(map("=".join, known.environment.items()))
    yield "seed", str(seed)

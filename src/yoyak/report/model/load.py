"""Loading of a workspace into a report: the only part of the report that reads runs from disk."""

import os
import re
import shutil
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import msgspec

from yoyak.config.project import NO_BUDGET, Budget
from yoyak.data.corpus import read_corpus
from yoyak.data.sample.generator import is_generated
from yoyak.errors import BadData, InputMissing
from yoyak.events import AnyEvent, RunState, RunStatus, fold
from yoyak.messages import text
from yoyak.metrics.diagnostics.copied_text import DialogueWords
from yoyak.metrics.scorecard import Scorecard
from yoyak.metrics.significance import ScorecardGroup
from yoyak.report.model import consistency, groups
from yoyak.report.model.build import Compared, Rest, build
from yoyak.report.model.examples import Answered, examples
from yoyak.report.model.history import RunHistory
from yoyak.report.model.ratings import rated_pairs
from yoyak.report.model.report import (
    TOY,
    Basis,
    Blended,
    CopiedText,
    DiskSpace,
    Fact,
    FoldSummary,
    Quality,
    Report,
    ReportFinding,
    Sentence,
    SubmissionSummary,
)
from yoyak.report.model.rows import RowColumn, RowSource, RowSystem
from yoyak.report.model.studies import gather_studies
from yoyak.runs.fold_scores import fold_scores
from yoyak.runs.provenance import Provenance
from yoyak.runs.ratings import RatingRecord, read_records
from yoyak.runs.replicates import seed_noise
from yoyak.runs.run import Run
from yoyak.runs.stage_records import edited_outputs, file_sha256, is_output_recorded
from yoyak.runs.study import hidden_runs, read_studies
from yoyak.runs.workspace import Workspace
from yoyak.submission.ledger import changed_files, readable_ledger
from yoyak.submission.manifest import CSV, MANIFEST, Member, manifests, read_manifest
from yoyak.values import Corpus, Prediction, SplitName

_HANGUL = re.compile("[가-힣]")


class _Read(NamedTuple):
    """Records of a run, each read once."""

    run: Run
    record: RunHistory
    card: Scorecard | None
    predictions: list[Prediction]
    edited: Collection[str]
    """Which of ``dev``, ``test`` and ``score`` are not the file that the run recorded."""
    provenance: Provenance | None
    findings: tuple[ReportFinding, ...]


DAMAGED_RUN, DAMAGED_LEDGER, DAMAGED_STUDY = "damaged-run", "damaged-ledger", "damaged-study"
DAMAGED_RATINGS, DAMAGED_PROVENANCE = "damaged-ratings", "damaged-provenance"


class ReportWithRows(NamedTuple):
    """A report and the rows of its splits, from one reading of the records."""

    view: Report
    rows: tuple[RowSource, ...]


def gather(workspace: Workspace, *, compared: bool = True, budget: Budget = NO_BUDGET) -> Report:
    """Build the report of a workspace.

    Without ``compared`` (for ``status``), compute no statistics, check no consistency, and
    read only the relevant lines of long logs.
    """
    read = _records(workspace, compared)
    rows = read.rows() if compared and read.ratings else ()
    return _report(workspace, read, rows, compared=compared, budget=budget)


def gather_with_rows(workspace: Workspace, *, budget: Budget = NO_BUDGET) -> ReportWithRows:
    """Build the report of a workspace, and the tables of its rows."""
    read = _records(workspace, compared=True)
    rows = read.rows()
    view = _report(workspace, read, rows, compared=True, budget=budget)
    return ReportWithRows(_with_all_faults(view, rows), rows)


def gather_rows(workspace: Workspace) -> tuple[RowSource, ...]:
    """Return the tables of a workspace's rows alone."""
    return _records(workspace, compared=True).rows()


class _Records(NamedTuple):
    """What a report is made from, as it was read."""

    found: list[_Read]
    damaged: Sequence[ReportFinding]
    data: "_Data"
    ratings: Sequence[RatingRecord]

    def rows(self) -> tuple[RowSource, ...]:
        return _row_sources(self.found, self.data.corpora)


def _records(workspace: Workspace, compared: bool) -> _Records:
    readable, damaged = _readable(workspace, compared)
    found = _named_apart(readable)
    data = _data(workspace, [one.run for one in found]) if compared else _Data({}, ())
    path = workspace.ratings_path
    ratings, unreadable = read_records(path)
    damaged += [
        _finding(DAMAGED_RATINGS, workspace.relative(path), problem=Sentence.of(error))
        for error in unreadable
    ]
    return _Records(found, damaged, data, ratings)


def _report(
    workspace: Workspace,
    read: _Records,
    rows: Sequence[RowSource],
    *,
    compared: bool,
    budget: Budget,
) -> Report:
    found, damaged, data, ratings = read
    runs = [one.run for one in found]
    disk = _disk(workspace)
    comparisons = _Comparisons({}, {})
    if compared:
        comparisons = _compared(found, data.corpora)
        found = [one._replace(record=comparisons.records[one.run.name]) for one in found]
    records = [one.record for one in found]
    scored = [one.run for one in found if one.card is not None]
    rest = Rest(
        title=_title(workspace, runs),
        workspace=str(workspace.folder),
        written_at=time.time(),
        submissions=tuple(submissions(workspace)),
        provenance=tuple(_provenance(workspace, found)) if compared else (),
        compared=comparisons.compared,
        blended=_blended(workspace, data.corpora) if compared else None,
        ratings=rated_pairs(rows, ratings) if compared else (),
        studies=gather_studies(workspace, intervals=compared),
        seeds=tuple(seed_noise(scored)) if compared else (),
        folds=tuple(_folds(workspace, runs)) if compared else (),
        disk=disk,
        budget=budget,
        workspace_gb=_size_gb(workspace.folder) if compared else 0.0,
    )
    view = build(records, rest)
    checked = [*damaged, *(finding for one in found for finding in one.findings)]
    if compared:
        statements = consistency.statements(records, view, disk)
        changed = _changed_submissions(workspace)
        checked = [*consistency.check(statements), *checked, *data.findings, *changed]
    return msgspec.structs.replace(view, findings=tuple(checked))


def _readable(workspace: Workspace, compared: bool) -> tuple[list[_Read], list[ReportFinding]]:
    """Return the runs that can be read, and a finding for each damaged record."""
    found, damaged = [], dict(workspace.damaged_runs())
    hidden = hidden_runs(workspace.studies_folder)
    for run in workspace.runs():
        if run.name in hidden:
            continue
        try:
            found.append(_read(workspace, run, compared))
        except BadData as error:
            if error.key != "runs.bad-record":
                raise
            damaged[run.name] = error
    findings = [
        _finding(DAMAGED_RUN, f"runs/{name}", run=name, problem=Sentence.of(error))
        for name, error in damaged.items()
    ]
    ledger = workspace.ledger_path
    findings += [
        _finding(DAMAGED_LEDGER, workspace.relative(ledger), problem=Sentence.of(error))
        for error in readable_ledger(ledger)[1]
    ]
    findings += [
        _finding(DAMAGED_STUDY, workspace.relative(path), problem=Sentence.of(error))
        for path, error in read_studies(workspace.studies_folder)[1]
    ]
    return found, findings


def _blended(workspace: Workspace, corpora: Mapping[str, Corpus]) -> Blended | None:
    from yoyak.report.model.ensemble import newest_blend  # not needed by ``yoyak status``

    return newest_blend(workspace, corpora)


def _folds(workspace: Workspace, runs: Sequence[Run]) -> Iterator[FoldSummary]:
    """Yield the stored scores whose summaries are still those that were scored."""
    paths = {run.name: run.predictions_path("train") for run in runs}
    for one in fold_scores(workspace):
        now = {name: file_sha256(paths[name]) for name in one.outputs if name in paths}
        if now == one.outputs:
            yield FoldSummary(
                recipe=one.recipe,
                seed=one.seed,
                folds=one.folds,
                rows=one.card.n,
                rouge=one.card.rouge,
                interval=one.card.interval,
                basis=Basis(signature=one.card.protocol.signature, dev_sha256=one.train_sha256),
            )


class _Data(NamedTuple):
    """The data of the runs by the fingerprint of dev, as far as they are still as recorded."""

    corpora: dict[str, Corpus]
    findings: tuple[ReportFinding, ...]


def _data(workspace: Workspace, runs: Sequence[Run]) -> _Data:
    """Read the data of each fingerprint where its newest run found them."""
    corpora, findings = {}, []
    for dev_sha256, run in {run.identity.dev_sha256: run for run in runs}.items():
        folder, problem = run.identity.data_folder, None
        try:
            corpus = read_corpus(Path(folder))
        except (InputMissing, BadData):
            problem = "data-gone"
        else:
            if corpus.dev.fingerprint == dev_sha256:
                corpora[dev_sha256] = corpus
            else:
                problem = "data-changed"
        if problem is not None:
            record = workspace.relative(run.folder / "identity.json")
            findings.append(_finding(problem, record, folder=folder, run=run.name))
    return _Data(corpora, tuple(findings))


def _finding(rule: str, record: str, **fields: str | Sentence) -> ReportFinding:
    return ReportFinding(
        rule=rule, what=Sentence(key=f"report.lint-{rule}", fields=fields), record=record
    )


def _title(workspace: Workspace, runs: Sequence[Run]) -> str:
    return _data_name(runs[-1].identity.data_folder) if runs else workspace.folder.resolve().name


def _data_name(folder: str) -> str:
    """Return a data folder's name; the sample's is its version's hash, which tells nobody."""
    path = Path(folder)
    return text("cli.sample-data") if is_generated(path) else path.name


def _read(workspace: Workspace, run: Run, compared: bool) -> _Read:
    """Read a run; a score or predictions that were changed afterwards are left out and named."""
    folder, log = workspace.relative(run.folder), run.log(whole=compared)
    state = _state(run, log.events)
    edited = edited_outputs(run, state)
    card = None if {"dev", "score"} & set(edited) else run.scorecard("dev")
    predictions = run.predictions("dev") if compared and "dev" not in edited else []
    identity, address = run.identity, f"{folder}/scores/dev.json"
    record = RunHistory(
        id=run.name,
        folder=folder,
        recipe=run.recipe,
        events=tuple(log.events),
        status=state.status,
        state=state,
        quality=None
        if card is None
        else groups.quality(card, identity.dev_sha256, address, intervals=compared),
        second=_second(run, state, f"{folder}/scores/dev2.json", compared),
        decode_seconds_per_100=_decode_seconds_per_100(predictions),
        tokens_per_character=_tokens_per_character(predictions),
        summary_lengths=tuple(len(one.text) for one in predictions),
        whole=compared,
        damaged=log.garbled + log.unknown > 0,
        data=_data_name(identity.data_folder),
        dev_sha256=identity.dev_sha256,
    )
    counts = {"garbled-log": log.garbled, "unknown-events": log.unknown}
    findings = [
        _finding(rule, record.log, run=run.name, lines=str(lines))
        for rule, lines in counts.items()
        if lines
    ]
    for output, path in edited.items():
        findings.append(
            _finding("edited-output", workspace.relative(path), run=run.name, output=output)
        )
    known = None
    if compared:
        try:
            known = run.provenance
        except (BadData, InputMissing) as error:
            place = f"{folder}/provenance.json"
            findings.append(
                _finding(DAMAGED_PROVENANCE, place, run=run.name, problem=Sentence.of(error))
            )
    return _Read(run, record, card, predictions, frozenset(edited), known, tuple(findings))


def _second(run: Run, state: RunState, address: str, compared: bool) -> Quality | None:
    """Return the scores on dev2, if its files are those that the stages wrote."""
    predicted = state.records.get("predict-dev2")
    if predicted is None or not all(
        is_output_recorded(run, state, stage) for stage in ("predict-dev2", "score-dev2")
    ):
        return None
    card = run.scorecard("dev2")
    if card is None:
        return None
    return groups.quality(card, predicted.inputs["data"], address, intervals=compared)


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


_TableOf = tuple[str, SplitName, Basis | None]
"""Fingerprint of dev, split, and what the scores are of; what stands in one table has these."""


def _row_sources(found: Sequence[_Read], corpora: Mapping[str, Corpus]) -> tuple[RowSource, ...]:
    """Return the tables of rows, those of the newest scored run first.

    Systems stand together on dev and dev2 where one protocol scored them, and on test where they
    share their data.
    """
    tables: dict[_TableOf, list[RowColumn]] = {}
    scored = [
        (one, quality.basis)
        for one in reversed(found)
        if (quality := one.record.quality) is not None and quality.basis.dev_sha256 in corpora
    ]
    names = {basis.dev_sha256: one.record.data for one, basis in scored}
    for one, basis in scored:
        found_in: list[tuple[SplitName, Basis | None, RowColumn]]
        found_in = [("dev", basis, _column(one, "dev", one.card))]
        if one.record.second is not None:
            column = _column(one, "dev2", one.run.scorecard("dev2"))
            found_in.append(("dev2", one.record.second.basis, column))
        if "test" not in one.edited:
            found_in.append(("test", None, _column(one, "test", None)))
        for split_name, scored_on, column in found_in:
            place = (basis.dev_sha256, split_name, scored_on)
            tables.setdefault(place, []).insert(0, column)
    sources: dict[_TableOf, RowSource] = {}
    taken = Counter[str]()
    # The table of the oldest run first: a key stays when a table joins, as ratings refer to it.
    for place in sorted(tables, key=lambda place: tables[place][0].system.run):
        dev_sha256, name, _ = place
        split, columns = getattr(corpora[dev_sha256], name), tables[place]
        if split is not None and any(column.predictions for column in columns):
            stem = f"{name}-{split.fingerprint[:8]}"
            key = f"{stem}-{taken[stem]}" if taken[stem] else stem
            taken[stem] += 1
            sources[place] = RowSource(key, names[dev_sha256], split, columns)
    return tuple(sources[place] for place in tables if place in sources)


def _column(one: _Read, split: SplitName, card: Scorecard | None) -> RowColumn:
    predictions = one.predictions if split == "dev" else one.run.predictions(split)
    system = RowSystem(
        run=one.run.name,
        name=one.record.name,
        toy=one.record.recipe.model.scratch is not None,
        mean=None if card is None else card.rouge.mean,
    )
    return RowColumn(system, predictions, card)


def _with_all_faults(view: Report, rows: Sequence[RowSource]) -> Report:
    """Return the report with every kind of fault counted; a score counts the quick ones alone."""
    counts = {run: faults for one in rows if one.table.split == "dev"
              for run, faults in one.fault_counts().items()}  # fmt: skip
    systems = tuple(
        one
        if one.quality is None or one.run not in counts
        else msgspec.structs.replace(
            one, quality=msgspec.structs.replace(one.quality, faults=counts[one.run])
        )
        for one in view.systems
    )
    return msgspec.structs.replace(view, systems=systems)


class _Comparisons(NamedTuple):
    """What the groups of comparable runs say: each run's record, and the answers together."""

    records: dict[str, RunHistory]
    compared: dict[Basis, Compared]


def _compared(found: Sequence[_Read], corpora: Mapping[str, Corpus]) -> _Comparisons:
    """Compare the runs of each basis, and no others, with each other."""
    records = {one.run.name: one.record for one in found}
    members: dict[Basis, list[tuple[_Read, Scorecard]]] = {}
    for one in found:
        if one.card is not None and one.record.quality is not None:
            members.setdefault(one.record.quality.basis, []).append((one, one.card))
    compared = {}
    for basis, scored in members.items():
        dialogues = {one.run.name: basis.dev_sha256 for one, _ in scored}
        group = ScorecardGroup({one.run.name: card for one, card in scored}, dialogues)
        copies = {one.run.name for one, _ in scored if one.record.recipe.engine == "lead"}
        differences = groups.differences(group, groups.baseline(group, copies))
        learned = group.without(copies)
        tied = groups.tied_with_best(learned) if learned else frozenset()
        for name in group:
            records[name] = records[name]._replace(
                difference=differences.get(name),
                tied_with_best=name in tied if name in learned else None,
            )
        answers = [Answered(one.record.name, one.predictions, card) for one, card in scored]
        corpus = corpora.get(basis.dev_sha256)
        compared[basis] = Compared(
            pairs=groups.pairs(ScorecardGroup({one.name: one.card for one in answers})),
            examples=() if corpus is None else examples(corpus, answers),
            copied=() if corpus is None else _copied(corpus, [one for one, _ in scored]),
        )
    return _Comparisons(records, compared)


def _copied(corpus: Corpus, scored: Sequence[_Read]) -> tuple[CopiedText, ...]:
    """Return what the references and each system copy from the dialogues of dev."""
    words = {one.id: DialogueWords(one.text) for one in corpus.dev.dialogues}
    references = [(one.id, one.references[0]) for one in corpus.dev.dialogues if one.references]
    answers = {one.run.name: [(row.id, row.text) for row in one.predictions] for one in scored}
    return tuple(
        CopiedText(
            run=run,
            runs=tuple(words[row].longest_copied(text) for row, text in texts if row in words),
        )
        for run, texts in ({None: references} | answers).items()
    )


def _disk(workspace: Workspace) -> DiskSpace:
    """Return the space of the disk that the workspace is, or would be, on."""
    places = (workspace.folder, *workspace.folder.absolute().parents)
    usage = shutil.disk_usage(next(one for one in places if one.is_dir()))
    return DiskSpace(free_gb=usage.free / 1e9, used_gb=usage.used / 1e9, total_gb=usage.total / 1e9)


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
    recorded = {entry.number: entry for entry in readable_ledger(workspace.ledger_path)[0]}
    for path in manifests(workspace.submissions_folder):
        manifest = read_manifest(path)
        entry = recorded.get(int(path.parent.name))
        yield SubmissionSummary(
            number=path.parent.name,
            system=" + ".join(_called(manifest.members)),
            method=manifest.method,
            rows=manifest.rows,
            sha256=manifest.sha256,
            path=workspace.relative(path.with_name(CSV)),
            dev_mean=manifest.dev.rouge.mean,
            signature=manifest.dev.signature,
            public_score=entry.public if entry else None,
            alarms=manifest.dev.alarms,
            warnings=manifest.warnings,
            record=workspace.relative(path),
        )


def _changed_submissions(workspace: Workspace) -> Iterator[ReportFinding]:
    folder = workspace.submissions_folder
    for number in changed_files(readable_ledger(workspace.ledger_path)[0], folder):
        record = workspace.relative(folder / str(number) / MANIFEST)
        yield _finding("changed-submission", record, numbers=str(number))


def _called(members: Sequence[Member]) -> list[str]:
    """Return the members' recipe names; the system name where the recipe is not unique."""
    recipes = [member.recipe for member in members]
    return [
        (recipe if recipe and recipes.count(recipe) == 1 else member.system)
        + (TOY if member.toy else "")
        for member, recipe in zip(members, recipes, strict=True)
    ]


_PACKAGES = (
    "torch", "transformers", "peft", "bitsandbytes", "accelerate", "tokenizers", "numpy", "scipy",
    "rapidfuzz", "msgspec", "python-mecab-ko", "python-mecab-ko-dic",
)  # fmt: skip
"""Packages that can change a result; the record lists every other package too."""


def _provenance(workspace: Workspace, found: Sequence[_Read]) -> Iterator[Fact]:
    """Yield every recorded fact once; where runs differ, each value with its first run."""
    yield Fact(label="workspace", value=str(workspace.folder), record="")
    yielded: set[tuple[str, str]] = set()
    for one in found:
        if one.provenance is None:
            continue
        record = f"{one.record.folder}/provenance.json"
        for label, value in _facts(one.provenance, one.record.recipe.train.seed):
            if value and (label, value) not in yielded:
                yielded.add((label, value))
                yield Fact(label=label, value=value, record=record)


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

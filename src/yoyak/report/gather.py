"""From a workspace to its view: the only place of the report that reads records from disk."""

import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from yoyak.errors import InputMissing
from yoyak.final.submission import Manifest
from yoyak.messages import text
from yoyak.queue.provenance import Provenance
from yoyak.report import figures, lint
from yoyak.report.build import Rest, build
from yoyak.report.chronicle import RunRecord
from yoyak.report.claims import stated
from yoyak.report.examples import Said, examples
from yoyak.report.lint import StatedDisk
from yoyak.report.view import (
    Difference,
    Fact,
    Finding,
    Floor,
    HandedIn,
    Measured,
    Quality,
    Sentence,
    View,
)
from yoyak.score.card import Scorecard
from yoyak.score.compare import contrast, unlike
from yoyak.store.run import Run
from yoyak.store.workspace import Workspace
from yoyak.values import Corpus


def gather(workspace: Workspace, corpus: Corpus | None = None, *, compared: bool = True) -> View:
    """The view of a workspace; without ``compared`` no statistics are computed (for ``status``).

    With the ``corpus`` that the runs learned from, the view has examples too.
    """
    runs = workspace.runs()
    cards = {run.name: card for run in runs if (card := run.scorecard("dev")) is not None}
    differences = _differences(cards, _baseline(runs, cards)) if compared else {}
    records = _named_apart(
        [_record(workspace, run, cards.get(run.name), differences, compared) for run in runs]
    )
    said = [
        Said(one.name, run.predictions("dev"), cards[run.name])
        for one, run in zip(records, runs, strict=True)
        if run.name in cards
    ]
    rest = Rest(
        title=_title(workspace, runs),
        workspace=str(workspace.folder),
        written_at=time.time(),
        floors=tuple(_floors(workspace, runs, cards)),
        submissions=tuple(_submissions(workspace)),
        provenance=tuple(_provenance(workspace, runs)),
        examples=examples(corpus, said) if corpus is not None and compared else (),
        disk_free_gb=_disk(workspace).free_gb,
    )
    view = build(records, rest)
    found = (*lint.check(stated(records, view, _disk(workspace))), *_garbled(workspace, runs))
    return msgspec.structs.replace(view, findings=found)


def _title(workspace: Workspace, runs: Sequence[Run]) -> str:
    return Path(runs[-1].identity.data_folder).name if runs else workspace.folder.resolve().name


def _relative(workspace: Workspace, path: Path) -> str:
    return path.relative_to(workspace.folder).as_posix()


def _record(
    workspace: Workspace,
    run: Run,
    card: Scorecard | None,
    differences: Mapping[str, Difference],
    compared: bool,
) -> RunRecord:
    folder = _relative(workspace, run.folder)
    record = f"{folder}/scores/dev.json"
    quality = None if card is None else quality_of(card, record, intervals=compared)
    return RunRecord(
        id=run.name,
        folder=folder,
        recipe=run.recipe,
        events=tuple(run.events()),
        status=run.state().status,
        quality=quality,
        difference=differences.get(run.name),
        summary_lengths=tuple(len(one.text) for one in run.predictions("dev")) if compared else (),
    )


def _named_apart(records: Sequence[RunRecord]) -> list[RunRecord]:
    """Several runs of one recipe are told apart by their folders' names."""
    recipes = [record.recipe.name for record in records]
    return [
        record._replace(label=record.id) if recipes.count(record.recipe.name) > 1 else record
        for record in records
    ]


def quality_of(card: Scorecard, record: str, *, intervals: bool = True) -> Quality:
    """The card's figures; with ``intervals`` each measure gets its own, from the card's rows."""
    rouge = card.rouge
    known = _intervals(card) if intervals else (None, None, None)
    values = msgspec.structs.astuple(rouge)
    rouge1, rouge2, rouge_l = (
        Measured(value=value, interval=each) for value, each in zip(values, known, strict=True)
    )
    return Quality(
        rouge1=rouge1,
        rouge2=rouge2,
        rougeL=rouge_l,
        mean=Measured(value=rouge.mean, interval=card.interval),
        rows=card.n,
        signature=card.protocol.signature,
        record=record,
    )


def _intervals(card: Scorecard) -> tuple[Any, ...]:
    import numpy as np

    from yoyak.score import resampling

    rows = np.array([msgspec.structs.astuple(row.rouge) for row in card.rows], dtype=np.float64)
    return resampling.mean_intervals(rows, seed=card.seed, resamples=card.resamples)


def _baseline(runs: Sequence[Run], cards: Mapping[str, Scorecard]) -> str | None:
    """The run that copies the first turns; without one, the oldest that was scored."""
    scored = [run for run in runs if run.name in cards]
    floors = [run for run in scored if run.recipe.engine == "lead"]
    return next((run.name for run in (*floors, *scored)), None)


def _differences(cards: Mapping[str, Scorecard], baseline: str | None) -> dict[str, Difference]:
    """Each run against the baseline, corrected together; runs judged otherwise are left out."""
    if baseline is None:
        return {}
    ours = cards[baseline]
    alike = [
        (name, baseline, card.rows, ours.rows)
        for name, card in cards.items()
        if name != baseline and not unlike(card.protocol, ours.protocol)
    ]
    return {
        one.system: Difference(
            baseline=baseline,
            mean=Measured(value=one.difference.mean, interval=one.interval),
            p=one.p_holm,
            verdict=one.verdict,
        )
        for one in (contrast(alike) if alike else ())
    }


def _floors(
    workspace: Workspace, runs: Sequence[Run], cards: Mapping[str, Scorecard]
) -> Iterator[Floor]:
    seen: set[str] = set()
    for run in runs:
        card = cards.get(run.name)
        if card is None or card.protocol.signature in seen:
            continue
        seen.add(card.protocol.signature)
        record = _relative(workspace, run.folder / "scores" / "dev.json")
        for name, rouge in (
            ("constant", card.floors.constant),
            ("unrelated", card.floors.unrelated),
        ):
            if rouge is not None:
                signature = card.protocol.signature
                yield Floor(name=name, rouge=rouge, signature=signature, record=record)


def _submissions(workspace: Workspace) -> Iterator[HandedIn]:
    if not workspace.submissions_folder.is_dir():
        return
    paths = workspace.submissions_folder.glob("[0-9]*/manifest.json")
    for path in sorted(paths, key=lambda path: int(path.parent.name)):
        manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
        yield HandedIn(
            number=path.parent.name,
            system=" + ".join(member.system for member in manifest.members),
            rows=manifest.rows,
            sha256=manifest.sha256,
            path=_relative(workspace, path.with_name("submission.csv")),
            public_score=None,
            record=_relative(workspace, path),
        )


_PACKAGES = (
    "torch", "transformers", "peft", "bitsandbytes", "accelerate", "tokenizers", "numpy", "scipy",
    "rapidfuzz", "msgspec", "python-mecab-ko", "python-mecab-ko-dic",
)  # fmt: skip
"""What can change a result; the record lists every other package too."""


def _provenance(workspace: Workspace, runs: Sequence[Run]) -> Iterator[Fact]:
    """Every recorded fact once; where runs differ, each value with the first run that has it."""
    yield Fact(label=text("report.fact-workspace"), value=str(workspace.folder), record="")
    said: set[tuple[str, str]] = set()
    for run in runs:
        record = _relative(workspace, run.folder / "provenance.json")
        for label, value in _facts(run):
            if (label, value) not in said:
                said.add((label, value))
                yield Fact(label=label, value=value, record=record)


def _facts(run: Run) -> Iterator[tuple[str, str]]:
    path = run.folder / "provenance.json"
    if not path.is_file():
        raise InputMissing("store.no-record", path=path)
    known = msgspec.json.decode(path.read_bytes(), type=Provenance)
    yield text("report.fact-command"), " ".join(known.command)
    yield text("report.fact-data"), known.data_folder
    yield from ((f"{split} SHA-256", value) for split, value in known.data_sha256.items())
    if known.code is not None:
        yield text("report.fact-commit"), known.code.commit
        if known.code.dirty_sha256 is not None:
            yield text("report.fact-dirty"), known.code.dirty_sha256
    yield "yoyak", known.yoyak
    yield "Python", known.python
    yield text("report.fact-platform"), known.platform
    yield text("report.fact-processor"), known.processor
    yield text("report.fact-gpus"), ", ".join(known.gpus) or figures.UNKNOWN
    versions = (f"{name} {known.packages[name]}" for name in _PACKAGES if name in known.packages)
    yield text("report.fact-packages"), ", ".join(versions)
    yield text("report.fact-environment"), " ".join(map("=".join, known.environment.items()))
    yield text("report.fact-seed"), str(run.recipe.train.seed)


def _garbled(workspace: Workspace, runs: Sequence[Run]) -> Iterator[Finding]:
    for run in runs:
        lines = run.log().garbled
        if lines:
            fields = {"run": run.name, "lines": str(lines)}
            yield Finding(
                rule="garbled-log",
                what=Sentence(key="report.lint-garbled-log", fields=fields),
                record=_relative(workspace, run.log_path),
            )


def _disk(workspace: Workspace) -> StatedDisk:
    """The disk that the workspace is, or would be, on."""
    places = (workspace.folder, *workspace.folder.absolute().parents)
    usage = shutil.disk_usage(next(one for one in places if one.is_dir()))
    return StatedDisk(free_gb=usage.free / 1e9, total_gb=usage.total / 1e9, sufficient=True)

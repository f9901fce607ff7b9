"""Export a run as a model that others can load, or the answers of runs side by side."""

import csv
import io
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from yoyak.data.corpus import read_corpus
from yoyak.engine import Emit
from yoyak.engine.exported import FILE, ExportedModel, ExportForm
from yoyak.errors import BadData, CannotWrite, InputMissing, Unavailable
from yoyak.export.check import ROWS, check_form, evenly_spaced
from yoyak.export.model_card import ExportedRun, render
from yoyak.export.usage import MODELFILE, modelfile
from yoyak.files import atomic
from yoyak.report.render.escape import csv_cell
from yoyak.report.render.json import score_file
from yoyak.runs.run import Run
from yoyak.runs.stage_records import require_unedited
from yoyak.values import Split, Value

RECORDS = ("recipe.json", "provenance.json")
NOTES = {"made_by": "yoyak export"}
"""Notes in the manifest of an exported folder: only such a folder is replaced by a later export."""


def check_target(target: Path, protected: Sequence[Path]) -> None:
    """Check that an export to ``target`` overwrites nothing and stays out of ``protected`` folders.

    Raises:
        CannotWrite: something that is no earlier export is at ``target``, or it lies in one of the
            folders.
    """
    resolved = target.resolve()
    for folder in protected:
        if resolved.is_relative_to(folder.resolve()):
            raise CannotWrite("report.export-inside", path=target, folder=folder)
    if os.path.lexists(target) and not _is_export(target):
        raise CannotWrite("report.export-in-the-way", path=target)


class ExportOptions(NamedTuple):
    """How a run is exported as a model.

    ``form`` is ``None`` for the weights as they were trained, ``quantisation`` for the format's
    default. ``llama_cpp`` is a checkout of llama.cpp. The model answers ``check_rows`` dialogues of
    dev; with 0 it is not checked.
    """

    form: ExportForm | None = None
    quantisation: str | None = None
    llama_cpp: Path | None = None
    check_rows: int = ROWS


AS_TRAINED = ExportOptions()


class Exported(NamedTuple):
    """An exported model: its folder and its record."""

    folder: Path
    record: ExportedModel


def export_model(
    run: Run,
    target: Path,
    options: ExportOptions = AS_TRAINED,
    emit: Emit = lambda _: None,
) -> Exported:
    """Write the run as a model to the folder ``target``, and let it answer rows of dev.

    Args:
        run: with whole weights.
        target: the folder.
        options: format, number format, check.
        emit: receives the engine's events.

    Raises:
        InputMissing: the run has no weights of its own, or its data folder is gone.
        BadData: its dev predictions or score are not what the run wrote, or dev has changed.
        BadRecipe: the format cannot hold the model.
        CannotWrite, DiskFull: ``target`` is something else already; nothing was written.
        Unavailable: the ``[train]`` extra is not installed, or a library of the format.
    """
    require_unedited(run)
    model = run.recipe.model
    if model.base is None and model.scratch is None:
        raise InputMissing("report.export-no-model", run=run.name)
    try:
        from yoyak.engine.formats.export import ExportRequest, write_export
    except ModuleNotFoundError as error:
        engine = run.recipe.engine
        raise Unavailable("engine.no-library", engine=engine, library=error.name) from error
    if os.path.lexists(target) and not _is_export(target):
        raise CannotWrite("report.export-in-the-way", path=target)
    request = ExportRequest(
        run=run.name,
        engine_folder=run.engine_folder,
        recipe=run.recipe,
        form=options.form,
        quantisation=options.quantisation,
        llama_cpp=options.llama_cpp,
    )
    dev = _checked_rows(run, options.check_rows)
    with atomic.whole_folder(target, NOTES) as folder:
        record = write_export(request, folder)
        if dev is not None:
            check = check_form(request, folder, record, run, dev, emit)
            record = msgspec.structs.replace(record, check=check)
        _describe(run, record, folder)
    return Exported(target, record)


def _checked_rows(run: Run, count: int) -> Split | None:
    """Return the rows of dev that the model answers; ``None`` if it is not to be checked.

    Nothing is left to check a run with that was trained on dev.

    Raises:
        InputMissing: the data folder is gone.
        BadData: its dev is not the run's.
    """
    if not count or run.recipe.data.with_dev:
        return None
    dev = read_corpus(Path(run.identity.data_folder)).dev
    if dev.fingerprint != run.identity.dev_sha256:
        raise BadData("report.export-other-data", run=run.name, data=run.identity.data_folder)
    return msgspec.structs.replace(dev, dialogues=evenly_spaced(dev.dialogues, count))


def _describe(run: Run, record: ExportedModel, folder: Path) -> None:
    """Write the record, the model card and what the run recorded beside the weights."""
    atomic.write_value(folder / FILE, record)
    if record.form == "gguf":
        atomic.write_text(folder / MODELFILE, modelfile(record))
    card = run.scorecard("dev")
    atomic.write_text(folder / "README.md", render(ExportedRun(run.recipe, record, card)))
    for name in RECORDS:
        atomic.write_bytes(folder / name, (run.folder / name).read_bytes())
    if card is not None:
        atomic.write_value(folder / "scores.json", score_file(card))


class AnswerRow(Value, frozen=True, kw_only=True):
    """One dialogue of dev with its references and each system's summary."""

    fname: str
    dialogue: str
    references: tuple[str, ...]
    summaries: dict[str, str]
    rouge_mean: dict[str, float]
    """By system, 0 to 100; systems without a score are left out."""


def rows(runs: Sequence[Run], dev: Split) -> Iterator[AnswerRow]:
    """Yield the rows of dev that every run has answered, in the order of the file.

    Raises:
        BadData: a run answered another dev split, or its answers are not what the run wrote.
    """
    for run in runs:
        require_unedited(run)
        if run.identity.dev_sha256 != dev.fingerprint:
            raise BadData("report.export-other-data", run=run.name, data=run.identity.data_folder)
    recipes = [run.identity.recipe for run in runs]
    names = recipes if len(set(recipes)) == len(runs) else [run.name for run in runs]
    known = dict(zip(names, runs, strict=True))
    summaries = {
        name: {one.id: one.text for one in run.predictions("dev")} for name, run in known.items()
    }
    scorecards = {name: run.scorecard("dev") for name, run in known.items()}
    means = {
        name: {row.id: 100 * row.rouge.mean for row in card.rows} if card else {}
        for name, card in scorecards.items()
    }
    for one in dev.dialogues:
        if all(one.id in texts for texts in summaries.values()):
            yield AnswerRow(
                fname=one.id,
                dialogue=one.text,
                references=one.references,
                summaries={name: texts[one.id] for name, texts in summaries.items()},
                rouge_mean={
                    name: scores[one.id] for name, scores in means.items() if one.id in scores
                },
            )


def export_rows(found: Sequence[AnswerRow], target: Path) -> Path:
    """Write the rows to ``target``: a table for spreadsheets if it ends with .csv, else JSONL.

    In the CSV, cells that a spreadsheet would run as formulas are escaped; JSONL is exact.

    Raises:
        CannotWrite, DiskFull: ``target`` is there already, or cannot be written; it is unchanged.
    """
    if os.path.lexists(target):
        raise CannotWrite("report.export-in-the-way", path=target)
    if target.suffix.lower() == ".csv":
        atomic.write_bytes(target, _table(found).encode("utf-8-sig"))
    else:
        lines = b"".join(msgspec.json.encode(row) + b"\n" for row in found)
        atomic.write_bytes(target, lines)
    return target


def _table(found: Sequence[AnswerRow]) -> str:
    """Return CSV, a line per dialogue; each system has a column of summaries and one of scores."""
    systems = list(found[0].summaries) if found else []
    references = max((len(row.references) for row in found), default=0)
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(
        [
            "fname",
            "dialogue",
            *(f"reference{number + 1}" for number in range(references)),
            *(name for system in systems for name in (system, f"{system} rouge_mean")),
        ]
    )
    for row in found:
        padded = [*row.references, *[""] * (references - len(row.references))]
        answers = (
            cell
            for system in systems
            for cell in (
                csv_cell(row.summaries[system]),
                f"{row.rouge_mean[system]:.2f}" if system in row.rouge_mean else "",
            )
        )
        writer.writerow([csv_cell(row.fname), *map(csv_cell, (row.dialogue, *padded)), *answers])
    return out.getvalue()


def _is_export(path: Path) -> bool:
    """Return whether ``path`` is the folder of an earlier export."""
    manifest = None if path.is_symlink() else atomic.read_manifest(path)
    return manifest is not None and manifest.notes == NOTES

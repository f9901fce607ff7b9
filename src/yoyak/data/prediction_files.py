"""Read predictions, references and dialogues from files of any origin, columns found by name.

A file of train, dev or test is read as ``contest.toml`` beside it declares. Otherwise a name of a
column counts whatever its case and separators are: ``Pred_Summary`` is ``predsummary``. Where
more than one column could be meant, nothing is picked: the error lists them.
"""

import re
from collections.abc import Iterable
from pathlib import Path

from yoyak.data.clean import clean
from yoyak.data.columns import DIALOGUE, TOPIC, with_contest_columns, with_speaker_tags
from yoyak.data.contest import Contest, contest_of
from yoyak.data.corpus import parse_turns, read_table
from yoyak.data.rows import ID_COLUMNS, InputTable, TableRow, column_key, read_rows
from yoyak.data.speakers import tag_names
from yoyak.errors import BadData
from yoyak.messages import listed
from yoyak.values import Dialogue, PredictedTexts

PREDICTIONS = (
    frozenset((
        "prediction", "predictions", "pred", "preds", "predsummary", "predictedsummary",
        "summarypred", "generated", "generatedsummary", "generatedtext", "output", "outputs",
        "modeloutput", "hypothesis", "hyp", "candidate", "response",
    )),
    frozenset({"summary"}),
    frozenset({"text"}),
)  # fmt: skip
"""Names of the prediction column: a group counts only where the groups before it name none."""

REFERENCES = (
    "references", "reference", "refs", "ref", "referencesummary", "goldsummary", "gold", "summary",
    "summaries", "target", "label",
)  # fmt: skip
"""Names of reference columns, alone or numbered (``summary``, ``summary2``); the first counts."""


def read_predictions(path: Path, *, column: str | None = None) -> PredictedTexts:
    """Read the text predicted for each id, in file order; an empty prediction stays empty.

    Args:
        path: any file or pipe that ``read_rows`` reads.
        column: the prediction's column, where its name does not tell.

    Raises:
        BadData: no column or more than one fits, an id is empty or occurs twice.
    """
    table = read_rows(path)
    chosen = _prediction_column(table, column)
    seen: dict[str, TableRow] = {}
    for key, row in _with_ids(table):
        if key in seen:
            raise table.error("data.duplicate-id", row, id=key, first=seen[key].number)
        seen[key] = row
    found = PredictedTexts({key: table.cell(row, chosen) for key, row in seen.items()})
    found.as_written = {
        key: row.as_written[chosen] for key, row in seen.items() if chosen in row.as_written
    }
    found.sha256 = table.sha256
    found.has_dialogues = DIALOGUE in table.columns
    return found


def read_references(*paths: Path) -> dict[str, tuple[str, ...]]:
    """Read the references of each id, from numbered columns, repeated ids, or several files.

    Their order is columns, then rows, then files. Empty extra cells are left out.

    Raises:
        BadData: no column fits, an id has no reference, or one reference is given twice by rows or
            by whole files (which would pretend that two people wrote it).
    """
    merged: dict[str, tuple[str, ...]] = {}
    read: list[dict[str, tuple[str, ...]]] = []
    for path in paths:
        references = _references(path)
        if references in read:
            raise BadData("data.same-references", file=path, other=paths[read.index(references)])
        read.append(references)
        for key, texts in references.items():
            merged[key] = (*merged.get(key, ()), *texts)
    return merged


def _references(path: Path) -> dict[str, tuple[str, ...]]:
    contest = contest_of(path) or Contest()
    table = _as_declared(path, contest)
    columns = _reference_columns(table)
    found: dict[str, tuple[str, ...]] = {}
    for key, row in _with_ids(table):
        texts = tuple(filled(row.cells.get(column, "") for column in columns))
        if contest.tag_speakers_in_summaries:
            texts = tuple(tag_names(text, row.speakers) for text in texts)
        if not texts:
            raise table.error("data.empty-reference", row, id=key, columns=listed(columns))
        if not set(texts).isdisjoint(found.get(key, ())):
            raise table.error("data.repeated-reference", row, id=key)
        found[key] = (*found.get(key, ()), *texts)
    return found


def read_dialogues(*paths: Path) -> dict[str, Dialogue]:
    """Read every dialogue by id from the files with a ``dialogue`` column; ``{}`` if none has.

    Where several files hold the same id, the first one counts.
    """
    found: dict[str, Dialogue] = {}
    for path in paths:
        table = _as_declared(path, contest_of(path) or Contest(), is_test=True)
        if DIALOGUE not in table.columns:
            continue
        column = id_column(table)
        for row in table.rows:
            key = table.cell(row, column)
            text = clean(table.cell(row, DIALOGUE)).text
            topic = row.cells.get(TOPIC) or None
            found.setdefault(key, Dialogue(id=key, turns=parse_turns(text), topic=topic))
    return found


def _as_declared(path: Path, contest: Contest, *, is_test: bool = False) -> InputTable:
    """Return the rows of a file as a run reads them if it is a split of a data folder."""
    table = read_table(path)
    if contest.columns is not None:
        table, _ = with_contest_columns(table, contest.columns, is_test=is_test)
    return with_speaker_tags(table) if DIALOGUE in table.columns else table


def filled(texts: Iterable[str]) -> Iterable[str]:
    """Yield the texts that hold more than blanks, as they are."""
    return (text for text in texts if text.strip())


# --- which column ----------------------------------------------------------------------------


def id_column(table: InputTable) -> str:
    """Return the column that names the rows.

    Raises:
        BadData: no column is called like an id.
    """
    names = {column_key(column): column for column in reversed(table.columns)}
    column = next((names[name] for name in ID_COLUMNS if name in names), None)
    if column is None:
        raise BadData(
            "data.no-id", file=table.path, columns=listed(table.columns), known=listed(ID_COLUMNS)
        )
    return column


def _with_ids(table: InputTable) -> Iterable[tuple[str, TableRow]]:
    column = id_column(table)
    for row in table.rows:
        key = table.cell(row, column)
        if not key.strip():
            raise table.error("data.empty-id", row, column=column)
        yield key, row


def _prediction_column(table: InputTable, column: str | None) -> str:
    if column is not None:
        if column in table.columns:
            return column
        columns = listed(table.columns)
        raise BadData("data.no-such-column", file=table.path, column=column, columns=columns)
    groups = [
        [name for name in table.columns if column_key(name) in group] for group in PREDICTIONS
    ]
    groups.append([name for name in table.columns if re.search("summar|predict", column_key(name))])
    fitting = next(filter(None, groups), [])
    if len(fitting) == 1:
        return fitting[0]
    key = "data.which-column" if fitting else "data.no-prediction"
    raise BadData(key, file=table.path, columns=listed(fitting or table.columns))


def _reference_columns(table: InputTable) -> list[str]:
    for base in REFERENCES:
        numbered = [
            (int(match[1] or 0), column)
            for column in table.columns
            if (match := re.fullmatch(rf"{base}([0-9]*)", column_key(column)))
        ]
        if numbered:
            return [column for _, column in sorted(numbered)]
    predicted = [column for column in table.columns if column_key(column) in PREDICTIONS[0]]
    if predicted:
        raise BadData("data.predictions-as-references", file=table.path, columns=listed(predicted))
    raise BadData("data.no-reference", file=table.path, columns=listed(table.columns))

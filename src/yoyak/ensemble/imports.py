"""Import predictions of other programs into the workspace, with their source files' hashes.

::

    imports/<name>/  import.json  dev.jsonl  test.jsonl  scores/dev.json

Texts are copied, so that the source file may change or go. Dev predictions are scored on import;
without them a system cannot be submitted.
"""

import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from yoyak.data.clean import summary_of
from yoyak.data.prediction_files import read_predictions
from yoyak.errors import BadData, UsageError
from yoyak.files import atomic
from yoyak.metrics.scorecard import Scorecard, evaluate
from yoyak.runs.stage_records import StaleOutput, StaleReason, file_sha256
from yoyak.runs.workspace import Workspace
from yoyak.values import Corpus, Prediction, Split, SplitName, Value

_RECORD = "import.json"
_CARD = "scores/dev.json"


class ImportSource(Value, frozen=True, kw_only=True):
    """One imported file or pipe; ``sha256`` is that of the bytes that were read.

    ``column`` is as given by the user, ``None`` if found by its name.
    """

    split: SplitName
    file: str
    sha256: str
    rows: int
    column: str | None = None


class ImportRecord(Value, frozen=True, kw_only=True):
    """Source files of an import, and the data that its ids were checked against."""

    name: str
    sources: tuple[ImportSource, ...]
    imported_at: float
    data_sha256: dict[str, str]


class Import:
    """One import's folder; its values are read on access."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.name

    @property
    def record(self) -> ImportRecord:
        """Its source files and data."""
        path = self.folder / _RECORD
        try:
            return msgspec.json.decode(path.read_bytes(), type=ImportRecord)
        except msgspec.DecodeError as error:
            raise BadData("submission.bad-record", file=path, line=1, problem=str(error)) from error

    def predictions(self, split: SplitName) -> tuple[Prediction, ...]:
        """Return the stored predictions in the order of the split; none if none were imported."""
        path = self.folder / f"{split}.jsonl"
        if not path.is_file():
            return ()
        return tuple(msgspec.json.Decoder(Prediction).decode_lines(path.read_bytes()))

    def scorecard(self) -> Scorecard | None:
        """Return the scorecard of the dev predictions, if they were imported."""
        path = self.folder / _CARD
        return msgspec.json.decode(path.read_bytes(), type=Scorecard) if path.is_file() else None

    @property
    def provenance(self) -> dict[str, str]:
        """The hashes that bind its answers: those of its stored files, as written."""
        manifest = atomic.read_manifest(self.folder)
        files = {} if manifest is None else {one.name: one.sha256 for one in manifest.files}
        names = {"dev.jsonl": "dev_sha256", "test.jsonl": "test_sha256", _CARD: "score_sha256"}
        return {key: files[name] for name, key in names.items() if name in files}

    def edited_outputs(self) -> dict[str, Path]:
        """Return the stored files, by ``dev``, ``test`` and ``score``, that are not as written."""
        stored, names = self.provenance, ("dev.jsonl", "test.jsonl", _CARD)
        paths = dict(zip(("dev", "test", "score"), map(self.folder.joinpath, names), strict=True))
        return {
            output: path
            for output, path in paths.items()
            if stored.get(f"{output}_sha256") != file_sha256(path)
        }

    def stale_outputs(self, corpus: Corpus) -> tuple[StaleOutput, ...]:
        """Return every output that was edited since the import, or that answers other data."""
        edited = [StaleOutput(output, StaleReason.EDITED) for output in self.edited_outputs()]
        answered = self.record.data_sha256
        other = [
            StaleOutput(split.name, StaleReason.DATA)
            for split in (corpus.dev, corpus.test)
            if answered.get(split.name) != split.fingerprint
        ]
        return (*edited, *other)


def imports(workspace: Workspace) -> tuple[Import, ...]:
    """Return every import, sorted by name."""
    folder = workspace.imports_folder
    found = sorted(folder.glob(f"*/{_RECORD}")) if folder.is_dir() else []
    return tuple(Import(path.parent) for path in found)


def import_files(
    workspace: Workspace,
    corpus: Corpus,
    name: str,
    files: Sequence[Path],
    *,
    column: str | None = None,
) -> Import:
    """Store the predictions of ``files`` as the system ``name`` and score those of dev.

    A split that was imported before under the same name and data is kept unless it comes again.

    Args:
        workspace: where it is stored.
        corpus: whose dev or test each file must answer completely.
        name: of the system; no run may have the same.
        files: of any kind that ``read_rows`` reads, each with an id and a prediction column.
        column: the prediction's column, where it has none of the usual names.

    Raises:
        UsageError: no files, or a run has the name.
        BadData: a file's ids are neither those of dev nor those of test, or two files are of one
            split.
    """
    if not files or workspace.named(atomic.checked_name(name)) is not None:
        key = "submission.name-taken" if files else "submission.nothing-to-import"
        raise UsageError(key, name=name)
    read = [_read(path, corpus, column) for path in files]
    _once(read)
    found = Import(workspace.imports_folder / name)
    kept = [(source, found.predictions(source.split)) for source in _kept(found, corpus, read)]
    _store(found, corpus, [*kept, *read])
    return found


Read = tuple[ImportSource, tuple[Prediction, ...]]


def _read(path: Path, corpus: Corpus, column: str | None) -> Read:
    texts = read_predictions(path, column=column)
    split = _split_of(path, texts.keys(), corpus)
    source = ImportSource(
        split=split.name,
        file=path.name,
        sha256=texts.sha256,
        rows=len(texts),
        column=column,
    )
    predictions = tuple(
        Prediction(
            id=row.id,
            text=summary_of(texts[row.id]),
            raw=texts.as_written.get(row.id, texts[row.id]),
        )
        for row in split.dialogues
    )
    return source, predictions


def _split_of(path: Path, ids: Iterable[str], corpus: Corpus) -> Split:
    found = set(ids)
    dev, test = ({row.id for row in split.dialogues} for split in (corpus.dev, corpus.test))
    if found in (dev, test):
        return corpus.dev if found == dev else corpus.test
    raise BadData(
        "submission.import-ids",
        file=path,
        found=len(found),
        dev=len(found & dev),
        dev_rows=len(dev),
        test=len(found & test),
        test_rows=len(test),
    )


def _once(read: Sequence[Read]) -> None:
    seen: dict[str, ImportSource] = {}
    for source, _ in read:
        first = seen.setdefault(source.split, source)
        if first is not source:
            raise BadData(
                "submission.import-twice", split=source.split, one=first.file, two=source.file
            )


def _kept(found: Import, corpus: Corpus, read: Sequence[Read]) -> list[ImportSource]:
    if not (found.folder / _RECORD).is_file() or found.record.data_sha256 != _data(corpus):
        return []
    new = {source.split for source, _ in read}
    return [source for source in found.record.sources if source.split not in new]


def _store(found: Import, corpus: Corpus, parts: Sequence[Read]) -> None:
    record = ImportRecord(
        name=found.name,
        sources=tuple(source for source, _ in parts),
        imported_at=time.time(),
        data_sha256=_data(corpus),
    )
    with atomic.whole_folder(found.folder) as folder:
        for source, predictions in parts:
            lines = b"".join(msgspec.json.encode(one) + b"\n" for one in predictions)
            atomic.write_bytes(folder / f"{source.split}.jsonl", lines)
            if source.split == "dev":
                card = evaluate(predictions, corpus.dev)
                atomic.write_bytes(folder / _CARD, msgspec.json.encode(card))
        atomic.write_bytes(folder / _RECORD, msgspec.json.encode(record))


def _data(corpus: Corpus) -> dict[str, str]:
    return {split.name: split.fingerprint for split in (corpus.dev, corpus.test)}

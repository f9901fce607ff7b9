"""What ``yoyak init`` has found, as blocks."""

from collections.abc import Iterator, Mapping
from itertools import chain, repeat

from yoyak.messages import text
from yoyak.report.sections import format
from yoyak.report.sections.blocks import Block, Table, TableColumn
from yoyak.values import SPLITS, Corpus, Dialogue, SplitName

_TURNS = 3
_LETTERS = 160


def found_splits(corpus: Corpus, files: Mapping[SplitName, str]) -> Iterator[Block]:
    """Yield the splits with their rows, and the files they come from."""
    splits = {split.name: split for split in (corpus.train, corpus.dev, corpus.test)}
    yield Table(
        (
            TableColumn(text("init.column-split")),
            TableColumn(text("init.column-rows"), is_number=True),
            TableColumn(text("init.column-file")),
        ),
        tuple((name, format.count(len(splits[name].dialogues)), files[name]) for name in SPLITS),
        text("init.title-found", folder=corpus.folder),
    )


def example(dialogue: Dialogue, columns: Mapping[str, str], file: str) -> Iterator[Block]:
    """Yield the first dialogue as a run reads it; ``columns`` are the file's names by ours."""
    turns = [f"{turn.speaker}: {turn.text}".removeprefix(": ") for turn in dialogue.turns]
    values = {
        "id": [dialogue.id],
        "dialogue": [*turns[:_TURNS], *(["…"] if len(turns) > _TURNS else [])],
        "summary": list(dialogue.references),
        "topic": [dialogue.topic] if dialogue.topic else [],
    }
    rows = tuple(
        (role if is_first else "", columns.get(role, "") if is_first else "", _short(value))
        for role, shown in values.items()
        for is_first, value in zip(chain((True,), repeat(False)), shown, strict=False)
    )
    heads = (TableColumn(text(f"init.column-{one}")) for one in ("role", "theirs", "example"))
    yield Table(tuple(heads), rows, text("init.title-example", file=file))


def _short(value: str) -> str:
    return value if len(value) <= _LETTERS else f"{value[:_LETTERS].rstrip()} …"

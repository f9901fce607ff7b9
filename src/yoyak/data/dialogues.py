"""The dialogues of files that anybody wrote, for judging summaries beside what they summarise."""

from pathlib import Path

from yoyak.data.clean import clean
from yoyak.data.corpus import parse_turns
from yoyak.data.prediction_files import id_column, read_rows
from yoyak.values import Dialogue

DIALOGUE = "dialogue"
TOPIC = "topic"


def read_dialogues(*paths: Path) -> dict[str, Dialogue]:
    """Every dialogue by id, from those files that have a ``dialogue`` column; ``{}`` if none has.

    Where several files hold the same id, the first one counts.
    """
    found: dict[str, Dialogue] = {}
    for path in paths:
        table = read_rows(path)
        if DIALOGUE not in table.columns:
            continue
        column = id_column(table)
        for row in table.rows:
            key = table.cell(row, column)
            text = clean(table.cell(row, DIALOGUE)).text
            topic = row.cells.get(TOPIC) or None
            found.setdefault(key, Dialogue(id=key, turns=parse_turns(text), topic=topic))
    return found

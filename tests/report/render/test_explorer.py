"""What the page carries for the explorer: rows that decode to the model's, positions in UTF-16."""

import base64
import json
import re
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yoyak import messages
from yoyak.metrics.diagnostics.error_types import ErrorType
from yoyak.metrics.diagnostics.text_patterns import TextSpan
from yoyak.report.model.rows import (
    RowAnswer,
    RowColumn,
    RowFault,
    RowSource,
    RowSystem,
)
from yoyak.report.render import explorer
from yoyak.report.render.escape import printable
from yoyak.values import Dialogue, Prediction, Rouge, Split, Turn

HOSTILE = "</script><script>window.pwned=1</script><!--\u202e\x00&amp;"


def source(text=HOSTILE, key="dev-abababab", rows=1):
    dialogues = tuple(
        Dialogue(
            id=f"dev_{place}", topic=HOSTILE, references=(HOSTILE,),
            turns=(Turn(speaker="#Person1#", text=HOSTILE),),
        )
        for place in range(rows)
    )  # fmt: skip
    split = Split(name="dev", dialogues=dialogues, fingerprint="ab" * 32)
    system = RowSystem(run="run-1", name=HOSTILE, toy=True, mean=0.5)
    predictions = [Prediction(id=one.id, text=text, raw=text) for one in dialogues]
    return RowSource(key, HOSTILE, split, [RowColumn(system, predictions, None)])


def blocks(sources, *, live=False):
    """The contents of the blocks by their id, unpacked."""
    html = "".join(explorer.explorer_blocks(sources, {}, live=live))
    found = re.findall(r'<script type="([^"]*)" id="([^"]*)">(.*?)</script>', html, re.DOTALL)
    assert html == "".join(
        f'<script type="{kind}" id="{name}">{text}</script>' for kind, name, text in found
    )
    return {
        name: json.loads(text)
        if kind == "application/json"
        else json.loads(zlib.decompress(base64.b64decode(text), wbits=-15))
        for kind, name, text in found
    }


def test_hostile_text_ends_no_block_and_arrives_as_it_is_shown():
    found = blocks([source()])
    (row,) = found["rows-dev-abababab"]
    shown = printable(HOSTILE.replace("\x00", " "))  # as the analysers read it
    assert row[5] == f"#Person1#: {shown}"
    assert row[7][0][0] == shown
    assert "\u202e" not in str(found)
    assert "\x00" not in str(found)


def test_every_text_exists_in_both_languages_and_every_kind_of_fault_has_a_name():
    config = blocks([source()])["explorer-config"]
    assert set(config["texts"]) == set(messages.LANGUAGES)
    assert {key.removeprefix("fault-") for key in config["texts"]["en"]} >= set(ErrorType)
    assert set(config["faults"]) == set(ErrorType)
    assert set(config["absent"]) <= set(ErrorType)


def test_a_live_page_carries_no_row():
    assert list(blocks([], live=True)) == ["explorer-config"]


def test_tables_beyond_the_limit_are_named_and_left_out(monkeypatch):
    small, large = source(key="dev-1"), source(key="dev-2", rows=20)
    monkeypatch.setattr(explorer, "MOST_CHARACTERS", small.characters * 3)
    found = blocks([small, large, source(key="dev-3")])
    assert set(found) == {"explorer-config", "rows-dev-1", "rows-dev-3"}
    (left_out,) = found["explorer-config"]["left_out"]
    assert (left_out["rows"], left_out["systems"]) == (20, 1)


def test_scores_and_counts_keep_three_decimals_of_a_point():
    one = RowAnswer(text="가", faults=(), rouge=Rouge(rouge1=0.123456, rouge2=0.0, rougeL=1.0))
    assert explorer._answer(one).rouge == (12346, 0, 100_000)


@pytest.mark.parametrize(
    ("text", "marked"),
    [
        ("점심 7시", "7"),
        ("🎉 축하 7시", "7"),
        ("가\u202e나\x00다 7시", "7"),
        ("줄\n바꿈 \u00a0끝", "\u00a0"),
    ],
)
def test_marks_stand_where_a_browser_counts(text, marked):
    start = text.index(marked)
    span = TextSpan(start=start, end=start + len(marked), text=marked)
    fault = RowFault(fault=ErrorType.INVENTED_NUMBER, spans=(span,))
    answer = explorer._answer(RowAnswer(text=text, rouge=None, faults=(fault,)))
    kind, begin, end = answer.marks
    units = answer.text.encode("utf-16-le")
    assert units[2 * begin : 2 * end].decode("utf-16-le") == printable(marked)
    assert tuple(ErrorType)[kind] is ErrorType.INVENTED_NUMBER


@given(st.text(max_size=40))
def test_positions_never_leave_the_shown_text(text):
    shown = printable(text)
    places = explorer._places(text, shown)
    found = [places(at) for at in range(len(text) + 1)]
    assert found == sorted(found)
    assert (found[0], found[-1]) == (0, len(shown.encode("utf-16-le")) // 2)


def test_pages_of_rows_are_the_whole_in_order():
    one = source(rows=5)
    pages = [json.loads(explorer.rows_json(one, start, start + 2)) for start in (0, 2, 4, 6)]
    assert [row for page in pages for row in page] == json.loads(explorer.rows_json(one))
    (head,) = json.loads(explorer.tables_json([one]))["tables"]
    assert (head["rows"], head["systems"][0]["run"]) == (5, "run-1")

"""Predictions and references from anybody's files: found by name, or refused with the choices."""

import json
import unicodedata

import pytest

from yoyak.data.prediction_files import read_predictions, read_references
from yoyak.errors import BadData


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("fname,summary", "a,이것"),
        (",fname,summary", "0,a,이것"),
        ("id,prediction", "a,이것"),
        ("ID,Pred_Summary", "a,이것"),
        ("dialogue_id,generated", "a,이것"),
        ("fname,output,dialogue", "a,이것,저것"),
        ("fname,pred,summary", "a,이것,저것"),
        ("fname,my_summary_v2,dialogue,topic", "a,이것,저것,저것"),
        ("id,fname,text", "0,a,이것"),
    ],
)
def test_the_columns_of_a_prediction_are_found_by_name(file, header, row):
    assert read_predictions(file("p.csv", f"{header}\n{row}\n")) == {"a": "이것"}


def test_predictions_keep_file_order_blanks_and_emptiness(file):
    path = file("p.csv", "fname,summary\nb, 둘 \na,\n")
    assert list(read_predictions(path).items()) == [("b", " 둘 "), ("a", "")]


def test_a_column_can_be_named(file):
    path = file("p.csv", "fname,summary_a,summary_b\nx,하나,둘\n")
    with pytest.raises(BadData, match=r"summary_a, summary_b could each .*--column"):
        read_predictions(path)
    assert read_predictions(path, column="summary_b") == {"x": "둘"}


def test_predictions_come_from_jsonl_too(file):
    path = file("p.jsonl", '{"id": "x", "text": "요약", "raw": " 요약", "seconds": 0.5}\n')
    assert read_predictions(path) == {"x": "요약"}


@pytest.mark.parametrize(
    ("content", "column", "says"),
    [
        ("summary,topic\nx,y\n", None, "no id column among summary, topic"),
        ("fname,dialogue\nx,y\n", None, "no column among fname, dialogue looks like a prediction"),
        ("fname,summary\nx,y\n", "pred", "no column pred; found fname, summary"),
        ("fname,summary\nx,y\nz,y\nx,z\n", None, "row 3 (line 4): x already stands in row 1"),
        ("fname,summary\nx,y\n ,z\n", None, "row 2 (line 3): fname is empty"),
    ],
)
def test_what_cannot_be_matched_is_refused(file, content, column, says):
    with pytest.raises(BadData) as caught:
        read_predictions(file("p.csv", content), column=column)
    assert says in str(caught.value)


def test_a_prediction_that_is_null_is_not_an_empty_one(file):
    path = file("p.jsonl", '{"id": "x", "text": "요약"}\n{"id": "y", "text": null}\n')
    with pytest.raises(BadData, match=r"row 2 \(line 2\): no value for text"):
        read_predictions(path)


def test_references_from_numbered_columns_skip_empty_ones(file):
    path = file("r.csv", "fname,summary,summary2,summary3\na,하나,둘,셋\nb,하나,, \n")
    assert read_references(path) == {"a": ("하나", "둘", "셋"), "b": ("하나",)}


def test_references_in_the_order_of_their_numbers(file):
    path = file("r.jsonl", '{"summary2": "둘", "fname": "a", "topic": "t", "summary1": "하나"}\n')
    assert read_references(path) == {"a": ("하나", "둘")}


def test_references_from_repeated_ids(file):
    path = file("r.csv", "fname,summary\na,하나\nb,셋\na,둘\n")
    assert read_references(path) == {"a": ("하나", "둘"), "b": ("셋",)}


def test_references_from_a_list(file):
    path = file("r.jsonl", '{"id": "a", "references": ["하나", "둘"], "summary": "모델"}\n')
    assert read_references(path) == {"a": ("하나", "둘")}


def test_references_of_several_files_are_merged_by_id(file):
    one = file("one.csv", "fname,summary\na,하나\nb,셋\n")
    other = file("other.csv", "id,reference\nb,넷\na,둘\n")
    assert read_references(one, other) == {"a": ("하나", "둘"), "b": ("셋", "넷")}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("summary\nx\n", "no id column among summary"),
        ("fname,dialogue\na,b\n", "looks like a reference"),
        ("fname,summary\na,b\nc, \n", "row 2 (line 3): c has no reference (summary)"),
        ("fname,summary\na,b\na,b\n", "row 2 (line 3): a has this reference already"),
    ],
)
def test_references_that_cannot_count_are_refused(file, content, says):
    with pytest.raises(BadData) as caught:
        read_references(file("r.csv", content))
    assert says in str(caught.value)


def test_the_same_references_twice_are_not_two_opinions(file):
    one = file("one.csv", "fname,summary\na,하나\n")
    with pytest.raises(BadData, match="exactly the references of"):
        read_references(one, one)


def test_decomposed_hangul_is_composed_and_the_file_remembers_it(file):
    text = "우산을 챙긴다."
    decomposed = unicodedata.normalize("NFD", text)
    found = read_predictions(file("p.csv", f"fname,summary\na,{decomposed}\nb,{text}\n"))
    assert found == {"a": text, "b": text}
    assert found.as_written == {"a": decomposed}
    assert read_references(file("r.csv", f"fname,summary\na,{decomposed}\n")) == {"a": (text,)}
    as_json = json.dumps({"fname": "a", "summary": decomposed})  # escapes: the file is ASCII
    assert read_predictions(file("p.jsonl", as_json + "\n")) == {"a": text}


def test_ids_stay_as_they_are_written(file):
    key = unicodedata.normalize("NFD", "대화_1")
    assert list(read_predictions(file("p.csv", f"fname,summary\n{key},글\n"))) == [key]


def test_a_file_of_predictions_is_no_file_of_references(file):
    path = file("p.csv", "fname,pred_summary\na,우산을 챙긴다.\n")
    with pytest.raises(BadData, match="perhaps the two files were exchanged"):
        read_references(path)


def test_a_file_with_dialogues_is_known_as_one(file):
    labelled = file("dev.csv", "fname,dialogue,summary\na,#Person1#: 응.,답한다.\n")
    assert read_predictions(labelled).has_dialogues
    assert not read_predictions(file("p.csv", "fname,summary\na,답한다.\n")).has_dialogues

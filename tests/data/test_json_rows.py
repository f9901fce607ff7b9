"""Every way in which people write JSON gives the same records, each with its line."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yoyak.data.prediction_files import read_predictions, read_references
from yoyak.data.rows import read_rows
from yoyak.errors import BadData

RECORDS = [{"id": "가-1", "summary": "첫째."}, {"id": "가-2", "summary": "둘째."}]


def lines(records):
    return "\n".join(json.dumps(one, ensure_ascii=False) for one in records)


WRITTEN = {
    "lines": lines,
    "array": json.dumps,
    "indented array": lambda records: json.dumps(records, indent=2),
    "objects over several lines": lambda records: "\n".join(
        json.dumps(one, indent=2) for one in records
    ),
    "under data": lambda records: json.dumps({"version": 1, "data": records, "note": [1]}),
}


@pytest.mark.parametrize("written", WRITTEN.values(), ids=WRITTEN)
@pytest.mark.parametrize("name", ["t.json", "t.jsonl", "t.csv"])
def test_records_are_the_same_however_they_are_written(file, name, written):
    table = read_rows(file(name, "\n" + written(RECORDS)))
    assert [row.cells for row in table.rows] == RECORDS
    assert [row.number for row in table.rows] == [1, 2]


texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=5)


@given(st.lists(st.dictionaries(texts, texts), min_size=2, max_size=4), st.sampled_from([None, 1]))
def test_any_array_of_objects_is_read_as_the_json_module_reads_it(
    tmp_path_factory, records, indent
):
    records = [{"id": "x", **one} for one in records]
    path = tmp_path_factory.mktemp("json") / "t.json"
    path.write_text(json.dumps(records, indent=indent), encoding="utf-8")
    table = read_rows(path)
    assert [row.cells.keys() for row in table.rows] == [one.keys() for one in records]
    assert [row.line for row in table.rows] == [
        1 if indent is None else 2 + sum(len(one) + 2 for one in records[:number])
        for number in range(len(records))
    ]


def test_lines_are_those_of_the_file(file):
    table = read_rows(file("t.json", '{"data": [\n{"id": "a"},\n\n{"id":\n "b"}, {"id": "c"}]}'))
    assert [row.line for row in table.rows] == [2, 4, 5]


def test_numbers_stay_as_they_are_written(file):
    [row] = read_rows(file("t.json", '[{"id": 1300, "score": 0.50, "big": 1e999}]')).rows
    assert row.cells == {"id": "1300", "score": "0.50", "big": "1e999"}


def test_a_map_of_ids_is_predictions_or_references(file):
    path = file("t.json", '{"dev_0": "첫째.", "dev_1": "둘째."}')
    assert dict(read_predictions(path)) == {"dev_0": "첫째.", "dev_1": "둘째."}
    nested = file("n.json", '{"dev_0": {"pred": "첫째."}, "dev_1": {"pred": "둘째."}}')
    assert dict(read_predictions(nested)) == {"dev_0": "첫째.", "dev_1": "둘째."}
    with pytest.raises(BadData, match=r"row 2 \(line 1\): no value for summary"):
        read_predictions(file("m.json", '{"dev_0": "첫째.", "dev_1": null}'))
    several = file("u.json", '{"dev_0": ["하나", "둘"], "dev_1": ["셋"]}')
    assert read_references(several) == {"dev_0": ("하나", "둘"), "dev_1": ("셋",)}


@pytest.mark.parametrize(
    ("text", "key", "says"),
    [
        ('[{"id": "a"}, {"id": NaN}]', "data.json-nan", "row 2 (line 1): NaN is not JSON"),
        ('{"id": "a"}\n{"id": -Infinity}', "data.json-nan", "row 2 (line 2): -Infinity"),
        ('[{"id": "a"},\n{"id": "b"', "data.bad-json", "row 2 (line 2)"),
        ('[{"id": "a"} {"id": "b"}]', "data.bad-json", "comma or the end"),
        ('[{"id": "a"}] x', "data.bad-json", "follows the end"),
        ('{"data": [{"id": "a"}]}\n{"id": "b"}', "data.bad-json", "follows the end"),
        ('[{"id": "a"}, ["b"]]', "data.bad-json", "an object is expected"),
        ('{"a": "b", "a": "c"}', "data.bad-json", "same name twice in one object: a"),
        ("[]", "data.no-records", "no record"),
        ("[" * 100_000, "data.bad-json", "row 1 (line 1)"),
        ('{"fname": {"0": "a"}, "summary": {"0": "b"}}', "data.json-columns", "to_json"),
        ('{"columns": ["id"], "data": [["a"]]}', "data.json-columns", "columns, data"),
        ("{}", "data.no-records", "no record"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(file, text, key, says):
    with pytest.raises(BadData) as caught:
        read_rows(file("t.json", text))
    assert caught.value.key == key
    assert says in str(caught.value)

"""One planted bad file per rule: each is refused by its rule, at the right rows."""

import csv
import io
import unicodedata

import pytest

from yoyak import messages
from yoyak.submission.validate import NAMES, validate
from yoyak.values import Severity

DOG = "#Person1#은 #Person2#에게 개를 맡깁니다."


def lines(data: bytes) -> list[str]:
    return data.decode().splitlines(keepends=True)


def joined(parts: list[str]) -> bytes:
    return "".join(parts).encode()


def with_line(row: int, line: str):
    """Replaces the physical line of a row (no summary of the good file has a line break)."""

    def plant(data: bytes) -> bytes:
        parts = lines(data)
        parts[row] = line
        return joined(parts)

    return plant


def with_texts(change, rows):
    def plant(data: bytes) -> bytes:
        table = list(csv.reader(io.StringIO(data.decode())))
        for row in rows:
            table[row][2] = change(table[row][2])
        stream = io.StringIO(newline="")
        csv.writer(stream, lineterminator="\n").writerows(table)
        return stream.getvalue().encode()

    return plant


def swapped(data: bytes) -> bytes:
    parts = lines(data)
    parts[5], parts[6] = parts[6], parts[5]
    return joined(parts)


def without(row: int):
    return lambda data: joined(lines(data)[:row] + lines(data)[row + 1 :])


def text(value):
    return with_texts(lambda _: value, [7])


def in_row(change):
    return with_texts(change, [7])


def no_comma(data: bytes) -> bytes:
    return with_line(7, '6,test_6,"따옴표가 필요 없는 요약입니다."\n')(data)


HALF = range(1, 61)

# rule -> (how to plant it, the rows that must be named; None: the whole file)
PLANTED = {
    "encoding": (lambda data: data.decode().encode("cp949"), None),
    "unreadable": (in_row(lambda old: old * 4000), None),
    "byte-order-mark": (lambda data: b"\xef\xbb\xbf" + data, None),
    "header": (lambda data: data.replace(b",fname,summary", b"id,fname,summary", 1), None),
    "newline": (lambda data: data.replace(b"\n", b"\r\n"), range(120)),
    "last-newline": (lambda data: data[:-1], [120]),
    "column-count": (with_line(7, "6,test_6\n"), [7]),
    "row-count": (without(7), None),
    "quoting": (no_comma, [7]),
    "id-missing": (without(7), [7]),
    "id-unknown": (lambda data: data.replace(b",test_6,", b",test_999,"), [7]),
    "id-repeated": (lambda data: data.replace(b",test_6,", b",test_7,"), [7, 8]),
    "order": (swapped, [5, 6]),
    "index": (lambda data: data.replace(b"\n6,test_6,", b"\n60,test_6,"), [7]),
    "empty": (text(""), [7]),
    "nan": (text("nan"), [7]),
    "line-break": (text("#Person1#은 개를 맡깁니다.\n#Person2#는 돕습니다."), [7]),
    "edge-blank": (in_row(lambda old: old + " "), [7]),
    "model-token": (in_row(lambda old: old + "<|eot_id|>"), [7]),
    "control-character": (in_row(lambda old: old[:-3] + "\ufffd."), [7]),
    "decomposed": (in_row(lambda old: unicodedata.normalize("NFD", old)), [7]),
    "prompt-echo": (in_row(lambda old: "다음 대화를 한국어로 요약하세요. " + old), [7]),
    "placeholder": (text("여기에 요약을 적습니다."), [7]),
    "literal-break": (in_row(lambda old: old + "<br>" + old), [7]),
    "untagged": (with_texts(lambda old: old.replace("#Person", "").replace("#", ""), HALF), HALF),
    "unfinished": (with_texts(lambda old: old[:-6], HALF), HALF),
    "duplicate-text": (with_texts(lambda _: DOG, HALF), HALF),
    "foreign-script": (with_texts(lambda old: old.replace("에게", "對"), HALF), None),
    "malformed-tag": (with_texts(lambda old: old.replace("#Person1#", "#Person1"), HALF), None),
    "repetition": (with_texts(lambda old: f"{old} {old} {old}", HALF), HALF),
    "unknown-tag": (with_texts(lambda old: "#Person5#와 " + old, HALF), HALF),
    "dialogue-echo": (with_texts(lambda old: "#Person1#: " + old, HALF), HALF),
    "length": (with_texts(lambda old: f"{old} {old} {old}", range(1, 121)), None),
}


def test_every_rule_has_a_planted_file():
    assert sorted(PLANTED) == sorted(NAMES)
    assert len(NAMES) >= 15


@pytest.fixture(scope="module")
def verdicts(good, evidence):
    return {rule: validate(plant(good), evidence) for rule, (plant, _) in PLANTED.items()}


@pytest.mark.parametrize("rule", PLANTED)
def test_a_planted_fault_is_found_by_its_rule_at_its_rows(rule, verdicts):
    _, rows = PLANTED[rule]
    faults = {fault.rule: fault for fault in verdicts[rule].faults}
    assert rule in faults
    if rows is not None:
        assert {place.row for place in faults[rule].places} >= set(rows)


@pytest.mark.parametrize("rule", sorted(set(PLANTED) - {"literal-break"}))
def test_a_planted_fault_refuses_the_file(rule, verdicts):
    assert not verdicts[rule].accepted
    assert rule in {fault.rule for fault in verdicts[rule].errors}


def test_a_good_file_passes_without_a_word(good, evidence):
    verdict = validate(good, evidence)
    assert verdict.accepted
    assert verdict.faults == ()
    assert (verdict.rows, verdict.rules) == (120, len(NAMES))


def test_a_fault_names_the_row_its_id_and_what_was_found(good, evidence):
    [fault] = validate(PLANTED["model-token"][0](good), evidence).faults
    [place] = fault.places
    assert (place.row, place.id, place.found) == (7, "test_6", "<|eot_id|>")
    assert "row 7 test_6: <|eot_id|>" in fault.text
    with messages.speaking("ko"):
        assert "7행 test_6: <|eot_id|>" in fault.text


@pytest.mark.parametrize("lang", messages.LANGUAGES)
@pytest.mark.parametrize("rule", PLANTED)
def test_every_fault_can_speak(rule, lang, verdicts):
    with messages.speaking(lang):
        for fault in verdicts[rule].faults:
            assert "{" not in fault.text


def test_a_file_with_its_tags_deleted_is_refused(good, evidence):
    tags = ("#Person1#", "#Person2#")
    bare = with_texts(
        lambda old: old.replace(tags[0], "").replace(tags[1], "").strip(), range(1, 121)
    )
    [fault] = [f for f in validate(bare(good), evidence).errors if f.rule == "untagged"]
    assert len(fault.places) == 120


def test_a_file_with_three_quarters_of_its_endings_cut_is_refused(good, evidence):
    cut = [row for row in range(1, 121) if row % 4 != 3]  # 75 %
    verdict = validate(
        with_texts(lambda old: old[: len(old) * 2 // 3].strip(), cut)(good), evidence
    )
    [fault] = [f for f in verdict.errors if f.rule == "unfinished"]
    assert [place.row for place in fault.places] == cut
    assert fault.fields["share"] == "75.0%"


def test_a_few_cut_endings_are_noise(good, evidence):
    verdict = validate(with_texts(lambda old: old[:-6], [3, 50])(good), evidence)
    assert verdict.accepted


def test_an_unknown_file_is_held_to_the_references(good, evidence):
    stranger = evidence._replace(outputs=None)
    assert validate(good, stranger).accepted
    verdict = validate(PLANTED["unfinished"][0](good), stranger)
    [fault] = verdict.errors
    assert fault.fields["basis"] == "references"
    assert "dev's references" in fault.text


def test_what_was_as_bad_on_dev_is_shown_and_not_refused(good, evidence):
    scored = tuple(
        answer._replace(text=answer.text[:-6]) if answer.row in HALF else answer
        for answer in evidence.outputs
    )
    verdict = validate(PLANTED["unfinished"][0](good), evidence._replace(outputs=scored))
    assert verdict.accepted
    [fault] = verdict.warnings
    assert (fault.rule, fault.severity) == ("unfinished", Severity.WARNING)


def test_one_row_of_a_foreign_script_is_shown(good, evidence):
    verdict = validate(in_row(lambda old: old.replace("에게", "對"))(good), evidence)
    assert verdict.accepted
    [fault] = verdict.warnings
    assert [(place.row, place.found) for place in fault.places] == [(7, "對")]


def test_two_columns_without_the_index_are_refused_and_still_read(good, evidence):
    table = [row[1:] for row in csv.reader(io.StringIO(good.decode()))]
    table[7][1] += "</s>"
    stream = io.StringIO(newline="")
    csv.writer(stream, lineterminator="\n").writerows(table)
    found = {fault.rule: fault for fault in validate(stream.getvalue().encode(), evidence).errors}
    assert set(found) == {"header", "column-count", "model-token"}
    assert [place.row for place in found["model-token"].places] == [7]


@pytest.mark.parametrize(
    "text_", ["C++와 #1을 말합니다.", "Ms. Dawson과 #Person1#이 만납니다.", '그는 "좋다"고 합니다.']
)
def test_ordinary_texts_are_left_alone(text_, good, evidence):
    assert validate(with_texts(lambda _: text_, [7])(good), evidence).accepted


@pytest.mark.parametrize("data", [b"", b"\n", b"\xff\xfe", b'"', b"fname\n1\n", b"\0\0\0"])
def test_no_bytes_break_the_gate(data, evidence):
    assert not validate(data, evidence).accepted

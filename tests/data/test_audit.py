"""The audit: contradictions, leaks, copies, broken text and counts, on data where each is known."""

import csv
import io
import re
import statistics

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.corpora import rows, write_corpus
from yoyak import messages
from yoyak.data.audit import ALLOWABLE, audit, lengths, refuse_contradictions, tags_of
from yoyak.data.corpus import read_corpus
from yoyak.errors import BadData, UsageError
from yoyak.events import DataFinding
from yoyak.values import Severity

STORY = "주말에 바닷가로 여행을 가자고 했더니 친구가 기차표를 미리 끊어 두자고 했습니다."
HEAD = "fname,dialogue,summary,topic\n"


@pytest.fixture
def audited(contest):
    def run(**files):
        return audit(read_corpus(contest(**files)))

    return run


def says(findings, lang="en"):
    with messages.speaking(lang):
        return [each.found for each in findings]


def test_a_clean_corpus_has_no_findings(audited):
    result = audited()
    assert result.findings == ()
    assert result.not_in_test == ("summary", "topic")


def test_a_copy_in_another_split_is_a_leak_even_with_swapped_speakers(audited):
    result = audited(
        train=f"{HEAD}train_0,#Person1#: {STORY},여행 이야기.,\n",
        test=f"fname,dialogue\ntest_0,#Person2#: {STORY}!\ntest_1,#Person1#: 네\n",
    )
    [leak] = result.findings
    assert (leak.name, leak.splits, leak.rows, leak.ids) == (
        "leak", ("train", "test"), 1, ("test_0",),
    )  # fmt: skip
    assert leak.found.startswith("1 of 2 dialogues of test are also in train")
    assert leak.found.endswith(": train_0 = test_0 (100 %)")


def test_a_near_copy_is_told_with_its_likeness(audited):
    near = STORY.replace("기차표를", "버스표를").replace("주말에", "휴가에")
    [text] = says(audited(dev=f"{HEAD}a,#Person1#: {STORY},x,\nb,#Person1#: {near},y,\n").findings)
    assert text == "dev: 1 of 2 dialogues repeat another one, or nearly so: a = b (88 %)"


def test_one_dialogue_with_two_summaries_is_a_conflict(audited):
    result = audited(train=f"{HEAD}a,#Person1#: {STORY},하나.,\nb,#Person1#: {STORY},둘.,\n")
    assert says(result.findings) == [
        "train: 1 of 2 dialogues repeat another one with a different summary: a = b (100 %)"
    ]


def test_tags_that_only_a_summary_has_are_told(audited):
    result = audited(
        dev=f"{HEAD}a,#Person1#: {STORY},#Person3#와 #Email#이 #Person1#을 만납니다.,\n"
    )
    assert says(result.findings) == [
        "dev: 1 of 1 summaries have a tag that their dialogue has not (a)"
    ]


def test_a_dialogue_that_names_nobody_is_told(audited):
    result = audited(test="fname,dialogue\ntest_0,여보세요?\ntest_1,#Person1#: 네\n")
    assert says(result.findings) == ["test: in 1 of 2 rows nobody speaks as #PersonN#: (test_0)"]


# --- a whole split that is unlike the others -----------------------------------------------------


def table(split, change, count=12):
    """Our own dialogues of a split as CSV, each row changed by ``change(dialogue, summary)``."""
    tags = {"지수": "#Person1#", "민호": "#Person2#"}
    target = io.StringIO(newline="")
    writer = csv.writer(target, lineterminator="\n")
    writer.writerow(("fname", "dialogue", "summary")[: 2 if split == "test" else 3])
    for row in rows(split, count):
        dialogue = "\n".join(f"{tags[name]}: {text}" for name, text in row.turns)
        summary = row.summary.replace("지수", "#Person1#").replace("민호", "#Person2#")
        written = change(dialogue, summary, int(row.id[-3:]))
        writer.writerow((row.id, *written[: 1 if split == "test" else 2]))
    return target.getvalue()


def same(dialogue, summary, _):
    return dialogue, summary


def mojibake(text):
    return text.encode().decode("cp1252", "ignore")


UNLIKE = {
    "swapped": lambda dialogue, summary, _: (summary, dialogue),
    "no-speaker": lambda dialogue, summary, _: (re.sub("#Person[12]#: ", "", dialogue), summary),
    "named-speakers": lambda dialogue, summary, _: (
        dialogue.replace("#Person1#", "지수").replace("#Person2#", "민호"), summary,
    ),
    "not-korean": lambda _, summary, number: (
        f"#Person1#: Where is umbrella number {number}?\n#Person2#: Over there.", summary,
    ),
    "summary-not-korean": lambda dialogue, _, number: (dialogue, f"#Person1# is lost {number}."),
    "broken-summary": lambda dialogue, summary, _: (dialogue, re.sub("[가-힣]", "?", summary)),
    "missing-value": lambda dialogue, _, number: (dialogue, "nan" if number % 2 else "None "),
    "one-summary": lambda dialogue, _, number: (dialogue, "#Person1#과 #Person2#가 이야기합니다."),
}  # fmt: skip


@pytest.mark.parametrize("name", UNLIKE)
@pytest.mark.parametrize("split", ["train", "dev"])
def test_a_split_that_contradicts_the_others_stops_training(contest, name, split):
    files = {each: table(each, UNLIKE[name] if each == split else same) for each in
             ("train", "dev", "test")}  # fmt: skip
    found = audit(read_corpus(contest(**files, sample_submission=None)))
    finding = found.findings[0]
    assert (finding.name, finding.severity) == (name, Severity.ERROR)
    assert (finding.splits, finding.rows) == ((split,), 12)
    for lang in messages.LANGUAGES:
        with messages.speaking(lang), pytest.raises(BadData) as caught:
            refuse_contradictions(found)
        with messages.speaking(lang):
            assert f"{split}: " in str(caught.value)
            assert "→ " in str(caught.value)
            assert f"--allow {name}" in str(caught.value)
    refuse_contradictions(found, {one.name for one in found.findings} & set(ALLOWABLE))


@pytest.mark.parametrize("name", UNLIKE)
def test_what_all_splits_have_is_told_and_stops_nothing(contest, name):
    files = {each: table(each, UNLIKE[name]) for each in ("train", "dev", "test")}
    found = audit(read_corpus(contest(**files, sample_submission=None)))
    said = found.named(name)
    assert {one.splits for one in said} >= {("train",), ("dev",)}
    if name != "swapped":  # test holds summaries in place of dialogues there: nobody speaks
        assert {one.severity for one in said} == {Severity.WARNING}
        refuse_contradictions(found)


def test_a_dev_of_train_dialogues_with_other_summaries_stops_training(contest):
    train = table("train", same)
    dev = table("train", lambda dialogue, _, number: (dialogue, f"다른 요약 {number}."))
    dev = dev.replace("train-", "dev-")
    found = audit(read_corpus(contest(train=train, dev=dev)))
    assert found.findings[0].name == "conflict-across"
    with pytest.raises(BadData, match="12 of 12 dialogues of dev are also in train with different"):
        refuse_contradictions(found)


def test_a_row_or_two_stop_nothing(contest):
    odd = table("dev", lambda *row: UNLIKE["missing-value"](*row) if row[2] == 45 else same(*row))
    found = audit(read_corpus(contest(train=table("train", same), dev=odd)))
    assert [(one.name, one.rows, one.ids) for one in found.findings] == [
        ("missing-value", 1, ("dev-045",))
    ]
    refuse_contradictions(found)


def test_an_unknown_name_is_not_taken_for_a_permission(audited):
    with pytest.raises(UsageError, match="swapped"):
        refuse_contradictions(audited(), ["swaped"])


@pytest.mark.parametrize("broken", [mojibake, lambda text: text.replace("요", "\ufffd")])
def test_broken_text_is_recognised(audited, broken):
    result = audited(dev=f"{HEAD}a,#Person1#: {STORY},{broken('무슨 요약입니다만 깨졌습니다.')},\n")
    assert result.named("broken-summary")


def test_question_marks_of_people_are_not_broken_text(audited):
    result = audited(dev=f"{HEAD}a,#Person1#: 뭐라고???? 진짜?????,#Person1#이 놀랍니다.,\n")
    assert result.findings == ()


def test_cells_cut_by_excel_are_told(audited):
    long = f"#Person1#: {'가' * 32756}"
    assert len(long) == 32767
    [finding] = audited(dev=f"{HEAD}a,{long},#Person1#의 긴 말.,\n").findings
    assert (finding.name, finding.ids) == ("excel-cut", ("a",))


def test_lists_end_after_ten_entries(contest):
    most = table(
        "dev", lambda *row: UNLIKE["missing-value"](*row) if row[2] > 40 else same(*row), 30
    )
    [finding] = audit(read_corpus(contest(dev=most))).named("missing-value")
    assert (len(finding.ids), finding.rows) == (10, 29)
    assert "(+19)" in finding.found
    [finding] = audit(read_corpus(contest(dev=table("dev", UNLIKE["missing-value"], 30)))).named(
        "missing-value"
    )
    assert "(+27)" in finding.found, "of all rows three are enough"


def test_summaries_that_name_speakers_are_told_with_the_setting(tmp_path):
    found = audit(read_corpus(write_corpus(tmp_path, "samsum")))
    assert {one.splits for one in found.named("summary-names")} == {("train",), ("dev",)}
    assert "tag_speakers_in_summaries" in found.named("summary-names")[0].found
    assert [one.rows for one in found.named("unread-summaries")] == [4]
    (tmp_path / "contest.toml").write_text("tag_speakers_in_summaries = true\n", encoding="utf-8")
    assert audit(read_corpus(tmp_path)).named("summary-names") == ()


def test_findings_are_records_and_speak_korean(audited):
    result = audited(
        train=f"{HEAD}a,#Person1#: {STORY},#Person9#의 하나.,\nb,#Person1#: {STORY},둘.,\n",
        dev=f"{HEAD}d,#Person1#: {STORY},하나.,\n",
        test=f"fname,dialogue\ntest_0,여보세요?\ntest_1,{STORY}\n",
    )
    assert len(result.findings) >= 4
    assert all(re.search("[가-힣]{2}", text) for text in says(result.findings, "ko"))
    written = msgspec.json.encode(result.findings)
    assert msgspec.json.decode(written, type=tuple[DataFinding, ...]) == result.findings


def test_each_split_is_counted(audited):
    dev = (
        "fname,dialogue,summary,topic,summary2,summary3\n"
        'a,"#Person1#: 번호는 #PhoneNumber#\\n#Person2#: 네  네",하나,t,둘,셋\n'
        'b,"#Person1#: 하나\n#Person2#: 둘\n#Person3#: #PhoneNumber#",넷,t,,\n'
    )
    counted = audited(dev=dev).splits[1]
    assert (counted.name, counted.rows) == ("dev", 2)
    assert counted.turns is not None
    assert (counted.turns.minimum, counted.turns.maximum) == (2, 3)
    assert counted.speakers == {2: 1, 3: 1}
    assert counted.references == {1: 1, 3: 1}
    assert counted.cleaned == {"blanks": 1, "literal-newline": 1}
    assert counted.tags["#PhoneNumber#"] == 2
    assert counted.tags["#Person3#"] == 1


def test_a_split_without_references_has_no_summary_length(audited):
    assert audited().splits[2].summary_characters is None


def test_tags_are_letters_and_digits_between_hashes():
    text = "#Person1#: #Email# # 1# #태그# #PassportNumber#과 #Person1#"
    assert tags_of(text) == ("#Person1#", "#Email#", "#PassportNumber#")


@given(st.lists(st.integers(0, 3000), min_size=1))
def test_lengths_are_those_of_the_statistics_module(values):
    spread = lengths(values)
    assert spread is not None
    assert (spread.minimum, spread.maximum) == (min(values), max(values))
    assert spread.median == statistics.median(values)
    assert sum(value <= spread.p95 for value in values) >= 0.95 * len(values)
    assert sum(value < spread.p95 for value in values) < 0.95 * len(values)


def test_nothing_has_no_length():
    assert lengths([]) is None

"""The audit: leaks, copies, odd tags and plain counts, on a corpus where each is known."""

import re
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yoyak import messages
from yoyak.data.audit import audit, lengths, tags_of
from yoyak.data.corpus import read_corpus

STORY = "주말에 바닷가로 여행을 가자고 했더니 친구가 기차표를 미리 끊어 두자고 했습니다."
HEAD = "fname,dialogue,summary,topic\n"


@pytest.fixture
def audited(contest):
    def run(**files):
        return audit(read_corpus(contest(**files)))

    return run


def says(findings, lang="en"):
    with messages.speaking(lang):
        return [messages.fill(each.key, each.fields) for each in findings]


def test_a_clean_corpus_has_no_findings(audited):
    result = audited()
    assert (result.leaks, result.duplicates, result.oddities) == ((), (), ())
    assert result.not_in_test == ("summary", "topic")


def test_a_copy_in_another_split_is_a_leak_even_with_swapped_speakers(audited):
    result = audited(
        train=f"{HEAD}train_0,#Person1#: {STORY},여행 이야기.,\n",
        test=f"fname,dialogue\ntest_0,#Person2#: {STORY}!\ntest_1,#Person1#: 네\n",
    )
    [text] = says(result.leaks)
    assert text.startswith("train_0 (train) and test_0 (test) are 100 % alike")
    assert result.duplicates == ()


def test_a_near_copy_is_told_with_its_likeness(audited):
    near = STORY.replace("기차표를", "버스표를").replace("주말에", "휴가에")
    [text] = says(
        audited(dev=f"{HEAD}a,#Person1#: {STORY},x,\nb,#Person1#: {near},y,\n").duplicates
    )
    assert text == "a and b (dev) are 88 % alike"


def test_one_dialogue_with_two_summaries_is_a_conflict(audited):
    result = audited(train=f"{HEAD}a,#Person1#: {STORY},하나.,\nb,#Person1#: {STORY},둘.,\n")
    assert says(result.duplicates) == [
        "a and b (train) are 100 % alike but have different summaries"
    ]


def test_tags_that_only_a_summary_has_are_told(audited):
    result = audited(
        dev=f"{HEAD}a,#Person1#: {STORY},#Person3#와 #Email#이 #Person1#을 만납니다.,\n"
    )
    assert says(result.oddities) == [
        "a (dev): #Person3#, #Email# in a summary, but not in the dialogue"
    ]


def test_a_dialogue_that_names_nobody_is_told(audited):
    result = audited(test="fname,dialogue\ntest_0,여보세요?\ntest_1,#Person1#: 네\n")
    assert says(result.oddities)[0].startswith("test_0 (test): no line begins with #PersonN#:")


def test_findings_speak_korean(audited):
    result = audited(
        train=f"{HEAD}a,#Person1#: {STORY},#Person9#의 하나.,\nb,#Person1#: {STORY},둘.,\n",
        dev=f"{HEAD}d,#Person1#: {STORY},하나.,\n",
        test=f"fname,dialogue\ntest_0,여보세요?\ntest_1,{STORY}\n",
    )
    for findings in (result.leaks, result.duplicates, result.oddities):
        assert findings
        assert all(re.search("[가-힣]{2}", text) for text in says(findings, "ko"))


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

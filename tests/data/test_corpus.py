"""The contest's folder: its contract, its turns, and a fingerprint of what it says."""

import csv
import io
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yoyak import messages
from yoyak.data.audit import audit
from yoyak.data.clean import clean
from yoyak.data.corpus import parse_turns, read_corpus
from yoyak.data.prediction_files import read_references
from yoyak.errors import BadData, InputMissing
from yoyak.values import Turn

HEAD = "fname,dialogue,summary,topic\n"
ROW = 'dev_0,"#Person1#: 배고파.\n#Person2#: 국수 먹자.",요약.,점심\n'
TEST_ROW = 'test_0,"#Person1#: 버스 왔어.\n#Person2#: 뛰자."\n'


def test_a_whole_folder_is_read(contest):
    corpus = read_corpus(contest())
    assert [split.name for split in (corpus.train, corpus.dev, corpus.test)] == [
        "train", "dev", "test",
    ]  # fmt: skip
    first = corpus.train.dialogues[0]
    assert first.id == "train_0"
    assert first.turns == (
        Turn(speaker="#Person1#", text="비 온대."),
        Turn(speaker="#Person2#", text="우산 챙길게."),
    )
    assert first.references == ("#Person2#는 우산을 챙깁니다.",)
    assert first.topic == "날씨"
    assert corpus.test.dialogues[0].references == ()
    assert corpus.sample_submission == ",fname,summary\n0,test_0,여기\n1,test_1,여기\n"


def test_what_is_optional_may_be_absent(contest):
    corpus = read_corpus(
        contest(dev='fname,dialogue,summary\nd,"#Person1#: 네.",네.\n', sample_submission=None)
    )
    assert corpus.sample_submission is None
    assert corpus.dev.dialogues[0].topic is None


def test_na_and_null_stay_text(contest):
    rows = "fname,dialogue,summary,topic\nNA,#Person1#: null,nan,None\n"
    row = read_corpus(contest(dev=rows)).dev.dialogues[0]
    assert (row.id, row.text, row.references, row.topic) == (
        "NA", "#Person1#: null", ("nan",), "None",
    )  # fmt: skip


def test_a_dialogue_of_140_000_characters_is_read(contest):
    words = "가" * 140_000
    row = read_corpus(contest(dev=f"{HEAD}d,#Person1#: {words},요약.,\n")).dev.dialogues[0]
    assert row.turns == (Turn(speaker="#Person1#", text=words),)


def test_up_to_three_references_from_columns(contest):
    rows = 'fname,dialogue,summary,topic,summary2,summary3\nd,"#Person1#: 네.",하나,t,,셋\n'
    assert read_corpus(contest(dev=rows)).dev.dialogues[0].references == ("하나", "셋")


def test_further_references_from_a_file(contest):
    own, *_ = read_corpus(contest()).dev.dialogues[0].references
    extra = f"fname,summary\ndev_0,둘\ndev_1,셋\ndev_0,{own}\n"
    dev = read_corpus(contest(dev_references=extra)).dev
    assert dev.dialogues[0].references == (own, "둘")
    assert dev.dialogues[1].references[1:] == ("셋",)


def test_the_clean_up_is_counted_by_rows(contest):
    rows = HEAD + r'a,"#Person1#: 네\n#Person2#: 응<br>#Person1#: 끝",요약\n,' + "\n" + ROW
    dev = read_corpus(contest(dev=rows)).dev
    assert dev.cleaned == {"html-break": 1, "literal-newline": 1}
    assert len(dev.dialogues[0].turns) == 3
    assert dev.dialogues[0].references == (r"요약\n",), "references are scored raw"


BAD = [
    ("dev", HEAD.replace("summary", "sum") + ROW, "missing-column", "no column summary"),
    ("test", "fname,summary\nt,x\n", "missing-column", "no column dialogue"),
    ("train", HEAD.replace("topic", "grade") + ROW, "extra-column", "no column grade"),
    ("test", "fname,dialogue,summary\nt,#Person1#: 네,x\n", "extra-column", "no column summary"),
    ("dev", HEAD + ROW + ROW, "duplicate-id", "row 2 (line 4): dev_0 already stands in row 1"),
    ("dev", HEAD + ROW.replace("dev_0", " "), "empty-id", "row 1 (line 2): fname is empty"),
    ("test", f"fname,dialogue\n{TEST_ROW}t, \n", "empty-dialogue", "row 2 (line 4, fname t)"),
    ("dev", HEAD + "d,#Person1#: #Person2#:,x,\n", "empty-dialogue", "row 1 (line 2, fname d)"),
    ("dev", HEAD + "d,#Person1#: #Email#,x,\n", "empty-dialogue", "row 1 (line 2, fname d)"),
    ("train", HEAD + ROW + "t,#Person1#: 네, ,\n", "empty-summary", "row 2 (line 4, fname t)"),
    ("dev", HEAD + ROW.replace("dev_0", "train_1"), "shared-id", "train_1 is also in train.csv"),
    ("test", TEST_ROW, "no-rows", "no row"),
    ("dev", (HEAD + ROW).encode("cp949"), "looks-like", "looks like cp949"),
    ("dev", (HEAD + ROW)[:-1], "no-final-newline", "row 1 (line 2, fname dev_0)"),
    ("dev", HEAD + ROW[:30], "unclosed-quote", "row 1 (line 2)"),
    ("dev", HEAD + ROW + "dev_1,#Person1#: 네\n", "cell-count", "row 2 (line 4): 2 cells"),
    ("dev_references", "fname,summary\nx,y\n", "unknown-id", "x is not in dev.csv"),
    ("dev_references", "fname,text\nx,y\n", "missing-column", "no column summary"),
    ("sample_submission", "fname\tsummary\ntest_0\tx\n", "sample-format", "with commas"),
    ("sample_submission", '[{"fname": "test_0", "summary": "x"}]', "sample-format", "with commas"),
    ("sample_submission", "fname\nx\n", "missing-column", "no column summary"),
    ("sample_submission", "fname,summary\ntest_0,x\n", "sample-ids", "Only in test: 'test_1'"),
    (
        "sample_submission",
        "fname,summary\ntest_1,x\ntest_0,x\n",
        "sample-order",
        "row 1 (line 2): test_1 where test.csv has test_0",
    ),
]


@pytest.mark.parametrize(("name", "content", "key", "says"), BAD)
def test_what_breaks_the_contract_is_named(contest, name, content, key, says):
    folder = contest(**{name: content})
    with pytest.raises(BadData) as caught:
        read_corpus(folder)
    assert caught.value.key == f"data.{key}"
    assert says in str(caught.value)
    for lang in messages.LANGUAGES:
        with messages.speaking(lang):
            assert str(folder / f"{name}.csv") in str(caught.value)
            assert "→" in str(caught.value)


def test_missing_files_are_listed(contest, tmp_path):
    with pytest.raises(InputMissing, match=r"lacks train\.csv, test\.csv"):
        read_corpus(contest(train=None, test=None))
    with pytest.raises(InputMissing, match=r"lacks train\.csv, dev\.csv, test\.csv"):
        read_corpus(tmp_path / "nowhere")


def test_a_split_may_be_a_folder_of_files(contest):
    folder = contest(dev=None)
    (folder / "dev").mkdir()
    (folder / "dev" / "b.csv").write_text(HEAD + ROW, encoding="utf-8")
    (folder / "dev" / "a.json").write_text(
        '[{"fname": "dev_9", "dialogue": "#Person1#: 네.", "summary": "네."}]',
        encoding="utf-8",
    )
    read = read_corpus(folder).dev.dialogues
    assert [row.id for row in read] == ["dev_9", "dev_0"]
    assert read_references(folder / "dev") == {row.id: row.references for row in read}
    (folder / "dev" / "c.csv").write_text(HEAD + "dev_1,#Person1#: 네., ,\n", encoding="utf-8")
    with pytest.raises(BadData, match=r"dev/c\.csv, row 1 \(line 2, fname dev_1\): the summary"):
        read_corpus(folder)
    (folder / "dev.csv").write_text(HEAD + ROW, encoding="utf-8")
    assert [row.id for row in read_corpus(folder).dev.dialogues] == ["dev_0"], "a file comes first"
    (folder / "dev.json").touch()
    with pytest.raises(BadData, match=r"more than one file for dev \(dev\.csv, dev\.json\)"):
        read_corpus(folder)


def test_decomposed_hangul_is_read_as_composed_and_the_audit_says_so(contest):
    composed = read_corpus(contest())
    for name in ("train", "dev", "test"):
        path = Path(composed.folder) / f"{name}.csv"
        path.write_text(unicodedata.normalize("NFD", path.read_text("utf-8")), "utf-8")
    found = read_corpus(Path(composed.folder))
    assert [split.fingerprint for split in (found.train, found.dev, found.test)] == [
        split.fingerprint for split in (composed.train, composed.dev, composed.test)
    ]
    assert found.train.cleaned["nfc"] == 2
    assert "nfc" not in composed.train.cleaned
    said = [(one.splits, one.rows) for one in audit(found).named("decomposed")]
    assert said == [((name,), 2) for name in ("train", "dev", "test")]


def test_a_long_list_of_ids_is_cut_and_counted(contest):
    sample = "fname,summary\n" + "".join(f"x_{number},y\n" for number in range(30))
    with pytest.raises(BadData, match=r"'x_0', .*'x_9', … \(\+20\)"):
        read_corpus(contest(sample_submission=sample))


# --- turns ---------------------------------------------------------------------------------------


def test_lines_without_a_speaker_keep_their_words():
    turns = parse_turns(clean("회의실에서.\n#Person1#: 시작할까요?\n다들 왔죠?").text)
    assert turns == (
        Turn(speaker="", text="회의실에서."),
        Turn(speaker="#Person1#", text="시작할까요? 다들 왔죠?"),
    )


def test_a_dialogue_that_names_nobody_has_one_turn_a_line(contest):
    row = read_corpus(contest(dev=f'{HEAD}d,"안녕?\n응, 안녕.",x,\n')).dev.dialogues[0]
    assert [turn.text for turn in row.turns] == ["안녕?", "응, 안녕."]
    assert row.speakers == ()
    assert row.text == "안녕?\n응, 안녕."


@given(st.text(st.sampled_from("#Person12:： \n안녕ㅋ<br>\\n"), max_size=60))
def test_turns_say_exactly_the_cleaned_text(text):
    cleaned = clean(text).text
    assert "\n".join(turn.line for turn in parse_turns(cleaned)) == cleaned


# --- fingerprint -----------------------------------------------------------------------------


def dev_print(folder: Path) -> str:
    return read_corpus(folder).dev.fingerprint


@pytest.mark.parametrize("how", ["bom", "crlf", "quoting", "columns", "trailing blanks"])
def test_how_a_file_is_written_does_not_change_its_fingerprint(contest, how):
    plain = contest()
    text = (plain / "dev.csv").read_text("utf-8")
    expected = dev_print(plain)
    table = list(csv.DictReader(io.StringIO(text, newline="")))
    target = io.StringIO(newline="")
    order = ["topic", "summary", "dialogue", "fname"] if how == "columns" else list(table[0])
    quoting = csv.QUOTE_ALL if how == "quoting" else csv.QUOTE_MINIMAL
    end = "\r\n" if how == "crlf" else "\n"
    writer = csv.DictWriter(target, order, quoting=quoting, lineterminator=end)
    writer.writeheader()
    for row in table:
        dialogue = row["dialogue"].replace("\n", " \n") if how == "trailing blanks" else None
        writer.writerow(row | ({"dialogue": dialogue} if dialogue else {}))
    mark = b"\xef\xbb\xbf" if how == "bom" else b""
    assert dev_print(contest(dev=mark + target.getvalue().encode())) == expected


@pytest.mark.parametrize("word", ["배고파", "점심", "국수를 먹기로", "dev_1"])
def test_any_change_of_content_changes_the_fingerprint(contest, word):
    plain = contest()
    text = (plain / "dev.csv").read_text("utf-8")
    expected = dev_print(plain)
    assert dev_print(contest(dev=text.replace(word, f"{word}x", 1))) != expected


def test_the_order_of_rows_belongs_to_the_content(contest):
    rows = [ROW, ROW.replace("dev_0", "dev_9")]
    assert dev_print(contest(dev=HEAD + "".join(rows))) != dev_print(
        contest(dev=HEAD + "".join(reversed(rows)))
    )


def test_a_second_dev_set_is_read_where_there_is_one(contest):
    assert read_corpus(contest()).dev2 is None
    second = (
        "fname,dialogue,summary\n"
        'other_0,"#Person1#: 눈 온다.\n#Person2#: 장갑 줘.",#Person2#가 장갑을 달라고 합니다.\n'
    )
    corpus = read_corpus(contest(dev2=second))
    assert [row.id for row in corpus.dev2.dialogues] == ["other_0"]
    with pytest.raises(BadData, match="dev_0"):
        read_corpus(contest(dev2=second.replace("other_0", "dev_0")))

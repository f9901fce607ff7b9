"""The rows that a recipe trains on, as its [data] declares."""

import csv
import hashlib
import re
from collections import Counter

import msgspec
import pytest

from yoyak.config.schema import DataSettings, ImportedRows
from yoyak.data.corpus import read_corpus
from yoyak.data.training_rows import (
    held_out_split,
    rows_by_source,
    source_of,
    training_split,
    with_file_hashes,
)
from yoyak.errors import BadData, InputMissing


def letters(number):
    """Hangul that no other row has."""
    digest = hashlib.sha256(str(number).encode()).digest()
    return "".join(chr(0xAC00 + 13 * byte + number) for byte in digest)


def row(number, text=None, summary=None):
    said = (letters(number), f"네, {letters(number + 1000)}.", "좋아요.")
    turns = "\n".join(f"#Person{1 + at % 2}#: {each}" for at, each in enumerate(said))
    return (
        f"train_{number}",
        text or turns,
        summary or f"#Person1#은 {number}번째 회의를 #Person2#에게 묻습니다.",
    )


def write(path, rows):
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("fname", "dialogue", "summary")[: len(rows[0])])
        writer.writerows(rows)


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / "train.csv", [row(number) for number in range(20)])
    dev = [(f"dev_{number}", *row(100 + number)[1:]) for number in range(4)]
    write(tmp_path / "dev.csv", dev)
    write(tmp_path / "test.csv", [(f"test_{number}", row(200 + number)[1]) for number in range(4)])
    return tmp_path


@pytest.fixture
def corpus(folder):
    return read_corpus(folder)


def ids(split):
    return [each.id for each in split.dialogues]


def test_without_settings_it_is_train_itself(corpus):
    assert training_split(corpus, DataSettings()) is corpus.train


def test_folds_cover_train_once_and_share_nothing_with_what_is_trained_on(corpus):
    held_out = []
    for fold in (1, 2, 3):
        settings = DataSettings(folds=3, fold=fold)
        trained, out = training_split(corpus, settings), held_out_split(corpus.train, settings)
        assert sorted(ids(trained) + ids(out)) == sorted(ids(corpus.train))
        assert trained.fingerprint not in {corpus.train.fingerprint, out.fingerprint}
        held_out += ids(out)
    assert sorted(held_out) == sorted(ids(corpus.train))


def test_dev_is_trained_on_only_where_that_is_asked_for(corpus):
    assert ids(training_split(corpus, DataSettings(with_dev=True)))[-4:] == ids(corpus.dev)
    assert held_out_split(corpus.train, DataSettings(with_dev=True)) is None


@pytest.mark.parametrize(
    ("rule", "text", "summary"),
    [
        ("unknown-speaker", None, "#Person3#은 회의를 합니다."),
        ("unfinished-summary", None, "#Person1#은 회의를"),
        ("long-summary", "#Person1#: 네.\n#Person2#: 네.", "#Person1#은 길고 긴 요약을 씁니다."),
    ],
)
def test_each_rule_leaves_out_what_it_names_and_nothing_else(rule, text, summary, folder):
    write(folder / "train.csv", [*(row(number) for number in range(6)), row(9, text, summary)])
    corpus = read_corpus(folder)
    left = training_split(corpus, DataSettings(drop=(rule,)))
    assert ids(left) == [f"train_{number}" for number in range(6)]


def test_of_near_duplicates_the_first_stays(folder):
    twin = (row(3)[1].replace("좋아요", "좋습니다"), row(3)[2])
    write(
        folder / "train.csv",
        [row(3), row(50, "#Person1#: 전혀 다른 이야기입니다."), ("train_9", *twin)],
    )
    left = training_split(read_corpus(folder), DataSettings(near_duplicates=0.8))
    assert ids(left) == ["train_3", "train_50"]


@pytest.mark.parametrize("how", ["shuffle", "rename"])
def test_speakers_are_exchanged_alike_in_dialogue_and_summary(how, corpus):
    split = training_split(corpus, DataSettings(speakers=how))
    made = [each for each in split.dialogues if source_of(each.id) == "augmented"]
    assert len(made) == 20
    by_id = {each.id: each for each in corpus.train.dialogues}
    for copy in made:
        own = by_id[copy.id.removeprefix("augmented:")]
        pairs = zip(
            re.findall(r"#Person\d#", own.text + own.references[0]),
            re.findall(r"#Person\d#", copy.text + copy.references[0]),
            strict=True,
        )
        mapping = set(pairs)
        assert len(mapping) == len({one for one, _ in mapping}) == len({two for _, two in mapping})
        assert any(one != two for one, two in mapping)
        assert re.sub(r"#Person\d#", "", copy.text) == re.sub(r"#Person\d#", "", own.text)


def test_turns_are_left_out_by_their_share_and_the_summary_stays(corpus):
    split = training_split(corpus, DataSettings(drop_turns=0.4))
    made = [each for each in split.dialogues if source_of(each.id) == "augmented"]
    by_id = {each.id: each for each in corpus.train.dialogues}
    for copy in made:
        own = by_id[copy.id.removeprefix("augmented:")]
        assert len(copy.turns) == 2
        assert set(copy.turns) < set(own.turns)
        assert copy.references == own.references


@pytest.mark.parametrize(("weight", "fewest", "most"), [(2.0, 40, 40), (0.5, 3, 17), (1.5, 23, 37)])
def test_a_weight_is_how_often_a_row_occurs(weight, fewest, most, corpus):
    settings = DataSettings(speakers="shuffle", augmented_weight=weight)
    found = ids(training_split(corpus, settings))
    assert len(set(found)) == len(found)
    count = Counter(map(source_of, found))["augmented"]
    assert fewest <= count <= most
    assert found == ids(training_split(corpus, settings)), "the same rows each time"
    if weight % 1:
        other = ids(training_split(corpus, msgspec.structs.replace(settings, seed=7)))
        assert set(other) != set(found)


def imported(folder, rows, **settings):
    write(folder / "made.csv", rows)
    return DataSettings(paraphrases=ImportedRows(file="made.csv", origin="solar", **settings))


def test_imported_rows_are_marked_and_never_in_dev_test_or_a_fold(folder, corpus):
    rows = [
        (f"train_{number}@{copy}", f"#Person1#: 바꿔 쓴 {number}번 {copy}", "요약.")
        for number in range(20)
        for copy in (1, 2)
    ]
    settings = imported(folder, rows)
    split = training_split(corpus, settings)
    assert rows_by_source(split) == {"train": 20, "paraphrase": 40}
    for fold in (1, 2):
        part = msgspec.structs.replace(settings, folds=2, fold=fold)
        out = set(ids(held_out_split(corpus.train, part)))
        assert not any(source_of(each) != "train" for each in out)
        made = [each for each in ids(training_split(corpus, part)) if source_of(each) != "train"]
        assert len(made) == 2 * (20 - len(out))
        assert not any(each.removeprefix("paraphrase:").partition("@")[0] in out for each in made)


@pytest.mark.parametrize(
    "bad", [("dev_1@1", "#Person1#: 바꿔 썼습니다."), ("new_1", row(202)[1].replace("네,", "네"))]
)
def test_rows_that_come_from_dev_or_test_are_refused(bad, folder, corpus):
    settings = imported(
        folder, [("train_1", "#Person1#: 바꿔 썼습니다.", "요약."), (*bad, "요약.")]
    )
    with pytest.raises(BadData, match=f"1 generated rows come from dev or test \\({bad[0]}"):
        training_split(corpus, settings)


def test_the_content_of_a_file_is_part_of_the_data(folder, corpus):
    rows = [("train_1", "#Person1#: 바꿔 썼습니다.", "요약.")]
    settings = imported(folder, rows)
    declared = with_file_hashes(settings, folder)
    assert declared.paraphrases.sha256
    first = training_split(corpus, declared)
    write(folder / "made.csv", [*rows, ("train_2", "#Person1#: 또 썼습니다.", "요약.")])
    with pytest.raises(BadData, match="has changed since"):
        training_split(corpus, declared)
    assert training_split(corpus, settings).fingerprint != first.fingerprint
    (folder / "made.csv").unlink()
    with pytest.raises(InputMissing, match=r"made\.csv is not there"):
        with_file_hashes(settings, folder)

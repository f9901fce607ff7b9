"""Rows taken from train for missing splits: each row in one split, read back as it was."""

import random

from support.corpora import write_corpus
from yoyak.data.corpus import corpus_of, read_corpus, read_split
from yoyak.data.hold_out import hold_out, write_splits


def test_each_row_is_in_one_split_whatever_the_order(tmp_path):
    train = read_split("train", write_corpus(tmp_path, "ai-hub", train=40) / "train.json")
    splits = hold_out(train, ["dev", "test"], 10)
    assert sorted(key for one in splits.values() for key in one.ids) == sorted(train.ids)
    assert [len(splits[name].rows) for name in ("train", "dev", "test")] == [32, 4, 4]
    assert not any(row.summaries for row in splits["test"].rows)
    mixed = list(train.rows)
    random.Random(1).shuffle(mixed)
    again = hold_out(train._replace(rows=tuple(mixed)), ["dev", "test"], 10)
    assert {name: set(one.ids) for name, one in again.items()} == {
        name: set(one.ids) for name, one in splits.items()
    }


def test_equal_dialogues_stay_together_and_a_split_is_never_empty(tmp_path):
    train = read_split("train", write_corpus(tmp_path, "samsum", train=12) / "train.json")
    twins = train._replace(
        rows=tuple(row._replace(id=f"{row.id}-{copy}") for row in train.rows for copy in "ab")
    )
    taken = hold_out(twins, ["dev"], 0.1)["dev"]
    assert len(taken.rows) == 2
    assert taken.rows[0].dialogue == taken.rows[1].dialogue


def test_what_is_written_is_read_as_the_same_corpus(tmp_path):
    folder = write_corpus(tmp_path / "a", "samsum", train=12)
    rows = {name: read_split(name, folder / f"{name}.json") for name in ("train", "dev")}
    rows |= hold_out(rows["train"], ["test"], 20)
    write_splits(tmp_path / "b", rows)
    written = read_corpus(tmp_path / "b")
    made = corpus_of(tmp_path / "b", rows["train"], rows["dev"], rows["test"])
    for split in ("train", "dev", "test"):
        assert getattr(written, split).dialogues == getattr(made, split).dialogues

"""Files are found by their names; nothing that may be another split counts as one."""

from pathlib import Path

import pytest

from yoyak.data.contest import SplitFiles
from yoyak.data.find_splits import data_folder, declared_files, find_files, split_of


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train", "train"), ("일상대화요약_train", "train"), ("TrainSet2", "train"),
        ("1.Training", "train"), ("대화-학습용", "train"), ("val", "dev"), ("KorValid", "dev"),
        ("validation_labels", "dev"), ("test.v2", "test"), ("시험용", "test"),
        ("contest", None), ("latest", None), ("training_and_validation", None),
        ("sample_submission", None), ("test_predictions", None), ("dev_references", None),
    ],
)  # fmt: skip
def test_a_name_says_its_split(name, split):
    assert split_of(name) == split


def write(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x", encoding="utf-8")


def found(folder: Path) -> dict[str, list[str]]:
    splits = find_files(folder).splits
    return {
        split: [str(one.relative_to(folder)) for one in paths] for split, paths in splits.items()
    }


def test_a_folder_is_one_split_unless_it_holds_another(tmp_path):
    write(tmp_path, "Training/a.json", "Training/b.json", "Validation/sub/only.json",
          "train_set/train_a.csv", "train_set/test.csv")  # fmt: skip
    assert found(tmp_path) == {
        "train": ["Training", "train_set/train_a.csv"],
        "dev": ["Validation/sub/only.json"],
        "test": ["train_set/test.csv"],
    }


def test_the_usual_name_comes_before_others(tmp_path):
    write(tmp_path, "train.csv", "train_old.csv", "dev.csv", "valid.csv", "test.csv", "x/y.csv")
    assert found(tmp_path) == {"train": ["train.csv"], "dev": ["dev.csv"], "test": ["test.csv"]}
    assert [one.name for one in find_files(tmp_path).unnamed] == ["y.csv"]


def test_hidden_and_foreign_folders_and_answers_are_left_out(tmp_path):
    write(tmp_path, ".git/train.csv", "node_modules/train.json", "workspace/runs/train.jsonl",
          "train_predictions.csv", "sample_submission.csv", "notes.txt", "all.zip")  # fmt: skip
    files = find_files(tmp_path)
    assert not any(files.splits.values())
    assert files.unnamed == ()
    assert [one.name for one in files.archives] == ["all.zip"]


def test_only_other_names_are_declared(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "d/train.csv", "d/raw/val.csv", "d/test.csv", "d/test.json")
    paths = {"train": Path("d/train.csv"), "dev": Path("d/raw/val.csv"), "test": Path("d/test.csv")}
    folder = data_folder(list(paths.values()))
    assert folder == tmp_path / "d"
    # test.csv is named too, because test.json stands beside it.
    assert declared_files(folder, paths) == SplitFiles(dev="raw/val.csv", test="test.csv")

"""``yoyak init`` makes a folder ready: what it writes, the other verbs accept."""

import builtins
import csv
import json
import sys
from pathlib import Path

import pytest

from support.corpora import FORMATS, rows, write_corpus
from yoyak.cli import main
from yoyak.config.project import read_project
from yoyak.data.contest import read_contest
from yoyak.data.corpus import read_corpus


@pytest.fixture(autouse=True)
def fresh_folder(tmp_path, monkeypatch):
    folder = tmp_path / "new"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", "100")


@pytest.fixture(autouse=True)
def nobody_at_the_terminal(monkeypatch):
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False, raising=False)


def yoyak(capsys, *words: str, code: int = 0):
    """Run a command; returns what it printed."""
    exit_code = 0
    try:
        main(["--lang", "en", *words])
    except SystemExit as ended:
        exit_code = int(ended.code or 0)
    printed = capsys.readouterr()
    assert exit_code == code, printed
    return printed


def write_csv(path: Path, columns: list[str], records: list[list[str]], encoding: str = "utf-8"):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding=encoding, newline="") as stream:
        csv.writer(stream).writerows([columns, *records])


def write_tables(folder: Path, columns: list[str], *, summaries: int = 1, **names: str):
    """Write three CSV files called ``names`` (by split), with ids, dialogues and summaries."""
    for split, name in names.items():
        made = rows(split, 8)
        labels = 0 if split == "test" else summaries
        write_csv(
            folder / name,
            columns[: 2 + labels],
            [
                [row.id, "\n".join(f"{name}: {said}" for name, said in row.turns),
                 *[row.summary] * labels]
                for row in made
            ],
        )  # fmt: skip


@pytest.mark.parametrize("published", FORMATS)
def test_plan_accepts_what_init_writes(published, capsys):
    folder = write_corpus(Path("data"), published)
    (folder / "contest.toml").unlink(missing_ok=True)
    both = ["--summary", "요약,요약 B"] if published == "own-columns" else []
    printed = yoyak(capsys, "init", "--yes", *both)
    assert read_corpus(folder).train.dialogues[0].id in printed.out
    assert read_project(Path.cwd()).data.folder == "data"
    planned = json.loads(yoyak(capsys, "plan", "--json").out)
    assert [one["recipe"] for one in planned["recipes"]] == ["lead", "tiny-bart", "tiny-qlora"]


@pytest.mark.process
@pytest.mark.parametrize(
    ("preset", "published"),
    [("contest", "dialogsum"), ("nikl", "nikl-contest"), ("aihub", "ai-hub"),
     ("dialogsum", "samsum")],
)  # fmt: skip
def test_check_accepts_each_preset(preset, published, capsys):
    write_corpus(Path("data"), published)
    yoyak(capsys, "init", "--yes", "--preset", preset)
    checked = json.loads(yoyak(capsys, "check", "--json").out)
    data = next(line for line in checked if line["name"] == "data")
    assert data["status"] == "ok"
    assert "train 12" in data["found"]


def test_the_preset_is_recognised_and_sets_the_rules(capsys):
    write_corpus(Path("data"), "ai-hub")
    printed = yoyak(capsys, "init", "--yes")
    assert "preset aihub" in (Path("data") / "contest.toml").read_text("utf-8")
    assert "yoyak check" in printed.err
    assert "yoyak run" in printed.err
    yoyak(capsys, "init", "--yes", "--force", "--preset", "contest")
    rules = read_contest(Path("data"))
    assert (rules.uploads_per_day, rules.utc_offset) == (12, "+09:00")
    assert rules.forbid_test_in_training
    assert rules.forbidden_sources


def test_files_of_other_names_are_declared_and_found_again(capsys):
    names = {"train": "raw/대화_학습.csv", "dev": "raw/KorValid.csv", "test": "raw/x-test-v2.csv"}
    write_tables(Path(), ["번호", "대화", "요약"], **names)
    yoyak(capsys, "init", "--yes")
    corpus = read_corpus(Path("raw"))
    assert [len(one.dialogues) for one in (corpus.train, corpus.dev, corpus.test)] == [8, 8, 8]
    # The declaration also counts where such a file is scored against.
    answers = [[one.id, one.references[0]] for one in corpus.dev.dialogues]
    write_csv(Path("p.csv"), ["fname", "summary"], answers)
    scored = json.loads(yoyak(capsys, "score", "p.csv", "raw/KorValid.csv", "--json").out)
    assert scored["mean"] == 100


def test_a_folder_for_each_split_and_a_missing_test(capsys):
    """As AI Hub has it: one file for each topic, and no test."""
    write_corpus(Path("whole"), "ai-hub", train=40)
    data = json.loads(Path("whole/train.json").read_text("utf-8"))["data"]
    Path("hub/Validation").mkdir(parents=True)
    Path("hub/Validation/쇼핑.json").write_bytes(Path("whole/dev.json").read_bytes())
    Path("hub/Training").mkdir()
    for name, part in (("쇼핑", data[:20]), ("일상", data[20:])):
        text = json.dumps({"data": part})
        Path("hub/Training", f"{name}.json").write_text(text, encoding="utf-8")
    refused = yoyak(capsys, "init", "hub", "--yes", code=66)
    assert "no file for test" in refused.err
    assert "--hold-out 10" in refused.err
    assert not Path("yoyak.toml").exists()
    yoyak(capsys, "init", "hub", "--yes", "--hold-out", "10")
    corpus = read_corpus(Path("yoyak-data"))
    assert (len(corpus.train.dialogues), len(corpus.test.dialogues)) == (36, 4)
    assert {one.id for one in corpus.dev.dialogues} == {row.id for row in rows("dev", 4)}
    yoyak(capsys, "plan", "--json")


def test_nothing_is_overwritten_without_force(capsys):
    write_corpus(Path("data"), "dialogsum")
    Path("yoyak.toml").write_text("# mine", encoding="utf-8")
    assert "--force" in yoyak(capsys, "init", "--yes", code=73).err
    assert Path("yoyak.toml").read_text("utf-8") == "# mine"
    assert not Path("data/contest.toml").exists()
    yoyak(capsys, "init", "--yes", "--force")
    assert read_project(Path.cwd()).lineup.recipes


def test_without_a_terminal_it_names_the_command_that_asks_nothing(capsys, monkeypatch):
    write_corpus(Path("data"), "dialogsum")
    monkeypatch.setattr(sys, "argv", ["yoyak", "init"])
    assert "→ yoyak init --yes" in yoyak(capsys, "init", code=2).err
    assert not Path("yoyak.toml").exists()


@pytest.mark.parametrize(
    ("columns", "given", "code", "said"),
    [
        (["fname", "dialogue", "점수"], [], 65, "--summary COLUMN"),
        (["fname", "dialogue", "요약", "짧은 요약"], [], 2, "--summary 요약,짧은 요약"),
        (["fname", "dialogue", "요약"], ["--summary", "요약문"], 2, "no column '요약문'"),
    ],
)  # fmt: skip
def test_unclear_columns_name_the_option(columns, given, code, said, capsys):
    names = {"train": "train.csv", "dev": "dev.csv", "test": "test.csv"}
    write_tables(Path(), columns, summaries=len(columns) - 2, **names)
    if "점수" in columns:
        for split in ("train", "dev"):
            records = [[row.id, row.turns[0][1] + "\n나: 응", "5"] for row in rows(split, 8)]
            write_csv(Path(f"{split}.csv"), columns, records)
    assert said in yoyak(capsys, "init", "--yes", *given, code=code).err
    assert not Path("yoyak.toml").exists()


def test_several_files_for_a_split_name_the_option(capsys):
    write_tables(Path(), ["fname", "dialogue", "summary"], dev="dev.csv", test="test.csv")
    for name in ("train_a.csv", "train_b.csv"):
        write_tables(Path(), ["fname", "dialogue", "summary"], train=name)
    refused = yoyak(capsys, "init", "--yes", code=2)
    assert "train_a.csv, train_b.csv" in refused.err
    assert "--train FILE" in refused.err
    yoyak(capsys, "init", "--yes", "--train", "train_b.csv")
    assert read_contest(Path()).files.train == "train_b.csv"


@pytest.mark.parametrize(
    ("write", "code", "said"),
    [
        (lambda: None, 66, "no data file"),
        (lambda: Path("data.zip").write_bytes(b"PK\x05\x06" + b"\0" * 18), 65, "ZIP"),
        (lambda: Path("train.parquet").write_bytes(b"PAR1" * 4), 65, "read_parquet"),
        (lambda: Path("train.csv").write_bytes(b"fname,dialogue,summary\n"), 65, "no row"),
        (lambda: Path("train.csv").write_bytes("id,대화,요약\n1,안녕,그래\n".encode("cp949")), 65,
         "iconv -f CP949"),
    ],
)  # fmt: skip
def test_files_that_cannot_be_read_are_refused_by_name(write, code, said, capsys):
    write()
    refused = yoyak(capsys, "init", "--yes", "--hold-out", "10", code=code)
    assert said in refused.err
    assert not Path("yoyak.toml").exists()


def test_a_gpu_gets_recipes_that_fit_it(capsys, offline):
    write_corpus(Path("data"), "dialogsum")
    yoyak(capsys, "init", "--yes", "--gpu", "RTX 3090")
    recipes = read_project(Path.cwd()).lineup.recipes
    assert recipes[0] == "lead"
    assert "kobart" in recipes
    assert len(recipes) == 4
    yoyak(capsys, "init", "--yes", "--force", "--recipes", "lead,kobart")
    assert read_project(Path.cwd()).lineup.recipes == ("lead", "kobart")
    assert "nosuch" in yoyak(capsys, "init", "--yes", "--force", "--recipes", "nosuch", code=78).err


def test_on_a_terminal_it_asks_what_is_unclear(capsys, monkeypatch):
    write_tables(Path(), ["fname", "dialogue", "요약", "짧은 요약"], summaries=2,
                 train="train.csv", dev="dev.csv", test="test.csv")  # fmt: skip
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    # The second summary; the preset proposed; a mistyped line-up and a good one; yes.
    typed = iter(["9", "2", "", "kobrat", "lead", ""])
    monkeypatch.setattr(builtins, "input", lambda: next(typed))
    printed = yoyak(capsys, "init")
    assert "'9' is not one of the answers" in printed.err
    assert "kobart" in printed.err  # the nearest name
    assert read_contest(Path()).columns.summary == "짧은 요약"
    assert read_project(Path.cwd()).lineup.recipes == ("lead",)
    assert next(typed, None) is None


def test_no_and_ctrl_d_write_nothing(capsys, monkeypatch):
    write_corpus(Path("data"), "dialogsum")
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    for answers in (["", "", "n"], [""]):
        typed = iter(answers)

        def read(typed=typed):
            try:
                return next(typed)
            except StopIteration:
                raise EOFError from None

        monkeypatch.setattr(builtins, "input", read)
        assert "nothing was written" in yoyak(capsys, "init", code=2).err
        assert not Path("yoyak.toml").exists()

"""compare --rows and its filters, in the process of the test."""

import csv

import pytest

from yoyak.cli import main
from yoyak.data.corpus import read_corpus


@pytest.fixture(scope="module")
def dev(data):
    return read_corpus(data).dev.dialogues


@pytest.fixture(scope="module")
def files(tmp_path_factory, dev):
    """Predictions that are the references, and ones with two broken tags and an empty answer."""
    folder = tmp_path_factory.mktemp("predictions")
    good = {one.id: one.references[0] for one in dev}
    bad = good | {dev[1].id: "Person1#은 갑니다.", dev[2].id: "Person2#은 옵니다.", dev[3].id: ""}
    paths = []
    for name, texts in (("good.csv", good), ("bad.csv", bad)):
        with (folder / name).open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream).writerows([("id", "prediction"), *texts.items()])
        paths.append(str(folder / name))
    return paths


@pytest.fixture
def compared(files, data, tmp_path, capsys):
    """Runs compare with options: exit code, and the output from its rows on."""

    def run(*options, files=files, references=data / "dev.csv"):
        with pytest.raises(SystemExit) as ended:
            main(
                ["--lang", "en", "compare", *files, "--references", str(references),
                 "--workspace", str(tmp_path), *options]
            )  # fmt: skip
        said = capsys.readouterr()
        return ended.value.code, said.out.partition("Rows on which")[2], said.err

    return run


def rows_of(said, dev):
    """The ids that head a row, in order."""
    heads = [line.partition(":")[0] for line in said.partition("Most frequent")[0].splitlines()]
    return [head for head in heads if head in {one.id for one in dev}]


def test_limit_shows_so_many_rows_and_counts_the_rest(compared, dev):
    _, said, _ = compared("--rows", "--limit", "2")
    assert len(rows_of(said, dev)) == 2
    assert f"{len(dev) - 2} more rows → --limit {len(dev)}" in said
    assert " good.csv and bad.csv differ most" in said
    _, said, _ = compared("--rows", "--limit", "50")
    assert len(rows_of(said, dev)) == len(dev)
    assert "more row" not in said


def test_a_row_is_shown_with_its_dialogue_and_alone(compared, dev):
    code, said, _ = compared("--row", dev[2].id)
    assert not code
    assert rows_of(said, dev) == [dev[2].id]
    assert dev[2].turns[0].text[:20] in said
    assert "broken tag: 1" in said


def test_faults_choose_rows_in_which_either_system_has_one(compared, dev):
    _, said, _ = compared("--fault", "malformed-tag")
    assert set(rows_of(said, dev)) == {dev[1].id, dev[2].id}
    _, said, _ = compared("--fault", "malformed_tag", "--fault", "empty")
    assert set(rows_of(said, dev)) == {dev[1].id, dev[2].id, dev[3].id}


def test_a_chosen_row_shows_the_fault_that_it_was_chosen_for(compared, dev, data, tmp_path):
    """A speech level is unusual among all references; alone, the row's own would be usual."""
    with (data / "dev.csv").open(encoding="utf-8", newline="") as stream:
        rows = [(row["fname"], row["dialogue"], row["summary"]) for row in csv.DictReader(stream)]
    rows[4] = (*rows[4][:2], "두 사람은 점심을 먹어요.")
    written = {
        "dev.csv": [("fname", "dialogue", "summary"), *rows],
        "good.csv": [("id", "prediction"), *((key, summary) for key, _, summary in rows)],
        "bad.csv": [("id", "prediction"), *((key, f"{summary} 끝.") for key, _, summary in rows)],
    }
    for name, lines in written.items():
        with (tmp_path / name).open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream).writerows(lines)
    files = [str(tmp_path / name) for name in ("good.csv", "bad.csv")]
    fault = ("--fault", "register", "--row", dev[4].id)
    _, said, _ = compared(*fault, files=files, references=tmp_path / "dev.csv")
    assert rows_of(said, dev) == [dev[4].id]
    assert said.count("speech level unlike the references") == 2


def test_topics_choose_rows(compared, dev):
    wanted = {one.id for one in dev if dev[0].topic in (one.topic or "")}
    _, said, _ = compared("--topic", dev[0].topic)
    assert set(rows_of(said, dev)) == wanted
    assert len(wanted) < len(dev)


def test_an_unknown_fault_names_all_there_are_and_no_row_says_so(compared):
    code, _, error = compared("--fault", "broken")
    assert code == 2
    assert "'broken'" in error
    assert "odd-blank" in error
    code, _, error = compared("--topic", "없는 주제")
    assert code == 2
    assert "--topic" in error


def test_without_an_option_of_rows_there_are_none(compared):
    _, said, _ = compared()
    assert said == ""

"""From other people's files to the ledger, by the real command line and without torch."""

import csv
import json
import re
import shutil

import pytest

from yoyak.data import sample
from yoyak.data.corpus import read_corpus
from yoyak.ensemble.imports import import_files
from yoyak.runs.workspace import Workspace


@pytest.fixture(scope="module")
def corpus():
    return read_corpus(sample.folder())


@pytest.fixture
def files(tmp_path, corpus):
    """A team-mate's files for dev and test: each text but one word of it, from ``at`` on."""

    def make(name, at=0, change=lambda text: text):
        paths = []
        references = [row.references[0] for row in corpus.dev.dialogues]
        for split in (corpus.dev, corpus.test):
            paths.append(tmp_path / f"{name}-{split.name}.csv")
            with paths[-1].open("w", encoding="utf-8", newline="") as stream:
                rows = csv.writer(stream)
                rows.writerow(["fname", "summary"])
                for number, dialogue in enumerate(split.dialogues):
                    words = references[number % len(references)].split()
                    del words[(at + number) % (len(words) - 1)]
                    rows.writerow([dialogue.id, change(" ".join(words))])
        return paths

    return make


@pytest.fixture(autouse=True)
def _written_sample(tmp_path):
    """The commands work on the written sample, as the corpus of these tests."""
    Workspace(tmp_path / "workspace").remember_data(sample.folder())


@pytest.fixture
def team(tmp_path, files, corpus):
    """Three imported systems, none of them better than the others on every row."""
    for at, name in enumerate("abc"):
        import_files(Workspace(tmp_path / "workspace"), corpus, name, files(name, at))


@pytest.fixture
def contest(tmp_path):
    """The sample as the data of a contest with a daily quota."""
    folder = tmp_path / "contest"
    shutil.copytree(sample.folder(), folder)
    rules = 'uploads_per_day = 12\nutc_offset = "+09:00"\n'
    (folder / "contest.toml").write_text(rules, encoding="utf-8")
    return str(folder)


@pytest.fixture
def refused(yoyak):
    """Runs the command line and returns (exit code, what it said on stderr)."""

    def call(*words):
        said = yoyak(*words, check=False)
        return said.returncode, said.stderr

    return call


def test_imports_are_blended_handed_in_and_judged_by_the_leaderboard(
    team, yoyak, tmp_path, corpus, contest
):
    handed = yoyak("submit", "--blend", "mbr")
    said = handed.stdout
    assert re.search(r"answer +\w+: .*; dev \d\d\.\d\d .* rules checked", handed.stderr)
    assert "yoyak submit --result 1=SCORE" in handed.stderr
    assert "there is no" in handed.stderr
    assert "contest.toml" in handed.stderr
    assert "best single system" in said
    assert "control: longest" in said
    assert re.search(r": (better|worse|as good|not proven)", said)
    first = tmp_path / said.split()[-1]
    assert first.is_file()
    single = json.loads(yoyak("submit", "b", "--json").stdout)
    assert single["rows"] == len(corpus.test.dialogues)
    assert yoyak("submit", "--check", single["path"]).returncode == 0
    yoyak("submit", "--result", "1=46.2,45.9")
    board = json.loads(yoyak("submit", "--result", "2=44.8", "--json").stdout)
    assert (board["used"], board["left"]) == (None, None)
    assert [entry["public"] for entry in board["entries"]] == [0.462, 0.448]
    assert board["entries"][0]["private"] == 0.459
    assert json.loads(yoyak("submit", "--result", "list", "--json").stdout) == board
    limited = json.loads(yoyak("submit", "--result", "list", "--data", contest, "--json").stdout)
    assert (limited["used"], limited["left"]) == (2, 10)


def test_an_upload_without_a_score_takes_from_the_quota(team, yoyak, refused, contest):
    code, said = refused("submit", "--result", "list")
    assert code == 66
    assert "→ yoyak submit" in said
    yoyak("submit")
    board = json.loads(yoyak("submit", "--result", "1", "--data", contest, "--json").stdout)
    assert (board["used"], board["left"]) == (1, 11)
    assert board["entries"][0]["public"] is None
    assert "11 left" in yoyak("submit", "--result", "list", "--data", contest).stdout


def test_rows_show_what_the_blend_chooses(team, yoyak):
    shown = yoyak("compare", "a", "b", "c", "--rows").stdout
    assert "Rows on which the candidates differ most" in shown
    assert "→ " in shown


def test_an_import_without_test_says_what_is_missing(yoyak, refused, files):
    said = yoyak("import", "half", files("half")[0]).stdout
    assert "95 % interval" in said
    assert "test is missing" in said
    assert refused("submit", "half")[0] == 66


@pytest.mark.parametrize(
    ("spoil", "rule"),
    [
        (lambda text: re.sub(r"#\w+#", "", text).strip(), "untagged"),
        (lambda text: text[: len(text) * 2 // 3].strip(), "unfinished"),
        (lambda text: f"{text}</s>", "model-token"),
    ],
)
def test_a_system_whose_test_answers_are_spoiled_cannot_be_handed_in(
    spoil, rule, refused, files, corpus, tmp_path
):
    dev, _ = files("good")
    _, bad = files("bad", change=spoil)
    import_files(Workspace(tmp_path / "workspace"), corpus, "spoiled", [dev, bad])
    code, said = refused("submit", "spoiled")
    assert code == 65
    assert rule in said
    assert not (tmp_path / "workspace" / "submissions").exists()


@pytest.mark.slow
def test_a_run_is_decoded_in_other_ways_and_the_same_floor_is_called_noise(yoyak, tmp_path):
    yoyak("run", "lead")
    stored = json.loads(
        yoyak("tune", "decode", "lead", "--decodes", "beam4,sample*2", "--json").stdout
    )
    assert len(stored) == 4
    assert len({tuple(rouge.values()) for rouge in stored.values()}) == 1
    found = yoyak("tune", "decode", "lead", "--freeze")
    assert "the decoding in use stays" in found.stdout
    assert "was not frozen" in found.stderr
    assert len(list((tmp_path / "workspace" / "runs").glob("*/predictions/test@*.jsonl"))) == 3


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (("--result", "1:46"), "1:46"),
        (("--result", "9"), "no submission 9"),
        (("--result", "9=46"), "no submission 9"),
        (("--blend", "mbr", "--check", "x.csv"), "exclude one another"),
        (("--blend", "average"), "average"),
    ],
)
def test_what_cannot_be_meant_is_said(words, found, team, refused):
    code, said = refused("submit", *words)
    assert code == 2
    assert found in said

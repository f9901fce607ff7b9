"""The blend that was handed in is shown with what it is worth and what it chose, text as text."""

import csv
import re

import pytest

from yoyak import messages
from yoyak.data import sample
from yoyak.data.corpus import read_corpus
from yoyak.ensemble.imports import import_files
from yoyak.report.model.build import build
from yoyak.report.model.ensemble import newest_blend
from yoyak.report.render import html, markdown
from yoyak.runs.workspace import Workspace
from yoyak.submission.submit import submit, submit_ensemble

HOSTILE = "<script>window.pwned=1</script> <img src=x onerror=alert(1)> \u202e를 말합니다."
LONG = (
    "#Person1#과 #Person2#는 오래 이야기를 나눈 끝에 다음 주에 역 앞에서 만나기로 약속합니다. "
    "비가 오면 약속을 하루 미루고, 늦는 사람이 저녁을 사기로 하며 전화번호도 서로 알려 줍니다."
)


@pytest.fixture(scope="module")
def corpus():
    return read_corpus(sample.folder())


@pytest.fixture(scope="module")
def workspace(tmp_path_factory, corpus):
    """Three systems, each right on two rows in three, so that two outvote the third on each."""
    folder = tmp_path_factory.mktemp("team")
    place = Workspace(folder / "workspace")
    references = [row.references[0] for row in corpus.dev.dialogues]
    for at, name in enumerate("abc"):
        paths = []
        for split, other in ((corpus.dev, HOSTILE), (corpus.test, LONG)):
            paths.append(folder / f"{name}-{split.name}.csv")
            with paths[-1].open("w", encoding="utf-8", newline="") as stream:
                rows = csv.writer(stream)
                rows.writerow(["fname", "summary"])
                for number, one in enumerate(split.dialogues):
                    right = references[number % len(references)]
                    said = f"{name} {number} {other}" if number % 3 == at else right
                    rows.writerow([one.id, said])
        import_files(place, corpus, name, paths)
    return place


@pytest.fixture(scope="module")
def handed(workspace, corpus):
    submit_ensemble(workspace, corpus, "mbr")
    submit(workspace, corpus, "a")
    return newest_blend(workspace, {corpus.dev.fingerprint: corpus})


def test_the_newest_blend_says_who_votes_and_what_it_is_worth(handed, workspace):
    assert (handed.number, handed.method) == ("1", "mbr")  # 2 is a single system's
    assert sorted(one.system for one in handed.voters) == ["a", "b", "c"]
    assert handed.held_out.proven
    assert handed.held_out.interval.low < handed.held_out.difference
    assert (workspace.folder / handed.record).is_file()


def test_each_row_has_every_answer_once_and_the_chosen_one_is_told(handed, corpus):
    references = {row.id: row.references[0] for row in corpus.dev.dialogues}
    assert [one.why for one in handed.rows] == ["disagreement"] * 2 + ["worst"] * 2
    assert len({one.id for one in handed.rows}) == 4
    for one in handed.rows:
        assert len(one.answers) == 2, "two systems say the same"
        _, said, score = one.answers[one.chosen]
        assert said == references[one.id]
        assert score == max(mean for _, _, mean in one.answers)


@pytest.mark.parametrize("language", messages.LANGUAGES)
def test_the_page_shows_words_and_obeys_none(handed, make, language):
    view = build([make.lead_run()], make.rest(blended=handed))
    with messages.speaking(language):
        page, file = html.render(view), markdown.render(view)
        chosen = messages.text("report.chosen")
    assert not re.search("<script[^>]*>[^<]*pwned", page)
    assert "<img" not in page
    assert "\u202e" not in page
    assert "window.pwned=1" in page
    assert page.count(f"</span> {chosen}</span>") == len(handed.rows)
    assert "window.pwned" not in file, "people's words stay out of a repository"
    assert handed.rows[0].answers[0][1] not in file
    assert "| c | imported | 1 |" in file.replace(f"[c](../{handed.record})", "c")


def test_a_member_that_is_gone_leaves_the_rest(handed, workspace, corpus, tmp_path):
    import shutil

    copy = tmp_path / "workspace"
    shutil.copytree(workspace.folder, copy)
    shutil.rmtree(copy / "imports" / "b")
    left = newest_blend(Workspace(copy), {corpus.dev.fingerprint: corpus})
    assert left.rows == ()
    assert left.voters == handed.voters
    assert newest_blend(Workspace(copy), {}).held_out == handed.held_out


def test_a_blend_that_learns_nothing_claims_no_gain(workspace, corpus, make):
    submit_ensemble(workspace, corpus, "longest")
    found = newest_blend(workspace, {corpus.dev.fingerprint: corpus})
    assert (found.method, found.held_out) == ("longest", None)
    assert "regret" in [one.why for one in found.rows]
    view = build([make.lead_run()], make.rest(blended=found))
    assert "No held-out gain" in markdown.render(view)

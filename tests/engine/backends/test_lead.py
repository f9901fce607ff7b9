import sys

import pytest

from yoyak import engine
from yoyak.config.load import resolve
from yoyak.engine import GenerateJob, TrainJob
from yoyak.engine.backends.lead import first_turns, typical_length
from yoyak.values import Dialogue, Split, StopReason, Turn


def dialogue(id_="row_0", *texts, summary="요약"):
    turns = [
        Turn(speaker=f"#Person{1 + number % 2}#", text=text) for number, text in enumerate(texts)
    ]
    return Dialogue(id=id_, turns=tuple(turns), references=(summary,))


def split(name, *dialogues):
    return Split(name=name, dialogues=dialogues, fingerprint="0" * 64)


def test_copies_whole_turns_with_their_tags_up_to_the_usual_length():
    asked = dialogue("row_0", "내일 세 시에 볼까요?", "네, 좋아요.", "그럼 그때 봬요.")
    one = "#Person1#: 내일 세 시에 볼까요?"
    assert first_turns(asked, 1) == one
    assert first_turns(asked, len(one)) == one
    assert first_turns(asked, len(one) + 1) == f"{one} #Person2#: 네, 좋아요."
    assert first_turns(asked, 10_000) == " ".join(turn.line for turn in asked.turns)


def test_the_usual_length_is_the_training_summaries_median():
    rows = [dialogue(f"row_{size}", "말", summary="가" * size) for size in (3, 5, 70)]
    assert typical_length(split("train", *rows)) == 5


def test_trains_nothing_and_answers_everything(tmp_path):
    recipe = resolve("lead").recipe
    rows = [dialogue(f"row_{number}", f"안녕하세요 {number}", "네") for number in range(5)]
    train, test = split("train", *rows), split("test", *rows)
    said = []
    lead = engine.load("lead")
    lead.train(TrainJob(recipe, train, train, tmp_path, said.append, lambda: False))
    job = GenerateJob(recipe, recipe.decode, test.dialogues, train, tmp_path, said.append)
    predictions = list(lead.generate(job))
    assert [each.id for each in predictions] == [row.id for row in rows]
    assert all(each.text.startswith("#Person1#: 안녕하세요") for each in predictions)
    assert {each.stop for each in predictions} == {StopReason.COPIED}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.process
def test_needs_no_torch():
    import subprocess

    check = "import sys, yoyak.engine.backends.lead; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0

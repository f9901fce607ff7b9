"""The rules of the contest: each breach is found, and the clean case is silent."""

import msgspec
import pytest

from yoyak import messages
from yoyak.config import load
from yoyak.config.schema import ModelSettings, Recipe
from yoyak.data.contest import Contest
from yoyak.errors import BadData
from yoyak.submission.contest_rules import check_contest_rules, find_breaches

CONTEST = Contest(forbidden_sources=("dialog sum", "dialogue sum"), forbid_test_in_training=True)


def recipe(base=None, instruction="대화를 요약하세요.") -> Recipe:
    known = load.resolve("kobart").recipe
    prompt = msgspec.structs.replace(known.prompt, instruction=instruction)
    return msgspec.structs.replace(known, model=ModelSettings(base=base), prompt=prompt)


def rules(corpus, *given, contest=CONTEST):
    return [breach.rule for breach in find_breaches(corpus, given, contest)]


def test_clean_data_and_a_clean_recipe_break_no_rule(corpus):
    assert rules(corpus, recipe("gogamza/kobart-base-v2")) == []


@pytest.mark.parametrize(
    "base", ["someone/bart-large-dialogsum", "x/DialogSum-ko", "x/DialogSumKo", "y/t5_dialogue_sum"]
)
def test_a_base_trained_on_a_forbidden_source_is_named(base, corpus):
    [breach] = find_breaches(corpus, [recipe(base)], CONTEST)
    assert breach.rule == "forbidden-base"
    assert base in breach.text
    with messages.speaking("ko"):
        assert base in breach.text


@pytest.mark.parametrize("base", ["x/kobart-summarization", "x/dialogue-summarization-ko"])
def test_other_summarisers_are_left_alone(base, corpus):
    assert rules(corpus, recipe(base)) == []


def test_the_card_of_a_local_base_is_read(corpus, tmp_path):
    (tmp_path / "README.md").write_text("datasets:\n- knk/dialogsum\n", encoding="utf-8")
    assert rules(corpus, recipe(str(tmp_path))) == ["forbidden-base"]


def test_a_data_file_called_like_a_forbidden_source_is_named(corpus, tmp_path):
    (tmp_path / "dialogsum_extra.csv").write_text("x", encoding="utf-8")
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "DialogSum.json").write_text("x", encoding="utf-8")
    assert rules(msgspec.structs.replace(corpus, folder=str(tmp_path))) == ["forbidden-data"] * 2


def test_a_test_dialogue_in_training_is_found_by_its_words(corpus):
    row = corpus.test.dialogues[5]
    turns = tuple(
        msgspec.structs.replace(turn, text=turn.text.replace(" ", "  ")) for turn in row.turns
    )
    copy = msgspec.structs.replace(row, id="train_999", turns=turns, references=("요약.",))
    train = msgspec.structs.replace(corpus.train, dialogues=(copy,))
    dev = msgspec.structs.replace(corpus.dev, dialogues=())
    [breach] = find_breaches(msgspec.structs.replace(corpus, train=train, dev=dev), contest=CONTEST)
    assert (breach.rule, breach.fields["test_id"]) == ("test-in-training", "test_5")
    assert "train_999" in breach.text


def test_labels_for_test_are_found(corpus):
    row = msgspec.structs.replace(corpus.test.dialogues[0], references=("내가 쓴 요약.",))
    test = msgspec.structs.replace(corpus.test, dialogues=(row,))
    empty = {
        name: msgspec.structs.replace(getattr(corpus, name), dialogues=())
        for name in ("train", "dev")
    }
    assert rules(msgspec.structs.replace(corpus, test=test, **empty)) == ["test-labels"]


@pytest.mark.parametrize("instruction", ["주제는 {topic}입니다.", "[Topic] 을 보고 요약하세요."])
def test_a_field_that_test_lacks_is_found_in_the_prompt(instruction, corpus):
    assert rules(corpus, recipe(instruction=instruction)) == ["field"]


def test_without_a_contest_only_what_test_lacks_is_found(corpus, tmp_path):
    (tmp_path / "dialogsum_extra.csv").write_text("x", encoding="utf-8")
    row = msgspec.structs.replace(corpus.test.dialogues[0], references=("내가 쓴 요약.",))
    test = msgspec.structs.replace(corpus.test, dialogues=(row,))
    free = msgspec.structs.replace(corpus, folder=str(tmp_path), train=test, test=test)
    asked = recipe("x/DialogSum-ko", "주제는 {topic}입니다.")
    assert rules(free, asked, contest=None) == ["field"]
    assert rules(free, asked) == [
        "forbidden-data",
        "forbidden-base",
        "test-in-training",
        "test-labels",
        "field",
    ]


def test_the_contest_of_the_data_folder_decides_what_is_refused(corpus, tmp_path):
    here = msgspec.structs.replace(corpus, folder=str(tmp_path))
    asked = [recipe("x/dialogsum-ko")]
    check_contest_rules(here, asked)
    (tmp_path / "contest.toml").write_text('forbidden_sources = ["dialog sum"]', encoding="utf-8")
    with pytest.raises(BadData, match="x/dialogsum-ko"):
        check_contest_rules(here, asked)

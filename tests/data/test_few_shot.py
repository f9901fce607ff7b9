"""Few-shot examples: answered train rows, the same for everybody, and never cut."""

import pytest

from yoyak.config.load import resolve
from yoyak.config.schema import PromptSettings
from yoyak.data.few_shot import choose_examples, found_examples
from yoyak.data.prompt import render
from yoyak.errors import BadData, BadRecipe
from yoyak.values import Dialogue, Split, Turn

CHAT = PromptSettings(style="chat", system="요약하세요.", instruction="다음을 요약하세요.")


def row(number, words=3):
    turn = Turn(speaker="#Person1#", text="말 " * words)
    return Dialogue(id=f"r{number}", turns=(turn,), references=(f"요약 {number}",))


def split(name="train", rows=20):
    dialogues = tuple(row(number, words=number + 1) for number in range(rows))
    return Split(name=name, dialogues=dialogues, fingerprint=name)


def ids(examples):
    return [each.id for each in examples]


def test_the_seed_and_the_ids_choose_and_the_order_of_the_file_does_not():
    train = split()
    chosen = ids(choose_examples(train, 3, seed=1))
    turned = Split(name="train", dialogues=train.dialogues[::-1], fingerprint="turned")
    assert ids(choose_examples(turned, 3, seed=1)) == chosen
    assert ids(choose_examples(train, 3, seed=2)) != chosen
    assert ids(choose_examples(train, 5, seed=1))[:3] == chosen
    assert max(int(id_[1:]) for id_ in chosen) < 10, "of the shorter half"
    assert ids(found_examples(train, chosen)) == chosen


@pytest.mark.parametrize("name", ["dev", "test"])
def test_only_train_may_be_shown(name):
    with pytest.raises(BadData, match=name):
        choose_examples(split(name), 1, seed=1)


def test_more_than_there_are_is_refused_and_so_is_one_that_has_gone():
    with pytest.raises(BadData, match="examples=10"):
        choose_examples(split(), 11, seed=1)
    with pytest.raises(BadData, match="r99"):
        found_examples(split(), ["r3", "r99"])


def test_a_prompt_shows_each_example_as_a_finished_exchange():
    shots = (row(1), row(2))
    source = render(row(7), CHAT, examples=shots)
    alone = [render(each, CHAT).messages[1] for each in (*shots, row(7))]
    assert [message.role for message in source.messages] == [
        "system",
        *["user", "assistant"] * 2,
        "user",
    ]
    assert [message.text for message in source.messages[2::2]] == ["요약 1", "요약 2"]
    assert list(source.messages[1::2]) == alone
    assert "요약 7" not in str(source)


def test_a_long_question_is_shortened_and_no_example_is():
    turns = tuple(Turn(speaker="#Person1#", text=f"말 {number}") for number in range(40))
    long = Dialogue(id="long", turns=turns)
    prompt = PromptSettings(style="chat", instruction="요약", max_source_tokens=300)

    def letters(source):
        return sum(len(message.text) for message in source.messages)

    source = render(long, prompt, examples=(row(1), row(2)), count_tokens=letters)
    assert source.turns_dropped
    assert letters(source) <= 300
    assert source.messages[:4] == render(row(7), prompt, examples=(row(1), row(2))).messages[:4]
    tight = PromptSettings(style="chat", instruction="요약", max_source_tokens=30)
    with pytest.raises(BadRecipe, match="30"):
        render(long, tight, examples=(row(1), row(2)), count_tokens=letters)


def test_examples_are_for_chat_models_that_learn_nothing():
    with pytest.raises(BadRecipe, match=r"train.epochs = 0"):
        resolve("qwen3-4b", sets=("prompt.examples=2",))
    with pytest.raises(BadRecipe, match=r"chat models"):
        resolve("kobart", sets=("prompt.examples=2", "train.epochs=0"))
    assert resolve("qwen3-4b", sets=("prompt.examples=2", "train.epochs=0")).recipe

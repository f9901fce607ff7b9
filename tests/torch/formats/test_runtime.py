"""The tokenizer of an exported folder, loaded as others load it, makes the ids of training."""

import pytest

from yoyak.engine.formats.runtime import FolderTokenizer, require
from yoyak.errors import Unavailable
from yoyak.values import Message, Source

pytestmark = pytest.mark.torch

QUESTION = "#Person1#: 내일 3시에 볼까요? 😀\n#Person2#: Green Cafe에서 뵙겠습니다."


@pytest.mark.parametrize("architecture", ["bart", "llama", "qwen3"])
def test_a_korean_prompt_has_the_ids_of_training(architecture, exported, toy):
    form = exported(architecture, "merged")
    tokenizer = FolderTokenizer(form.folder, form.record)
    trained = toy(architecture).tokenizer
    messages = (Message(role="system", text="요약가"), Message(role="user", text=QUESTION))
    source = Source(id="", text=QUESTION)
    if architecture != "bart":
        source = Source(id="", messages=messages)
    ids = tokenizer.encode(source)
    assert ids == trained.encode_source(source)
    answer = trained.encode_answer("회의를 옮겼다.")
    assert tokenizer.decode([*answer, trained.stop_id]).strip() == "회의를 옮겼다."


def test_a_library_that_is_missing_is_named_with_its_format():
    with pytest.raises(Unavailable, match="gguf needs no_such_library"):
        require("no_such_library", "gguf")

"""What each program is told: the messages of training, the stop tokens, the limits."""

import json
import re
import shlex

import pytest

from support.exports import record_of
from yoyak.config import load
from yoyak.engine.exported import PLACE
from yoyak.export.usage import DIALOGUE, modelfile, recipes, request


@pytest.fixture
def record():
    recipe = load.resolve("qwen3-4b", sets=['prompt.system="요약가"']).recipe
    return record_of(recipe, form="gguf"), recipe


def test_a_request_has_the_messages_of_training_and_decodes_greedily(record):
    exported, recipe = record
    body = request(exported, "가: 나")
    assert body["messages"] == [
        {"role": "system", "content": "요약가"},
        {"role": "user", "content": f"{recipe.prompt.instruction}\n\n가: 나"},
    ]
    assert (body["temperature"], body["max_tokens"]) == (0, exported.longest_answer)
    assert body["stop"] == ["<|im_end|>"]


def test_the_commands_of_llama_cpp_are_a_server_and_that_request(record):
    (start, ask), _ = (usage.blocks for usage in recipes(*record))
    words = shlex.split(start[1])
    assert words[0] == "llama-server"
    size = int(words[words.index("--ctx-size") + 1])
    assert size == record[1].prompt.max_source_tokens + record[0].longest_answer
    assert json.loads(shlex.split(ask[1])[-1]) == request(record[0], DIALOGUE)


def test_ollama_writes_the_prompt_of_training_around_what_is_typed(record):
    import msgspec

    prompt = f"<|im_start|>user\n{{{{ not a field }}}} {PLACE}<|im_end|>\n"
    exported = msgspec.structs.replace(record[0], prompt_text=prompt)
    (template,) = re.findall(r'TEMPLATE """(.*?)"""', modelfile(exported), re.DOTALL)
    # Go's text/template: an action that is a string constant writes that string.
    written = re.sub(r'{{ (?:"({{)"|\.Prompt) }}', lambda action: action[1] or "대화", template)
    assert written == prompt.replace(PLACE, "대화")
    assert 'PARAMETER stop "<|im_end|>"\n' in modelfile(exported)
    assert f"PARAMETER num_predict {exported.longest_answer}\n" in modelfile(exported)


@pytest.mark.parametrize(
    ("sets", "shown"),
    [
        (["prompt.turn_format=numbered"], "1. #Person1#: 내일"),
        (["prompt.speaker_names=words"], "화자 1: 내일"),
        (["prompt.turn_format=spaced"], "\n\n#Person2#"),
    ],
)
def test_python_code_writes_turns_and_speakers_as_in_training(sets, shown):
    recipe = load.resolve("qwen3-4b", sets=sets).recipe
    (usage,) = recipes(record_of(recipe, form="whole"), recipe)
    code = usage.blocks[0][1]
    begin, end = code.index("dialogue = "), code.index("ids = ")
    found: dict = {}
    exec(code[begin:end], found)
    assert shown in found["messages"][-1]["content"]

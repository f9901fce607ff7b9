"""What each program is told: the messages of training, the stop tokens, the limits."""

import json
import re
import shlex

import pytest

from support.exports import record_of
from yoyak.config import load
from yoyak.data.corpus import parse_turns
from yoyak.data.prompt import render
from yoyak.engine.exported import PLACE
from yoyak.export.usage import DIALOGUE, modelfile, request, usages
from yoyak.values import Dialogue


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
    (start, ask), _ = (usage.blocks for usage in usages(*record))
    words = shlex.split(start[1])
    assert words[0] == "llama-server"
    size = int(words[words.index("--ctx-size") + 1])
    assert size == record[1].prompt.max_source_tokens + record[0].longest_answer
    assert json.loads(shlex.split(ask[1])[-1]) == request(record[0], DIALOGUE)


def test_ollama_writes_the_prompt_of_training_around_what_is_typed(record):
    import msgspec

    prompt = f'<|im_start|>user\n"""{{{{ not a field }}}} {PLACE}"<|im_end|>\n"'
    exported = msgspec.structs.replace(record[0], prompt_text=prompt)
    (template,) = re.findall(r'(?ms)^TEMPLATE """(.*?)"""$', modelfile(exported))
    # Go's text/template: an action that is a string constant writes that string.
    written = re.sub("{{ (?:`(.*?)`|.Prompt) }}", lambda action: action[1] or "대화", template)
    assert written == prompt.replace(PLACE, "대화")
    assert 'PARAMETER stop "<|im_end|>"\n' in modelfile(exported)
    assert f"PARAMETER num_predict {exported.longest_answer}\n" in modelfile(exported)


def test_ollama_runs_only_what_it_could_create(record):
    """It would fetch a model of that name from its registry, and its names have no ``@``."""
    import msgspec

    exported = msgspec.structs.replace(record[0], run="qwen3-4b@2-0a1b")
    _, ((_, command),) = (usage.blocks for usage in usages(exported, record[1]))
    create, run = command.split(" &&\n")
    assert shlex.split(create) == ["ollama", "create", "qwen3-4b-2-0a1b", "-f", "Modelfile"]
    assert shlex.split(run)[:3] == ["ollama", "run", "qwen3-4b-2-0a1b"]


class PromptReader:
    """Stands for a tokenizer; keeps what it is asked to encode."""

    input_ids = ()

    def __call__(self, text, **_):
        self.prompt = text
        return self

    def apply_chat_template(self, messages, **_):
        self.prompt = messages
        return self


@pytest.mark.parametrize("line_break", ["\n", " | "])
@pytest.mark.parametrize("name", ["qwen3-4b", "kobart"])
@pytest.mark.parametrize(
    ("sets", "shown"),
    [
        ([], "#Person1#: 내일"),
        (["prompt.turn_format=numbered"], "1. #Person1#: 내일"),
        (["prompt.speaker_names=words"], "화자 1: 내일"),
        (["prompt.turn_format=spaced"], "#Person2#"),
    ],
)
def test_python_code_writes_the_prompt_of_training(sets, shown, name, line_break):
    texts = ['prompt.system="요약가"', 'prompt.instruction="요약:\\n\\n한 문장"']
    recipe = load.resolve(name, sets=[*sets, *texts]).recipe
    exported = record_of(recipe, form="whole", line_break=line_break)
    (usage,) = usages(exported, recipe)
    code = usage.blocks[0][1]
    begin, end = code.index("dialogue = "), code.index("output = ")
    reader = PromptReader()
    exec(code[begin:end], {"tokenizer": reader})
    assert shown in str(reader.prompt)
    assert reader.prompt == prompt_of_training(recipe.prompt, line_break)


def prompt_of_training(settings, line_break):
    def separated(text):
        return text if line_break == "\n" else re.sub(r"\n+", line_break, text)

    source = render(Dialogue(id="a", turns=parse_turns(DIALOGUE)), settings)
    if source.text is not None:
        return separated(source.text)
    return [{"role": one.role, "content": separated(one.text)} for one in source.messages]


@pytest.mark.parametrize("sets", [["prompt.turn_format=numbered"], ["prompt.speaker_names=words"]])
def test_commands_send_the_prompt_of_training(sets):
    recipe = load.resolve("qwen3-4b", sets=sets).recipe
    (_, ask), ((_, ollama),) = (
        usage.blocks for usage in usages(record_of(recipe, form="gguf"), recipe)
    )
    messages = prompt_of_training(recipe.prompt, "\n")
    assert json.loads(shlex.split(ask[1])[-1])["messages"] == messages
    instruction = recipe.prompt.instruction
    assert messages[-1]["content"] == f"{instruction}\n\n{shlex.split(ollama)[-1]}"

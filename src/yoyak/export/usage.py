"""How an exported model is run by each program that can: code and commands of the model card.

Everything is written from the record: prompt, stop tokens, decoding. None of it needs this package.
"""

import json
import re
import shlex
from collections.abc import Iterator
from typing import NamedTuple

from yoyak.config.schema import Recipe
from yoyak.data.corpus import parse_turns
from yoyak.data.prompt import format_turns
from yoyak.engine.exported import (
    CTRANSLATE2_VOCABULARY,
    PLACE,
    ExportedModel,
    ctranslate2_options,
)

DIALOGUE = "#Person1#: 내일 몇 시에 만날까요?\n#Person2#: 세 시에 정문에서 만나요."
MODELFILE = "Modelfile"
_PORT = 8080


class Usage(NamedTuple):
    """How one program runs a model: blocks of code, each with its language."""

    program: str
    blocks: tuple[tuple[str, str], ...]


def usages(exported: ExportedModel, recipe: Recipe) -> Iterator[Usage]:
    """Yield how each program runs the model."""
    match exported.form:
        case "gguf":
            yield from _llama_cpp(exported)
        case "onnx":
            yield Usage("ONNX Runtime", (("python", "\n".join(_onnx(exported))),))
        case "ctranslate2":
            yield Usage("CTranslate2", (("python", "\n".join(_ctranslate2(exported))),))
        case _:
            yield Usage("transformers", (("python", "\n".join(_transformers(exported, recipe))),))
            if exported.form == "merged" and exported.kind == "causal":
                yield _vllm(exported)


# --- Python --------------------------------------------------------------------------------------


def _transformers(exported: ExportedModel, recipe: Recipe) -> Iterator[str]:
    """Yield Python lines that load the model and summarise one dialogue."""
    causal = exported.kind == "causal"
    kind = "AutoModelForCausalLM" if causal else "AutoModelForSeq2SeqLM"
    four_bit = recipe.model.quantisation is not None and exported.form in {"adapters", "base"}
    if four_bit:
        yield "import torch"
    if exported.form == "adapters":
        yield "from peft import PeftModel"
    quantised = ", BitsAndBytesConfig" if four_bit else ""
    yield f"from transformers import AutoTokenizer, {kind}{quantised}, GenerationConfig"
    yield ""
    yield 'folder = "."'
    yield "tokenizer = AutoTokenizer.from_pretrained(folder)"
    yield from _load_lines(exported, kind, four_bit=four_bit)
    if exported.form == "adapters":
        yield "model = PeftModel.from_pretrained(model, folder)"
    yield "settings = GenerationConfig.from_pretrained(folder)"
    yield ""
    yield from _prompt_lines(exported, tensors=True)
    yield "output = model.generate(input_ids=ids.to(model.device), generation_config=settings)"
    answer = "output[0, ids.shape[1]:]" if causal else "output[0]"
    yield f"print(tokenizer.decode({answer}, skip_special_tokens=True).strip())"


def _base_expression(exported: ExportedModel) -> str:
    if exported.base is None:
        return "folder"
    if exported.base.startswith("./"):
        return f'f"{{folder}}/{exported.base[2:]}"'
    return repr(exported.base)


def _load_lines(exported: ExportedModel, kind: str, *, four_bit: bool) -> Iterator[str]:
    options = "" if exported.revision is None else f", revision={exported.revision!r}"
    if four_bit:
        yield "four_bit = BitsAndBytesConfig("
        yield '    load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,'
        yield "    bnb_4bit_compute_dtype=torch.bfloat16,"
        yield ")"
        options += ", dtype=torch.bfloat16, quantization_config=four_bit"
    yield f"model = {kind}.from_pretrained({_base_expression(exported)}{options})"


def _prompt_lines(exported: ExportedModel, *, tensors: bool) -> Iterator[str]:
    """Yield lines that set ``ids`` to the prompt: a tensor of one row, or a list."""
    prompt, tokens = exported.prompt, exported.special_tokens
    as_tensor = ', return_tensors="pt"' if tensors else ""
    yield f"dialogue = {DIALOGUE!r}"
    yield from _turn_lines(exported)
    if tokens.line_break != "\n":
        yield f'dialogue = dialogue.replace("\\n", {tokens.line_break!r})'
    if prompt.style == "source":
        lines = [line for line in (prompt.system, prompt.instruction) if line]
        before = tokens.separate_lines("".join(f"{line}\n" for line in lines))
        shown = f"{before!r} + dialogue" if before else "dialogue"
        yield f"ids = tokenizer({shown}{as_tensor}).input_ids"
        return
    yield "messages = ["
    for role, content in _messages(exported):
        written = f"{content!r} + dialogue" if role == "user" else repr(content)
        yield f'    {{"role": "{role}", "content": {written}}},'
    yield "]"
    yield "ids = tokenizer.apply_chat_template("
    yield f"    messages, add_generation_prompt=True, return_dict=True{as_tensor}"
    yield ").input_ids"


def _turn_lines(exported: ExportedModel) -> Iterator[str]:
    """Yield lines that write turns and speakers as in training, where it differs from the data."""
    if exported.prompt.speaker_names == "words":
        yield "import re"
        yield 'dialogue = re.sub(r"#Person(\\d+)#", r"화자 \\1", dialogue)'
    if exported.prompt.turn_format == "numbered":
        yield "turns = enumerate(dialogue.splitlines(), 1)"
        yield 'dialogue = "\\n".join(f"{number}. {turn}" for number, turn in turns)'
    elif exported.prompt.turn_format == "spaced" and exported.special_tokens.line_break == "\n":
        yield 'dialogue = "\\n\\n".join(dialogue.splitlines())'


def _messages(exported: ExportedModel) -> Iterator[tuple[str, str]]:
    """Yield roles with what they say; the dialogue follows the user's."""
    prompt, tokens = exported.prompt, exported.special_tokens
    if prompt.system:
        yield "system", tokens.separate_lines(prompt.system)
    before = f"{prompt.instruction}\n\n" if prompt.instruction else ""
    yield "user", tokens.separate_lines(before)


def _ctranslate2(exported: ExportedModel) -> Iterator[str]:
    causal = exported.kind == "causal"
    loaded = "Generator" if causal else "Translator"
    yield "import json"
    yield "from pathlib import Path"
    yield ""
    yield "import ctranslate2"
    yield "from transformers import AutoTokenizer"
    yield ""
    yield 'folder = "."'
    yield "tokenizer = AutoTokenizer.from_pretrained(folder)"
    yield f"model = ctranslate2.{loaded}(folder)"
    yield 'record = json.loads(Path(folder, "export.json").read_text("utf-8"))'
    vocabulary = CTRANSLATE2_VOCABULARY[exported.kind]
    yield f'names = json.loads(Path(folder, "{vocabulary}").read_text("utf-8"))'
    yield 'never = [[names[token]] for token in record["suppress_tokens"]]'
    yield ""
    yield from _prompt_lines(exported, tensors=False)
    verb = "generate_batch" if causal else "translate_batch"
    yield f"(result,) = model.{verb}("
    yield "    [tokenizer.convert_ids_to_tokens(ids)],"
    for name, value in ctranslate2_options(exported).items():
        yield f"    {name}={value!r},"
    yield "    suppress_sequences=never or None,"
    yield ")"
    if causal:
        yield "answer = result.sequences_ids[0]"
    else:
        yield "answer = tokenizer.convert_tokens_to_ids(result.hypotheses[0])"
    yield "print(tokenizer.decode(answer, skip_special_tokens=True).strip())"


def _onnx(exported: ExportedModel) -> Iterator[str]:
    tokens, causal = exported.special_tokens, exported.kind == "causal"
    yield "import json"
    yield "from pathlib import Path"
    yield ""
    yield "import numpy as np"
    yield "import onnxruntime"
    yield "from transformers import AutoTokenizer"
    yield ""
    yield 'folder = "."'
    yield "tokenizer = AutoTokenizer.from_pretrained(folder)"
    yield 'record = json.loads(Path(folder, "export.json").read_text("utf-8"))'
    if causal:
        yield 'model = onnxruntime.InferenceSession(f"{folder}/model.onnx")'
    else:
        yield 'encoder = onnxruntime.InferenceSession(f"{folder}/encoder.onnx")'
        yield 'model = onnxruntime.InferenceSession(f"{folder}/decoder.onnx")'
    yield ""
    yield from _prompt_lines(exported, tensors=False)
    if not causal:
        yield "row = np.array([ids])"
        yield 'source = {"input_ids": row, "attention_mask": np.ones_like(row)}'
        yield "(encoded,) = encoder.run(None, source)"
    yield "answer = []"
    yield f"ends = {set(tokens.stop_ids)}"
    yield f"while len(answer) < {exported.longest_answer} and not {{*answer[-1:]}} & ends:"
    if causal:
        yield "    row = np.array([ids + answer])"
        yield '    inputs = {"input_ids": row, "attention_mask": np.ones_like(row)}'
    else:
        yield "    inputs = {"
        yield f'        "decoder_input_ids": np.array([[{tokens.decoder_start_id}, *answer]]),'
        yield '        "encoded": encoded,'
        yield '        "attention_mask": source["attention_mask"],'
        yield "    }"
    yield "    (logits,) = model.run(None, inputs)"
    yield '    logits[0, -1, record["suppress_tokens"]] = -np.inf'
    yield "    answer.append(int(logits[0, -1].argmax()))"
    yield "print(tokenizer.decode(answer, skip_special_tokens=True).strip())"


# --- servers -------------------------------------------------------------------------------------


def _llama_cpp(exported: ExportedModel) -> Iterator[Usage]:
    size = _context(exported)
    start = f"llama-server --model model.gguf --jinja --ctx-size {size} --port {_PORT}"
    yield Usage("llama.cpp", (("sh", start), ("sh", _curl(exported))))
    yield Usage(
        "Ollama",
        (("sh", f"ollama create {_name(exported)} -f {MODELFILE} &&\n"
                f"ollama run {_name(exported)} {shlex.quote(_formatted_dialogue(exported))}"),),
    )  # fmt: skip


def _vllm(exported: ExportedModel) -> Usage:
    start = (
        f"vllm serve . --served-model-name {_name(exported)} "
        f"--max-model-len {_context(exported)} --port {_PORT}"
    )
    return Usage("vLLM", (("sh", start), ("sh", _curl(exported))))


def _name(exported: ExportedModel) -> str:
    """Return a name for servers: that of the run, without the ``@`` that Ollama refuses."""
    return exported.run.replace("@", "-")


def _context(exported: ExportedModel) -> int:
    """Return the tokens of the longest prompt with its answer."""
    return exported.prompt.max_source_tokens + exported.longest_answer


def request(exported: ExportedModel, dialogue: str) -> dict[str, object]:
    """Return the body of a request for a summary, in OpenAI's format.

    Turns and speakers of ``dialogue`` are as in the prompts of training.
    """
    messages = [
        {"role": role, "content": content + (dialogue if role == "user" else "")}
        for role, content in _messages(exported)
    ]
    return {
        "model": _name(exported),
        "messages": messages,
        "temperature": 0,
        "max_tokens": exported.longest_answer,
        "stop": list(exported.stop_tokens),
    }


def _formatted_dialogue(exported: ExportedModel) -> str:
    return format_turns(exported.prompt, parse_turns(DIALOGUE))


def _curl(exported: ExportedModel) -> str:
    body = json.dumps(request(exported, _formatted_dialogue(exported)), ensure_ascii=False)
    return (
        f"curl -s http://127.0.0.1:{_PORT}/v1/chat/completions "
        f"-H 'Content-Type: application/json' -d {shlex.quote(body)}"
    )


def modelfile(exported: ExportedModel) -> str:
    """Return Ollama's ``Modelfile``: its template renders the prompts of training.

    Go's templates know no chat template in Jinja, so the prompt is written out; what the user types
    is the dialogue.
    """
    before, _, after = exported.prompt_text.partition(PLACE)
    template = f"{_literal(before)}{{{{ .Prompt }}}}{_literal(after)}"
    stops = "".join(f"PARAMETER stop {json.dumps(name)}\n" for name in exported.stop_tokens)
    return (
        "FROM ./model.gguf\n"
        f'TEMPLATE """{template}"""\n'
        "PARAMETER temperature 0\n"
        f"PARAMETER num_predict {exported.longest_answer}\n"
        f"PARAMETER num_ctx {_context(exported)}\n"
        f"{stops}"
    )


def _literal(text: str) -> str:
    """Return text as a Go template writes it, without what would end it in a ``Modelfile``."""
    return re.sub(r'\{\{|"', lambda found: f"{{{{ `{found[0]}` }}}}", text)

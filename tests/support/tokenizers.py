"""Write small tokenizers in the file formats of the model families that Korean teams use.

``write_tokenizer(form, folder)`` trains a vocabulary on the embedded sample (or on given texts)
and leaves ``tokenizer.json``, ``tokenizer_config.json``, ``special_tokens_map.json``,
``chat_template.jinja`` and, where the family's stops live there, ``generation_config.json``.
Templates are written from the vendors' documented formats: they give the same text for
conversations of system, user and assistant turns, and leave tools out.

A model's own ``save_pretrained`` overwrites ``generation_config.json``: save the model first.
"""

import json
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple

import pytest

from yoyak.data import sample
from yoyak.data.corpus import read_corpus
from yoyak.engine.tokenization.tokenizer import METASPACE


class Form(NamedTuple):
    """One family: its vocabulary, special tokens by ascending id, and the settings it ships."""

    vocabulary: Literal["byte_level", "sentencepiece_bpe", "metaspace_bpe", "unigram", "wordpiece"]
    tokens: tuple[str, ...]
    tokenizer_class: str
    roles: dict[str, str]
    """``bos_token`` and so on, as in tokenizer_config.json."""
    style: Literal["chat", "source"] = "chat"
    frame: str = "$A"
    """What the post-processor makes of a text: tokens and ``$A``."""
    template: str | None = None
    stops: tuple[str, ...] = ()
    """``eos_token_id`` of generation_config.json; without any there is no such file."""
    plain: tuple[str, ...] = ()
    """Added tokens that are not special, such as ``<think>``."""
    decoder_start: str | None = None
    """``decoder_start_token_id`` of an encoder-decoder's config.json."""
    settings: dict[str, object] = {}
    """Further fields of tokenizer_config.json."""


LLAMA3 = """{{- bos_token }}
{%- if not date_string is defined %}
    {%- set date_string = strftime_now("%d %b %Y") if strftime_now is defined else "26 Jul 2024" %}
{%- endif %}
{%- set system = messages[0]['content'] | trim if messages[0]['role'] == 'system' else "" %}
{%- set turns = messages[1:] if messages[0]['role'] == 'system' else messages %}
{{- "<|start_header_id|>system<|end_header_id|>\\n\\n" }}
{{- "Cutting Knowledge Date: December 2023\\nToday Date: " + date_string + "\\n\\n" }}
{{- system + "<|eot_id|>" }}
{%- for message in turns %}
    {{- "<|start_header_id|>" + message['role'] + "<|end_header_id|>\\n\\n" }}
    {{- message['content'] | trim + "<|eot_id|>" }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- "<|start_header_id|>assistant<|end_header_id|>\\n\\n" }}
{%- endif %}"""

CHATML = """{%- for message in messages %}
    {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"""


def with_default_system(text: str) -> str:
    """Return ChatML that writes ``text`` where a conversation has no system turn."""
    missing = "{%- if messages[0].role != 'system' %}"
    return missing + "{{- '<|im_start|>system\\n" + text + "<|im_end|>\\n' }}{%- endif %}" + CHATML


QWEN2_5 = with_default_system(
    "You are Qwen, created by Alibaba Cloud. You are a helpful assistant."
)
SMOLLM2 = with_default_system(
    "You are a helpful AI assistant named SmolLM, trained by Hugging Face"
)

QWEN3 = """{%- for message in messages %}
    {%- if message.role == 'assistant' %}
        {%- set content = message.content.split('</think>')[-1].lstrip('\\n') %}
        {{- '<|im_start|>assistant\\n' }}
        {%- if loop.last %}{{- '<think>\\n\\n</think>\\n\\n' }}{%- endif %}
        {{- content + '<|im_end|>\\n' }}
    {%- else %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\\n\\n</think>\\n\\n' }}
    {%- endif %}
{%- endif %}"""

QWEN3_THINKING = QWEN3.replace(
    "{%- if enable_thinking is defined and enable_thinking is false %}\n"
    "        {{- '<think>\\n\\n</think>\\n\\n' }}\n    {%- endif %}",
    "{{- '<think>\\n' }}",
)

SMOLLM3 = """{%- set thinking = enable_thinking if enable_thinking is defined else true %}
{%- set custom = messages[0].content if messages[0].role == 'system' else
    'You are a helpful AI assistant named SmolLM, trained by Hugging Face.' %}
{{- '<|im_start|>system\\n## Metadata\\n\\nKnowledge Cutoff Date: June 2025\\nToday Date: ' }}
{{- strftime_now('%d %B %Y') + '\\nReasoning Mode: ' + ('/think' if thinking else '/no_think') }}
{{- '\\n\\n## Custom Instructions\\n\\n' + custom + '\\n\\n<|im_end|>\\n' }}
{%- for message in messages %}
    {%- if message.role != 'system' %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content.lstrip('\\n') }}
        {{- '<|im_end|>\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' + ('' if thinking else '<think>\\n\\n</think>\\n') }}
{%- endif %}"""

HYPERCLOVA = """{%- if messages[0].role != 'tool_list' %}
    {{- '<|im_start|>tool_list\\n<|im_end|>\\n' }}
{%- endif %}""" + CHATML  # fmt: skip

GEMMA2 = """{{ bos_token }}{% if messages[0]['role'] == 'system' %}
{{ raise_exception('System role not supported') }}{% endif %}
{% for message in messages %}
{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}
{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}
{% endif %}
{{- '<start_of_turn>' + ('model' if message['role'] == 'assistant' else 'user') + '\\n' -}}
{{ message['content'] | trim + '<end_of_turn>\\n' -}}
{% endfor %}
{% if add_generation_prompt %}{{ '<start_of_turn>model\\n' }}{% endif %}"""

GEMMA3 = """{{ bos_token }}
{%- set first = messages[0]['content'] + '\\n\\n' if messages[0]['role'] == 'system' else '' %}
{%- set turns = messages[1:] if messages[0]['role'] == 'system' else messages %}
{%- for message in turns %}
    {%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}
        {{- raise_exception("Conversation roles must alternate user/assistant/user/assistant") }}
    {%- endif %}
    {{- '<start_of_turn>' + ('model' if message['role'] == 'assistant' else 'user') + '\\n' }}
    {{- first if loop.first else '' }}
    {{- message['content'] | trim + '<end_of_turn>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<start_of_turn>model\\n' }}{%- endif %}"""

EXAONE3_5 = (
    "{% for message in messages %}{% if loop.first and message['role'] != 'system' %}"
    "{{ '[|system|][|endofturn|]\\n' }}{% endif %}"
    "{{ '[|' + message['role'] + '|]' + message['content'] }}"
    "{{ '\\n' if message['role'] == 'user' else '[|endofturn|]\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '[|assistant|]' }}{% endif %}"
)

EXAONE_DEEP = (
    EXAONE3_5.removesuffix("{% if add_generation_prompt %}{{ '[|assistant|]' }}{% endif %}")
    + "{% if add_generation_prompt %}{{ '[|assistant|]<thought>\\n' }}{% endif %}"
)

EXAONE4 = """{%- for message in messages %}
    {{- '[|' + message.role + '|]\\n' + message.content + '[|endofturn|]\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '[|assistant|]\\n' }}
    {{- '<think>\\n' if enable_thinking is defined and enable_thinking is true
        else '<think>\\n\\n</think>\\n\\n' }}
{%- endif %}"""

MISTRAL = """{%- set system = messages[0]['content'] if messages[0]['role'] == 'system' else none %}
{%- set turns = messages[1:] if messages[0]['role'] == 'system' else messages %}
{{- bos_token }}
{%- for message in turns %}
    {%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}
        {{- raise_exception('After the optional system message, roles must alternate') }}
    {%- endif %}
    {%- if message['role'] == 'user' and loop.last and system is not none %}
        {{- '[INST] ' + system + '\\n\\n' + message['content'] + '[/INST]' }}
    {%- elif message['role'] == 'user' %}
        {{- '[INST] ' + message['content'] + '[/INST]' }}
    {%- else %}
        {{- ' ' + message['content'] | trim + eos_token }}
    {%- endif %}
{%- endfor %}"""

PHI3 = (
    "{% for message in messages %}"
    "{{ '<|' + message['role'] + '|>\\n' + message['content'] + '<|end|>\\n' }}{% endfor %}"
    "{{ '<|assistant|>\\n' if add_generation_prompt else eos_token }}"
)

SOLAR = (
    "{% for message in messages %}"
    "{% if message['role'] == 'system' %}{% if message['content'] %}"
    "{{ '### System:\\n' + message['content'] + '\\n\\n' }}{% endif %}"
    "{% elif message['role'] == 'user' %}{{ '### User:\\n' + message['content'] + '\\n\\n' }}"
    "{% else %}{{ '### Assistant:\\n' + message['content'] }}{% endif %}"
    "{% if loop.last and add_generation_prompt %}{{ '### Assistant:\\n' }}{% endif %}{% endfor %}"
)

_LLAMA_SP = ("<unk>", "<s>", "</s>")
_LLAMA_SP_ROLES = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>"}
_QWEN = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_pad|>", "<|image_pad|>",
    "<tool_call>", "</tool_call>", "<|fim_prefix|>", "<|fim_pad|>",
)  # fmt: skip
_QWEN_ROLES = {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}
_QWEN_PLAIN = ("<tool_call>", "</tool_call>", "<think>", "</think>", "<|fim_prefix|>")
_GEMMA = (
    "<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "<unused0>", "<unused1>",
    "<start_of_turn>", "<end_of_turn>",
)  # fmt: skip
_GEMMA_ROLES = {
    "bos_token": "<bos>", "eos_token": "<eos>", "unk_token": "<unk>", "pad_token": "<pad>"
}  # fmt: skip
_LLAMA3 = (
    "<|begin_of_text|>", "<|end_of_text|>", "<|reserved_special_token_0|>",
    "<|reserved_special_token_1|>", "<|finetune_right_pad_id|>", "<|start_header_id|>",
    "<|end_header_id|>", "<|eom_id|>", "<|eot_id|>", "<|python_tag|>",
)  # fmt: skip
_EXAONE = (
    "[PAD]", "[BOS]", "[EOS]", "[UNK]", "<unused0>",
    "[|system|]", "[|user|]", "[|assistant|]", "[|endofturn|]",
)  # fmt: skip
_EXAONE_ROLES = {
    "bos_token": "[BOS]", "eos_token": "[|endofturn|]", "pad_token": "[PAD]", "unk_token": "[UNK]"
}  # fmt: skip
_SMOLLM2 = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<repo_name>", "<file_sep>", "<filename>",
    "<gh_stars>", "<issue_start>", "<empty_output>",
)  # fmt: skip
_T5_ROLES = {"eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
_T5 = ("<pad>", "</s>", "<unk>")
_BART_ROLES = {
    "bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>",
    "mask_token": "<mask>",
}  # fmt: skip
_LANGUAGES = ("ar_AR", "en_XX", "ja_XX", "ko_KR", "ro_RO", "zh_CN")

FORMS: dict[str, Form] = {
    "llama3": Form(
        "byte_level", _LLAMA3, "PreTrainedTokenizerFast",
        {"bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>"},
        frame="<|begin_of_text|> $A", template=LLAMA3,
        stops=("<|end_of_text|>", "<|eom_id|>", "<|eot_id|>"),
    ),
    "llama3-base": Form(
        "byte_level", _LLAMA3, "PreTrainedTokenizerFast",
        {"bos_token": "<|begin_of_text|>", "eos_token": "<|end_of_text|>"},
        frame="<|begin_of_text|> $A",
    ),
    "qwen2_5": Form(
        "byte_level", _QWEN, "Qwen2Tokenizer", _QWEN_ROLES, template=QWEN2_5,
        plain=_QWEN_PLAIN, stops=("<|im_end|>", "<|endoftext|>"),
    ),
    "qwen3": Form(
        "byte_level", (*_QWEN, "<think>", "</think>"), "Qwen2Tokenizer", _QWEN_ROLES,
        template=QWEN3, plain=_QWEN_PLAIN, stops=("<|im_end|>", "<|endoftext|>"),
    ),
    "qwen3-thinking": Form(
        "byte_level", (*_QWEN, "<think>", "</think>"), "Qwen2Tokenizer", _QWEN_ROLES,
        template=QWEN3_THINKING, plain=_QWEN_PLAIN, stops=("<|im_end|>", "<|endoftext|>"),
    ),
    "gemma2": Form(
        "sentencepiece_bpe", _GEMMA, "GemmaTokenizer", _GEMMA_ROLES, frame="<bos> $A",
        template=GEMMA2, stops=("<eos>", "<end_of_turn>"),
    ),
    "gemma3": Form(
        "sentencepiece_bpe", _GEMMA, "GemmaTokenizer", _GEMMA_ROLES, frame="<bos> $A",
        template=GEMMA3, stops=("<eos>", "<end_of_turn>"),
    ),
    "exaone3_5": Form(
        "byte_level", _EXAONE, "GPT2Tokenizer", _EXAONE_ROLES, template=EXAONE3_5,
        stops=("[|endofturn|]",),
    ),
    "exaone-deep": Form(
        "byte_level", (*_EXAONE, "<thought>", "</thought>"), "GPT2Tokenizer", _EXAONE_ROLES,
        template=EXAONE_DEEP, stops=("[|endofturn|]",),
    ),
    "exaone4": Form(
        "byte_level", (*_EXAONE, "<think>", "</think>"), "GPT2Tokenizer", _EXAONE_ROLES,
        template=EXAONE4, plain=("<think>", "</think>"), stops=("[|endofturn|]",),
    ),
    "mistral": Form(
        "sentencepiece_bpe", (*_LLAMA_SP, "[INST]", "[/INST]", "[TOOL_CALLS]"), "LlamaTokenizer",
        _LLAMA_SP_ROLES, frame="<s> $A", template=MISTRAL, stops=("</s>",),
    ),
    "phi3": Form(
        "sentencepiece_bpe",
        (*_LLAMA_SP, "<|endoftext|>", "<|assistant|>", "<|placeholder1|>", "<|system|>", "<|end|>",
         "<|user|>"),
        "LlamaTokenizer",
        {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "<|endoftext|>",
         "pad_token": "<|endoftext|>"},
        template=PHI3, stops=("<|endoftext|>", "<|assistant|>", "<|end|>"),
    ),
    "solar": Form(
        "sentencepiece_bpe", _LLAMA_SP, "LlamaTokenizer", _LLAMA_SP_ROLES | {"pad_token": "</s>"},
        frame="<s> $A", template=SOLAR,
    ),
    "smollm2": Form(
        "byte_level", _SMOLLM2, "GPT2Tokenizer",
        {"bos_token": "<|im_start|>", "eos_token": "<|im_end|>", "pad_token": "<|im_end|>",
         "unk_token": "<|endoftext|>"},
        template=SMOLLM2, stops=("<|im_end|>",),
    ),
    "smollm3": Form(
        "byte_level",
        ("<|begin_of_text|>", "<|end_of_text|>", "<think>", "</think>", "<|finetune_right_pad_id|>",
         "<|im_start|>", "<|im_end|>"),
        "PreTrainedTokenizerFast", {"eos_token": "<|im_end|>"},
        frame="<|begin_of_text|> $A", template=SMOLLM3, stops=("<|im_end|>",),
        plain=("<think>", "</think>"),
    ),
    "hyperclova": Form(
        "byte_level",
        ("<|endoftext|>", "<|fim_prefix|>", "<|fim_suffix|>", "<|endofprompt|>",
         "<|_unuse_missing_100261|>", "<|im_start|>", "<|im_end|>", "<|stop|>", "<|endofturn|>"),
        "GPT2Tokenizer",
        {"bos_token": "<|endoftext|>", "eos_token": "<|endofturn|>", "pad_token": "<|endoftext|>",
         "unk_token": "<|endoftext|>"},
        template=HYPERCLOVA, stops=("<|endofturn|>", "<|stop|>"),
    ),
    "kogpt2": Form(
        "metaspace_bpe",
        ("<s>", "</s>", "<usr>", "<pad>", "<sys>", "<unk>", "<mask>", "<unused0>"),
        "GPT2TokenizerFast",
        {"bos_token": "</s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"},
    ),
    "polyglot": Form(
        "byte_level", ("<|unused0|>", "<|unused1|>", "<|endoftext|>", "<|sep|>", "<|acc|>"),
        "PreTrainedTokenizerFast",
        {"eos_token": "<|endoftext|>", "pad_token": "<|endoftext|>"},
    ),
    "bart": Form(
        "byte_level", ("<s>", "<pad>", "</s>", "<unk>", "<mask>"), "BartTokenizer", _BART_ROLES,
        style="source", frame="<s> $A </s>", decoder_start="</s>",
    ),
    "kobart": Form(
        "metaspace_bpe", ("<s>", "</s>", "<usr>", "<pad>", "<sys>", "<unk>", "<mask>"),
        "PreTrainedTokenizerFast", _BART_ROLES, style="source", decoder_start="<usr>",
    ),
    "mbart": Form(
        "unigram", ("<s>", "<pad>", "</s>", "<unk>", *_LANGUAGES, "<mask>"), "MBartTokenizer",
        _BART_ROLES | {"cls_token": "<s>", "sep_token": "</s>"}, style="source",
        frame="$A </s> en_XX", settings={"src_lang": "en_XX", "tgt_lang": None},
    ),
    "mbart50": Form(
        "unigram", ("<s>", "<pad>", "</s>", "<unk>", *_LANGUAGES, "<mask>"), "MBart50Tokenizer",
        _BART_ROLES | {"cls_token": "<s>", "sep_token": "</s>"}, style="source",
        frame="en_XX $A </s>", decoder_start="</s>",
        settings={"src_lang": "en_XX", "tgt_lang": None},
    ),
    "mt5": Form(
        "unigram", (*_T5, "<extra_id_0>", "<extra_id_1>"), "T5Tokenizer", _T5_ROLES,
        style="source", frame="$A </s>", decoder_start="<pad>", settings={"extra_ids": 2},
    ),
    "ke-t5": Form(
        "unigram", (*_T5, "<extra_id_0>", "<extra_id_1>"), "T5TokenizerFast", _T5_ROLES,
        style="source", frame="$A </s>", decoder_start="<pad>", settings={"extra_ids": 2},
    ),
    "pko-t5": Form(
        "byte_level", (*_T5, "<extra_id_0>", "<extra_id_1>"), "T5TokenizerFast", _T5_ROLES,
        style="source", frame="$A </s>", decoder_start="<pad>", settings={"extra_ids": 2},
    ),
    "pegasus": Form(
        "unigram", ("<pad>", "</s>", "<mask_1>", "<mask_2>", "<unk_2>", "<unk_3>", "<unk>", "<n>"),
        "PegasusTokenizer",
        _T5_ROLES | {"mask_token": "<mask_2>"}, style="source", frame="$A </s>",
        decoder_start="<pad>", plain=("<n>",), settings={"offset": 103},
    ),
    "bert2bert": Form(
        "wordpiece", ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"), "BertTokenizerFast",
        {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]",
         "mask_token": "[MASK]"},
        style="source", frame="[CLS] $A [SEP]", decoder_start="[CLS]",
        settings={"do_lower_case": False},
    ),
}  # fmt: skip
"""Every family, by the name that tests use."""

CHAT_FORMS = tuple(name for name, form in FORMS.items() if form.style == "chat")
SOURCE_FORMS = tuple(name for name, form in FORMS.items() if form.style == "source")

NEWLINE_LOST = ("mbart", "mbart50", "mt5", "ke-t5", "pegasus", "bert2bert")
"""Families whose normalizer or pre-tokenizer turns a line break into a blank."""


def write_tokenizer(
    form: str, folder: Path, texts: Iterable[str] | None = None, *, size: int = 700
) -> Path:
    """Write the tokenizer of a family into ``folder`` and return the folder.

    ``texts`` train the vocabulary (default: the embedded sample); families without byte fallback
    have tokens for the characters of these texts only. The same texts give the same files.
    """
    spec = FORMS[form]
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = _train(form, tuple(sample_texts() if texts is None else texts), size)
    (folder / "tokenizer.json").write_text(tokenizer.to_str(pretty=True), "utf-8")
    _write_json(folder / "tokenizer_config.json", _config(spec, tokenizer))
    _write_json(folder / "special_tokens_map.json", spec.roles)
    if spec.template is not None:
        (folder / "chat_template.jinja").write_text(spec.template, "utf-8")
    if spec.stops:
        stops = [tokenizer.token_to_id(token) for token in spec.stops]
        eos = stops[0] if len(stops) == 1 else stops
        _write_json(folder / "generation_config.json", {"eos_token_id": eos})
    return folder


@pytest.fixture(scope="session")
def family(tmp_path_factory, toy_recipe):
    """Load the tokenizer of a family as yoyak does; not to be changed."""
    from yoyak.engine.tokenization.tokenizer import load_tokenizer

    folder = tmp_path_factory.mktemp("families")

    @cache
    def load(form: str):
        write_base(form, folder / form)
        return load_tokenizer(str(folder / form), recipe_of(form, toy_recipe))

    return load


def recipe_of(form: str, toy_recipe):
    """Return the toy recipe whose prompt style fits a family."""
    return toy_recipe("llama" if FORMS[form].style == "chat" else "bart")


def write_base(form: str, folder: Path) -> Path:
    """Write a family's tokenizer, and for an encoder-decoder a config with its decoder start."""
    write_tokenizer(form, folder)
    if FORMS[form].style == "source":
        config = {"model_type": "bart", "decoder_start_token_id": decoder_start_id(form, folder)}
        _write_json(folder / "config.json", config)
    return folder


def decoder_start_id(form: str, folder: Path) -> int | None:
    """Return the ``decoder_start_token_id`` that the config of the family's models names."""
    from tokenizers import Tokenizer

    start = FORMS[form].decoder_start
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    return None if start is None else tokenizer.token_to_id(start)


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False, indent=2), "utf-8")


def _config(spec: Form, tokenizer) -> dict[str, object]:
    added = {
        str(index): {
            "content": token.content, "lstrip": token.lstrip, "normalized": token.normalized,
            "rstrip": token.rstrip, "single_word": token.single_word, "special": token.special,
        }
        for index, token in tokenizer.get_added_tokens_decoder().items()
    }  # fmt: skip
    return {
        "added_tokens_decoder": added,
        "clean_up_tokenization_spaces": False,
        "model_max_length": 1000000000000000019884624838656,
        "tokenizer_class": spec.tokenizer_class,
        **spec.roles,
        **spec.settings,
    }


@cache
def sample_texts() -> tuple[str, ...]:
    """Return the dialogues and summaries of the embedded sample's training split."""
    dialogues = read_corpus(sample.folder()).train.dialogues
    return tuple(text for row in dialogues for text in (row.text, *row.references))


@cache
def _train(form: str, texts: tuple[str, ...], size: int):
    """Return the trained ``tokenizers.Tokenizer`` of a family, special tokens at its start."""
    spec = FORMS[form]
    build = {
        "byte_level": _byte_level,
        "sentencepiece_bpe": _sentencepiece_bpe,
        "metaspace_bpe": _metaspace_bpe,
        "unigram": _unigram,
        "wordpiece": _wordpiece,
    }[spec.vocabulary]
    tokenizer = build(spec, texts, size)
    if spec.frame != "$A":
        _set_frame(tokenizer, spec.frame)
    return _with_plain_tokens(tokenizer, spec.plain)


def _byte_level(spec: Form, texts: tuple[str, ...], size: int):
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=list(spec.tokens),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def _sentencepiece_bpe(spec: Form, texts: tuple[str, ...], size: int):
    """Train Llama 2's and Gemma's kind: blanks are written ``▁``, unknown characters are bytes."""
    from tokenizers import Regex, decoders, normalizers, pre_tokenizers

    tokenizer = _byte_fallback_bpe(spec, texts, size)
    if spec.tokenizer_class == "GemmaTokenizer":
        tokenizer.normalizer = normalizers.Replace(" ", METASPACE)
        tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(" "), "merged_with_previous")
        last: list[object] = []
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
        last = [decoders.Strip(" ", 1, 0)]
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace(METASPACE, " "), decoders.ByteFallback(), decoders.Fuse(), *last]
    )
    return tokenizer


def _metaspace_bpe(spec: Form, texts: tuple[str, ...], size: int):
    from tokenizers import decoders, normalizers, pre_tokenizers

    tokenizer = _byte_fallback_bpe(spec, texts, size)
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Sequence(
        [decoders.Metaspace(), decoders.ByteFallback(), decoders.Fuse()]
    )
    return tokenizer


def _byte_fallback_bpe(spec: Form, texts: tuple[str, ...], size: int):
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    fallback = [f"<0x{byte:02X}>" for byte in range(256)]
    alphabet = _characters(texts)[: size // 3]
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=[*spec.tokens, *fallback],
        initial_alphabet=alphabet,
        limit_alphabet=len(alphabet),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return _without_added(tokenizer, fallback)


def _unigram(spec: Form, texts: tuple[str, ...], size: int):
    """Return T5's kind: NFKC, line breaks become blanks, a character outside is unknown.

    The pieces are the texts' characters and commonest words; the library's trainer gives other
    scores in each process.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

    texts = tuple(unicodedata.normalize("NFKC", text) for text in texts)
    pieces = [(token, 0.0) for token in spec.tokens]
    pieces += [(character, -12.0) for character in _characters(texts)]
    pieces += [
        (METASPACE + word, -8.0 - rank / 1000) for rank, word in enumerate(_words(texts, size // 3))
    ]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=spec.tokens.index("<unk>")))
    tokenizer.add_special_tokens(list(spec.tokens))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Nmt(), normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    return tokenizer


def _wordpiece(spec: Form, texts: tuple[str, ...], size: int):
    """Return BERT's kind: the texts' characters at the start and inside of words, and words."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

    characters = [each for each in _characters(texts) if each != METASPACE]
    words = [word for word in _words(texts, size // 3) if word.isalpha()]
    pieces = dict.fromkeys(
        (*spec.tokens, *characters, *(f"##{character}" for character in characters), *words)
    )
    vocabulary = {piece: index for index, piece in enumerate(pieces)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.add_special_tokens(list(spec.tokens))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False, strip_accents=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(prefix="##", cleanup=True)
    return tokenizer


def _words(texts: tuple[str, ...], count: int) -> list[str]:
    """Return the commonest words of at least two characters, ties by code point."""
    counts = Counter(word for text in texts for word in text.split() if len(word) > 1)
    return sorted(counts, key=lambda word: (-counts[word], word))[:count]


def _characters(texts: tuple[str, ...]) -> list[str]:
    """Return ASCII, ``▁`` and the texts' characters, the commonest first, ties by code point."""
    counts = Counter(character for text in texts for character in text if not character.isspace())
    ascii_first = [chr(code) for code in range(33, 127)]
    others = sorted(counts.keys() - set(ascii_first), key=lambda each: (-counts[each], each))
    return [*ascii_first, METASPACE, *others]


def _set_frame(tokenizer, frame: str) -> None:
    from tokenizers import processors

    names = [name for name in frame.split() if name != "$A"]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=frame,
        pair=f"{frame} {frame.replace('$A', '$B')}",
        special_tokens=[(name, tokenizer.token_to_id(name)) for name in names],
    )


def _without_added(tokenizer, names: Iterable[str]):
    """Keep tokens in the vocabulary that are no added tokens, as byte tokens are."""
    return _edited(tokenizer, lambda token: None if token["content"] in set(names) else token)


def _with_plain_tokens(tokenizer, names: tuple[str, ...]):
    return _edited(tokenizer, lambda token: token | {"special": token["content"] not in names})


def _edited(tokenizer, change: Callable[[dict], dict | None]):
    from tokenizers import Tokenizer

    description = json.loads(tokenizer.to_str())
    description["added_tokens"] = list(filter(None, map(change, description["added_tokens"])))
    return Tokenizer.from_str(json.dumps(description))

"""Render chat templates, and find out from renderings what a model's chat format is.

Nothing is looked up by the name of a model family. Probe conversations are rendered (two answers,
with and without a system turn), and the text around the probes says what opens an answer, what ends
it and what becomes of a system turn. Where transformers' plain rendering is not what a model should
be trained on, ``usable_template`` extends the template itself, so that training, prediction and
everyone who loads the exported tokenizer render the same text.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import takewhile
from typing import Any, Final, NamedTuple

from yoyak.errors import BadRecipe
from yoyak.values import Message

_TODAY: Final = datetime(2024, 7, 26)
TEMPLATE_DATE: Final = _TODAY.strftime("%d %b %Y")
"""Some templates write today's date into each prompt. Llama 3.1's default keeps them the same."""

THINKING_OFF: Final = {"enable_thinking": False, "thinking": False, "skip_reasoning": True}
"""The switches of published templates (Qwen3, EXAONE 4, SmolLM3; Granite; HyperCLOVA X)."""

LLAMA3_TEMPLATE: Final = (
    "{{ bos_token }}{% for message in messages %}"
    "{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n'"
    " + message['content'] | trim + '<|eot_id|>' }}{% endfor %}"
    "{% if add_generation_prompt %}"
    "{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}"
)
"""Llama 3 Instruct: one BOS, then a header and an EOS for each message. For scratch models."""

CHATML_TEMPLATE: Final = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
"""Qwen2.5 and Qwen3 Instruct (2507): no BOS. For scratch models."""

PLAIN_TEMPLATE: Final = (
    "{% for message in messages %}{% if message['role'] == 'assistant' %}"
    "{{ '### 요약:\\n' + message['content'] + eos_token + '\\n\\n' }}"
    "{% else %}{{ message['content'] + '\\n\\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '### 요약:\\n' }}{% endif %}"
)
"""For base models without a chat template: plain text, and EOS ends an answer."""

_FOLD_SYSTEM: Final = (
    "{% if messages[0]['role'] == 'system' %}{% set messages = [{'role': messages[1]['role'],"
    " 'content': messages[0]['content'] + '\\n\\n' + messages[1]['content']}] + messages[2:] %}"
    "{% endif %}"
)
_OPEN_ANSWER: Final = (
    "{% set open_answer = add_generation_prompt %}{% set add_generation_prompt = false %}"
)
_BEGIN: Final = "{{ bos_token }}"

_SYSTEM, _QUESTION = "앞선 지침", "첫째 물음"
_ANSWER, _OTHER_ANSWER = "한 가지 대답", "둘째 답변"
_DATE_CALL = re.compile(r"strftime_now\(\s*(['\"])(.*?)\1\s*\)")
_CLOSING = re.compile(r"</|\[/")
"""What ends a block of thoughts, such as ``</think>``."""


class ChatTemplate:
    """A chat template with the special tokens it may write.

    Args:
        source: Jinja.
        special_tokens: texts by name, such as ``bos_token``.

    Raises:
        BadRecipe: the source is no valid template.
    """

    def __init__(self, source: str, special_tokens: Mapping[str, str]) -> None:
        self.source = source
        self.special_tokens = special_tokens
        from yoyak.engine.tokenization.template_sandbox import BoundedTemplate

        self._compiled = BoundedTemplate(source)

    def render(self, messages: Sequence[Message], *, open_answer: bool = True) -> str:
        """Return the conversation as text; ``open_answer`` ends it with the answer's header.

        The date of templates that write one is fixed, and thinking is switched off, so that the
        same messages always give the same text.

        Raises:
            BadRecipe: the template refuses these messages (some allow no system message), fails,
                or goes beyond the limits of ``template_sandbox``.
        """
        fields = {
            **self.special_tokens,
            "messages": [{"role": each.role, "content": each.text} for each in messages],
            "add_generation_prompt": open_answer,
            "tools": None,
            "documents": None,
            "date_string": TEMPLATE_DATE,
            "strftime_now": _TODAY.strftime,
            **THINKING_OFF,
        }
        return self._compiled.render(fields)

    def extended(self, before: str, after: str = "") -> "ChatTemplate":
        """Return a template with more source around this one's."""
        return ChatTemplate(before + self.source + after, self.special_tokens)

    @property
    def standalone(self) -> str:
        """Return the source with its switches and its date set, as ``render`` sets them.

        Every program that renders it writes the prompts of training, whatever it passes or not.
        """
        fields = {"date_string": TEMPLATE_DATE, **THINKING_OFF}
        settings = "".join(
            f"{{%- set {name} = {json.dumps(value)} %}}"
            for name, value in fields.items()
            if re.search(rf"\b{name}\b", self.source)
        )
        return settings + _DATE_CALL.sub(
            lambda call: json.dumps(_TODAY.strftime(call[2])), self.source
        )

    @property
    def folds_system(self) -> bool:
        """Return whether ``usable_template`` made a system turn part of the user's."""
        return _FOLD_SYSTEM in self.source


class ChatFormat(NamedTuple):
    """What renderings of a template show.

    ``header`` opens an answer and ends every prompt; ``lead`` is the blank that a conversation
    writes between header and answer; ``end`` follows the answer and is empty if the template writes
    nothing there. ``default_system`` is the system prompt that the template writes where a
    conversation has none.
    """

    header: str
    lead: str
    end: str
    default_system: str


def find_chat_format(template: ChatTemplate) -> ChatFormat:
    """Render probe conversations and return what surrounds the probes.

    Raises:
        BadRecipe: the template refuses even a lone question, or leaves it out.
    """
    opened = _after(_QUESTION, _ask(template))
    between, end = _around_answer(template, opened)
    lead = between.removeprefix(opened) if between.startswith(opened) else ""
    turn_end = _after(_QUESTION, _ask(template, open_answer=False))
    header = opened.removeprefix(turn_end) or opened
    return ChatFormat(header, lead if lead.isspace() else "", end, _default_system(template))


def usable_template(template: ChatTemplate, *, needs_bos: bool) -> ChatTemplate:
    """Extend a template where its own renderings are no basis for training.

    A system turn that it refuses or drops becomes the beginning of the user's turn. BOS is written
    where the tokenizer puts one before any text (``needs_bos``) and the template does not. A prompt
    ends like the conversation before an answer where the two differ: thoughts that a prompt opens
    are left out or closed, and a header that the template leaves to its caller is written.

    Raises:
        BadRecipe: as ``find_chat_format``.
    """
    if not _takes_system(template):
        template = template.extended(_FOLD_SYSTEM)
    if needs_bos and not _ask(template).startswith(template.special_tokens["bos_token"]):
        template = template.extended(_BEGIN)
    opened = _after(_QUESTION, _ask(template))
    between, _ = _around_answer(template, opened)
    if _is_header(opened, between):
        return template
    turn_end = _after(_QUESTION, _ask(template, open_answer=False))
    header = json.dumps(between.removeprefix(turn_end), ensure_ascii=False)
    after = "{% if open_answer %}{{ " + header + " }}{% endif %}"
    closed = template.extended(_OPEN_ANSWER, after)
    return closed if _ask(closed).endswith(between) else template


def read_template(source: object, tokenizer_config: Mapping[str, Any]) -> ChatTemplate:
    """Return the usable template of a base whose files alone are known.

    Args:
        source: of chat_template.jinja; ``None`` if the base has no such file.
        tokenizer_config: the content of tokenizer_config.json, which may hold templates, too.

    Raises:
        BadRecipe: as ``usable_template``.
    """
    found = tokenizer_config.get("chat_template") if source is None else source
    if isinstance(found, list):
        named = {each.get("name"): each.get("template") for each in found if isinstance(each, dict)}
        found = named.get("default")
    tokens = {
        name: token.get("content") if isinstance(token, dict) else token
        for name, token in tokenizer_config.items()
        if name.endswith("_token")
    }
    written = {name: token for name, token in tokens.items() if isinstance(token, str)}
    template = ChatTemplate(PLAIN_TEMPLATE if found is None else str(found), written)
    return usable_template(template, needs_bos=False)


def _ask(template: ChatTemplate, *, open_answer: bool = True) -> str:
    return template.render((Message(role="user", text=_QUESTION),), open_answer=open_answer)


def _after(probe: str, text: str) -> str:
    """Return what follows the last place of a probe in a rendering."""
    before, found, after = text.rpartition(probe)
    if not found:
        raise BadRecipe("engine.template-refuses", roles="user", problem=repr(before + after)[:80])
    return after


def _around_answer(template: ChatTemplate, opened: str) -> tuple[str, str]:
    """Return what stands between question and answer, and what follows two different answers.

    Some templates refuse to end with an answer: nothing follows it then, and the header is
    ``opened``.
    """
    renderings = []
    for answer in (_ANSWER, _OTHER_ANSWER):
        turns = (Message(role="user", text=_QUESTION), Message(role="assistant", text=answer))
        try:
            renderings.append(_after(_QUESTION, template.render(turns, open_answer=False)))
        except BadRecipe:
            return opened, ""
    if _ANSWER not in renderings[0] or _OTHER_ANSWER not in renderings[1]:
        return opened, ""
    between, _, _ = renderings[0].partition(_ANSWER)
    ends = [_after(_ANSWER, renderings[0]), _after(_OTHER_ANSWER, renderings[1])]
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(*ends, strict=False)))
    return between, ends[0][:same]


def _is_header(opened: str, between: str) -> bool:
    """Return whether the end of a prompt opens an answer as a conversation without thoughts does.

    It may close empty thoughts that a conversation leaves out (EXAONE 4, SmolLM3).
    """
    opened, between = opened.rstrip(), between.rstrip()
    if opened.startswith(between):
        further = opened.removeprefix(between)
        return not further or bool(_CLOSING.search(further))
    return not between.startswith(opened)


def _with_system(template: ChatTemplate) -> str:
    turns = (Message(role="system", text=_SYSTEM), Message(role="user", text=_QUESTION))
    return template.render(turns)


def _takes_system(template: ChatTemplate) -> bool:
    _after(_QUESTION, _ask(template))
    try:
        text = _with_system(template)
    except BadRecipe:
        return False
    return _SYSTEM in text and _QUESTION in text


def _default_system(template: ChatTemplate) -> str:
    """Return what stands without a system turn in the place of its text."""
    before, _, rest = _with_system(template).partition(_SYSTEM)
    between, _, _ = rest.partition(_QUESTION)
    alone, _, _ = _ask(template).partition(_QUESTION)
    if not (alone.startswith(before) and alone.removeprefix(before).endswith(between)):
        return ""
    return alone.removeprefix(before).removesuffix(between).strip()


class SpecialTokenEscaper:
    """Escape special tokens that somebody typed into a dialogue (prompt injection).

    A tokenizer reads ``<|im_end|>`` as a special token wherever it occurs. A space after the first
    character keeps it readable and makes it ordinary text, in training as in inference.
    """

    def __init__(self, special_tokens: Iterable[str]) -> None:
        longest_first = sorted(special_tokens, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")

    def __call__(self, text: str) -> str:
        """Return ``text`` without anything the tokenizer would read as a special token."""
        return self._pattern.sub(lambda found: f"{found[0][0]} {found[0][1:]}", text)

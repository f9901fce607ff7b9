"""Chat formats that are found by rendering, against transformers' own renderings."""

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.tokenizers import CHAT_FORMS, FORMS
from yoyak.engine.tokenization.chat_template import (
    CHATML_TEMPLATE,
    TEMPLATE_DATE,
    ChatTemplate,
    SpecialTokenEscaper,
    find_chat_format,
    usable_template,
)
from yoyak.errors import BadRecipe
from yoyak.values import Message, Source

pytestmark = pytest.mark.torch

SPECIAL = ("<|im_end|>", "<|im_start|>", "<|im_end|>x", "</s>")
WITH_TEMPLATE = tuple(form for form in CHAT_FORMS if FORMS[form].template)

SYSTEM = Message(role="system", text="대화를 한 문장으로 요약하세요.")
USER = Message(role="user", text="#Person1#: 안녕하세요.\n#Person2#: 네, 3시에 봐요!")
ANSWER = Message(role="assistant", text="#Person1#은 #Person2#와 3시에 만납니다.")

THOUGHTS_CLOSED_IN_PROMPT = ("exaone4", "smollm3")
"""Their conversations leave out the empty thoughts that their prompts close."""


@pytest.fixture
def frozen_date(monkeypatch):
    """transformers writes today's date where a template asks for it."""
    import transformers.utils.chat_template_utils as theirs

    class Frozen(datetime.datetime):
        @classmethod
        def now(cls, tz=None):
            return cls.strptime(TEMPLATE_DATE, "%d %b %Y")

    monkeypatch.setattr(theirs, "datetime", Frozen)


def theirs(tokenizer, messages, **options):
    """transformers' rendering of a conversation, as text or as ids."""
    chat = [{"role": message.role, "content": message.text} for message in messages]
    return tokenizer._hf_tokenizer.apply_chat_template(
        chat, date_string=TEMPLATE_DATE, enable_thinking=False, return_dict=False, **options
    )


def template_of(form: str) -> ChatTemplate:
    spec = FORMS[form]
    return ChatTemplate(spec.template, spec.roles)


@pytest.mark.usefixtures("frozen_date")
@pytest.mark.parametrize("form", CHAT_FORMS)
@pytest.mark.parametrize("messages", [(USER,), (SYSTEM, USER), (USER, ANSWER)])
def test_every_conversation_is_rendered_as_by_transformers(family, form, messages):
    tokenizer = family(form)
    asked = messages[-1].role == "user"
    expected = theirs(tokenizer, messages, tokenize=False, add_generation_prompt=asked)
    assert tokenizer.template.render(messages, open_answer=asked) == expected


@pytest.mark.parametrize("form", CHAT_FORMS)
def test_the_standalone_template_needs_no_date_and_no_switch(family, form):
    """As transformers renders it today, for somebody who knows no argument of this family."""
    from transformers.utils.chat_template_utils import render_jinja_template

    tokenizer = family(form)
    messages = (SYSTEM, USER)
    asked = [{"role": each.role, "content": each.text} for each in messages]
    (found,), _ = render_jinja_template(
        [asked],
        chat_template=tokenizer.template.standalone,
        add_generation_prompt=True,
        **tokenizer.template.special_tokens,
    )
    assert found == tokenizer.template.render(messages)


@pytest.mark.usefixtures("frozen_date")
@pytest.mark.parametrize("form", WITH_TEMPLATE)
def test_the_vendors_template_gives_the_same_prompt_where_it_takes_the_turns(family, form):
    """yoyak extends some templates; for what they took before, the prompt stays the vendor's."""
    tokenizer, vendor = family(form), template_of(form)
    if form in {"qwen3-thinking", "exaone-deep"}:  # they open thoughts; see below
        return
    bos = vendor.special_tokens["bos_token"] if form == "solar" else ""  # see below
    assert tokenizer.template.render((USER,)) == bos + vendor.render((USER,))


@pytest.mark.usefixtures("frozen_date")
@pytest.mark.parametrize("form", CHAT_FORMS)
def test_a_training_row_is_transformers_conversation(family, form):
    """Prompt, answer and EOS are a prefix of the ids of the whole conversation."""
    tokenizer = family(form)
    source = Source(id="a", messages=(USER,))
    prompt = tokenizer.encode_source(source)
    assert prompt == theirs(tokenizer, (USER,), add_generation_prompt=True)
    if form in THOUGHTS_CLOSED_IN_PROMPT:
        return
    row = [*prompt, *tokenizer.encode_answer(ANSWER.text), tokenizer.stop_id]
    whole = theirs(tokenizer, (USER, ANSWER))
    if form == "solar":  # its template writes no end of an answer; EOS ends it
        whole = [*whole, tokenizer._hf_tokenizer.eos_token_id]
    assert row == whole[: len(row)]


@pytest.mark.parametrize("form", CHAT_FORMS)
def test_a_system_turn_is_in_the_prompt_of_every_family(family, form):
    tokenizer = family(form)
    text = tokenizer.template.render((SYSTEM, USER))
    assert text.index(SYSTEM.text) < text.index(USER.text)
    assert tokenizer.template.folds_system == (form == "gemma2")


def test_a_system_turn_that_is_refused_begins_the_users(family):
    together = Message(role="user", text=f"{SYSTEM.text}\n\n{USER.text}")
    template = family("gemma2").template
    assert template.render((SYSTEM, USER)) == template.render((together,))
    with pytest.raises(BadRecipe, match="System role not supported"):
        template_of("gemma2").render((SYSTEM, USER))


SPARE = "{% for m in messages if m.role != 'system' %}[{{ m.role }}] {{ m.content }}{% endfor %}"


def test_a_system_turn_that_is_dropped_without_a_word_begins_the_users():
    dropping = ChatTemplate(SPARE, {})
    usable = usable_template(dropping, needs_bos=False)
    assert SYSTEM.text not in dropping.render((SYSTEM, USER))
    assert usable.render((SYSTEM, USER)).startswith(f"[user] {SYSTEM.text}\n\n{USER.text}")


def test_a_header_that_a_template_leaves_to_its_caller_is_written():
    usable = usable_template(ChatTemplate(SPARE, {}), needs_bos=False)
    assert usable.render((USER,)) == f"[user] {USER.text}[assistant] "
    assert find_chat_format(usable).header == "[assistant] "


@pytest.mark.parametrize(
    ("form", "closed"), [("qwen3-thinking", "<think>\n\n</think>\n\n"), ("exaone-deep", "")]
)
def test_thoughts_that_a_prompt_opens_are_closed_as_in_an_answer_without(family, form, closed):
    vendor, ours = template_of(form).render((USER,)), family(form).template.render((USER,))
    assert vendor.endswith(("<think>\n", "<thought>\n"))
    assert ours == vendor[: vendor.rindex("<th")] + closed


def test_a_begin_of_text_that_only_the_tokenizer_writes_is_in_the_template(family):
    """SOLAR's model card tokenizes the rendered text, which puts ``<s>`` before it."""
    tokenizer = family("solar")
    ids = tokenizer.encode_source(Source(id="a", messages=(SYSTEM, USER)))
    expected = tokenizer._hf_tokenizer(template_of("solar").render((SYSTEM, USER))).input_ids
    assert ids[0] == expected[0] == tokenizer.bos_id
    assert tokenizer.decode(ids) == tokenizer.decode(expected)


@pytest.mark.parametrize(
    ("form", "default"),
    [
        ("qwen2_5", "You are Qwen, created by Alibaba Cloud. You are a helpful assistant."),
        ("smollm2", "You are a helpful AI assistant named SmolLM, trained by Hugging Face"),
        ("smollm3", "You are a helpful AI assistant named SmolLM, trained by Hugging Face."),
        *((form, "") for form in ("llama3", "qwen3", "gemma2", "gemma3", "exaone3_5", "mistral",
                                  "phi3", "solar", "hyperclova")),
    ],
)  # fmt: skip
def test_a_system_prompt_of_the_templates_own_is_noticed(family, form, default):
    assert family(form).chat_format.default_system == default


@pytest.mark.parametrize("form", CHAT_FORMS)
def test_the_header_is_what_a_prompt_adds_to_its_question(family, form):
    tokenizer = family(form)
    prompt = tokenizer.template.render((USER,))
    assert prompt.endswith(tokenizer.chat_format.header)
    assert USER.text not in tokenizer.chat_format.header
    assert "\n" not in tokenizer.chat_format.header.strip() or "think" in prompt or form == "phi3"


def test_a_template_that_always_writes_the_header_is_understood():
    """Llama 3's first template does, also after an answer."""
    source = CHATML_TEMPLATE.replace("{% if add_generation_prompt %}", "{% if true %}")
    chat = find_chat_format(ChatTemplate(source, {}))
    assert chat.header.endswith("<|im_start|>assistant\n")
    assert chat.end.startswith("<|im_end|>")


def test_a_template_that_refuses_answers_at_the_end_has_no_end():
    source = "{% if messages[-1].role != 'user' %}{{ raise_exception('no') }}{% endif %}"
    chat = find_chat_format(ChatTemplate(source + CHATML_TEMPLATE, {}))
    assert chat.end == ""
    assert chat.header == "<|im_start|>assistant\n"


@pytest.mark.parametrize("source", ["안녕", "{{ messages[0].role }}", "{{ messages[9].content }}"])
def test_a_template_that_leaves_the_question_out_is_refused(source):
    with pytest.raises(BadRecipe, match="user"):
        usable_template(ChatTemplate(source, {}), needs_bos=False)


@given(st.lists(st.text(max_size=40), min_size=1, max_size=5))
def test_any_texts_are_rendered_as_by_transformers(family, texts):
    roles = ("user", "assistant")
    messages = [Message(role=roles[i % 2], text=text) for i, text in enumerate(texts)]
    for form in ("llama3", "qwen2_5", "qwen3", "gemma3", "exaone4", "mistral"):
        tokenizer = family(form)
        expected = theirs(tokenizer, messages, tokenize=False)
        assert tokenizer.template.render(messages, open_answer=False) == expected


@given(st.lists(st.sampled_from([*SPECIAL, "<", "|", ">", "a", " "]), max_size=12).map("".join))
def test_no_special_token_is_left_in_an_escaped_text_and_only_spaces_are_added(text):
    escaped = SpecialTokenEscaper(SPECIAL)(text)
    assert not any(token in escaped for token in SPECIAL)
    assert escaped.replace(" ", "") == text.replace(" ", "")


def test_text_is_unchanged_where_nothing_is_special():
    assert SpecialTokenEscaper(SPECIAL)("#Person1#: 1 < 2") == "#Person1#: 1 < 2"
    assert SpecialTokenEscaper(())("<|im_end|>") == "<|im_end|>"

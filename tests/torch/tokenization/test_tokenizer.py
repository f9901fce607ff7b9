import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.tokenizers import (
    FORMS,
    NEWLINE_LOST,
    SOURCE_FORMS,
    recipe_of,
    sample_texts,
    write_base,
)
from yoyak.data.clean import summary_of
from yoyak.engine.tokenization.chat_template import TEMPLATE_DATE
from yoyak.engine.tokenization.tokenizer import FILE, ModelTokenizer, load_tokenizer
from yoyak.errors import BadRecipe, RunFailed, Unavailable
from yoyak.values import Message, Source

pytestmark = pytest.mark.torch

TOYS = ("bart", "llama", "qwen3")
CHAT = ("llama", "qwen3")
TAGS = [f"#{name}#" for name in (
    *(f"Person{number}" for number in range(1, 8)), "PhoneNumber", "Address", "DateOfBirth",
    "PassportNumber", "SSN", "CardNumber", "CarNumber", "Email", "PersonName",
)]  # fmt: skip


def chat(text, system="요약하세요."):
    messages = (Message(role="system", text=system), Message(role="user", text=text))
    return Source(id="a", messages=messages)


def source_of(tokenizer, text):
    return Source(id="a", text=text) if tokenizer.style == "source" else chat(text)


@pytest.mark.parametrize("form", TOYS)
def test_every_tag_survives_with_its_particle(tokenizers, form):
    tokenizer = tokenizers[form]
    for tag in TAGS:
        summary = f"{tag}은 {tag}에게서 {tag}, {tag}과 Mike의 소식을 듣습니다."
        assert tokenizer.decode(tokenizer.encode_answer(summary)) == summary


@pytest.mark.parametrize("form", TOYS)
@settings(max_examples=60, deadline=None)
@given(text=st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"])))
def test_any_text_comes_back_from_ids(tokenizers, form, text):
    tokenizer = tokenizers[form]
    words = " ".join(tokenizer.normalize(text).split())  # koBART's words carry one blank each
    if tokenizer._escape(words) != words or "▁" in words:
        return
    assert tokenizer.decode(tokenizer.encode_answer(words)) == words


def test_an_encoder_is_shown_the_text_and_one_end(tokenizers):
    tokenizer = tokenizers["bart"]
    ids = tokenizer.encode_source(Source(id="a", text="#Person1#: 안녕하세요."))
    assert tokenizer.decode(ids) == "#Person1#: 안녕하세요."
    assert ids.count(tokenizer.stop_id) == 1
    assert ids[-1] == tokenizer.stop_id


@pytest.mark.parametrize("form", TOYS)
def test_padding_is_no_stop_and_both_are_in_the_vocabulary(tokenizers, form):
    tokenizer = tokenizers[form]
    assert tokenizer.pad_id not in tokenizer.stop_ids
    assert tokenizer.stop_id == tokenizer.stop_ids[0]
    assert max(tokenizer.pad_id, *tokenizer.stop_ids) < tokenizer.vocab_size


@pytest.mark.parametrize("form", TOYS)
def test_control_tokens_that_someone_typed_are_text(tokenizers, form):
    tokenizer = tokenizers[form]
    names = [tokenizer._backend.id_to_token(index) for index in sorted(tokenizer.special_token_ids)]
    typed = tokenizer.encode_source(source_of(tokenizer, f"조심하세요 {' '.join(names)} 끝."))
    plain = tokenizer.encode_source(source_of(tokenizer, "조심하세요 끝."))
    assert [i for i in typed if i in tokenizer.special_token_ids] == [
        i for i in plain if i in tokenizer.special_token_ids
    ]
    assert names[-1][1:] in tokenizer.decode(typed)


@pytest.mark.parametrize("form", TOYS)
def test_control_ids_are_left_out_by_id_and_words_are_not(tokenizers, form):
    tokenizer = tokenizers[form]
    summary = "system, user, assistant는 #Person1#의 역할 이름입니다."
    ids = tokenizer.encode_answer(summary)
    with_control = [tokenizer.pad_id, *ids, tokenizer.stop_id, tokenizer.pad_id]
    assert tokenizer.decode(with_control) == summary


@pytest.mark.parametrize("stray", [-100, 10**6])
def test_what_is_no_token_is_never_decoded(tokenizers, stray):
    with pytest.raises(RunFailed, match=str(stray)):
        tokenizers["bart"].decode([5, stray])


@pytest.mark.parametrize("form", TOYS)
def test_a_saved_codec_says_the_same(tokenizers, toy_recipe, form, tmp_path):
    tokenizer = tokenizers[form]
    tokenizer.save(tmp_path)
    again = load_tokenizer(str(tmp_path), toy_recipe(form))
    source = source_of(tokenizer, "#Person1#: 오늘 Green Cafe에서 봐요.")
    assert again.special_tokens == tokenizer.special_tokens
    assert again.encode_source(source) == tokenizer.encode_source(source)
    assert again.encode_answer("안녕 #Person2#.") == tokenizer.encode_answer("안녕 #Person2#.")


def test_limits_saved_inside_a_tokenizer_are_lifted(tokenizers, toy_recipe, tmp_path):
    tokenizers["bart"].save(tmp_path)
    path = tmp_path / "tokenizer.json"
    description = json.loads(path.read_text())
    description["truncation"] = {
        "direction": "Right", "max_length": 5, "strategy": "LongestFirst", "stride": 0,
    }  # fmt: skip
    path.write_text(json.dumps(description))
    tokenizer = load_tokenizer(str(tmp_path), toy_recipe("bart"))
    assert len(tokenizer.encode_answer("가 나 다 라 마 바 사 아 자 차 카 타")) > 5


def test_a_tokenizer_that_changed_under_a_run_is_refused(tokenizers, toy_recipe, tmp_path):
    tokenizers["llama"].save(tmp_path)
    control = msgspec.structs.replace(tokenizers["llama"].special_tokens, vocab_size=7)
    (tmp_path / FILE).write_bytes(msgspec.json.encode(control))
    with pytest.raises(RunFailed, match="7"):
        load_tokenizer(str(tmp_path), toy_recipe("llama"))


def saved_without_special_tokens_file(tokenizer, folder):
    tokenizer.save(folder)
    (folder / FILE).unlink()


@pytest.mark.parametrize("form", CHAT)
def test_special_tokens_come_from_the_tokenizers_files(tokenizers, toy_recipe, form, tmp_path):
    saved_without_special_tokens_file(tokenizers[form], tmp_path)
    loaded = load_tokenizer(str(tmp_path), toy_recipe(form))
    assert loaded.special_tokens == tokenizers[form].special_tokens


def test_the_vendors_further_stops_end_a_generation_too(tokenizers, toy_recipe, tmp_path):
    tokenizer = tokenizers["qwen3"]
    saved_without_special_tokens_file(tokenizer, tmp_path)
    stops = [tokenizer.stop_id, 9, 10**6]  # no token of the vocabulary is 10**6
    (tmp_path / "generation_config.json").write_text(json.dumps({"eos_token_id": stops}))
    bundle = load_tokenizer(str(tmp_path), toy_recipe("qwen3"))
    assert bundle.stop_ids == (*tokenizer.stop_ids, 9)
    assert bundle.pad_id not in bundle.stop_ids


def test_an_encoder_decoder_starts_where_its_config_says(tokenizers, toy_recipe, tmp_path):
    saved_without_special_tokens_file(tokenizers["bart"], tmp_path)
    with pytest.raises(BadRecipe, match="decoder_start_token_id"):
        load_tokenizer(str(tmp_path), toy_recipe("bart"))
    config = {"model_type": "bart", "decoder_start_token_id": 1}
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert load_tokenizer(str(tmp_path), toy_recipe("bart")).decoder_start_id == 1


def test_a_tokenizer_with_special_tags_is_refused(tokenizers, toy_recipe, tmp_path):
    saved_without_special_tokens_file(tokenizers["llama"], tmp_path)
    path = tmp_path / "tokenizer.json"
    description = json.loads(path.read_text())
    special = dict(description["added_tokens"][0])
    special |= {"id": tokenizers["llama"].vocab_size, "content": "#Person1#", "special": True}
    description["added_tokens"].append(special)
    path.write_text(json.dumps(description))
    with pytest.raises(BadRecipe, match="#Person1#"):
        load_tokenizer(str(tmp_path), toy_recipe("llama"))


def test_a_folder_without_a_tokenizer_is_named(toy_recipe, tmp_path):
    with pytest.raises(Unavailable, match=tmp_path.name):
        load_tokenizer(str(tmp_path), toy_recipe("llama"))


FAMILIES = tuple(FORMS)
WORDS = sorted({word for text in sample_texts() for word in text.split()})
SUMMARIES = st.lists(st.sampled_from(WORDS), min_size=1, max_size=12).map(" ".join)


@pytest.mark.parametrize("form", FAMILIES)
@given(summary=SUMMARIES)
def test_summaries_come_back_in_every_family(family, form, summary):
    """Tags, Hangul, digits, Latin; WordPiece alone sets blanks of its own around marks."""
    tokenizer = family(form)
    text = summary_of(
        tokenizer.decode([*tokenizer.encode_answer(summary), tokenizer.stop_id]),
        tags_are_tokens=tokenizer.tags_are_tokens,
    )
    if form == "bert2bert":
        text, summary = text.replace(" ", ""), summary.replace(" ", "")
    assert text == tokenizer.normalize(summary)


@pytest.mark.parametrize("form", FAMILIES)
def test_tags_keep_their_particles_in_every_family(family, form):
    tokenizer = family(form)
    summary = "#Person1#은 #Person2#에게 3시에 #PhoneNumber#로 전화합니다."
    decoded = tokenizer.decode(tokenizer.encode_answer(summary))
    assert summary_of(decoded, tags_are_tokens=tokenizer.tags_are_tokens) == summary


@pytest.mark.parametrize("form", FAMILIES)
def test_a_saved_family_says_the_same_to_yoyak_and_to_transformers(
    family, form, toy_recipe, tmp_path
):
    """What is exported answers to the prompts that training saw."""
    from transformers import AutoTokenizer

    tokenizer = family(form)
    tokenizer.save(tmp_path)
    again = load_tokenizer(str(tmp_path), recipe_of(form, toy_recipe))
    plain = AutoTokenizer.from_pretrained(tmp_path)
    source = source_of(tokenizer, "#Person1#: 오늘 Green Cafe에서 봐요.\n#Person2#: 네, 3시에!")
    ids = tokenizer.encode_source(source)
    assert again.special_tokens == tokenizer.special_tokens
    assert again.encode_source(source) == ids
    assert again.encode_answer("안녕 #Person2#.") == tokenizer.encode_answer("안녕 #Person2#.")
    if tokenizer.style == "source":
        shown = source.text.replace("\n", tokenizer.special_tokens.line_break)
        assert plain(shown).input_ids == ids
    elif form != "smollm3":  # its template asks for today's date
        chat = [{"role": each.role, "content": each.text} for each in source.messages]
        options = {"date_string": TEMPLATE_DATE, "enable_thinking": False, "return_dict": False}
        assert plain.apply_chat_template(chat, add_generation_prompt=True, **options) == ids


@pytest.mark.parametrize("form", ["bart", "mt5", "ke-t5", "pko-t5", "pegasus", "bert2bert"])
def test_a_source_has_the_frame_that_the_vendor_gives_it(family, form, tmp_path):
    from tokenizers import Tokenizer

    vendor = Tokenizer.from_file(str(write_base(form, tmp_path) / "tokenizer.json"))
    text = "#Person1#: 오늘 3시에 봐요."
    assert family(form).encode_source(Source(id="a", text=text)) == vendor.encode(text).ids


@pytest.mark.parametrize("form", ["mbart", "mbart50"])
def test_mbart_reads_and_writes_korean_as_transformers_own_class(family, form, tmp_path):
    from transformers import AutoTokenizer

    folder = write_base(form, tmp_path)
    theirs = AutoTokenizer.from_pretrained(folder, src_lang="ko_KR", tgt_lang="ko_KR")
    tokenizer, text = family(form), "오늘 3시에 봐요."
    ours = tokenizer.encode_source(Source(id="a", text=text))
    assert ours == theirs(text).input_ids
    labels = [*tokenizer.encode_answer(text), tokenizer.stop_id]
    target = theirs(text_target=text).input_ids
    korean = theirs.convert_tokens_to_ids("ko_KR")
    if form == "mbart50":
        assert labels == target
        assert tokenizer.decoder_start_id == tokenizer.stop_id
    else:  # the code ends the labels and, shifted right, starts the decoder
        assert [*labels, korean] == target
        assert tokenizer.decoder_start_id == korean
    assert tokenizer.decode(labels) == text


@pytest.mark.parametrize("form", SOURCE_FORMS)
def test_turns_stay_apart_where_a_vocabulary_loses_line_breaks(family, form):
    tokenizer = family(form)
    source = Source(id="a", text="#Person1#: 안녕하세요.\n\n#Person2#: 네!")
    ids = tokenizer.encode_source(source)
    separator = tokenizer.special_tokens.line_break
    assert (separator != "\n") == (form in NEWLINE_LOST)
    assert separator.strip() in tokenizer.decode(ids)
    assert tokenizer.unknown_id not in ids


@pytest.mark.parametrize("form", FAMILIES)
def test_a_special_token_that_no_prompt_has_needs_no_embedding_row(form, toy_recipe, tmp_path):
    """Gemma 3's tokenizer has an image token more than the text models have rows."""
    folder = write_base(form, tmp_path)
    before = load_tokenizer(str(folder), recipe_of(form, toy_recipe))
    described = json.loads((folder / "tokenizer.json").read_text())
    image = dict(described["added_tokens"][0])
    image |= {"id": before.vocab_size, "content": "<image_soft_token>", "special": True}
    described["added_tokens"].append(image)
    (folder / "tokenizer.json").write_text(json.dumps(described))
    after = load_tokenizer(str(folder), recipe_of(form, toy_recipe))
    assert before.embedded_size == before.vocab_size
    assert (after.embedded_size, after.vocab_size) == (before.vocab_size, before.vocab_size + 1)


def test_a_vocabulary_of_bpe_under_the_name_of_t5_is_read_as_it_is(family, tmp_path):
    """pko-t5 names ``T5TokenizerFast``, for which transformers would build another vocabulary."""
    from tokenizers import Tokenizer

    vendor = Tokenizer.from_file(str(write_base("pko-t5", tmp_path) / "tokenizer.json"))
    assert family("pko-t5")._backend.get_vocab() == vendor.get_vocab()


def test_records_of_earlier_versions_are_read(tokenizers, toy_recipe, tmp_path):
    """They named a family, and had neither an answer's prefix nor a separator."""
    tokenizers["bart"].save(tmp_path)
    stored = json.loads((tmp_path / FILE).read_text())
    del stored["answer_prefix_ids"], stored["line_break"]
    (tmp_path / FILE).write_text(json.dumps(stored | {"family": "source"}))
    again = load_tokenizer(str(tmp_path), toy_recipe("bart"))
    assert again.special_tokens == tokenizers["bart"].special_tokens


@pytest.mark.parametrize("content", ["[]", "{", '{"style": "chat"}'])
def test_a_damaged_record_ends_in_one_sentence(tokenizers, toy_recipe, tmp_path, content):
    tokenizers["bart"].save(tmp_path)
    (tmp_path / FILE).write_text(content)
    with pytest.raises(Unavailable, match=FILE):
        load_tokenizer(str(tmp_path), toy_recipe("bart"))


def with_template(folder, template):
    """Write a family whose chat template stands in tokenizer_config.json."""
    write_base("qwen2_5", folder)
    (folder / "chat_template.jinja").unlink()
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"chat_template": template}))
    return str(folder)


def test_of_several_templates_the_default_is_used(toy_recipe, tmp_path):
    chat = FORMS["qwen2_5"].template
    templates = [{"name": "rag", "template": "{{ 1 }}"}, {"name": "default", "template": chat}]
    tokenizer = load_tokenizer(with_template(tmp_path, templates), toy_recipe("llama"))
    assert tokenizer.template.source == chat


@pytest.mark.parametrize("template", [7, "{% if %}", "{{ raise_exception('no') }}", "{{ 1 // 0 }}"])
def test_a_template_that_is_none_or_fails_ends_in_one_sentence(toy_recipe, tmp_path, template):
    with pytest.raises((BadRecipe, Unavailable)) as refused:
        load_tokenizer(with_template(tmp_path, template), toy_recipe("llama"))
    assert "\n" not in str(refused.value)
    assert "model.base" in str(refused.value)


def test_a_codec_is_of_its_tokenizer_alone(tokenizers):
    """Truncation or padding switched on elsewhere cannot reach a tokenizer through transformers."""
    tokenizer = tokenizers["qwen3"]
    before = tokenizer.encode_answer("가나다라마바사")
    tokenizer._hf_tokenizer("가나다라마바사")
    assert isinstance(tokenizer, ModelTokenizer)
    assert tokenizer.encode_answer("가나다라마바사") == before

"""Bugs that are on record for this work, each planted and caught by the line that is for it."""

import msgspec
import pytest

import torch  # noqa: TID253 -- pytest leaves this folder alone where torch is not wanted
from yoyak.engine.device import Precision
from yoyak.engine.inference import decode_loop
from yoyak.engine.models import collate, loss
from yoyak.engine.preflight.run import run_checks
from yoyak.engine.tokenization.encode import encode_rows
from yoyak.engine.tokenization.tokenizer import ModelTokenizer
from yoyak.errors import BadData, RunFailed
from yoyak.values import Dialogue, Turn

pytestmark = pytest.mark.torch


def slow(architecture):
    return pytest.param(architecture, marks=pytest.mark.slow)


FP32 = Precision(torch.float32, None)
BF16 = Precision(torch.bfloat16, None)


@pytest.fixture
def red(dialogues):
    """The names of the red lines for a model, and for rows that some bug has changed."""

    def lines(model, rows=None, *, shown=None, precision=FP32):
        shown = dialogues if shown is None else shown
        if rows is None:
            rows = encode_rows(model.tokenizer, shown, model.recipe.prompt, with_answers=True)
        checks = run_checks(model, rows, shown, model.recipe, precision)
        return {line.name for line in checks if not line.passed}

    return lines


@pytest.fixture
def encoded(dialogues):
    def make(model):
        return encode_rows(model.tokenizer, dialogues, model.recipe.prompt, with_answers=True)

    return make


def with_control(model, **changes):
    control = msgspec.structs.replace(model.tokenizer.special_tokens, **changes)
    return model._replace(tokenizer=ModelTokenizer(model.tokenizer._hf_tokenizer, control))


# --- prompts and answers -------------------------------------------------------------------------


def test_trained_on_another_template_than_inferred(toy, dialogues, red):
    model = toy("qwen3")
    other = msgspec.structs.replace(model.recipe.prompt, instruction="요약:")
    rows = encode_rows(model.tokenizer, dialogues, other, with_answers=True)
    assert "inference-prefix" in red(model, rows)


def test_the_topic_in_the_prompt(toy, dialogues, red):
    model = toy("bart")
    told = [msgspec.structs.replace(row, topic="여행") for row in dialogues]
    leaked = [
        msgspec.structs.replace(row, turns=(Turn(speaker="", text=row.topic), *row.turns))
        for row in told
    ]
    rows = encode_rows(model.tokenizer, leaked, model.recipe.prompt, with_answers=True)
    assert red(model, rows, shown=told) == {"inference-prefix"}


def test_speakers_renamed_in_the_prompt_only(toy, dialogues, red):
    model = toy("llama")
    renamed = [
        msgspec.structs.replace(
            row,
            turns=tuple(
                msgspec.structs.replace(turn, speaker=turn.speaker.replace("#Person", "#화자"))
                for turn in row.turns
            ),
        )
        for row in dialogues
    ]
    rows = encode_rows(model.tokenizer, renamed, model.recipe.prompt, with_answers=True)
    assert "inference-prefix" in red(model, rows)


@pytest.mark.parametrize("architecture", [slow("llama"), "qwen3", "bart"])
def test_the_header_of_the_answer_cut_off(toy, encoded, red, architecture):
    model = toy(architecture)
    rows = encoded(model)
    rows[-1] = rows[-1]._replace(source_ids=rows[-1].source_ids[:-1])
    assert "answer-header" in red(model, rows)


def test_the_header_written_twice(toy, encoded, red):
    model = toy("llama")
    header = model.tokenizer.source_endings()[-1]
    rows = [row._replace(source_ids=(*row.source_ids, *header)) for row in encoded(model)]
    assert "answer-header" in red(model, rows)


def test_two_begins_of_text(toy, encoded, red):
    model = toy("llama")
    rows = [
        row._replace(source_ids=(model.tokenizer.bos_id, *row.source_ids)) for row in encoded(model)
    ]
    assert "begin-of-text" in red(model, rows)


def test_a_control_token_typed_into_a_dialogue(toy, dialogues, red, monkeypatch):
    model = toy("qwen3")
    model = with_control(model)  # a tokenizer of our own to break
    typed = (*dialogues[0].turns, Turn(speaker="#Person1#", text="<|im_end|> 라고 쳤어요."))
    shown = [msgspec.structs.replace(dialogues[0], turns=typed), *dialogues[1:]]
    assert red(model, shown=shown) == set()
    monkeypatch.setattr(model.tokenizer, "_escape", lambda text: text)
    assert red(model, shown=shown) == {"control-tokens"}


def test_an_answer_cut_in_mid_sentence(toy, encoded, red):
    model = toy("qwen3")
    rows = encoded(model)
    rows[3] = rows[3]._replace(answer_ids=(*rows[3].answer_ids[:5], model.tokenizer.stop_id))
    assert red(model, rows) == {"supervised-span"}


def test_an_answer_cut_together_with_its_stop(toy, encoded, red):
    model = toy("bart")
    rows = encoded(model)
    rows[7] = rows[7]._replace(answer_ids=rows[7].answer_ids[:-1])
    assert red(model, rows) == {"stop-supervised"}


def test_a_row_that_supervises_nothing(toy, dialogues):
    model = toy("bart")
    empty = msgspec.structs.replace(dialogues[0], references=("",))
    with pytest.raises(BadData, match="row_0"):
        encode_rows(model.tokenizer, [empty], model.recipe.prompt, with_answers=True)


@pytest.mark.parametrize("architecture", [slow("llama"), "qwen3"])
def test_the_end_of_all_text_taken_for_the_end_of_a_turn(toy, red, architecture):
    model = toy(architecture)
    stops = model.tokenizer.stop_ids
    assert "stop-supervised" in red(with_control(model, stop_ids=stops[1:]))


@pytest.mark.parametrize("architecture", ["bart", slow("llama"), "qwen3"])
def test_padding_with_the_stop(toy, red, architecture):
    model = toy(architecture)
    assert "padding" in red(with_control(model, pad_id=model.tokenizer.stop_id))


def with_tag_tokens(model, *, special):
    """The model's tokenizer after someone added the speakers to its vocabulary."""
    import copy

    tokenizer = copy.deepcopy(model.tokenizer._hf_tokenizer)
    tokenizer.add_tokens(["#Person1#", "#Person2#"], special_tokens=special)
    control = msgspec.structs.replace(model.tokenizer.special_tokens, vocab_size=len(tokenizer))
    return model._replace(tokenizer=ModelTokenizer(tokenizer, control))


def test_tags_registered_special_and_deleted_in_decoding(toy, red):
    model = with_tag_tokens(toy("qwen3"), special=True)
    tokenizer = model.tokenizer
    tokenizer.special_token_ids |= {tokenizer._backend.token_to_id(f"#Person{n}#") for n in (1, 2)}
    tokenizer.tags_are_tokens = False  # as any decoding with skip_special_tokens=True
    assert {"tags", "supervised-span"} <= red(model)


def test_tags_as_tokens_that_part_from_their_particles(toy, red):
    model = with_tag_tokens(toy("bart"), special=False)
    model.model.resize_token_embeddings(model.tokenizer.vocab_size)
    assert red(model) == set(), "the declared way restores the text"
    model.tokenizer.tags_are_tokens = False
    assert {"tags", "supervised-span"} <= red(model)


def words_in_summaries(dialogues):
    said = ("#Person1#은 user 계정과 system 설정을 묻습니다.", "#Person2#는 'no .' 라고 씁니다.")
    return [
        msgspec.structs.replace(row, references=(said[place % 2],))
        for place, row in enumerate(dialogues)
    ]


@pytest.mark.parametrize("word", ["user", "system", " ."])
def test_words_taken_for_markup_and_deleted_in_decoding(toy, dialogues, red, monkeypatch, word):
    """Role names struck out by string, and blanks "cleaned up" before full stops."""
    model = with_control(toy("qwen3"))  # a tokenizer of our own to break
    shown = words_in_summaries(dialogues)
    assert red(model, shown=shown) == set()
    right = model.tokenizer.decode
    monkeypatch.setattr(
        model.tokenizer, "decode", lambda ids: right(ids).replace(word, word.strip(word))
    )
    assert "supervised-span" in red(model, shown=shown)


def test_rows_packed_behind_one_another(toy, encoded, red):
    """Two rows in one: the second's prompt and answer are supervised as if one answer."""
    model = toy("llama")
    rows = encoded(model)
    both = (*rows[4].answer_ids, *rows[5].source_ids, *rows[5].answer_ids)
    rows[4] = rows[4]._replace(answer_ids=both)
    assert {"supervised-span", "stop-supervised", "begin-of-text"} <= red(model, rows)


def test_a_prompt_in_the_answer(toy, encoded, red):
    """Input that is not cut from the output: the answer repeats its prompt."""
    model = toy("qwen3")
    rows = [row._replace(answer_ids=(*row.source_ids, *row.answer_ids)) for row in encoded(model)]
    assert "supervised-span" in red(model, rows)


def test_most_dialogues_cut(toy, dialogues, red):
    model = toy("llama")
    prompt = msgspec.structs.replace(model.recipe.prompt, max_source_tokens=160)
    model = model._replace(recipe=msgspec.structs.replace(model.recipe, prompt=prompt))
    assert red(model) == {"rows-shortened"}


def test_the_mark_of_unsupervised_places_decoded(toy):
    with pytest.raises(RunFailed, match="-100"):
        toy("bart").tokenizer.decode([7, 8, -100, -100])


# --- batches and loss ----------------------------------------------------------------------------


@pytest.mark.parametrize("architecture", ["bart", "qwen3"])
@pytest.mark.parametrize("shift", [-1, 1])
def test_a_mask_off_by_one(toy, red, monkeypatch, architecture, shift):
    right = collate._label_positions

    def shifted(rows, starts, length):
        return (right(rows, starts, length) + shift).clamp(0, len(rows) * length - 1)

    monkeypatch.setattr(collate, "_label_positions", shifted)
    assert "supervised-places" in red(toy(architecture))


def test_padding_that_an_encoder_sees(toy, red, monkeypatch):
    right = collate._seq2seq

    def unmasked(rows, tokenizer, device):
        batch = right(rows, tokenizer, device)
        return batch._replace(attention_mask=torch.ones_like(batch.attention_mask))

    monkeypatch.setattr(collate, "_seq2seq", unmasked)
    assert {"batch-equals-single", "generation-equals-training"} <= red(toy("bart"))


def test_a_mask_made_from_padding_ids_that_are_also_stops(toy, red, monkeypatch):
    """The field's collator: attention = ids != pad, where pad is the encoder's end."""
    model = with_control(toy("bart"), pad_id=toy("bart").tokenizer.stop_id)
    right = collate._seq2seq

    def by_id(rows, tokenizer, device):
        batch = right(rows, tokenizer, device)
        return batch._replace(attention_mask=(batch.input_ids != tokenizer.pad_id).long())

    monkeypatch.setattr(collate, "_seq2seq", by_id)
    assert {"padding", "generation-equals-training"} <= red(model)


def test_a_loss_averaged_in_each_pass(toy, red, monkeypatch):
    right = loss.cross_entropy

    def averaged(logits, targets, **settings):
        return right(logits, targets, **settings | {"reduction": "mean"})

    monkeypatch.setattr(loss, "cross_entropy", averaged)
    assert red(toy("qwen3")) == {"accumulation"}


def test_rows_that_see_each_other(toy, red, monkeypatch):
    """Packing without a block mask: what stands before a row in its batch changes its logits."""
    right = loss.supervised_logits

    def leaking(model, batch):
        logits = right(model, batch)
        return logits + 0.5 * logits.mean(0, keepdim=True)

    from yoyak.engine.preflight import model_checks

    monkeypatch.setattr(model_checks, "supervised_logits", leaking)
    assert "batch-equals-single" in red(toy("llama"))


def test_a_head_that_forgets_its_bias(toy, red, monkeypatch):
    model = toy("bart")
    model.model.final_logits_bias.normal_()
    assert red(model) == set()
    right = loss.model_parts
    monkeypatch.setattr(loss, "model_parts", lambda m: right(m)._replace(bias=None))
    assert "head-equals-full" in red(model)


# --- generation ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "architecture",
    [
        "llama",
        slow("qwen2"),
        slow("qwen3"),
    ],
)
def test_padding_on_the_right_at_generation(toy, red, monkeypatch, architecture):
    right = decode_loop.pad_sources
    monkeypatch.setattr(
        decode_loop,
        "pad_sources",
        lambda batch, pad, device, *, left: right(batch, pad, device, left=False),
    )
    assert red(toy(architecture)) == {"generation-equals-training"}


def test_padding_that_generation_does_not_mask(toy, red, monkeypatch):
    right = decode_loop.pad_sources

    def unmasked(*args, **settings):
        padded = right(*args, **settings)
        return padded._replace(mask=torch.ones_like(padded.mask))

    monkeypatch.setattr(decode_loop, "pad_sources", unmasked)
    assert red(toy("llama")) == {"generation-equals-training"}


def test_an_answer_begun_with_another_token_than_in_training(toy, red, monkeypatch):
    model = toy("bart")
    right = collate._decoder_start
    monkeypatch.setattr(collate, "_decoder_start", lambda tokenizer: right(tokenizer) - 1)
    assert {"supervised-places", "generation-equals-training"} <= red(model)


# --- weights -------------------------------------------------------------------------------------


def test_an_embedding_resized_under_four_bits(four_bit, red):
    model = four_bit("qwen3")
    rows = model.model.get_input_embeddings().weight.shape[0]
    model.model.get_base_model().resize_token_embeddings(rows + 6)
    assert "vocabulary" in red(model, precision=BF16)


def test_a_vocabulary_larger_than_the_embedding(toy, red):
    model = toy("llama")
    embedding = model.model.get_input_embeddings().weight.shape[0]
    assert "vocabulary" in red(with_control(model, vocab_size=embedding + 6))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_adapters_in_half_precision(adapted, red, dtype):
    model = adapted("qwen3")
    for name, value in model.model.named_parameters():
        if ".lora_" in name:
            value.data = value.data.to(dtype)
    found = red(model)
    assert "dtypes" in found


def test_a_base_in_float16(toy, red):
    model = toy("qwen2")
    model.model.model.embed_tokens.requires_grad_(False)
    model.model.model.embed_tokens.to(torch.float16)
    model.model.lm_head.to(torch.float16)
    model.model.to(torch.float16)
    assert "dtypes" in red(model, precision=BF16)


def test_four_bit_layers_left_free_to_repack(four_bit, red):
    model = four_bit("llama")
    layer = next(
        part for part in model.model.modules() if hasattr(part, "support_avx512bf16_for_cpu")
    )
    layer.support_avx512bf16_for_cpu = True
    assert "dtypes" in red(model, precision=BF16)


def test_adapters_on_some_layers_only(toy, red):
    from peft import LoraConfig, get_peft_model

    model = toy("llama")
    model.model.requires_grad_(False)
    targets = LoraConfig(r=4, target_modules=["q_proj", "v_proj"])
    model = model._replace(model=get_peft_model(model.model, targets))
    assert red(model) == {"gradient-everywhere"}


def test_a_frozen_adapter(adapted, red):
    model = adapted("qwen3")
    next(v for n, v in model.model.named_parameters() if ".lora_A." in n).requires_grad_(False)
    assert red(model) == {"gradient-everywhere"}


def test_an_adapter_out_of_the_graph(adapted, red):
    model = adapted("qwen2")
    layer = next(part for name, part in model.model.named_modules() if name.endswith("down_proj"))
    layer.scaling["default"] = 0.0
    assert red(model) == {"gradient-everywhere"}


def test_a_sound_row_of_another_kind_is_no_bug(toy, red):
    """Long, short, several speakers, PII, Latin names: nothing of this is red."""
    turns = tuple(
        Turn(speaker=f"#Person{1 + n % 5}#", text=f"Mike의 번호는 #PhoneNumber#, {n}번이에요. ㅋㅋ")
        for n in range(12)
    )
    row = Dialogue(id="odd", turns=turns, references=("#Person5#이 #PhoneNumber#를 묻습니다.",))
    for architecture in ("bart", "llama"):
        model = toy(architecture)
        prompt = msgspec.structs.replace(model.recipe.prompt, max_source_tokens=1000)
        model = model._replace(recipe=msgspec.structs.replace(model.recipe, prompt=prompt))
        assert red(model, shown=[row]) == set()

"""Known bugs of batches, loss, generation and weights, each planted and caught by its check."""

import msgspec
import pytest

import torch  # noqa: TID253 -- pytest leaves this folder alone where torch is not wanted
from support.preflight import slow, with_control
from yoyak.engine.device import Precision
from yoyak.engine.inference import next_token
from yoyak.engine.models import collate, loss
from yoyak.engine.preflight import check_context
from yoyak.values import Dialogue, Turn

pytestmark = pytest.mark.torch

FP32 = Precision(torch.float32, None)
BF16 = Precision(torch.bfloat16, None)


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
    assert red(toy("qwen3")) == {"accumulation", "head-equals-full"}


def test_rows_that_see_each_other(toy, red, monkeypatch):
    """Packing without a block mask: what stands before a row in its batch changes its logits."""
    right = loss.supervised_logits

    def leaking(model, batch):
        logits = right(model, batch)
        return logits + 0.5 * logits.mean(0, keepdim=True)

    monkeypatch.setattr(check_context, "supervised_logits", leaking)
    assert "batch-equals-single" in red(toy("llama"))


@pytest.mark.parametrize("architecture", ["bart", "t5", "gemma2", "hyperclovax"])
def test_a_head_outside_of_its_model(toy, red, monkeypatch, architecture):
    """Whoever multiplies hidden states with the head loses bias, scaling and softcapping."""
    model = toy(architecture)
    if architecture == "bart":
        model.model.final_logits_bias.normal_()
    assert red(model) == set()

    def naive(whole, batch):
        inputs = {"input_ids": batch.input_ids}
        if batch.decoder_input_ids is not None:
            inputs["attention_mask"] = batch.attention_mask
            inputs["decoder_input_ids"] = batch.decoder_input_ids
        seen = []
        head = whole.get_output_embeddings()
        hook = head.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
        whole(**inputs)
        hook.remove()
        scale = whole.config.d_model**0.5 if architecture == "t5" else 1.0
        return head(scale * seen[0].flatten(0, 1)[batch.label_positions]).float()

    monkeypatch.setattr(check_context, "supervised_logits", naive)
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
def test_padding_on_the_left_at_generation(toy, red, monkeypatch, architecture):
    right = next_token.pad_sources
    monkeypatch.setattr(
        next_token,
        "pad_sources",
        lambda batch, pad, device, *, left: right(batch, pad, device, left=True),
    )
    assert red(toy(architecture)) == {"generation-equals-training"}


def test_padding_that_generation_does_not_mask(toy, red, monkeypatch):
    right = next_token.pad_sources

    def unmasked(*args, **settings):
        padded = right(*args, **settings)
        return padded._replace(mask=torch.ones_like(padded.mask))

    monkeypatch.setattr(next_token, "pad_sources", unmasked)
    assert red(toy("llama")) == {"generation-equals-training"}


def test_an_answer_begun_with_another_token_than_in_training(toy, red, monkeypatch):
    model = toy("bart")
    right = collate._decoder_start
    monkeypatch.setattr(collate, "_decoder_start", lambda tokenizer: right(tokenizer) - 1)
    assert {"supervised-places", "generation-equals-training"} <= red(model)


# --- weights -------------------------------------------------------------------------------------


def test_spare_rows_of_any_number_are_no_bug(toy, red):
    """pko-t5 has 100 more than it has tokens."""
    assert red(toy("pko-t5")) == set()


def test_a_vocabulary_larger_than_the_embedding(toy, red):
    model = toy("llama")
    model.model.resize_token_embeddings(model.tokenizer.vocab_size - 1)
    assert "vocabulary" in red(model)


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

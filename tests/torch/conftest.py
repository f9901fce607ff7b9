"""Tiny models with random weights in fp32, and a few dialogues to show them."""

import random
from typing import NamedTuple

import pytest

from support.alignment import *  # noqa: F403
from support.architectures import SEQ2SEQ, Shape, config_of
from support.families import *  # noqa: F403
from support.inference import *  # noqa: F403
from support.kernels import *  # noqa: F403
from support.tokenizers import family  # noqa: F401
from support.training import *  # noqa: F403
from yoyak.config.load import resolve
from yoyak.values import Dialogue, Turn

PLACES = ("도서관", "병원", "회의실", "기차역", "Green Cafe", "수영장")
PLANS = ("발표 자료를 검토하", "점심을 먹", "#PhoneNumber#로 전화하", "예약을 바꾸", "책을 돌려주")
ENDINGS = ("기로 했습니다", "자고 제안합니다", "려고 합니다")


def pytest_ignore_collect(config):
    """Spares a run without torch the seconds that importing torch takes."""
    return True if "not torch" in config.option.markexpr else None


def pytest_collection_modifyitems(items):
    # The training stack warns about itself, in words that change with each of its versions.
    for item in items:
        if "torch" in item.keywords:
            for what in ("default", "ignore::FutureWarning", "ignore::DeprecationWarning"):
                item.add_marker(pytest.mark.filterwarnings(what))


def make_dialogue(number: int) -> Dialogue:
    luck = random.Random(number)
    place, plan, ending = luck.choice(PLACES), luck.choice(PLANS), luck.choice(ENDINGS)
    turns = [
        Turn(
            speaker=f"#Person{1 + turn % 2}#",
            text=f"{luck.choice(PLACES)}에서 {turn + 1}시에 볼까요?",
        )
        for turn in range(luck.randint(2, 9))
    ]
    summary = f"#Person1#은 #Person2#에게 {place}에서 {plan}{ending}."
    return Dialogue(id=f"row_{number}", turns=tuple(turns), references=(summary,))


@pytest.fixture(scope="session")
def dialogues() -> list[Dialogue]:
    return [make_dialogue(number) for number in range(32)]


@pytest.fixture(scope="session")
def toy_recipe():
    """The recipe of a model from scratch, by architecture."""

    def make(architecture: str):
        name = "tiny-bart" if architecture == "bart" else "tiny-qlora"
        size = ("model.scratch.vocabulary=500", "model.scratch.width=32")
        form = f"model.scratch.architecture={architecture}"
        return resolve(name, sets=(*size, form)).recipe

    return make


class Toy(NamedTuple):
    """As ``engine.models.model.ModelBundle``, with the recipe it was made for."""

    model: object
    tokenizer: object
    kind: str
    device: object
    recipe: object
    fuses_lora: bool = False


@pytest.fixture(scope="session")
def tokenizers(dialogues, toy_recipe):
    from yoyak.engine.tokenization.train_tokenizer import train_tokenizer

    texts = [text for dialogue in dialogues for text in (dialogue.text, *dialogue.references)]
    forms = ("bart", "llama", "qwen2", "qwen3")
    return {form: train_tokenizer(texts, toy_recipe(form)) for form in forms}


def shape_of(tokenizer) -> Shape:
    return Shape(
        tokens=tokenizer.vocab_size,
        pad=tokenizer.pad_id,
        stop=tokenizer.stop_id,
        bos=tokenizer.bos_id,
        start=tokenizer.decoder_start_id,
    )


@pytest.fixture
def toy(tokenizers, toy_recipe):
    """A fresh model by architecture; the same weights each time."""

    def make(architecture: str) -> Toy:
        import transformers as hf

        import torch

        seq2seq = architecture in SEQ2SEQ
        form = "bart" if seq2seq else architecture if architecture in tokenizers else "llama"
        tokenizer = tokenizers[form]
        config = config_of(architecture, shape_of(tokenizer))
        auto = hf.AutoModelForSeq2SeqLM if seq2seq else hf.AutoModelForCausalLM
        with torch.random.fork_rng():
            torch.manual_seed(3)
            model = auto.from_config(config).eval()
        kind = "seq2seq" if seq2seq else "causal"
        return Toy(model, tokenizer, kind, torch.device("cpu"), toy_recipe(form))

    return make


def learn(toy: Toy, dialogues, steps: int) -> None:
    """Plain AdamW on one row at a time, which is all that a batch's answers need to differ."""
    import torch
    from yoyak.engine.tokenization.encode import encode_rows

    rows = encode_rows(toy.tokenizer, dialogues, toy.recipe.prompt, with_answers=True)
    optimizer = torch.optim.AdamW(toy.model.parameters(), lr=5e-3)
    for step in range(steps):
        row = rows[step % len(rows)]
        source, answer = torch.tensor([row.source_ids]), torch.tensor([row.answer_ids])
        if toy.kind == "seq2seq":
            loss = toy.model(input_ids=source, labels=answer).loss
        else:
            labels = torch.cat([torch.full_like(source, -100), answer], dim=-1)
            loss = toy.model(input_ids=torch.cat([source, answer], dim=-1), labels=labels).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()


@pytest.fixture(scope="session")
def _taught():
    return {}


@pytest.fixture
def taught(toy, dialogues, _taught):
    """A model by architecture that has learnt a little, and to stop; not to be changed.

    In float64, where two candidates that are as good but for rounding are the same on every
    processor, however a batch is cut.
    """

    def make(architecture: str) -> Toy:
        if architecture not in _taught:
            model = toy(architecture)
            learn(model, dialogues, 60)
            model.model.double()
            _taught[architecture] = model
        return _taught[architecture]

    return make


@pytest.fixture
def adapted(toy):
    """A fresh model by architecture with LoRA on every linear layer, ready to be trained."""

    def make(architecture: str, dropout: float = 0.05) -> Toy:
        from peft import LoraConfig, get_peft_model

        import torch

        bare = toy(architecture)
        bare.model.requires_grad_(False)
        settings = LoraConfig(r=4, lora_alpha=8, lora_dropout=dropout, target_modules="all-linear")
        with torch.random.fork_rng():
            torch.manual_seed(5)
            model = get_peft_model(bare.model, settings)
        return bare._replace(model=model)

    return make


@pytest.fixture
def four_bit(toy, tmp_path):
    """A fresh toy in 4-bit NF4 with double quantisation and LoRA, in training mode."""

    def make(architecture: str) -> Toy:
        from peft import LoraConfig, get_peft_model
        from transformers import AutoModelForCausalLM, BitsAndBytesConfig

        import torch

        bare = toy(architecture)
        bare.model.save_pretrained(tmp_path / architecture)
        packing = BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.bfloat16,
        )  # fmt: skip
        model = AutoModelForCausalLM.from_pretrained(
            tmp_path / architecture, quantization_config=packing, dtype=torch.bfloat16
        )
        for part in model.modules():
            if hasattr(part, "support_avx512bf16_for_cpu"):
                part.support_avx512bf16_for_cpu = False
        model.requires_grad_(False)
        settings = LoraConfig(r=4, lora_alpha=8, lora_dropout=0.05, target_modules="all-linear")
        model = get_peft_model(model, settings, autocast_adapter_dtype=True)
        return bare._replace(model=model)

    return make

import hashlib
import re

import msgspec
import pytest

import torch  # noqa: TID253 -- pytest leaves this folder alone where torch is not wanted
from support.architectures import CAUSAL, SEQ2SEQ
from yoyak import messages
from yoyak.config.load import resolve
from yoyak.config.schema import LoraSettings
from yoyak.engine.check_result import distance_result
from yoyak.engine.device import Precision
from yoyak.engine.models.lora import add_lora
from yoyak.engine.preflight.check_context import CheckContext
from yoyak.engine.preflight.model_checks import WITHOUT
from yoyak.engine.preflight.run import require, run_checks
from yoyak.engine.tokenization.encode import encode_rows
from yoyak.errors import RunFailed
from yoyak.events import CheckResult
from yoyak.values import Dialogue, Turn

pytestmark = pytest.mark.torch


def slow(architecture):
    return pytest.param(architecture, marks=pytest.mark.slow)


FP32 = Precision(torch.float32, None)
BF16 = Precision(torch.bfloat16, None)
NAMES = (
    "supervised-span", "stop-supervised", "inference-prefix", "answer-header",
    "turn-separators", "begin-of-text",
    "control-tokens", "padding", "tags", "rows-shortened", "supervised-places", "vocabulary",
    "dtypes", "batch-equals-single", "generation-equals-training", "head-equals-full",
    "gradient-everywhere", "accumulation",
)  # fmt: skip


def proved(model, rows, dialogues, precision=FP32):
    context = CheckContext(model, rows, precision)
    return tuple(run_checks(context, rows, dialogues, model.recipe))


def card(model, dialogues, precision=FP32):
    rows = encode_rows(model.tokenizer, dialogues, model.recipe.prompt, with_answers=True)
    return proved(model, rows, dialogues, precision)


def red(checks):
    return {line.name: line.found for line in checks if not line.passed}


def state_of(model):
    digest = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        digest.update(
            name.encode() + tensor.detach().contiguous().view(torch.uint8).numpy().tobytes()
        )
    return digest.hexdigest()


def test_a_sound_encoder_decoder_has_a_green_card(toy, dialogues):
    checks = card(toy("bart"), dialogues)
    assert red(checks) == {}
    assert tuple(line.name for line in checks) == NAMES
    require(checks)


QUICK = ("t5", "bert2bert", "gemma2", "gemma3-vision", "gpt2", "qwen3")


@pytest.mark.parametrize(
    "architecture",
    [name if name in QUICK else slow(name) for name in (*SEQ2SEQ, *CAUSAL)],
)
def test_a_sound_model_with_adapters_has_a_green_card(toy, dialogues, architecture):
    model = toy(architecture)
    adapted = add_lora(model.model, LoraSettings(r=4), model.kind, 1)
    assert red(card(model._replace(model=adapted), dialogues)) == {}


def test_a_sound_model_in_four_bits_has_a_green_card(four_bit, dialogues):
    checks = card(four_bit("qwen3"), dialogues, BF16)
    assert red(checks) == {}
    census = next(line.found for line in checks if line.name == "dtypes")
    assert census.startswith("trained: float32 × 28; frozen: bfloat16 × 11, nf4/bfloat16 × 14;")


@pytest.mark.parametrize("kind", ["bart", "qwen3"])
def test_proving_changes_nothing(toy, adapted, dialogues, kind):
    model = toy("bart") if kind == "bart" else adapted("qwen3")
    model.model.train()
    before = state_of(model.model), torch.get_rng_state()
    card(model, dialogues)
    assert state_of(model.model) == before[0]
    assert torch.equal(torch.get_rng_state(), before[1])
    assert model.model.training
    assert all(value.grad is None for value in model.model.parameters())


def test_proving_leaves_four_bit_weights_and_gradients_alone(four_bit, dialogues):
    model = four_bit("qwen3")
    before = state_of(model.model)
    first = card(model, dialogues, BF16)
    assert state_of(model.model) == before
    assert card(model, dialogues, BF16) == first


def test_a_red_line_is_an_error_that_shows_what_was_found(toy, dialogues):
    model = toy("bart")
    tokens = model.tokenizer.special_tokens
    control = msgspec.structs.replace(tokens, pad_id=model.tokenizer.stop_id)
    model = model._replace(tokenizer=type(model.tokenizer)(model.tokenizer._hf_tokenizer, control))
    checks = card(model, dialogues)
    assert "padding" in red(checks)
    with pytest.raises(RunFailed, match=r"the padding token is not EOS.*</s>"):
        require(checks)


@pytest.mark.parametrize(("name", "setting"), WITHOUT.items())
def test_kernels_that_fail_name_the_setting_to_train_without_them(name, setting):
    resolve("qwen3-4b", sets=[setting])  # it exists
    failed = distance_result(name, 0.5, 1e-3)
    for language in ("en", "ko"):
        with messages.speaking(language), pytest.raises(RunFailed) as caught:
            require([failed])
        assert str(caught.value).endswith(f"--set {setting}")


@pytest.mark.parametrize("language", ["en", "ko"])
def test_every_line_has_a_title(language, toy, dialogues):
    checks = card(toy("bart"), dialogues)
    with messages.speaking(language):
        assert len({messages.text(f"engine.proof-{line.name}") for line in checks}) == len(NAMES)


def test_what_was_found_is_read_in_the_readers_language(adapted, dialogues):
    model = adapted("llama")
    limit = msgspec.structs.replace(model.recipe.prompt, max_source_tokens=170)
    model = model._replace(recipe=msgspec.structs.replace(model.recipe, prompt=limit))
    told = msgspec.json.encode(card(model, dialogues))
    checks = msgspec.json.decode(told, type=tuple[CheckResult, ...])
    with messages.speaking("ko"):
        assert all(re.search("[가-힣]", line.found) for line in checks if line.name != "padding")
        with pytest.raises(RunFailed) as failed:
            require(checks)
        assert "한도 170" in str(failed.value)
    assert "limit 170" in red(checks)["rows-shortened"]


def test_where_all_summaries_decode_exactly_the_card_says_so_shortly(toy, dialogues):
    line = card(toy("bart"), dialogues)[0]
    assert line.found == "all 32 rows"


def test_summaries_that_a_tokenizer_folds_are_counted_and_no_fault(toy, dialogues):
    folded = msgspec.structs.replace(dialogues[0], references=("\u1100\u1161는 각입니다.",))
    line = card(toy("bart"), [folded, *dialogues[1:]])[0]
    assert line.passed
    assert line.found.startswith("31 of 32 exact, 1 in")


def test_too_many_shortened_dialogues_are_a_red_line(adapted, dialogues):
    model = adapted("llama")
    limit = msgspec.structs.replace(model.recipe.prompt, max_source_tokens=170)
    model = model._replace(recipe=msgspec.structs.replace(model.recipe, prompt=limit))
    found = red(card(model, dialogues))
    assert list(found) == ["rows-shortened"]
    assert "limit 170" in found["rows-shortened"]


def test_a_few_rows_are_enough(adapted):
    turns = (Turn(speaker="#Person1#", text="안녕하세요."),)
    row = Dialogue(id="only", turns=turns, references=("#Person1#이 인사합니다.",))
    assert red(card(adapted("qwen3"), [row])) == {}


def test_a_letter_without_a_token_is_counted_and_may_be_rare(toy, dialogues):
    """As in koBART, which has no bytes to fall back to."""
    model = toy("bart")
    unknown = model.tokenizer.unknown_id
    assert unknown is not None
    rows = encode_rows(model.tokenizer, dialogues, model.recipe.prompt, with_answers=True)
    rows[3] = rows[3]._replace(answer_ids=(unknown, *rows[3].answer_ids[1:]))
    rows[4] = rows[4]._replace(source_ids=(unknown, *rows[4].source_ids[1:]))
    more = [*rows, *rows[:3] * 30], [*dialogues, *dialogues[:3] * 30]
    line, *_ = proved(model, *more)
    assert line.passed
    assert "1 with unknown letters, unlike: –" in line.found
    one_in_32, *rest = proved(model, rows, dialogues)
    assert not one_in_32.passed
    assert "control-tokens" not in red(rest)

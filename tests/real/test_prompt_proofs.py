"""The five real tokenizers on real dialogues: what training sees is what inference sees."""

import csv
import hashlib
import io
import re

import msgspec
import pytest

from yoyak.config.load import resolve
from yoyak.data.clean import TAG, summary_of
from yoyak.data.corpus import read_corpus
from yoyak.engine.preflight.data_checks import DataCheckContext, check_data
from yoyak.engine.tokenization.chat_template import TEMPLATE_DATE, ChatTemplate
from yoyak.engine.tokenization.encode import encode_rows
from yoyak.engine.tokenization.script_filter import FOREIGN_TEXT, foreign_script_ids
from yoyak.engine.tokenization.tokenizer import load_tokenizer
from yoyak.values import Message, Source

pytestmark = [pytest.mark.real, pytest.mark.torch]

RECIPES = {
    "kobart-nlp1-finetuned": "kobart",
    "llama3": "llama3-ko-8b",
    "llama3_2": "llama32-ko-3b",
    "qwen2_5": "qwen25-7b",
    "qwen3": "qwen3-4b",
}
CHAT = sorted(set(RECIPES) - {"kobart-nlp1-finetuned"})
ROWS = 200

GOLDEN = {
    "kobart-nlp1-finetuned": ("b13b63311fb1b4ef7246a552173ddfd5", (1,), 3, 0),
    "llama3": ("5c3874b2e9b433c0422bc750fde0c62a", (128009, 128001), 128002, 128000),
    "llama3_2": ("0884573eddb52f0a36d3f017f00968ce", (128009, 128001, 128008), 128004, 128000),
    "qwen2_5": ("dd2f19d96da17e705600f6ed4917f414", (151645, 151643), 151662, None),
    "qwen3": ("9cb5addc271f81431def97c33a51ce32", (151645, 151643), 151662, None),
}
"""SHA-256 of all source and answer ids, then EOS ids, padding and BOS, of when formats were listed
by family; a change here makes finished runs and their bases disagree with new ones."""


@pytest.fixture(scope="module")
def contest(shared):
    return read_corpus(shared / "data" / "contest")


@pytest.fixture(scope="module")
def spoken(shared, contest):
    """Codec, recipe, dialogues and encoded rows of a tokenizer; each is loaded once."""
    kept = {}

    def load(name: str):
        if name not in kept:
            recipe = resolve(RECIPES[name]).recipe
            tokenizer = load_tokenizer(str(shared / "tokenizers" / name), recipe)
            # Every eighth row of train and dev, so that long and short ones are among them.
            rows = (*contest.train.dialogues, *contest.dev.dialogues)[:: 2999 // ROWS][:ROWS]
            kept[name] = (
                tokenizer,
                recipe,
                rows,
                encode_rows(tokenizer, rows, recipe.prompt, with_answers=True),
            )
        return kept[name]

    return load


@pytest.mark.parametrize("name", RECIPES)
def test_prompts_and_ids_of_the_first_recipes_stay_what_they_were(spoken, name):
    tokenizer, _, _, rows = spoken(name)
    ids = msgspec.json.encode([(row.source_ids, row.answer_ids) for row in rows])
    digest = hashlib.sha256(ids).hexdigest()[:32]
    assert (digest, tokenizer.stop_ids, tokenizer.pad_id, tokenizer.bos_id) == GOLDEN[name]


@pytest.mark.parametrize("name", RECIPES)
def test_training_starts_with_exactly_the_inference_ids(spoken, name):
    tokenizer, recipe, dialogues, rows = spoken(name)
    infer = encode_rows(tokenizer, dialogues, recipe.prompt, with_answers=False)
    assert len(rows) == ROWS
    assert [row.source_ids for row in rows] == [row.source_ids for row in infer]


@pytest.mark.parametrize("name", RECIPES)
def test_the_supervised_span_is_the_summary_and_its_stop(spoken, name):
    tokenizer, _, dialogues, rows = spoken(name)
    for dialogue, row in zip(dialogues, rows, strict=True):
        assert tokenizer.decode(row.answer_ids) == dialogue.references[0]
        special = [token for token in row.answer_ids if token in tokenizer.special_token_ids]
        assert special == [tokenizer.stop_id]
        assert row.answer_ids[-1] == tokenizer.stop_id


@pytest.mark.parametrize("name", RECIPES)
def test_a_begin_of_text_stands_once_or_never(spoken, name):
    tokenizer, _, _, rows = spoken(name)
    wanted = 1 if name.startswith("llama") else 0
    for row in rows:
        assert row.source_ids.count(tokenizer.bos_id) == wanted
        assert tokenizer.bos_id not in row.answer_ids
    if wanted:
        assert {row.source_ids[0] for row in rows} == {tokenizer.bos_id}


HEADERS = {
    "llama3": "<|start_header_id|>assistant<|end_header_id|>\n\n",
    "llama3_2": "<|start_header_id|>assistant<|end_header_id|>\n\n",
    "qwen2_5": "<|im_start|>assistant\n",
    "qwen3": "<|im_start|>assistant\n<think>\n\n</think>\n\n",
}


@pytest.mark.parametrize("name", CHAT)
def test_a_prompt_ends_with_one_header(spoken, name):
    tokenizer, _, _, rows = spoken(name)
    header = HEADERS[name]
    ids = tokenizer._encode(header)
    assert tokenizer.chat_format.header.endswith(header)
    for row in rows:
        assert list(row.source_ids[-len(ids) :]) == ids
        decoded = tokenizer._backend.decode(row.source_ids, skip_special_tokens=False)
        assert decoded.count(header) == 1


@pytest.mark.parametrize("name", CHAT)
def test_transformers_own_rendering_gives_the_same_ids(spoken, name):
    tokenizer, recipe, dialogues, rows = spoken(name)
    for dialogue, row in zip(dialogues[:40], rows, strict=False):
        theirs = tokenizer._hf_tokenizer.apply_chat_template(
            [
                {"role": "system", "content": recipe.prompt.system},
                {"role": "user", "content": f"{recipe.prompt.instruction}\n\n{dialogue.text}"},
            ],
            tokenize=True, add_generation_prompt=True, return_dict=False,
            date_string=TEMPLATE_DATE, enable_thinking=False,
        )  # fmt: skip
        assert not row.shortened
        assert list(row.source_ids) == theirs


def test_the_template_of_qwen3_2507_leaves_no_room_for_thoughts(spoken, shared):
    tokenizer, _, _, rows = spoken("qwen3")
    template = (shared / "tokenizers/qwen3/chat_template_instruct_2507.jinja").read_text("utf-8")
    message = Message(role="user", text="#Person1#: 안녕하세요.")
    thinking = tokenizer.encode_source(Source(id="a", messages=(message,)))
    instruct = tokenizer._encode(ChatTemplate(template, {}).render((message,)))
    think = tokenizer._encode("<think>\n\n</think>\n\n")
    assert thinking == [*instruct, *think]
    assert rows[0].source_ids[-len(think) :] == tuple(think)


@pytest.mark.parametrize("name", RECIPES)
def test_every_tag_survives_to_the_file(spoken, name, tmp_path):
    tokenizer, _, dialogues, rows = spoken(name)
    path = tmp_path / "submission.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        for row in rows:
            writer.writerow([row.id, summary_of(tokenizer.decode(row.answer_ids))])
    written = dict(csv.reader(io.StringIO(path.read_text("utf-8"))))
    assert written == {dialogue.id: dialogue.references[0] for dialogue in dialogues}
    tags = {tag for dialogue in dialogues for tag in re.findall(TAG, dialogue.text)}
    assert len(tags) >= 2
    assert all(tokenizer.decode(tokenizer.encode_answer(f"{tag}은")) == f"{tag}은" for tag in tags)


@pytest.mark.parametrize("name", RECIPES)
def test_padding_is_an_existing_token_and_no_stop(spoken, name):
    tokenizer, _, _, rows = spoken(name)
    assert tokenizer.pad_id not in tokenizer.stop_ids
    assert tokenizer.pad_id < tokenizer.vocab_size == len(tokenizer._hf_tokenizer)
    assert not any(tokenizer.pad_id in (*row.source_ids, *row.answer_ids) for row in rows)


@pytest.mark.parametrize("name", ["kobart-nlp1-finetuned", "llama3_2", "qwen3"])
def test_the_card_of_all_real_rows_is_green(spoken, contest, name):
    tokenizer, recipe, _, _ = spoken(name)
    dialogues = (*contest.train.dialogues, *contest.dev.dialogues)
    rows = encode_rows(tokenizer, dialogues, recipe.prompt, with_answers=True)
    checks = list(check_data(DataCheckContext(tokenizer, recipe.prompt, dialogues, rows)))
    assert [line for line in checks if not line.passed] == []
    assert checks[0].found == "all 2999 rows"
    assert len(checks) == 10


def test_kobart_writes_every_dev_summary_exactly(spoken, contest):
    """Its NFKC folding would show here; 499 of 499 come back as they are."""
    tokenizer, *_ = spoken("kobart-nlp1-finetuned")
    summaries = [dialogue.references[0] for dialogue in contest.dev.dialogues]
    exact = sum(
        tokenizer.decode(tokenizer.encode_answer(summary)) == summary for summary in summaries
    )
    assert exact == len(summaries) == 499


@pytest.mark.parametrize("name", ["llama3_2", "qwen3", "kobart-nlp1-finetuned"])
def test_no_summary_needs_a_foreign_token(spoken, contest, name):
    tokenizer, *_ = spoken(name)
    banned = set(foreign_script_ids(tokenizer.token_bytes()))
    assert 5_000 < len(banned) < tokenizer.vocab_size // 4
    summaries = [dialogue.references[0] for dialogue in contest.dev.dialogues]
    needing = [text for text in summaries if banned.intersection(tokenizer.encode_answer(text))]
    assert needing == []
    assert any(any("a" <= letter <= "z" for letter in text) for text in summaries)
    for text in ("漢字", "ひらがな", "カタカナ", "Привет", "龍"):
        ids = tokenizer.encode_answer(text)
        assert FOREIGN_TEXT.search(tokenizer.decode(ids)) or tokenizer.style == "source"
        assert not FOREIGN_TEXT.search(tokenizer.decode([i for i in ids if i not in banned]))


def test_stops_are_the_vendors(spoken):
    names = {
        name: [spoken(name)[0]._backend.id_to_token(stop) for stop in spoken(name)[0].stop_ids]
        for name in RECIPES
    }
    assert names == {
        "kobart-nlp1-finetuned": ["</s>"],
        "llama3": ["<|eot_id|>", "<|end_of_text|>"],
        "llama3_2": ["<|eot_id|>", "<|end_of_text|>", "<|eom_id|>"],
        "qwen2_5": ["<|im_end|>", "<|endoftext|>"],
        "qwen3": ["<|im_end|>", "<|endoftext|>"],
    }

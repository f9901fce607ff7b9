"""A model card says what the model is, how good it is, how to use it and where it comes from."""

import ast
import json
import re
import subprocess
import sys

import pytest

from support.exports import record_of
from yoyak import messages
from yoyak.config import load
from yoyak.config.schema import BeamSearch, Greedy
from yoyak.engine.exported import PLACE, FormCheck, FormScore
from yoyak.export.model_card import ExportedRun, render
from yoyak.export.usage import DIALOGUE
from yoyak.metrics.scorecard import evaluate
from yoyak.values import Interval, Rouge

ADAPTERS = {"form": "adapters", "base": "Qwen/Qwen3-4B-Instruct-2507", "revision": "cdbee75"}
WHOLE = {"form": "whole"}


def card_of(name, record, scorecard=None, sets=()):
    recipe = load.resolve(name, sets=sets).recipe
    return render(ExportedRun(recipe, record_of(recipe, **record), scorecard))


def metadata_of(card):
    """The block between the first two rules, each line a key and a value that JSON can read."""
    lines = card.split("---\n")[1].splitlines()
    return {key: json.loads(value) for key, value in (line.split(": ", 1) for line in lines)}


def code_of(card):
    (code,) = re.findall(r"^```python\n(.*?)^```$", card, re.DOTALL | re.MULTILINE)
    ast.parse(code)
    return code


def literals_of(code):
    return {node.value for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Constant)}


def test_a_hub_finds_the_adapters_beside_their_base():
    known = metadata_of(card_of("qwen3-4b", ADAPTERS))
    assert known["library_name"] == "peft"
    assert known["base_model"] == "Qwen/Qwen3-4B-Instruct-2507"
    assert known["base_model_relation"] == "adapter"
    assert known["language"] == ["ko"]


def test_a_model_that_was_tuned_whole_names_the_base_that_it_began_with():
    known = metadata_of(card_of("kobart", WHOLE))
    assert known["library_name"] == "transformers"
    assert known["base_model"] == "gogamza/kobart-base-v2"
    assert known["base_model_relation"] == "finetune"


@pytest.mark.parametrize("base", ["./base", "/srv/models/qwen"])
def test_a_folder_is_no_base_that_a_hub_could_link_to(base):
    card = card_of("qwen3-4b", {"form": "adapters", "base": base})
    assert not [key for key in metadata_of(card) if key.startswith("base_model")]


def test_the_base_is_loaded_in_the_very_revision_that_the_adapters_were_trained_on():
    code = code_of(card_of("qwen3-4b", ADAPTERS))
    assert {"Qwen/Qwen3-4B-Instruct-2507", "cdbee75"} <= literals_of(code)
    assert "revision='cdbee75'" in code
    assert "PeftModel.from_pretrained(model, folder)" in code


def test_a_base_that_lies_in_the_folder_is_loaded_from_there():
    code = code_of(card_of("tiny-qlora", {"form": "adapters", "base": "./base"}))
    assert 'from_pretrained(f"{folder}/base"' in code
    assert "revision" not in code


@pytest.mark.parametrize(("sets", "is_packed"), [((), True), (("model.quantisation=none",), False)])
def test_the_code_loads_in_4_bit_what_was_trained_in_4_bit(sets, is_packed):
    code = code_of(card_of("qwen3-4b", ADAPTERS, sets=sets))
    assert ("load_in_4bit=True" in code) is is_packed
    assert ("import torch" in code) is is_packed


def test_the_code_gives_the_prompt_of_training_whatever_characters_it_has():
    said = 'Say "what" it\'s about:\\n```'
    prompt = (f"prompt.instruction={json.dumps(said)}", 'prompt.system="요약가"')
    found = literals_of(code_of(card_of("qwen3-4b", ADAPTERS, sets=prompt)))
    assert {f"{said}\n\n", "요약가", DIALOGUE} <= found
    found = literals_of(code_of(card_of("kobart", WHOLE, sets=prompt)))
    assert f"요약가\n{said}\n" in found


def test_the_code_separates_lines_as_training_did():
    prompt = ('prompt.instruction="요약:"', 'prompt.system="요약가"')
    code = code_of(card_of("kobart", {"form": "whole", "line_break": " | "}, sets=prompt))
    assert "요약가 | 요약: | " in literals_of(code)
    assert "dialogue = dialogue.replace(\"\\n\", ' | ')" in code.splitlines()


def test_the_scores_are_those_of_the_scorecard_with_its_protocol(corpus):
    rows = corpus.train.dialogues  # of one reference each
    scored = evaluate({row.id: row.references[0] for row in rows}, corpus.train, resamples=20)
    card = card_of("kobart", WHOLE, scored)
    # Copied references have 100 in every measure and resample.
    assert "| this model | 100.00 | 100.00 | 100.00 | 100.00 | 100.00–100.00 |" in card
    (floor,) = re.findall(r"^\| one fixed sentence \|.*", card, re.MULTILINE)
    assert all(float(cell) < 100 for cell in re.findall(r"\d+\.\d\d", floor))
    assert f"over {len(rows)} dialogues of dev" in card
    assert f"`{scored.protocol.signature}`" in card


def test_what_was_not_scored_shows_no_number_in_its_place():
    quality = card_of("kobart", WHOLE).split("## How good it is")[1].split("\n## ")[0]
    assert "No run is scored yet" in quality
    assert not re.search(r"\d", quality)


def test_what_is_unknown_is_a_dash_and_what_is_known_is_stated():
    card = card_of("kobart", WHOLE)
    assert "| LoRA | – |" in card
    assert "| effective batch, rows | 8 |" in card
    assert "| learning rate | 5e-05 (linear) |" in card
    card = card_of("qwen3-4b", ADAPTERS)
    assert "| its licence, as the recipe states it | Apache-2.0 |" in card


def test_only_a_toy_is_called_one():
    assert "toy model" in card_of("tiny-bart", WHOLE)
    assert "toy model" not in card_of("kobart", WHOLE)


def test_a_card_speaks_the_language_in_use_and_its_code_stays_the_same():
    english = card_of("qwen3-4b", ADAPTERS)
    with messages.speaking("ko"):
        korean = card_of("qwen3-4b", ADAPTERS)
    assert "## How to use it" in english
    assert "## How to use it" not in korean
    assert code_of(korean) == code_of(english)
    assert metadata_of(korean) == metadata_of(english)


def checked(equal_answers, **fields):
    half = FormScore(
        rouge=Rouge(rouge1=0.5, rouge2=0.3, rougeL=0.4), interval=Interval(low=0.35, high=0.45)
    )
    known = {
        "runtime": "llama.cpp 1", "rows": 20, "decode": Greedy(), "run_decode": Greedy(),
        "equal_prompts": 20, "original": half, "exported": half,
        "difference": Interval(low=-0.01, high=0.02), "protocol": "rouge|v:1",
    }  # fmt: skip
    return {"check": FormCheck(**{**known, **fields}, equal_answers=equal_answers)}


def test_a_form_that_answers_otherwise_is_marked_with_the_rows_and_the_interval():
    card = card_of("qwen3-4b", {"form": "gguf"} | checked(17, equal_prompts=19))
    assert "**It differs from the run.**" in card
    assert "another summary in 3, and its tokenizer other prompt ids in 1" in card
    assert "−1.00 … +2.00" in card
    assert "| this form (llama.cpp 1) | 50.00 | 30.00 | 40.00 | 40.00 | 35.00–45.00 |" in card
    card = card_of("qwen3-4b", {"form": "gguf"} | checked(20))
    assert "differs" not in card
    assert "the run's summary in each of 20 rows" in card


def test_a_decoding_that_is_not_the_runs_is_stated():
    beam = BeamSearch(num_beams=3)
    card = card_of("kobart", {"form": "onnx"} | checked(20, run_decode=beam))
    assert "Both decode the same way: greedy." in card
    assert "is another: beam (num_beams 3)." in card
    assert "is another" not in card_of("kobart", {"form": "onnx"} | checked(20))


def test_what_was_not_checked_says_so():
    assert "**Not checked:**" in card_of("kobart", WHOLE)


@pytest.mark.parametrize("form", ["merged", "gguf", "onnx", "ctranslate2"])
@pytest.mark.parametrize("name", ["kobart", "qwen3-4b"])
def test_prompt_and_stop_tokens_are_in_every_card(form, name):
    if (name, form) == ("kobart", "gguf"):
        return  # refused: tests/torch/formats/test_gguf.py
    card = card_of(name, {"form": form})
    assert "\n~~~text\n" in card
    assert PLACE in card
    assert "`<|im_end|>`" in card
    for code in re.findall(r"^```python\n(.*?)^```$", card, re.DOTALL | re.MULTILINE):
        ast.parse(code)


@pytest.mark.process
def test_tables_of_answers_are_exported_without_torch():
    code = "import sys, yoyak.export.run; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

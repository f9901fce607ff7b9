"""llama.cpp reads the contest's dialogues as the real tokenizers do, from a GGUF of ours."""

from types import SimpleNamespace

import pytest

from yoyak.config.load import resolve
from yoyak.data.corpus import read_corpus
from yoyak.data.prompt import render
from yoyak.export.check import evenly_spaced

pytestmark = [pytest.mark.real, pytest.mark.torch]
pytest.importorskip("xllamacpp", reason="the [export] extra is not installed")
ROWS = 100


@pytest.mark.parametrize(
    ("name", "model"),
    [
        # Only here does llama.cpp split by Llama 3's pattern; Qwen 2.5 has that of Qwen 3.
        pytest.param("llama3", "llama", marks=pytest.mark.slow),
        pytest.param("llama3_2", "llama", marks=pytest.mark.slow),
        pytest.param("qwen2_5", "qwen2", marks=pytest.mark.slow),
        ("qwen3", "qwen3"),
    ],
)
def test_every_prompt_has_the_ids_of_training(name, model, shared, tmp_path):
    import transformers as hf

    import torch
    from yoyak.engine.formats import gguf
    from yoyak.engine.models.model import ModelBundle
    from yoyak.engine.tokenization.tokenizer import load_tokenizer

    recipe = resolve("qwen3-4b").recipe
    tokenizer = load_tokenizer(str(shared / "tokenizers" / name), recipe)
    config = hf.AutoConfig.for_model(
        model,
        vocab_size=tokenizer.vocab_size,
        hidden_size=32,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=1,
        num_key_value_heads=1,
        head_dim=32,
        max_position_embeddings=4096,
        tie_word_embeddings=True,
    )
    untrained = hf.AutoModelForCausalLM.from_config(config).eval()
    bundle = ModelBundle(untrained, tokenizer, "causal", torch.device("cpu"))
    tokenizer.save(tmp_path)
    gguf.write_gguf(bundle, tmp_path, "F16", tokenizer.template.standalone)
    dev = read_corpus(shared / "data" / "contest").dev
    sources = [render(row, recipe.prompt) for row in evenly_spaced(dev.dialogues, ROWS)]
    expected = [tuple(tokenizer.encode_source(source)) for source in sources]
    record = SimpleNamespace(longest_answer=1, stop_tokens=())
    runtime = gguf.LlamaCppRuntime(tmp_path, record, max(map(len, expected)))
    found = [answer.prompt_ids for answer in runtime.answer(sources)]
    assert found == expected

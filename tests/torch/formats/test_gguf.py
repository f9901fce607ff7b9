"""A GGUF in llama.cpp itself: the ids of our prompts, the engine's answers, the card's commands."""

import json
import re
import shlex
import urllib.request

import pytest

from support.exports import NEW
from yoyak.engine.formats import gguf
from yoyak.errors import BadRecipe

pytestmark = pytest.mark.torch
xllamacpp = pytest.importorskip("xllamacpp", reason="the [export] extra is not installed")
SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    "architecture", ["llama", pytest.param("qwen2", marks=SLOW), pytest.param("qwen3", marks=SLOW)]
)
def test_llama_cpp_reads_our_prompts_and_answers_as_the_engine(architecture, exported):
    form = exported(architecture, "gguf", "F32")
    texts, prompts = form.answers()
    assert prompts == [True] * len(form.rows), "the chat template and the tokenizer in the file"
    assert texts == form.said
    assert len(set(texts)) > 1


def test_transformers_finds_the_same_logits_in_the_file(exported):
    """A second reader: names, shapes and the order of rotary rows are those of the format."""
    import transformers as hf

    import torch

    form = exported("llama", "gguf", "F32")
    read = hf.AutoModelForCausalLM.from_pretrained(form.folder, gguf_file=gguf.FILE).eval()
    run = hf.AutoModelForCausalLM.from_pretrained(form.request.engine_folder / "weights").eval()
    ids = torch.arange(20, 60)[None]
    with torch.no_grad():
        torch.testing.assert_close(read(ids).logits, run(ids).logits, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("quantisation", gguf.QUANTISATIONS)
def test_every_number_format_is_read_and_answers(quantisation, exported):
    form = exported("llama", "gguf", quantisation)
    texts, prompts = form.answers()
    assert all(prompts)
    assert all(texts)
    assert number_formats(form)["blk.0.ffn_up.weight"] == quantisation
    if quantisation in {"F16", "BF16", "F32"}:
        assert texts == form.said


def number_formats(form):
    from gguf import GGUFReader

    tensors = GGUFReader(form.folder / gguf.FILE).tensors
    return {tensor.name: tensor.tensor_type.name for tensor in tensors}


def test_matrices_take_eight_bits_and_vectors_stay_whole(exported):
    kinds = number_formats(exported("llama", "gguf", "Q8_0"))
    assert kinds["blk.0.ffn_up.weight"] == "Q8_0"
    assert kinds["blk.0.attn_norm.weight"] == "F32"


def test_the_frequencies_of_llama_3_1_are_those_of_transformers():
    import transformers as hf

    import torch

    rope = {
        "rope_type": "llama3", "rope_theta": 500000.0, "factor": 8.0, "low_freq_factor": 1.0,
        "high_freq_factor": 4.0, "original_max_position_embeddings": 8192,
    }  # fmt: skip
    config = hf.LlamaConfig(hidden_size=256, num_attention_heads=2, rope_parameters=rope)
    rotary = hf.models.llama.modeling_llama.LlamaRotaryEmbedding(config)
    plain = rope["rope_theta"] ** -(torch.arange(0, 128, 2) / 128)
    factors = torch.tensor(gguf._llama3_factors(rope, 128))
    torch.testing.assert_close(plain / factors, rotary.inv_freq, rtol=1e-4, atol=1e-9)


@pytest.mark.parametrize(
    ("kind", "model_type", "says"),
    [
        ("seq2seq", "bart", "run decoders only"),
        ("seq2seq", "t5", "run decoders only"),
        ("causal", "gemma3_text", "--llama-cpp"),
    ],
)
def test_what_has_no_gguf_here_is_refused_with_a_way_out(kind, model_type, says):
    refused = gguf.refusal(model_type, kind)
    assert isinstance(refused, BadRecipe)
    assert says in str(refused)
    assert gguf.refusal("qwen3", "causal") is None


def test_a_pattern_that_llama_cpp_would_split_otherwise_is_refused():
    split = {"type": "Split", "pattern": {"Regex": r"\d"}}
    description = {
        "model": {"type": "BPE"},
        "pre_tokenizer": {"pretokenizers": [split, {"type": "ByteLevel"}]},
    }
    with pytest.raises(BadRecipe, match="--llama-cpp"):
        gguf._pre_tokenizer(description)
    split["pattern"]["Regex"] = next(iter(gguf.PRE_TOKENIZERS))
    assert gguf._pre_tokenizer(description) == "llama-bpe"


def test_a_checkout_of_llama_cpp_converts_instead(trained, tmp_path):
    """The converter gets whole weights with their tokenizer, and its failure is shown."""
    from yoyak.engine.formats.export import write_export

    checkout = tmp_path / "llama.cpp"
    checkout.mkdir()
    script = checkout / gguf.CONVERTER
    script.write_text(
        "import pathlib, sys\n"
        "names = sorted(path.name for path in pathlib.Path(sys.argv[1]).iterdir())\n"
        "pathlib.Path(sys.argv[5]).write_text(sys.argv[3] + ' ' + ' '.join(names))\n"
    )
    target = tmp_path / "out"
    target.mkdir()
    request = trained("llama")._replace(form="gguf", quantisation="Q8_0", llama_cpp=checkout)
    write_export(request, target)
    outtype, *files = (target / gguf.FILE).read_text().split()
    assert outtype == "q8_0"
    assert {"config.json", "model.safetensors", "tokenizer.json", "chat_template.jinja"} <= {*files}
    script.write_text("raise SystemExit('cannot do this one')\n")
    with pytest.raises(BadRecipe, match="cannot do this one"):
        write_export(request, target)


def test_the_commands_of_the_card_start_a_server_that_answers_as_the_engine(exported):
    """``llama-server`` is llama.cpp's own server, here from the library instead of its program."""
    from yoyak.data.corpus import parse_turns
    from yoyak.export.usage import DIALOGUE
    from yoyak.values import Dialogue

    form = exported("qwen3", "gguf", "F32")
    asked = form._replace(rows=[Dialogue(id="a", turns=parse_turns(DIALOGUE))])
    commands = re.findall(r"^```sh\n(.*?)\n```$", form.card(), re.DOTALL | re.MULTILINE)
    start, ask = shlex.split(commands[0]), shlex.split(commands[1])
    assert start[:4] == ["llama-server", "--model", "model.gguf", "--jinja"]
    settings = xllamacpp.CommonParams()
    settings.model.path = str(form.folder / start[2])
    settings.use_jinja, settings.warmup, settings.verbosity = True, False, 0
    settings.n_ctx = int(start[start.index("--ctx-size") + 1])
    server = xllamacpp.Server(settings)
    address = ask[2].replace("http://127.0.0.1:8080", server.listening_address)
    body = ask[-1].encode()
    sent = urllib.request.Request(address, body, {"Content-Type": "application/json"})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(sent) as response:
        choice = json.load(response)["choices"][0]
    assert json.loads(body)["max_tokens"] == NEW
    assert choice["message"]["content"].strip() == asked.answers()[0][0]

"""GGUF: write a model for llama.cpp and what is built on it, and answer with llama.cpp.

Llama, Qwen2 and Qwen3 with a byte-level BPE are written here, through the tensor names of the
``gguf`` package. For every other architecture llama.cpp's own converter is called, if its checkout
is named. The chat template in the file renders the prompts of training without any argument.
"""

import json
import math
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch  # noqa: TID253 -- this module is only ever imported by an engine at work
from yoyak.engine.exported import ExportedModel
from yoyak.engine.formats.runtime import Answer, messages_of, name_of, require
from yoyak.engine.models.model import ModelBundle
from yoyak.errors import BadRecipe
from yoyak.values import Source, StopReason

FILE = "model.gguf"
CONVERTER = "convert_hf_to_gguf.py"
DEFAULT = "F16"
QUANTISATIONS = (DEFAULT, "BF16", "F32", "Q8_0", "Q5_1", "Q5_0", "Q4_1", "Q4_0")
"""What the gguf package can write; K-quants are made of an F16 file by ``llama-quantize``."""
CONVERTER_TYPES = {"F16": "f16", "BF16": "bf16", "F32": "f32", "Q8_0": "q8_0"}
"""The number formats of llama.cpp's converter, by its own names."""
ARCHITECTURES = {"llama": "LLAMA", "qwen2": "QWEN2", "qwen3": "QWEN3"}
"""``gguf.MODEL_ARCH`` by ``model_type``."""
_CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
_REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
PRE_TOKENIZERS = {
    _CONTRACTIONS + r"\p{N}{1,3}" + _REST: "llama-bpe",
    _CONTRACTIONS + r"\p{N}" + _REST: "qwen2",
}
"""llama.cpp's names of the patterns that split a text into words."""


# --- writing -------------------------------------------------------------------------------------


def refusal(model_type: str, kind: str) -> BadRecipe | None:
    """Return why there is no GGUF of such a model without llama.cpp's converter, if that is so."""
    if kind == "seq2seq":
        return BadRecipe("export.gguf-seq2seq", type=model_type)
    if model_type not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        return BadRecipe("export.gguf-architecture", type=model_type, known=known)
    return None


def convert_with_llama_cpp(checkout: Path, merged: Path, target: Path, quantisation: str) -> None:
    """Let llama.cpp's converter write ``FILE`` into ``target`` from a folder of whole weights.

    Raises:
        BadRecipe: it does not know the architecture, the tokenizer or the number format.
    """
    if quantisation not in CONVERTER_TYPES:
        known = ", ".join(CONVERTER_TYPES)
        raise BadRecipe("export.unknown-quantisation", form="gguf", found=quantisation, known=known)
    command = [
        sys.executable, str(checkout / CONVERTER), str(merged),
        "--outtype", CONVERTER_TYPES[quantisation], "--outfile", str(target / FILE),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        problem = (done.stderr.strip().splitlines() or ["?"])[-1]
        raise BadRecipe("export.converter-failed", form="gguf", type=CONVERTER, problem=problem)


def write_gguf(bundle: ModelBundle, target: Path, quantisation: str, chat_template: str) -> None:
    """Write ``FILE`` into ``target``, which has the tokenizer already.

    Raises:
        Unavailable: the gguf package is not installed.
        BadRecipe: ``refusal``, or a tokenizer or a setting that this writer does not know.
    """
    gguf = require("gguf", "gguf")
    model: Any = bundle.model
    config = model.config
    problem = refusal(config.model_type, bundle.kind)
    if problem is not None:
        raise problem
    architecture = getattr(gguf.MODEL_ARCH, ARCHITECTURES[config.model_type])
    writer = gguf.GGUFWriter(target / FILE, gguf.MODEL_ARCH_NAMES[architecture], use_temp_file=True)
    file_type = "ALL_F32" if quantisation == "F32" else f"MOSTLY_{quantisation}"
    writer.add_file_type(getattr(gguf.LlamaFileType, file_type))
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    _add_settings(writer, config)
    _add_vocabulary(writer, bundle, target, config.vocab_size)
    writer.add_chat_template(chat_template)
    names = gguf.get_tensor_name_map(architecture, config.num_hidden_layers)
    for name, tensor in _tensors(model):
        array = tensor.detach().float().cpu().numpy()
        kind = _type_of(gguf, array.shape, quantisation)
        data = gguf.quants.quantize(array, kind)
        full = names.get_name(name, try_suffixes=(".weight", ".bias"))
        if full is None:
            raise BadRecipe("export.gguf-tensor", name=name, type=config.model_type)
        writer.add_tensor(full, data, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _type_of(gguf: Any, shape: Sequence[int], quantisation: str) -> Any:
    """Return the number format of a tensor: vectors stay float32, odd widths become float16."""
    kinds = gguf.GGMLQuantizationType
    if len(shape) < 2:
        return kinds.F32
    kind = kinds[quantisation]
    return kind if shape[-1] % gguf.GGML_QUANT_SIZES[kind][0] == 0 else kinds.F16


def _add_settings(writer: Any, config: Any) -> None:
    """Write the sizes of the model and its positions.

    Raises:
        BadRecipe: a sliding window or scaled positions of a kind that llama.cpp computes otherwise.
    """
    if getattr(config, "use_sliding_window", False):
        raise BadRecipe("export.gguf-setting", name="use_sliding_window", type=config.model_type)
    rope = config.rope_parameters
    if rope["rope_type"] not in {"default", "llama3"}:
        raise BadRecipe(
            "export.gguf-setting", name=f"rope_type {rope['rope_type']}", type=config.model_type
        )
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(width)
    writer.add_value_length(width)
    writer.add_rope_dimension_count(width)
    writer.add_rope_freq_base(rope["rope_theta"])
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)
    if rope["rope_type"] == "llama3":
        import numpy as np

        writer.add_tensor("rope_freqs.weight", np.array(_llama3_factors(rope, width), np.float32))


def _llama3_factors(rope: dict[str, float], width: int) -> list[float]:
    """Return by what Llama 3.1 divides each frequency of its rotary positions."""
    factors = []
    low = rope["original_max_position_embeddings"] / rope["low_freq_factor"]
    high = rope["original_max_position_embeddings"] / rope["high_freq_factor"]
    for index in range(0, width, 2):
        wavelength = 2 * math.pi * rope["rope_theta"] ** (index / width)
        if wavelength < high:
            factors.append(1.0)
        elif wavelength > low:
            factors.append(rope["factor"])
        else:
            smooth = (
                rope["original_max_position_embeddings"] / wavelength - rope["low_freq_factor"]
            ) / (rope["high_freq_factor"] - rope["low_freq_factor"])
            factors.append(1 / ((1 - smooth) / rope["factor"] + smooth))
    return factors


def _tensors(model: Any) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield the tensors as llama.cpp computes with them; tied heads and buffers are left out."""
    config = model.config
    heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
    for name, tensor in model.named_parameters():  # a tied weight is there once
        part = name.split(".")[-2] if "." in name else name
        if config.model_type == "llama" and part in heads:
            yield name, _interleaved(tensor, heads[part])
        else:
            yield name, tensor


def _interleaved(weight: torch.Tensor, heads: int) -> torch.Tensor:
    """Return rows in the order of Meta's rotary positions: pairs side by side, not in halves."""
    halves = weight.reshape(heads, 2, weight.shape[0] // heads // 2, *weight.shape[1:])
    return halves.swapaxes(1, 2).reshape(weight.shape)


def _add_vocabulary(writer: Any, bundle: ModelBundle, folder: Path, rows: int) -> None:
    """Write the vocabulary of a byte-level BPE; ``rows`` of the embeddings have a token each.

    Raises:
        BadRecipe: another kind of vocabulary, or a pattern that llama.cpp has no name for.
    """
    gguf = require("gguf", "gguf")
    description = json.loads((folder / "tokenizer.json").read_text("utf-8"))
    model = description["model"]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(_pre_tokenizer(description))
    names = [f"[PAD{index}]" for index in range(rows)]
    types = [gguf.TokenType.UNUSED] * rows
    for name, index in model["vocab"].items():
        names[index], types[index] = name, gguf.TokenType.NORMAL
    for token in description["added_tokens"]:
        names[token["id"]] = token["content"]
        kinds = gguf.TokenType
        types[token["id"]] = kinds.CONTROL if token["special"] else kinds.USER_DEFINED
    writer.add_token_list(names)
    writer.add_token_types(types)
    pairs = model["merges"]
    writer.add_token_merges([pair if isinstance(pair, str) else " ".join(pair) for pair in pairs])
    tokens = bundle.tokenizer.special_tokens
    writer.add_eos_token_id(tokens.stop_ids[0])
    writer.add_pad_token_id(tokens.pad_id)
    if tokens.bos_id is not None:
        writer.add_bos_token_id(tokens.bos_id)
    # The chat template writes what a prompt begins with.
    writer.add_add_bos_token(False)


def _pre_tokenizer(description: dict[str, Any]) -> str:
    """Return llama.cpp's name of how a tokenizer splits texts."""
    found = description["pre_tokenizer"] or {}
    parts = found.get("pretokenizers", [found])
    byte_level = any(part.get("type") == "ByteLevel" for part in parts)
    if description["model"]["type"] != "BPE" or not byte_level:
        raise BadRecipe("export.gguf-tokenizer", found=description["model"]["type"])
    patterns = [part["pattern"].get("Regex") for part in parts if part.get("type") == "Split"]
    if not patterns:
        return "gpt-2"
    name = PRE_TOKENIZERS.get(patterns[0]) if len(patterns) == 1 else None
    if name is None:
        raise BadRecipe("export.gguf-tokenizer", found=patterns[0])
    return name


# --- answering -----------------------------------------------------------------------------------


class LlamaCppRuntime:
    """llama.cpp's server inside this process (xllamacpp), asked over HTTP on 127.0.0.1.

    Args:
        folder: of the exported model.
        exported: its record.
        longest: tokens of the longest prompt.
    """

    def __init__(self, folder: Path, exported: ExportedModel, longest: int) -> None:
        library = require("xllamacpp", "gguf")
        self.name = f"llama.cpp, {name_of('xllamacpp')}"
        self._limit = exported.longest_answer
        settings = library.CommonParams()
        settings.model.path = str(folder / FILE)
        settings.n_ctx = longest + self._limit + 8
        settings.n_parallel = 1
        settings.use_jinja = True
        settings.warmup = False
        settings.cpuparams.n_threads = torch.get_num_threads()
        settings.cpuparams_batch.n_threads = torch.get_num_threads()
        settings.verbosity = 0
        self._server = library.Server(settings)
        self._stop = list(exported.stop_tokens)

    def answer(self, sources: Sequence[Source]) -> Iterator[Answer]:
        """Yield an answer to each prompt, in order."""
        for source in sources:
            messages = messages_of(source)
            prompt = self._ask("/apply-template", {"messages": messages})["prompt"]
            ids = self._ask(
                "/tokenize", {"content": prompt, "add_special": True, "parse_special": True}
            )["tokens"]
            answer = self._ask(
                "/v1/chat/completions",
                {
                    "messages": messages,
                    "max_tokens": self._limit,
                    "temperature": 0.0,
                    "stop": self._stop,
                    "cache_prompt": False,
                },
            )
            choice = answer["choices"][0]
            is_cut = choice["finish_reason"] == "length"
            yield Answer(
                tuple(ids),
                choice["message"]["content"],
                answer["usage"]["completion_tokens"],
                StopReason.LENGTH if is_cut else StopReason.STOP_TOKEN,
            )

    def _ask(self, path: str, body: dict[str, Any]) -> Any:
        request = urllib.request.Request(  # noqa: S310 -- our own server
            self._server.listening_address + path,
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        # No proxy: the address is this machine's own.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request) as response:
            return json.load(response)

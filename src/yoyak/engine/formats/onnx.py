"""ONNX: export with ``torch.onnx``, and answer with ONNX Runtime.

A causal model is one graph from ids to logits, an encoder-decoder two. There is no cache of keys
and values in them: each token reads the whole row again, which any runtime can do and costs time.
"""

import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch  # noqa: TID253 -- this module is only ever imported by an engine at work
from yoyak.engine.exported import ExportedModel
from yoyak.engine.formats.runtime import Answer, FolderTokenizer, answer_of, name_of, require
from yoyak.engine.models.model import ModelBundle
from yoyak.errors import BadRecipe
from yoyak.values import Source

if TYPE_CHECKING:
    import numpy as np

QUANTISATIONS = ("float32",)
MODEL, ENCODER, DECODER = "model.onnx", "encoder.onnx", "decoder.onnx"
_TRACED_ROWS, _TRACED_TOKENS = 2, 7
"""Of the example that is traced: neither 0 nor 1, which would become constants of the graph."""


class _Causal(torch.nn.Module):
    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
        return self.model(
            input_ids=input_ids, attention_mask=attention_mask, use_cache=False
        ).logits


class _Encoder(torch.nn.Module):
    def __init__(self, model: Any) -> None:
        super().__init__()
        self.encoder = model.get_encoder()

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
        return self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state


class _Decoder(torch.nn.Module):
    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, decoder_input_ids: torch.Tensor, encoded: torch.Tensor, attention_mask: torch.Tensor
    ) -> Any:
        from transformers.modeling_outputs import BaseModelOutput

        return self.model(
            encoder_outputs=BaseModelOutput(last_hidden_state=encoded),
            attention_mask=attention_mask,
            decoder_input_ids=decoder_input_ids,
            use_cache=False,
        ).logits


def write_onnx(bundle: ModelBundle, target: Path) -> None:
    """Write the graphs in float32.

    Raises:
        Unavailable: onnx or onnxscript is not installed.
        BadRecipe: the architecture has operations that ``torch.onnx`` cannot export.
    """
    require("onnx", "onnx")
    require("onnxscript", "onnx")
    model: Any = bundle.model
    model.float().cpu().eval()
    # SDPA of some families makes views of a layout that the exporter's decomposition refuses.
    model.set_attn_implementation("eager")
    ids = torch.full((_TRACED_ROWS, _TRACED_TOKENS), bundle.tokenizer.stop_id)
    mask = torch.ones_like(ids)
    source = {"input_ids": ids, "attention_mask": mask}
    if bundle.kind == "causal":
        _export(_Causal(model), source, "logits", target / MODEL)
        return
    encoder = _Encoder(model)
    _export(encoder, source, "encoded", target / ENCODER)
    with torch.no_grad():
        encoded = encoder(ids, mask)
    inputs = {"decoder_input_ids": ids[:, :-2], "encoded": encoded, "attention_mask": mask}
    _export(_Decoder(model), inputs, "logits", target / DECODER)


def _export(
    module: torch.nn.Module, inputs: dict[str, torch.Tensor], output: str, path: Path
) -> None:
    from torch.export import Dim

    free: Any = {0: Dim.AUTO, 1: Dim.AUTO}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the exporter's own, about itself
            torch.onnx.export(
                module.eval(),
                tuple(inputs.values()),
                path,
                input_names=list(inputs),
                output_names=[output],
                dynamic_shapes=tuple(free for _ in inputs),
                dynamo=True,
                external_data=True,
                verbose=False,
            )
    except torch.onnx.errors.OnnxExporterError as error:
        raise BadRecipe(
            "export.converter-failed",
            form="onnx",
            type=type(module).__name__,
            problem=str(error).splitlines()[0],
        ) from error


class OnnxRuntime:
    """ONNX Runtime on the CPU, decoding greedily.

    Args:
        folder: of the exported model.
        exported: its record.
    """

    def __init__(self, folder: Path, exported: ExportedModel) -> None:
        onnxruntime = require("onnxruntime", "onnx")
        self.name = name_of("onnxruntime")
        self._tokenizer = FolderTokenizer(folder, exported)
        self._exported = exported

        def load(name: str) -> Any:
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = torch.get_num_threads()
            return onnxruntime.InferenceSession(str(folder / name), options)

        if exported.kind == "causal":
            self._model = load(MODEL)
        else:
            self._encoder, self._model = load(ENCODER), load(DECODER)

    def answer(self, sources: Sequence[Source]) -> Iterator[Answer]:
        """Yield an answer to each prompt, in order."""
        for source in sources:
            prompt = self._tokenizer.encode(source)
            new = self._generate(prompt)
            yield answer_of(prompt, new, self._tokenizer.decode(new), self._exported)

    def _generate(self, prompt: list[int]) -> list[int]:
        """Return the new ids of one prompt, the stop token included."""
        import numpy as np

        def row(ids: Sequence[int]) -> "np.ndarray[Any, Any]":
            return np.array([ids], dtype=np.int64)

        mask = {"attention_mask": row([1] * len(prompt))}
        tokens = self._exported.special_tokens
        if self._exported.kind == "seq2seq":
            (encoded,) = self._encoder.run(None, {"input_ids": row(prompt), **mask})
            begin = [tokens.decoder_start_id or 0]
        new: list[int] = []
        limit = self._exported.longest_answer
        while len(new) < limit and (not new or new[-1] not in tokens.stop_ids):
            if self._exported.kind == "seq2seq":
                inputs = {"decoder_input_ids": row([*begin, *new]), "encoded": encoded, **mask}
            else:
                ids = [*prompt, *new]
                inputs = {"input_ids": row(ids), "attention_mask": row([1] * len(ids))}
            (logits,) = self._model.run(None, inputs)
            last = logits[0, -1]
            last[list(self._exported.suppress_tokens)] = -np.inf
            new.append(int(last.argmax()))
        return new

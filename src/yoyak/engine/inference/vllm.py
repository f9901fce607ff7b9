"""vLLM as another decoder for LLMs, used only if it gives the same answers.

It reads a folder with whole weights, so adapters are merged; what trained beside 4-bit weights is
merged by ``generate.weights = "merged"`` beforehand. Rows go in and come out as token ids: vLLM
loads no tokenizer, and the vendor's generation config has no say. It runs in this process.
"""

import copy
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch  # noqa: TID253 -- this module is only ever imported by an engine at work
from yoyak.config.schema import Greedy
from yoyak.engine import Emit
from yoyak.engine.inference.generate import BatchDecoder, DecodeJob
from yoyak.engine.inference.parity import checked_decoder, emit_warning
from yoyak.engine.models.model import ModelBundle, position_limit
from yoyak.engine.tokenization.encode import EncodedRow
from yoyak.errors import Unavailable

FOLDER = "vllm"
MAX_TOKENS = 8_192
"""Of a row with its answer, where the model has positions for more: vLLM reserves memory for it."""
MEMORY_SHARE = 0.85
"""Of the GPU memory that is free beside the model that vLLM is compared with."""
ENVIRONMENT = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
}


def vllm_decoder(
    job: DecodeJob, rows: Sequence[EncodedRow], folder: Path, emit: Emit
) -> BatchDecoder | None:
    """Return a decoder that agrees with ours, ``None`` if there is none; emit which it is.

    Args:
        job: the model and its decoding settings.
        rows: what will be predicted.
        folder: the whole weights are in it while they are loaded.
        emit: gets the comparison, and a warning if vLLM is not used.

    Raises:
        Unavailable: vLLM is not installed.
    """
    problem = _unsupported(job)
    if problem is not None:
        emit_warning(emit, "engine.vllm-cannot", what=problem)
        return None
    return checked_decoder("vllm", VllmDecoder(job.bundle, folder), job, rows, emit)


def _unsupported(job: DecodeJob) -> str | None:
    """Name the setting for which vLLM has no equal, if there is one."""
    if not isinstance(job.decode, Greedy):
        return f"decode.kind = {job.decode.__struct_config__.tag}"
    if job.decode.no_repeat_ngram_size:
        return "decode.no_repeat_ngram_size"
    parameters = job.bundle.model.parameters()
    if any(getattr(each, "quant_state", None) is not None for each in parameters):
        return "generate.weights = trained, model.quantisation = nf4"
    return None


class VllmDecoder:
    """An LLM in vLLM, in the number format of the model and on its kind of device.

    Args:
        bundle: the model; adapters are merged into a copy.
        folder: the whole weights are in it while they are loaded.

    Raises:
        Unavailable: vLLM is not installed.
    """

    schedules_rows = True

    def __init__(self, bundle: ModelBundle, folder: Path) -> None:
        for name, value in ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        try:
            import vllm
        except ModuleNotFoundError as error:
            raise Unavailable("engine.no-vllm") from error
        whole = folder / FOLDER
        if whole.exists():
            shutil.rmtree(whole)  # left by a process that was killed
        try:
            model = _save(bundle, whole)
            self._sampling: Any = vllm.SamplingParams
            self._llm: Any = vllm.LLM(
                str(whole),
                skip_tokenizer_init=True,
                generation_config="vllm",
                dtype=str(model.dtype).removeprefix("torch."),
                max_model_len=min(MAX_TOKENS, position_limit(model) or MAX_TOKENS),
                seed=0,
                **_machine(bundle.device),
            )
        finally:
            shutil.rmtree(whole, ignore_errors=True)

    def __call__(self, job: DecodeJob, batch: Sequence[EncodedRow]) -> list[list[int]]:
        """Return the new token ids of each row, including EOS."""
        blocked = set(job.blocked)
        allowed = [id_ for id_ in range(job.bundle.tokenizer.vocab_size) if id_ not in blocked]
        outputs = self._llm.generate(
            [{"prompt_token_ids": list(row.source_ids)} for row in batch],
            self._sampling(
                temperature=0.0,
                max_tokens=job.max_new_tokens,
                stop_token_ids=list(job.bundle.tokenizer.stop_ids),
                allowed_token_ids=allowed,
                detokenize=False,
            ),
            use_tqdm=False,
        )
        return [list(output.outputs[0].token_ids) for output in outputs]


def _save(bundle: ModelBundle, folder: Path) -> Any:
    """Write whole weights, and return the model that has them."""
    model: Any = bundle.model
    if hasattr(model, "merge_and_unload"):
        model = copy.deepcopy(model).merge_and_unload(safe_merge=True)
    model.save_pretrained(folder)
    return model


def _machine(device: torch.device) -> dict[str, object]:
    if device.type != "cuda":
        return {"enforce_eager": True}
    free, total = torch.cuda.mem_get_info(device)
    return {"gpu_memory_utilization": MEMORY_SHARE * free / total}

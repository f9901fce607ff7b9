"""How many rows fit in the memory that is free."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import torch  # noqa: TID253 -- this module is only ever imported by an engine at work
from yoyak.config.schema import BeamSearch, Decode, Sampling
from yoyak.engine.inference.next_token import PREFILL_TOKENS, shares_cross_attention
from yoyak.engine.models.model import unwrap_model
from yoyak.engine.tokenization.encode import EncodedRow

if TYPE_CHECKING:
    from yoyak.engine.models.model import ModelBundle

CPU_BYTES = 1 << 30
"""Of the cache on a CPU, where a larger batch is not faster per row."""
USED_SHARE = 0.85
"""Of the GPU memory that is free: the rest is lost between blocks of the allocator."""
MAX_ROWS = 512
CPU_MIN_ROWS = 32
"""Rows from which on a batch on a CPU takes only similar ones: fewer leave its steps too empty."""
CPU_MIN_LENGTH = 1 / 2
"""Of the longest source of such a batch; attention to padding takes as long as any other."""


class BatchMemory(NamedTuple):
    """Bytes that generation takes per row, and those that it may take.

    ``source_bytes`` and ``new_bytes`` are keys and values of a token, of all layers and beams;
    ``row_bytes`` are a row's scores of one step. A batch of ``similar_from`` rows takes only rows
    of similar length; ``None`` is no such limit.
    """

    source_bytes: int
    new_bytes: int
    row_bytes: int
    free_bytes: int
    similar_from: int | None = None

    def max_rows(self, source_tokens: int, new_tokens: int) -> int:
        """Return how many rows of these lengths fit, at least one."""
        row = self.source_bytes * source_tokens + self.new_bytes * new_tokens + self.row_bytes
        return max(1, min(MAX_ROWS, self.free_bytes // row))

    def is_full(self, batch: Sequence[EncodedRow], row: EncodedRow, new_tokens: int) -> bool:
        """Return whether a shorter row cannot join a batch, or would be mostly padding in it."""
        longest = len(batch[0].source_ids)
        if len(batch) >= self.max_rows(longest, new_tokens):
            return True
        is_similar = len(row.source_ids) >= CPU_MIN_LENGTH * longest
        return self.similar_from is not None and len(batch) >= self.similar_from and not is_similar


UNLIMITED = BatchMemory(source_bytes=1, new_bytes=1, row_bytes=1, free_bytes=1 << 60)
"""For a decoder that keeps its own account of memory."""


def batch_memory(bundle: "ModelBundle", decode: Decode) -> BatchMemory:
    """Count the bytes of a row, and the free memory as it is now."""
    model = unwrap_model(bundle.model)
    config: Any = model.get_decoder().config.get_text_config(decoder=True)
    beams = decode.num_beams if isinstance(decode, BeamSearch) else 1
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    width = (
        getattr(config, "head_dim", None)
        or getattr(config, "d_kv", None)
        or config.hidden_size // config.num_attention_heads
    )
    token_bytes = 2 * config.num_hidden_layers * heads * width * model.dtype.itemsize
    shared = bundle.kind == "seq2seq" and shares_cross_attention(model)
    source_beams = 1 if shared else beams
    # Logits in the model's type and float32; log probabilities, or sorted ones with their ids.
    scores = 6 if isinstance(decode, BeamSearch) else 10 if isinstance(decode, Sampling) else 3
    vocabulary = model.get_output_embeddings().weight.shape[0]
    return BatchMemory(
        source_bytes=token_bytes * source_beams,
        new_bytes=token_bytes * beams,
        row_bytes=4 * scores * vocabulary * beams,
        free_bytes=_free_bytes(bundle.device, config, model.dtype.itemsize),
        similar_from=CPU_MIN_ROWS if bundle.device.type == "cpu" else None,
    )


def _free_bytes(device: torch.device, config: Any, element: int) -> int:
    if device.type != "cuda":
        return CPU_BYTES
    unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    free = int((torch.cuda.mem_get_info(device)[0] + unused) * USED_SHARE)
    inner = getattr(config, "intermediate_size", None) or 4 * config.hidden_size
    prefill: int = PREFILL_TOKENS["cuda"] * (4 * config.hidden_size + 3 * inner) * element
    return max(0, free - prefill)


def make_batches(
    rows: Sequence[EncodedRow], new_tokens: int, memory: BatchMemory
) -> list[list[EncodedRow]]:
    """Sort rows by descending source length (ties keep order); cut them where batches are full."""
    batches: list[list[EncodedRow]] = []
    for row in sorted(rows, key=lambda row: -len(row.source_ids)):
        if not batches or memory.is_full(batches[-1], row, new_tokens):
            batches.append([])
        batches[-1].append(row)
    return batches

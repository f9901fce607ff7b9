"""Collate encoded rows into batches: which rows share a forward pass, and its tensors."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch  # noqa: TID253 -- this module is only ever imported by an engine at work

if TYPE_CHECKING:
    from yoyak.engine.model_classes import Kind
    from yoyak.engine.tokenization.encode import EncodedRow
    from yoyak.engine.tokenization.tokenizer import ModelTokenizer


class RowShape(NamedTuple):
    """Tokens a row takes on the encoder side (0 for causal models) and on the decoder side."""

    encoder: int
    decoder: int


class MicroBatchLimits(NamedTuple):
    """Upper bounds of one forward pass; a single row is always allowed."""

    rows: int
    tokens: int
    packed: bool = False

    def tokens_of(self, shapes: Sequence[RowShape]) -> int:
        """Count the tokens of these rows in one pass, padding included unless they are packed."""
        return sum(map(sum, shapes)) if self.packed else padded_tokens(shapes)


class Packing(NamedTuple):
    """Where each row lies in a packed sequence.

    ``position_ids`` [1, tokens] restart at 0 with each row; ``cu_seqlens`` [rows + 1] (int32) are
    the offsets between rows; ``max_seqlen`` is the tokens of the longest row.
    """

    position_ids: torch.Tensor
    cu_seqlens: torch.Tensor
    max_seqlen: int


class Batch(NamedTuple):
    """The tensors of one forward pass over ``rows`` rows of ``length`` decoder positions.

    Padding is on the right, known by position and never by id. A causal model needs no mask for it:
    no real token attends to its right. ``label_positions`` [n] index the flattened decoder
    [rows × length] where the next token is supervised; ``targets`` [n] are those next tokens.
    Packed rows are concatenated into one sequence [1, tokens].
    """

    input_ids: torch.Tensor
    attention_mask: torch.Tensor | None
    decoder_input_ids: torch.Tensor | None
    label_positions: torch.Tensor
    targets: torch.Tensor
    packing: Packing | None = None


def shape_of(row: "EncodedRow", kind: "Kind") -> RowShape:
    """Return the row's shape; the last answer id is only ever a target and is not fed."""
    if kind == "seq2seq":
        return RowShape(len(row.source_ids), len(row.answer_ids))
    return RowShape(0, len(row.source_ids) + len(row.answer_ids) - 1)


def padded_tokens(shapes: Sequence[RowShape]) -> int:
    """Count the tokens of a batch of these rows, padding included."""
    return len(shapes) * (max(s.encoder for s in shapes) + max(s.decoder for s in shapes))


def micro_batches(
    rows: Sequence[int], shapes: Sequence[RowShape], limits: MicroBatchLimits
) -> list[list[int]]:
    """Split a step's rows, longest first, into forward passes within the limits."""
    cut: list[list[int]] = []
    for row in sorted(rows, key=lambda row: (-sum(shapes[row]), row)):
        wider = [*cut[-1], row] if cut else []
        fits = len(wider) <= limits.rows and (
            limits.tokens_of([shapes[each] for each in wider or [row]]) <= limits.tokens
        )
        if cut and fits:
            cut[-1].append(row)
        else:
            cut.append([row])
    return cut


def collate(
    rows: Sequence["EncodedRow"],
    tokenizer: "ModelTokenizer",
    kind: "Kind",
    device: torch.device,
    *,
    packed: bool = False,
) -> Batch:
    """Return the tensors of one forward pass; rows of a causal model may be packed."""
    if kind == "seq2seq":
        return _seq2seq(rows, tokenizer, device)
    if packed:
        return _packed(rows, device)
    ids = [[*row.source_ids, *row.answer_ids[:-1]] for row in rows]
    starts = [len(row.source_ids) - 1 for row in rows]
    return Batch(
        input_ids=_padded(ids, tokenizer.pad_id).to(device),
        attention_mask=None,
        decoder_input_ids=None,
        label_positions=_label_positions(rows, starts, max(map(len, ids))).to(device),
        targets=_targets(rows).to(device),
    )


def _packed(rows: Sequence["EncodedRow"], device: torch.device) -> Batch:
    ids = [[*row.source_ids, *row.answer_ids[:-1]] for row in rows]
    lengths = torch.tensor([len(row) for row in ids])
    ends = lengths.cumsum(0)
    label_positions = [
        torch.arange(end - len(row.answer_ids), end)
        for row, end in zip(rows, ends.tolist(), strict=True)
    ]
    packing = Packing(
        position_ids=torch.cat([torch.arange(len(row)) for row in ids])[None].to(device),
        cu_seqlens=torch.cat([torch.zeros(1, dtype=torch.long), ends]).to(device, torch.int32),
        max_seqlen=int(lengths.max()),
    )
    return Batch(
        input_ids=torch.tensor([token for row in ids for token in row])[None].to(device),
        attention_mask=None,
        decoder_input_ids=None,
        label_positions=torch.cat(label_positions).to(device),
        targets=_targets(rows).to(device),
        packing=packing,
    )


def _seq2seq(
    rows: Sequence["EncodedRow"], tokenizer: "ModelTokenizer", device: torch.device
) -> Batch:
    sources = [list(row.source_ids) for row in rows]
    decoder_input = [[_decoder_start(tokenizer), *row.answer_ids[:-1]] for row in rows]
    ids = _padded(sources, tokenizer.pad_id)
    mask = torch.zeros_like(ids)
    for row, source in enumerate(sources):
        mask[row, : len(source)] = 1
    return Batch(
        input_ids=ids.to(device),
        attention_mask=mask.to(device),
        decoder_input_ids=_padded(decoder_input, tokenizer.pad_id).to(device),
        label_positions=_label_positions(rows, [0] * len(rows), max(map(len, decoder_input))).to(
            device
        ),
        targets=_targets(rows).to(device),
    )


def _decoder_start(tokenizer: "ModelTokenizer") -> int:
    assert tokenizer.decoder_start_id is not None  # noqa: S101 -- load_tokenizer refuses such a base
    return tokenizer.decoder_start_id


def _padded(rows: Sequence[Sequence[int]], pad_id: int) -> torch.Tensor:
    ids = torch.full((len(rows), max(map(len, rows))), pad_id, dtype=torch.long)
    for index, row in enumerate(rows):
        ids[index, : len(row)] = torch.tensor(row)
    return ids


def _label_positions(
    rows: Sequence["EncodedRow"], starts: Sequence[int], length: int
) -> torch.Tensor:
    """Return the flat positions whose next id is supervised: a slice of each row, not a search."""
    spans = (
        torch.arange(start, start + len(row.answer_ids)) + index * length
        for index, (row, start) in enumerate(zip(rows, starts, strict=True))
    )
    return torch.cat(list(spans))


def _targets(rows: Sequence["EncodedRow"]) -> torch.Tensor:
    return torch.tensor([token for row in rows for token in row.answer_ids])


class PaddedSources(NamedTuple):
    """Source ids of a batch, [rows, length], and their attention mask (1 on real tokens)."""

    ids: torch.Tensor
    mask: torch.Tensor


def pad_sources(
    batch: Sequence["EncodedRow"], pad_id: int, device: torch.device, *, left: bool
) -> PaddedSources:
    """Pad the sources of a batch for inference, on the left or on the right.

    The mask is made from positions: a source may contain the padding token.
    """
    length = max(len(row.source_ids) for row in batch)
    ids = torch.full((len(batch), length), pad_id, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for index, row in enumerate(batch):
        size = len(row.source_ids)
        span = slice(length - size, length) if left else slice(0, size)
        ids[index, span] = torch.tensor(row.source_ids)
        mask[index, span] = 1
    return PaddedSources(ids.to(device), mask.to(device))

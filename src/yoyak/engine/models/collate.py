"""Which rows share a forward pass, and the tensors of one."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch  # noqa: TID253 -- this module is only ever imported by an engine at work

if TYPE_CHECKING:
    from yoyak.engine.models.model import Kind
    from yoyak.engine.tokenization.encode import Encoded
    from yoyak.engine.tokenization.tokenizer import ChatTokenizer


class RowShape(NamedTuple):
    """The room a row takes: tokens of its encoder side (0 for causal models) and of its decoder."""

    encoder: int
    decoder: int


class MicroBatchLimits(NamedTuple):
    """What bounds one forward pass; a single row always may pass."""

    rows: int
    tokens: int
    packed: bool = False

    def tokens_of(self, shapes: Sequence[RowShape]) -> int:
        """Tokens of a pass of these rows; padding counts unless they are packed."""
        return sum(map(sum, shapes)) if self.packed else padded_tokens(shapes)


class Packing(NamedTuple):
    """Where the rows of one packed line lie.

    ``positions`` [1, tokens] begin anew with each row; ``bounds`` [rows + 1] (int32) are where
    rows begin and end; ``longest`` is the tokens of the longest row.
    """

    positions: torch.Tensor
    bounds: torch.Tensor
    longest: int


class Batch(NamedTuple):
    """The tensors of one forward pass over ``rows`` rows of ``length`` decoder places.

    Padding is on the right and known by place. A causal model needs no mask for it: no real token
    looks to its right. ``places`` [n] are the supervised places of the flattened decoder
    [rows × length], ``targets`` [n] the ids that are to follow them. Packed rows stand behind one
    another in a single line of all their tokens.
    """

    ids: torch.Tensor
    mask: torch.Tensor | None
    decoder_ids: torch.Tensor | None
    places: torch.Tensor
    targets: torch.Tensor
    packing: Packing | None = None


def shape_of(row: "Encoded", kind: "Kind") -> RowShape:
    """The row's shape; the last answer id is only ever a target, so it takes no place."""
    if kind == "seq2seq":
        return RowShape(len(row.source_ids), len(row.answer_ids))
    return RowShape(0, len(row.source_ids) + len(row.answer_ids) - 1)


def padded_tokens(shapes: Sequence[RowShape]) -> int:
    """Tokens of a batch of these rows, padding included."""
    return len(shapes) * (max(s.encoder for s in shapes) + max(s.decoder for s in shapes))


def micro_batches(
    rows: Sequence[int], shapes: Sequence[RowShape], limits: MicroBatchLimits
) -> list[list[int]]:
    """A step's rows, longest first, cut into forward passes within the limits."""
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
    rows: Sequence["Encoded"],
    tokenizer: "ChatTokenizer",
    kind: "Kind",
    device: torch.device,
    *,
    packed: bool = False,
) -> Batch:
    """The tensors of one forward pass; rows of a causal model may be packed."""
    if kind == "seq2seq":
        return _seq2seq(rows, tokenizer, device)
    if packed:
        return _packed(rows, device)
    ids = [[*row.source_ids, *row.answer_ids[:-1]] for row in rows]
    starts = [len(row.source_ids) - 1 for row in rows]
    return Batch(
        ids=_padded(ids, tokenizer.pad_id).to(device),
        mask=None,
        decoder_ids=None,
        places=_label_positions(rows, starts, max(map(len, ids))).to(device),
        targets=_targets(rows).to(device),
    )


def _packed(rows: Sequence["Encoded"], device: torch.device) -> Batch:
    ids = [[*row.source_ids, *row.answer_ids[:-1]] for row in rows]
    lengths = torch.tensor([len(row) for row in ids])
    ends = lengths.cumsum(0)
    places = [
        torch.arange(end - len(row.answer_ids), end)
        for row, end in zip(rows, ends.tolist(), strict=True)
    ]
    packing = Packing(
        positions=torch.cat([torch.arange(len(row)) for row in ids])[None].to(device),
        bounds=torch.cat([torch.zeros(1, dtype=torch.long), ends]).to(device, torch.int32),
        longest=int(lengths.max()),
    )
    return Batch(
        ids=torch.tensor([token for row in ids for token in row])[None].to(device),
        mask=None,
        decoder_ids=None,
        places=torch.cat(places).to(device),
        targets=_targets(rows).to(device),
        packing=packing,
    )


def _seq2seq(rows: Sequence["Encoded"], tokenizer: "ChatTokenizer", device: torch.device) -> Batch:
    sources = [list(row.source_ids) for row in rows]
    begun = [[_start(tokenizer), *row.answer_ids[:-1]] for row in rows]
    ids = _padded(sources, tokenizer.pad_id)
    mask = torch.zeros_like(ids)
    for place, source in enumerate(sources):
        mask[place, : len(source)] = 1
    return Batch(
        ids=ids.to(device),
        mask=mask.to(device),
        decoder_ids=_padded(begun, tokenizer.pad_id).to(device),
        places=_label_positions(rows, [0] * len(rows), max(map(len, begun))).to(device),
        targets=_targets(rows).to(device),
    )


def _start(tokenizer: "ChatTokenizer") -> int:
    assert tokenizer.decoder_start_id is not None  # noqa: S101 -- the codec refuses such a base
    return tokenizer.decoder_start_id


def _padded(rows: Sequence[Sequence[int]], pad_id: int) -> torch.Tensor:
    ids = torch.full((len(rows), max(map(len, rows))), pad_id, dtype=torch.long)
    for place, row in enumerate(rows):
        ids[place, : len(row)] = torch.tensor(row)
    return ids


def _label_positions(rows: Sequence["Encoded"], starts: Sequence[int], length: int) -> torch.Tensor:
    """The flat places whose next id is supervised: a slice of each row, never searched for."""
    spans = (
        torch.arange(start, start + len(row.answer_ids)) + place * length
        for place, (row, start) in enumerate(zip(rows, starts, strict=True))
    )
    return torch.cat(list(spans))


def _targets(rows: Sequence["Encoded"]) -> torch.Tensor:
    return torch.tensor([token for row in rows for token in row.answer_ids])

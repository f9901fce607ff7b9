"""Score the next token of each row of a batch with preallocated keys and values.

Sources are padded on the right; positions and the masks of new tokens are explicit. Rows never
attend to each other, so a row gets the same answer alone, in a batch, and in a batch that shrinks
around it. The masks are made here because the host looks into those that transformers makes, and
would wait for the device at every token.
"""

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Protocol

from torch.nn.functional import pad  # noqa: TID253 -- as above

import torch  # noqa: TID253 -- this module is only ever imported by an engine at work
from yoyak.engine.inference.kv_cache import is_supported, preallocated_cache, storing_only
from yoyak.engine.models.collate import pad_sources
from yoyak.engine.models.kernels import DecodeKernels
from yoyak.engine.models.model import attention_function, unwrap_model
from yoyak.engine.tokenization.encode import EncodedRow

if TYPE_CHECKING:
    from yoyak.engine.models.model import ModelBundle

PREFILL_TOKENS = {"cuda": 16_384, "cpu": 2_048}
"""Padded tokens of sources in one forward pass: on a GPU about 2 GB of activations for an 8B Llama;
on a CPU those of a small model stay in its cache."""

SHARED_ATTENTION = "yoyak-shared-cross-attention"
FULL, SLIDING = "full_attention", "sliding_attention"


class NextTokenScores(Protocol):
    """A model in the middle of decoding a batch."""

    def scores(self, tokens: torch.Tensor | None) -> torch.Tensor:
        """Return fp32 logits [rows, vocabulary] after ``tokens`` [rows] (``None`` at first)."""

    def keep(self, order: Sequence[int]) -> None:
        """Drop all rows but ``order``, an order of ``compacted_order``; with beams, of groups."""

    def repeat(self, beams: int) -> None:
        """Make ``beams`` rows of each row, once and after the first scores."""

    def reorder(self, rows: torch.Tensor) -> None:
        """Let each row go on from the tokens of another row of the same source."""


def next_token_scores(
    bundle: "ModelBundle", batch: Sequence[EncodedRow], max_new_tokens: int
) -> NextTokenScores:
    """Start decoding a batch: prompts padded, cache empty."""
    if bundle.kind == "seq2seq":
        return _Seq2SeqScores(bundle, batch, max_new_tokens)
    if is_supported(unwrap_model(bundle.model)):
        return _CausalScores(bundle, batch, max_new_tokens)
    return _RecurrentScores(bundle, batch)


def shares_cross_attention(model: Any) -> bool:
    """Return whether the beams of a source can attend to one copy of its keys and values."""
    return bool(model.get_decoder().config._attn_implementation == "sdpa")


class _Moves:
    """Which rows take the places of rows that leave."""

    def __init__(self, order: Sequence[int], beams: int, device: torch.device) -> None:
        moves = [(place, row) for place, row in enumerate(order) if place != row]
        each = [
            [group * beams + beam for group in groups for beam in range(beams)]
            for groups in zip(*moves, strict=True)
        ] or [[], []]
        self.targets, self.sources = (torch.tensor(rows, device=device).long() for rows in each)
        self.count = len(order) * beams

    def of(self, rows: torch.Tensor) -> torch.Tensor:
        """Return ``rows`` with the moves made."""
        moved = rows.clone()
        moved[self.targets] = rows[self.sources]
        return moved[: self.count]


class _CausalScores:
    """Reads all of a prompt but its last token first; that one is the first step's input.

    Slots 0 to ``_source`` hold prompts, padded on the right, the next ones new tokens.
    """

    def __init__(
        self, bundle: "ModelBundle", batch: Sequence[EncodedRow], max_new_tokens: int
    ) -> None:
        self._bundle = bundle
        self._model = unwrap_model(bundle.model)
        self._masks = _MaskForm(self._model)
        self._kernels = DecodeKernels(bundle)
        lengths = torch.tensor([[len(row.source_ids)] for row in batch])
        self._source = max(len(row.source_ids) for row in batch) - 1
        slots = self._source + max_new_tokens
        self._cache, self._layers = preallocated_cache(self._model, len(batch), slots)
        self._windows = {layer.sliding_window for layer in self._layers}
        self._beams = 1
        new = torch.arange(max_new_tokens) + lengths - 1
        prompt = torch.arange(self._source).expand(len(batch), -1)
        self._positions = torch.cat([prompt, new], dim=1).to(bundle.device)
        self._seen = torch.ones_like(self._positions, dtype=torch.bool)
        self._last = torch.tensor([row.source_ids[-1] for row in batch]).to(bundle.device)
        self._read(batch)

    def _read(self, batch: Sequence[EncodedRow]) -> None:
        """Read the prompts, a few rows at a time.

        Nothing is masked here: no token of a prompt attends to the padding on its right.
        """
        backbone = self._model.get_decoder()
        unwritten: list[tuple[int, int, int, int]] = []
        for start, rows in _slices(batch, self._bundle.device) if self._source else ():
            prompts = [row._replace(source_ids=row.source_ids[:-1]) for row in rows]
            ids, mask = pad_sources(
                prompts, self._bundle.tokenizer.pad_id, self._bundle.device, left=False
            )
            for layer in self._layers:
                layer.use_rows(start, len(rows))
            if ids.shape[1]:
                with storing_only(self._layers), self._kernels.active():
                    backbone(
                        input_ids=ids,
                        position_ids=torch.arange(ids.shape[1], device=ids.device)[None],
                        past_key_values=self._cache,
                        use_cache=True,
                    )
            seen = self._seen[start : start + len(rows), : self._source]
            seen[:] = pad(mask.bool(), (0, self._source - ids.shape[1]))
            unwritten.append((start, len(rows), ids.shape[1], self._source))
        for layer in self._layers:
            for slots in unwritten:
                layer.clear(*slots)
            layer.use_rows(0, len(batch), self._source)

    def scores(self, tokens: torch.Tensor | None) -> torch.Tensor:
        slot = self._layers[0].get_seq_length()
        position = self._positions[:, slot : slot + 1]
        with self._kernels.active():
            output = self._model(
                input_ids=(self._last if tokens is None else tokens).unsqueeze(-1),
                attention_mask=self._masks.of(
                    {window: self._visible(slot + 1, window) for window in self._windows}
                ),
                position_ids=position,
                past_key_values=self._cache,
                use_cache=True,
                logits_to_keep=1,
            )
        return output.logits[:, -1].float()  # type: ignore[no-any-return]

    def _visible(self, end: int, window: int | None) -> torch.Tensor:
        """Return which slots the newest token attends to, [rows, 1, 1, end]."""
        seen = self._seen[:, :end]
        if window is not None:
            positions = self._positions[:, :end]
            seen = seen & (positions > positions[:, -1:] - window)
        return seen[:, None, None]

    def keep(self, order: Sequence[int]) -> None:
        moves = _Moves(order, self._beams, self._bundle.device)
        for layer in self._layers:
            layer.keep(moves.count, moves.targets, moves.sources)
        self._seen, self._positions = moves.of(self._seen), moves.of(self._positions)

    def repeat(self, beams: int) -> None:
        self._beams = beams
        for layer in self._layers:
            layer.repeat(beams)
        self._seen = self._seen.repeat_interleave(beams, 0)
        self._positions = self._positions.repeat_interleave(beams, 0)

    def reorder(self, rows: torch.Tensor) -> None:
        for layer in self._layers:
            layer.reorder(rows, self._source)  # the prompt is the same for all beams


class _RecurrentScores:
    """A causal model some of whose layers keep a state of all tokens (Qwen3.5's linear attention).

    transformers makes cache and masks. Such a state must not read padding last: it is on the left.
    """

    def __init__(self, bundle: "ModelBundle", batch: Sequence[EncodedRow]) -> None:
        from transformers import DynamicCache

        self._model = unwrap_model(bundle.model)
        self._ids, self._mask = pad_sources(
            batch, bundle.tokenizer.pad_id, bundle.device, left=True
        )
        self._positions = (self._mask.cumsum(-1) - 1).clamp_min(0)
        self._cache: Any = DynamicCache(config=self._model.config)
        self._beams = 1

    def scores(self, tokens: torch.Tensor | None) -> torch.Tensor:
        if tokens is not None:
            self._ids = tokens.unsqueeze(-1)
            self._mask = pad(self._mask, (0, 1), value=1)
            self._positions = self._positions[:, -1:] + 1
        output = self._model(
            input_ids=self._ids,
            attention_mask=self._mask,
            position_ids=self._positions,
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=1,
        )
        return output.logits[:, -1].float()  # type: ignore[no-any-return]

    def keep(self, order: Sequence[int]) -> None:
        beams = range(self._beams)
        rows = [group * self._beams + beam for group in order for beam in beams]
        self._choose(torch.tensor(rows, device=self._mask.device))

    def repeat(self, beams: int) -> None:
        self._beams = beams
        rows = torch.arange(len(self._mask), device=self._mask.device)
        self._choose(rows.repeat_interleave(beams))

    def _choose(self, rows: torch.Tensor) -> None:
        self._cache.reorder_cache(rows)
        self._mask, self._positions = self._mask[rows], self._positions[rows]

    def reorder(self, rows: torch.Tensor) -> None:
        self._cache.reorder_cache(rows)


class _Seq2SeqScores:
    def __init__(
        self, bundle: "ModelBundle", batch: Sequence[EncodedRow], max_new_tokens: int
    ) -> None:
        from transformers import EncoderDecoderCache

        self._bundle = bundle
        self._model = unwrap_model(bundle.model)
        self._masks = _MaskForm(self._model)
        self._hidden, self._seen = self._encode(batch)
        own, self._own = preallocated_cache(self._model, len(batch), max_new_tokens)
        cross, self._cross = preallocated_cache(self._model, len(batch), self._hidden.shape[1])
        self._cache = EncoderDecoderCache(own, cross)
        self._beams, self._copies = 1, 1
        self._ones = self._seen.new_ones(1, 1, 1, max_new_tokens)
        self._start = torch.tensor(bundle.tokenizer.decoder_start_id, device=bundle.device)

    def _encode(self, batch: Sequence[EncodedRow]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the encoder's states [rows, longest source, width], and which are not padding."""
        encoder = self._model.get_encoder()
        longest = max(len(row.source_ids) for row in batch)
        states, masks = [], []
        for _, rows in _slices(batch, self._bundle.device):
            ids, mask = pad_sources(
                rows, self._bundle.tokenizer.pad_id, self._bundle.device, left=False
            )
            seen = mask.bool()
            form = seen[:, None, None] if encoder.config._attn_implementation == "sdpa" else mask
            encoded = encoder(input_ids=ids, attention_mask=form)
            more = longest - ids.shape[1]
            states.append(pad(encoded.last_hidden_state, (0, 0, 0, more)))
            masks.append(pad(seen, (0, more)))
        return torch.cat(states), torch.cat(masks)

    def scores(self, tokens: torch.Tensor | None) -> torch.Tensor:
        from transformers.modeling_outputs import BaseModelOutput

        last = self._start.expand(len(self._seen)) if tokens is None else tokens
        length = self._own[0].get_seq_length() + 1
        config = self._model.get_decoder().config
        shared = attention_function(config, SHARED_ATTENTION, shared_attention)
        with shared if self._copies < self._beams else nullcontext():
            output = self._model(
                encoder_outputs=BaseModelOutput(last_hidden_state=self._hidden),
                attention_mask=self._masks.of({None: self._seen[:, None, None]}),
                decoder_input_ids=last.unsqueeze(-1),
                decoder_attention_mask=self._masks.of({None: self._ones[..., :length]}),
                past_key_values=self._cache,
                use_cache=True,
            )
        return output.logits[:, -1].float()  # type: ignore[no-any-return]

    def keep(self, order: Sequence[int]) -> None:
        moves = _Moves(order, self._beams, self._bundle.device)
        for layer in self._own:
            layer.keep(moves.count, moves.targets, moves.sources)
        moves = _Moves(order, self._copies, self._bundle.device)
        for layer in self._cross:
            layer.keep(moves.count, moves.targets, moves.sources)
        self._seen = moves.of(self._seen)
        # Only its shape still counts: its keys and values are in the cross cache.
        self._hidden = self._hidden[: moves.count]

    def repeat(self, beams: int) -> None:
        """Share a source's cross-attention states between its beams where the model allows it."""
        self._beams = beams
        self._copies = 1 if shares_cross_attention(self._model) else beams
        for layer in self._own:
            layer.repeat(beams)
        if self._copies > 1:
            for layer in self._cross:
                layer.repeat(beams)
            self._seen = self._seen.repeat_interleave(beams, 0)
            self._hidden = self._hidden.repeat_interleave(beams, 0)

    def reorder(self, rows: torch.Tensor) -> None:
        for layer in self._own:
            layer.reorder(rows, 0)


class _MaskForm:
    """Attention masks in the form that a model's attention takes."""

    def __init__(self, model: Any) -> None:
        config = model.get_decoder().config  # T5's decoder has one of its own
        self.name: str = config._attn_implementation
        self._dtype = model.dtype
        text = config.get_text_config(decoder=True)
        self._by_layer_type = len(set(getattr(text, "layer_types", None) or ())) > 1

    def of(self, masks: dict[int | None, torch.Tensor]) -> Any:
        """Return what the model takes as ``attention_mask``: one, or one by the type of layer.

        Args:
            masks: boolean, [rows, 1, 1, tokens], by sliding window.
        """
        formed = {
            FULL if window is None else SLIDING: self._formed(mask)
            for window, mask in masks.items()
        }
        return formed if self._by_layer_type else next(iter(formed.values()))

    def _formed(self, mask: torch.Tensor) -> torch.Tensor:
        if self.name != "eager":
            return mask
        lowest = torch.finfo(self._dtype).min
        return torch.zeros_like(mask, dtype=self._dtype).masked_fill(~mask, lowest)


def _slices(
    batch: Sequence[EncodedRow], device: torch.device
) -> Iterator[tuple[int, Sequence[EncodedRow]]]:
    """Cut a batch into runs of rows of at most ``PREFILL_TOKENS``, with their start."""
    start, longest, limit = 0, 0, PREFILL_TOKENS[device.type]
    for end, row in enumerate(batch):
        longest = max(longest, len(row.source_ids))
        if end > start and (end + 1 - start) * longest > limit:
            yield start, batch[start:end]
            start, longest = end, len(row.source_ids)
    yield start, batch[start:]


def shared_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor | None,
    **settings: Any,
) -> tuple[torch.Tensor, None]:
    """Compute attention (transformers' interface), of several rows of queries to a row of keys.

    Args:
        module: the layer.
        query: [rows × beams, heads, 1, width], or as usual.
        key: [rows, heads, tokens, width].
        value: as ``key``.
        mask: [rows, 1, 1, tokens].
        settings: as of transformers' SDPA.
    """
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    rows, heads = key.shape[0], query.shape[1]
    if query.shape[0] == rows:
        return sdpa_attention_forward(module, query, key, value, mask, **settings)
    queries = query.view(rows, -1, heads, query.shape[-1]).transpose(1, 2)
    settings["is_causal"] = False
    output, _ = sdpa_attention_forward(module, queries, key, value, mask, **settings)
    return output.reshape(query.shape[0], 1, heads, value.shape[-1]), None

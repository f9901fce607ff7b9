"""Fused LoRA layers: transformer blocks as two autograd functions, with gradients by hand.

PEFT casts its adapters, multiplies, scales, adds and keeps the input in each linear layer. Here it
is done once per group of projections that share an input (q/k/v, gate/up). In a block of the Llama
and Qwen families everything before attention is one function and everything after it another: a
norm keeps its input and one scale per token, from which its output is computed again; rotary
embeddings and SwiGLU's product are not kept. In other blocks, groups are fused only with
``train.kernels = "fused"``. A 4-bit matrix is unpacked once in the forward and once in the backward
pass. Adapters are cast to the dtype of matrix products once per optimizer step.

The gradients are those of PEFT's layers up to rounding; preflight compares them before the first
step. With dropout, the projections of a group share one mask, where PEFT draws one for each.
"""

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from importlib import import_module
from typing import Any, NamedTuple

from torch.nn.functional import linear, silu  # noqa: TID253 -- as below

import torch  # noqa: TID253 -- this module is only ever imported by an engine at work
from yoyak.engine.models.activation_checkpointing import recomputable
from yoyak.engine.models.flat_parameters import adjacent
from yoyak.engine.models.liger import KernelPatch
from yoyak.engine.models.model import ModelBundle, transformer_blocks, unwrap_model

GROUPS = (("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj"))
"""Attributes of projections that a module calls one after the other with the same input."""
CROSS_ATTENTION = ("encoder_attn", "cross_attn")
"""Attributes of modules whose queries have another input than keys and values."""
LINEAR = {"Linear", "Linear4bit"}
"""Classes of torch and bitsandbytes under an adapter; 8-bit and other layers stay as they are."""
ATTENTIONS = {"llama": "Llama", "mistral": "Mistral", "qwen2": "Qwen2", "qwen3": "Qwen3"}
"""Modules of transformers whose attention a fused block computes, and their classes' prefix."""


class FusedLora:
    """Replacements of the ``forward`` of a model's blocks or LoRA layers.

    Args:
        bundle: the model, adapters in place. Layers whose code is not recognised stay as they are.
        groups: fuse groups of projections outside known blocks, too.
        dtype: of the adapters' products; autocast's by default, else the adapters' own.
    """

    def __init__(
        self, bundle: ModelBundle, *, groups: bool = True, dtype: torch.dtype | None = None
    ) -> None:
        self._fuses_groups = groups
        self._copies = AdapterCopies(dtype)
        self._rotary = _Rotary()
        adapted = hasattr(bundle.model, "peft_config")
        self.patches = list(self._find(unwrap_model(bundle.model))) if adapted else []

    def reset(self) -> None:
        """Drop what holds for one optimizer step: the weights are about to change."""
        self._copies.reset()
        self._rotary.reset()

    def _find(self, model: torch.nn.Module) -> Iterator[KernelPatch]:
        """Yield the patches; what a block or a group computes is not patched again alone."""
        fused: set[torch.nn.Module] = set()
        block: Any
        for block in filter(_is_known_block, transformer_blocks(model)):
            fused.update(block.modules())
            yield KernelPatch(block, "forward", _FusedBlock(block, self._group, self._rotary))
        if not self._fuses_groups:
            return
        for name, module in model.named_modules():
            for names in GROUPS:
                shared = names[1:] if name.endswith(CROSS_ATTENTION) else names
                layers = _lora_layers(module, shared)
                if len(layers) > 1 and fused.isdisjoint(layers):
                    fused.update(layers)
                    yield from self._projections(layers)
        for module in model.modules():
            if _is_lora(module) and module not in fused:
                yield from self._projections([module])

    def _projections(self, layers: Sequence[Any]) -> Iterator[KernelPatch]:
        group = self._group(layers)
        for index, layer in enumerate(layers):
            yield KernelPatch(layer, "forward", partial(group.project, index))

    def _group(self, layers: Sequence[Any]) -> "LoraGroup":
        return LoraGroup(layers, self._copies)


class AdapterCopies:
    """The adapters of groups in the dtype of their products, copied once per optimizer step."""

    def __init__(self, wanted: torch.dtype | None = None) -> None:
        self._wanted = wanted
        self._groups: list[LoraGroup] = []
        self._dtype: torch.dtype | None = None
        self._targets: list[torch.Tensor] = []
        self._sources: list[torch.Tensor] = []
        self.fresh = False

    def add(self, group: "LoraGroup") -> None:
        """Copy the adapters of a group from now on."""
        self._groups.append(group)
        self._dtype = None

    def reset(self) -> None:
        """Copy again before the next product, and drop outputs that were not fetched."""
        self.fresh = False
        for group in self._groups:
            group.pending = None

    @torch.no_grad()
    def refresh(self, device: torch.device) -> None:
        """Copy all adapters to the dtype of their products."""
        own = self._groups[0].parameters[0].dtype
        amp = torch.is_autocast_enabled(device.type)
        dtype = self._wanted or (torch.get_autocast_dtype(device.type) if amp else own)
        if dtype is not self._dtype:
            self._dtype = dtype
            self._targets = [each for group in self._groups for each in group.allocate(dtype)]
            self._sources = [each.detach() for group in self._groups for each in group.parameters]
        torch._foreach_copy_(self._targets, self._sources)
        self.fresh = True


class Products(NamedTuple):
    """What a group computed: outputs per layer [tokens, out] and ``low`` = input · all Aᵀ.

    ``mask`` [tokens, in] is dropout's, scaled; ``None`` without dropout.
    """

    outputs: list[torch.Tensor]
    low: torch.Tensor
    mask: torch.Tensor | None


class LoraGroup:
    """PEFT's LoRA layers that share an input, in the order of their calls.

    Gradients of the adapters are added to their ``grad`` in the backward pass itself, as autograd
    would do after it with an operator more for each matrix.

    Args:
        layers: of PEFT.
        copies: of the adapters of all groups; this group's own by default.
    """

    def __init__(self, layers: Sequence[Any], copies: AdapterCopies | None = None) -> None:
        name = layers[0].active_adapters[0]
        self.parameters: list[torch.Tensor] = [
            *(layer.lora_A[name].weight for layer in layers),
            *(layer.lora_B[name].weight for layer in layers),
        ]
        """A of each layer [r, in], then B of each [out, r]; float32 in training."""
        self.pending: tuple[torch.Tensor, dict[int, torch.Tensor]] | None = None
        self._layers = layers
        self._count = len(layers)
        self._bases = [_base_product(layer.base_layer) for layer in layers]
        self._matrices = [layer.base_layer.weight for layer in layers]
        self._ranks = [each.shape[0] for each in self.parameters[: self._count]]
        self._scaling: float = layers[0].scaling[name]
        self._dropout = layers[0].lora_dropout[name]
        self._a = self._a_transposed = torch.empty(0)
        self._b: list[torch.Tensor] = []
        self._b_transposed: list[torch.Tensor] = []
        self._gradients: list[torch.Tensor] = []
        self._gradient_of_a: torch.Tensor | None = None
        self._copies = AdapterCopies() if copies is None else copies
        self._copies.add(self)

    def allocate(self, dtype: torch.dtype) -> list[torch.Tensor]:
        """Make room for copies of the adapters; return where each goes."""
        first, device = self.parameters[0], self.parameters[0].device
        self._a = torch.empty(sum(self._ranks), first.shape[1], dtype=dtype, device=device)
        self._a_transposed = self._a.t()
        self._b = [
            torch.empty(each.shape, dtype=dtype, device=device)
            for each in self.parameters[self._count :]
        ]
        self._b_transposed = [each.t() for each in self._b]
        return [*self._a.split_with_sizes(self._ranks), *self._b]

    def project(self, index: int, hidden: torch.Tensor) -> torch.Tensor:
        """Return the output of one layer; the first layer's call computes all of the group."""
        if index and self.pending is not None and self.pending[0] is hidden:
            output = self.pending[1].pop(index, None)
            if output is not None:
                return output
        if index:  # out of order, or with another input
            return LoraGroup([self._layers[index]]).project(0, hidden)
        outputs = _apply(_Projections, self, hidden, self.parameters[0])
        if len(outputs) > 1:
            self.pending = (hidden, dict(enumerate(outputs[1:], start=1)))
        first: torch.Tensor = outputs[0]
        return first

    def multiply(self, hidden: torch.Tensor) -> Products:
        """Compute the outputs for ``hidden`` [tokens, in]."""
        if not self._copies.fresh:
            self._copies.refresh(hidden.device)
        outputs = [product(hidden) for product in self._bases]
        mask, dropped = self._drop(hidden) if self._dropout.training else (None, hidden)
        low = _as(dropped, self._a.dtype) @ self._a_transposed
        for output, part, b in zip(outputs, self._parts(low, 1), self._b_transposed, strict=True):
            _add_product(output, part, b, self._scaling)
        return Products(outputs, low, mask)

    def differentiate(
        self,
        hidden: torch.Tensor,
        low: torch.Tensor,
        mask: torch.Tensor | None,
        outer: Sequence[torch.Tensor],
        *,
        needs_hidden: bool,
    ) -> torch.Tensor | None:
        """Add the adapters' gradients to their own; return that of the input, if it is needed.

        Args:
            hidden: the input, [tokens, in].
            low: of ``Products``, as ``mask``.
            mask: as above.
            outer: gradients of the outputs, [tokens, out] per layer.
            needs_hidden: whether the gradient of the input is needed.
        """
        cast = [_as(each, low.dtype) for each in outer]
        parts = [each @ b for each, b in zip(cast, self._b, strict=True)]
        outer_low = parts[0] if self._count == 1 else torch.cat(parts, dim=1)
        dropped = _as(hidden if mask is None else hidden * mask, low.dtype)
        self._accumulate(dropped, low, cast, outer_low)
        if not needs_hidden:
            return None
        total = outer[0] @ _weight(self._matrices[0], outer[0].dtype)
        for each, matrix in zip(outer[1:], self._matrices[1:], strict=True):
            total.addmm_(each, _weight(matrix, each.dtype))
        if mask is None:
            _add_product(total, outer_low, self._a, self._scaling)
        else:
            total.addcmul_(outer_low @ self._a, mask, value=self._scaling)
        return total

    def _accumulate(
        self,
        hidden: torch.Tensor,
        low: torch.Tensor,
        outer: Sequence[torch.Tensor],
        outer_low: torch.Tensor,
    ) -> None:
        """Add the gradients of A and B to those there are."""
        of = self._gradients
        if not of or any(p.grad is not each for p, each in zip(self.parameters, of, strict=True)):
            self._find_gradients()
            of = self._gradients
        turned = outer_low.t()
        if self._gradient_of_a is not None:
            _add_product(self._gradient_of_a, turned, hidden, self._scaling)
        else:
            for total, part in zip(of, self._parts(turned, 0), strict=False):
                _add_product(total, part, hidden, self._scaling)
        for total, each, part in zip(of[self._count :], outer, self._parts(low, 1), strict=True):
            _add_product(total, each.t(), part, self._scaling)

    def _find_gradients(self) -> None:
        """Note where gradients are added; where there are none, to zeros."""
        matrices = self.parameters[: self._count]
        if all(each.grad is None for each in matrices):
            zeros = matrices[0].new_zeros(sum(self._ranks), matrices[0].shape[1])
            for each, part in zip(matrices, zeros.split_with_sizes(self._ranks), strict=True):
                each.grad = part
        for each in self.parameters:
            if each.grad is None:
                each.grad = torch.zeros_like(each)
        self._gradients = [each.grad for each in self.parameters if each.grad is not None]
        together = adjacent(self._gradients[: self._count])
        self._gradient_of_a = None if together is None else together.view(self._a.shape)

    def _parts(self, tensor: torch.Tensor, dim: int) -> Sequence[torch.Tensor]:
        """Return views of a tensor, one per layer, whose dimension ``dim`` is all ranks."""
        if self._count == 1:
            return (tensor,)
        return tensor.split_with_sizes(self._ranks, dim)

    def _drop(self, hidden: torch.Tensor) -> tuple[torch.Tensor | None, torch.Tensor]:
        rate = getattr(self._dropout, "p", 0.0)
        if not rate:
            return None, hidden
        mask = torch.empty_like(hidden).bernoulli_(1 - rate).div_(1 - rate)
        return mask, hidden * mask


def _apply(function: type[torch.autograd.Function], *given: Any) -> Any:
    return function.apply(*given)  # type: ignore[no-untyped-call]


class _Projections(torch.autograd.Function):
    """The outputs of a group of LoRA layers for one input.

    Of the adapters one is an input, so that there is a backward pass where nothing else needs it.
    """

    @staticmethod
    def forward(
        ctx: Any, group: LoraGroup, hidden: torch.Tensor, _adapter: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        made = group.multiply(hidden.flatten(0, -2))
        ctx.group = group
        ctx.save_for_backward(hidden, made.low, made.mask)
        return tuple(each.view(*hidden.shape[:-1], -1) for each in made.outputs)

    @staticmethod
    def backward(ctx: Any, *outer: torch.Tensor) -> Any:
        hidden, low, mask = ctx.saved_tensors
        inner = ctx.group.differentiate(
            hidden.flatten(0, -2),
            low,
            mask,
            [each.flatten(0, -2) for each in outer],
            needs_hidden=ctx.needs_input_grad[1],
        )
        return None, _like(inner, hidden), None


class _Norm(NamedTuple):
    """A frozen RMSNorm: its weight [..., width] and epsilon, float32 on the weight's device."""

    weight: torch.Tensor
    epsilon: torch.Tensor

    @classmethod
    def of(cls, module: Any) -> "_Norm":
        weight = module.weight.detach()
        return cls(weight, torch.tensor(module.variance_epsilon, device=weight.device))

    def scale(self, hidden: torch.Tensor) -> torch.Tensor:
        """Return the reciprocal root mean square of each row, [..., 1], at least float32."""
        dtype = torch.float64 if hidden.dtype is torch.float64 else torch.float32
        length = torch.linalg.vector_norm(hidden, dim=-1, keepdim=True, dtype=dtype)
        width = hidden.shape[-1]
        return torch.addcmul(self.epsilon, length, length, value=1 / width).rsqrt_()

    def output(self, hidden: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
        """Return the normalised rows, rounded as transformers rounds them."""
        return _scaled(hidden, scale, hidden.dtype) * self.weight

    def again(self, hidden: torch.Tensor, scale: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the rows scaled, in float32, and the output; for the backward pass."""
        normal = hidden * scale
        return normal, _as(normal, hidden.dtype) * self.weight

    def differentiate(
        self, normal: torch.Tensor, scale: torch.Tensor, outer: torch.Tensor
    ) -> torch.Tensor:
        """Return the gradient of the input from that of the output; ``normal`` is of ``again``."""
        weighted = outer * self.weight
        along = (weighted * normal).sum(-1, keepdim=True)
        change = torch.addcmul(weighted, normal, along, value=-1 / normal.shape[-1])
        return _scaled(change, scale, outer.dtype)


class _Rotary:
    """Cosines and signed sines of a forward pass, shared by its blocks."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget the last positions."""
        self._given: torch.Tensor | None = None
        self._made: tuple[torch.Tensor, torch.Tensor] | None = None

    def angles(self, cos: torch.Tensor, sin: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return what ``_rotate`` takes, [batch, tokens, 1, width], from transformers' angles."""
        if self._made is None or self._given is not sin:
            signed = sin.clone()
            signed[..., : sin.shape[-1] // 2].neg_()
            self._given, self._made = sin, (cos.unsqueeze(2), signed.unsqueeze(2))
        return self._made


class _FusedBlock:
    """The ``forward`` of a decoder layer: norm, attention, norm, SwiGLU, with LoRA on all seven."""

    def __init__(
        self, block: Any, group: Callable[[Sequence[Any]], LoraGroup], rotary: _Rotary
    ) -> None:
        attention, mlp = block.self_attn, block.mlp
        self.attention = attention
        self.qkv = group([attention.q_proj, attention.k_proj, attention.v_proj])
        self.out = group([attention.o_proj])
        self.gate_up = group([mlp.gate_proj, mlp.up_proj])
        self.down = group([mlp.down_proj])
        self.input_norm = _Norm.of(block.input_layernorm)
        self.mlp_norm = _Norm.of(block.post_attention_layernorm)
        self.head_norm = _head_norm(attention)
        self._rotary = rotary
        config = attention.config
        self._interface = _attention_interface(attention)
        self._given = {"scaling": attention.scaling, "dropout": config.attention_dropout}
        if hasattr(attention, "sliding_window"):
            self._given["sliding_window"] = attention.sliding_window
        self._forward = recomputable(block, self._compute)

    def __call__(self, *given: Any, **settings: Any) -> Any:
        """Compute the block (transformers' interface).

        If it is checkpointed, it is computed again in the backward pass.
        """
        return self._forward(*given, **settings)

    def _compute(
        self,
        hidden_states: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        past_key_values: Any = None,
        position_embeddings: Any = None,
        **given: Any,
    ) -> Any:
        angles = self._rotary.angles(*position_embeddings)
        first = self.qkv.parameters[0]
        query, key, value = _apply(_BeforeAttention, self, hidden_states, *angles, first)
        if past_key_values is not None:
            key, value = past_key_values.update(key, value, self.attention.layer_idx)
        dropout = self._given["dropout"] if self.attention.training else 0.0
        settings = given | self._given | {"dropout": dropout}
        attended, _ = self._interface(self.attention, query, key, value, attention_mask, **settings)
        return _apply(_AfterAttention, self, hidden_states, attended.flatten(2))


class _BeforeAttention(torch.autograd.Function):
    """Norm, q/k/v projections, norm of heads (Qwen3) and rotary embeddings.

    Queries, keys and values come out as [batch, heads, tokens, head width].
    """

    @staticmethod
    def forward(
        ctx: Any,
        block: _FusedBlock,
        hidden: torch.Tensor,
        cos: torch.Tensor,
        sin: torch.Tensor,
        _adapter: torch.Tensor,
    ) -> tuple[torch.Tensor, ...]:
        rows = hidden.flatten(0, -2)
        scale = block.input_norm.scale(rows)
        made = block.qkv.multiply(block.input_norm.output(rows, scale))
        query, key, value = made.outputs
        heads = (*hidden.shape[:-1], -1, cos.shape[-1])
        both = torch.cat((query, key), dim=1).view(heads)
        raw = head_scale = None
        if block.head_norm is not None:
            raw, head_scale = both, block.head_norm.scale(both)
            both = block.head_norm.output(both, head_scale)
        turned = _rotate(both, cos, sin, 1).transpose(1, 2)
        ctx.block, ctx.queries = block, query.shape[1] // cos.shape[-1]
        ctx.save_for_backward(hidden, scale, made.low, made.mask, cos, sin, raw, head_scale)
        return (
            turned[:, : ctx.queries],
            turned[:, ctx.queries :],
            value.view(heads).transpose(1, 2),
        )

    @staticmethod
    def backward(ctx: Any, *outer: torch.Tensor) -> Any:
        hidden, scale, low, mask, cos, sin, raw, head_scale = ctx.saved_tensors
        block: _FusedBlock = ctx.block
        both = torch.cat(outer[:2], dim=1).transpose(1, 2)
        both = _rotate(both, cos, sin, -1)
        if block.head_norm is not None:
            both = block.head_norm.differentiate(raw * head_scale, head_scale, both)
        rows = hidden.flatten(0, -2)
        normal, output = block.input_norm.again(rows, scale)
        inner = block.qkv.differentiate(
            output,
            low,
            mask,
            [
                each.reshape(len(rows), -1)
                for each in (
                    both[:, :, : ctx.queries],
                    both[:, :, ctx.queries :],
                    outer[2].transpose(1, 2),
                )
            ],
            needs_hidden=ctx.needs_input_grad[1],
        )
        if inner is not None:
            inner = block.input_norm.differentiate(normal, scale, inner).view(hidden.shape)
        return None, inner, None, None, None


class _AfterAttention(torch.autograd.Function):
    """Output projection, residual, norm, SwiGLU with its projections, residual."""

    @staticmethod
    def forward(
        ctx: Any, block: _FusedBlock, residual: torch.Tensor, attended: torch.Tensor
    ) -> torch.Tensor:
        rows = residual.flatten(0, -2)
        out = block.out.multiply(attended.flatten(0, -2))
        hidden = _sum(out.outputs[0], rows)
        scale = block.mlp_norm.scale(hidden)
        made = block.gate_up.multiply(block.mlp_norm.output(hidden, scale))
        gate, up = made.outputs
        down = block.down.multiply(silu(gate).mul_(up))
        ctx.block = block
        ctx.save_for_backward(
            *(attended, out.low, out.mask, hidden, scale),
            *(gate, up, made.low, made.mask, down.low, down.mask),
        )
        return _sum(down.outputs[0], hidden).view(residual.shape)

    @staticmethod
    def backward(ctx: Any, outer: torch.Tensor) -> Any:
        attended, out_low, out_mask, hidden, scale, *rest = ctx.saved_tensors
        gate, up, low, mask, down_low, down_mask = rest
        block: _FusedBlock = ctx.block
        rows = outer.flatten(0, -2)
        activated = silu(gate)
        of_down = block.down.differentiate(
            activated * up, down_low, down_mask, [_as(rows, gate.dtype)], needs_hidden=True
        )
        assert of_down is not None  # noqa: S101 -- it was asked for
        of_up = of_down * activated
        of_gate = torch.ops.aten.silu_backward(of_down.mul_(up), gate)
        normal, output = block.mlp_norm.again(hidden, scale)
        inner = block.gate_up.differentiate(output, low, mask, [of_gate, of_up], needs_hidden=True)
        assert inner is not None  # noqa: S101 -- it was asked for
        of_hidden = block.mlp_norm.differentiate(normal, scale, inner).add_(rows)
        of_attended = block.out.differentiate(
            attended.flatten(0, -2),
            out_low,
            out_mask,
            [_as(of_hidden, attended.dtype)],
            needs_hidden=ctx.needs_input_grad[2],
        )
        return None, of_hidden.view(outer.shape), _like(of_attended, attended)


def _rotate(both: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, sign: int) -> torch.Tensor:
    """Turn each pair of a head's halves by its position's angle; ``sign`` -1 turns back.

    Args:
        both: [batch, tokens, heads, width].
        cos: [batch, tokens, 1, width]; its halves are equal.
        sin: as ``cos``, its first half negated.
        sign: of the angle.
    """
    both = _as(both, cos.dtype)
    return torch.addcmul(both * cos, both.roll(both.shape[-1] // 2, -1), sin, value=sign)


def _as(tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    return tensor if tensor.dtype is dtype else tensor.to(dtype)


def _add_product(
    total: torch.Tensor, left: torch.Tensor, right: torch.Tensor, factor: float
) -> None:
    """Add factor · left · right, which have one dtype, in place."""
    if total.dtype is left.dtype:
        total.addmm_(left, right, alpha=factor)
    else:
        total.add_(left @ right, alpha=factor)


def _scaled(tensor: torch.Tensor, scale: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Multiply by a float32 scale per row; round once, to ``dtype``."""
    if dtype is torch.float32:
        return tensor * scale
    return torch.mul(tensor, scale, out=torch.empty_like(tensor, dtype=dtype))


def _sum(made: torch.Tensor, residual: torch.Tensor) -> torch.Tensor:
    """Add the residual to a tensor that nothing else uses."""
    return made.add_(residual) if made.dtype is residual.dtype else made + residual


def _like(gradient: torch.Tensor | None, tensor: torch.Tensor) -> torch.Tensor | None:
    return None if gradient is None else gradient.view_as(tensor).to(tensor.dtype)


def _base_product(base: Any) -> Callable[[torch.Tensor], torch.Tensor]:
    if type(base) is torch.nn.Linear:
        return partial(linear, weight=base.weight, bias=base.bias)
    return base.forward  # type: ignore[no-any-return]


def _weight(weight: Any, dtype: torch.dtype) -> torch.Tensor:
    """Return a base matrix [out, in] in ``dtype``; a 4-bit one is unpacked."""
    state = getattr(weight, "quant_state", None)
    if state is not None:
        from bitsandbytes.functional import dequantize_4bit

        weight = dequantize_4bit(weight.data, state)
    return _as(weight, dtype)


def _head_norm(attention: Any) -> _Norm | None:
    """Return the norms of queries and keys as one, its weight [heads, width]; Llama has none."""
    if not hasattr(attention, "q_norm"):
        return None
    norms = [_Norm.of(attention.q_norm), _Norm.of(attention.k_norm)]
    config = attention.config
    heads = (config.num_attention_heads, config.num_key_value_heads)
    weights = [norm.weight.expand(count, -1) for norm, count in zip(norms, heads, strict=True)]
    return _Norm(torch.cat(weights), norms[0].epsilon)


def _attention_interface(attention: Any) -> Callable[..., Any]:
    """Return the function that computes attention; packing replaces it by name."""
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    eager = import_module(type(attention).__module__).eager_attention_forward

    def attend(*given: Any, **settings: Any) -> Any:
        chosen = attention.config._attn_implementation
        return ALL_ATTENTION_FUNCTIONS.get_interface(chosen, eager)(*given, **settings)

    return attend


def _lora_layers(owner: object, names: Sequence[str]) -> list[torch.nn.Module]:
    found = (getattr(owner, name, None) for name in names)
    return [module for module in found if module is not None and _is_lora(module)]


def _is_lora(module: Any) -> bool:
    """Return whether a module is one plain LoRA layer of PEFT, active and not merged."""
    from peft.tuners.lora import LoraLayer

    if not isinstance(module, LoraLayer):
        return False
    names: Any = module.active_adapters
    return (
        type(module.base_layer).__name__ in LINEAR
        and len(names) == 1
        and not module.merged
        and not module.lora_variant
        and not any(module.lora_bias.values())
    )


def _is_known_block(block: Any) -> bool:
    """Return whether a block's code is what ``_FusedBlock`` computes, and all of it is frozen."""
    from transformers.activations import SiLUActivation

    attention, mlp = getattr(block, "self_attn", None), getattr(block, "mlp", None)
    if attention is None or mlp is None:
        return False
    layers = [
        getattr(owner, name, None)
        for owner, names in (
            (attention, ("q_proj", "k_proj", "v_proj", "o_proj")),
            (mlp, ("gate_proj", "up_proj", "down_proj")),
        )
        for name in names
    ]
    norms = [getattr(block, name, None) for name in ("input_layernorm", "post_attention_layernorm")]
    norms += [getattr(attention, name) for name in ("q_norm", "k_norm") if hasattr(attention, name)]
    known = import_module("transformers.models.llama.modeling_llama")
    return (
        all(map(_is_lora, layers))
        and isinstance(mlp.act_fn, (SiLUActivation, torch.nn.SiLU))
        and all(
            norm is not None
            and not norm.weight.requires_grad
            and _statements(type(norm).forward) == _statements(known.LlamaRMSNorm.forward)
            for norm in norms
        )
        and _statements(type(mlp).forward) == _statements(known.LlamaMLP.forward)
        and _statements(type(block).forward) == _statements(known.LlamaDecoderLayer.forward)
        and _statements(type(attention).forward) in _known_attentions()
    )


@cache
def _known_attentions() -> frozenset[str]:
    modules = {
        prefix: import_module(f"transformers.models.{name}.modeling_{name}")
        for name, prefix in ATTENTIONS.items()
    }
    return frozenset(
        _statements(getattr(module, f"{prefix}Attention").forward)
        for prefix, module in modules.items()
    )


@cache
def _statements(function: Callable[..., Any]) -> str:
    """Return a function's code without its docstring and annotations."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    assert isinstance(tree, ast.FunctionDef)  # noqa: S101 -- the source of a function
    body = tree.body[1:] if ast.get_docstring(tree) is not None else tree.body
    return "\n".join([", ".join(each.arg for each in tree.args.args), *map(ast.unparse, body)])

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
    """

    def __init__(self, bundle: ModelBundle, *, groups: bool = True) -> None:
        self._fuses_groups = groups
        self._groups: list[LoraGroup] = []
        adapted = hasattr(bundle.model, "peft_config")
        self.patches = list(self._find(unwrap_model(bundle.model))) if adapted else []

    def reset(self) -> None:
        """Drop cast adapters and kept tensors: the weights are about to change."""
        for group in self._groups:
            group.reset()

    def _find(self, model: torch.nn.Module) -> Iterator[KernelPatch]:
        """Yield the patches; what a block or a group computes is not patched again alone."""
        fused: set[torch.nn.Module] = set()
        block: Any
        for block in filter(_is_known_block, transformer_blocks(model)):
            fused.update(block.modules())
            yield KernelPatch(block, "forward", _FusedBlock(block, self._group))
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
        self._groups.append(LoraGroup(layers))
        return self._groups[-1]


class CastAdapters(NamedTuple):
    """A group's adapters in the dtype of their products.

    ``a`` is [rank of all layers, in]; ``b`` has one [out, r] per layer.
    """

    a: torch.Tensor
    b: tuple[torch.Tensor, ...]

    def parts(self, tensor: torch.Tensor, dim: int = 1) -> Sequence[torch.Tensor]:
        """Return views of a tensor, one per layer, whose dimension ``dim`` is all ranks."""
        if len(self.b) == 1:
            return (tensor,)
        return torch.split_with_sizes(tensor, [b.shape[1] for b in self.b], dim)


class Products(NamedTuple):
    """What a group computed: outputs per layer [tokens, out] and ``low`` = alpha / r · input · aᵀ.

    ``mask`` [tokens, in] is dropout's, scaled; ``None`` without dropout.
    """

    outputs: list[torch.Tensor]
    low: torch.Tensor
    mask: torch.Tensor | None
    adapters: CastAdapters


class Gradients(NamedTuple):
    """Gradients of a group: of its input (if asked for), and of the adapters, all A before all B.

    Adapters' gradients have the adapters' dtype, which is float32 in training.
    """

    hidden: torch.Tensor | None
    adapters: list[torch.Tensor]


class LoraGroup:
    """PEFT's LoRA layers that share an input, in the order of their calls.

    ``parameters`` are their trained matrices: A of each layer [r, in], then B of each [out, r].
    """

    def __init__(self, layers: Sequence[Any]) -> None:
        name = layers[0].active_adapters[0]
        self.parameters: list[torch.Tensor] = [
            *(layer.lora_A[name].weight for layer in layers),
            *(layer.lora_B[name].weight for layer in layers),
        ]
        self._layers = layers
        self._bases = [_base_product(layer.base_layer) for layer in layers]
        self._matrices = [layer.base_layer.weight for layer in layers]
        self._dtype = self.parameters[0].dtype
        self._scaling: float = layers[0].scaling[name]
        self._dropout = layers[0].lora_dropout[name]
        self._cast: CastAdapters | None = None
        self._pending: tuple[torch.Tensor, dict[int, torch.Tensor]] | None = None

    def reset(self) -> None:
        """Drop cast adapters and outputs that were not fetched."""
        self._cast = self._pending = None

    def project(self, index: int, hidden: torch.Tensor) -> torch.Tensor:
        """Return the output of one layer; the first layer's call computes all of the group."""
        if index and self._pending is not None and self._pending[0] is hidden:
            output = self._pending[1].pop(index, None)
            if output is not None:
                return output
        if index:  # out of order, or with another input
            return LoraGroup([self._layers[index]]).project(0, hidden)
        outputs = _apply(_Projections, self, hidden, *self.parameters)
        if len(outputs) > 1:
            self._pending = (hidden, dict(enumerate(outputs[1:], start=1)))
        first: torch.Tensor = outputs[0]
        return first

    def multiply(self, hidden: torch.Tensor) -> Products:
        """Compute the outputs for ``hidden`` [tokens, in]."""
        outputs = [product(hidden) for product in self._bases]
        adapters = self._adapters(hidden)
        mask, dropped = self._drop(hidden)
        low = self._scaled_product(dropped.to(adapters.a.dtype), adapters.a.t())
        for output, part, b in zip(outputs, adapters.parts(low), adapters.b, strict=True):
            if output.dtype is b.dtype:
                output.addmm_(part, b.t())
            else:
                output.add_(part @ b.t())
        return Products(outputs, low, mask, adapters)

    def differentiate(
        self,
        hidden: torch.Tensor,
        low: torch.Tensor,
        mask: torch.Tensor | None,
        adapters: CastAdapters,
        outer: Sequence[torch.Tensor],
        *,
        needs_hidden: bool,
    ) -> Gradients:
        """Compute the gradients from those of the outputs, ``outer`` [tokens, out] per layer.

        Args:
            hidden: the input, [tokens, in].
            low: of ``Products``, as ``mask`` and ``adapters``.
            mask: as above.
            adapters: as above.
            outer: gradients of the outputs.
            needs_hidden: whether the gradient of the input is needed.
        """
        cast = [each.to(low.dtype) for each in outer]
        parts = [each @ b for each, b in zip(cast, adapters.b, strict=True)]
        outer_low = parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)
        of_b = [
            (each.t() @ part).to(self._dtype)
            for each, part in zip(cast, adapters.parts(low), strict=True)
        ]
        dropped = hidden if mask is None else hidden * mask
        of_a = self._scaled_product(outer_low.t(), dropped.to(low.dtype))
        matrices = [*adapters.parts(of_a.to(self._dtype), dim=0), *of_b]
        if not needs_hidden:
            return Gradients(None, matrices)
        total = outer[0] @ _weight(self._matrices[0], outer[0].dtype)
        for each, matrix in zip(outer[1:], self._matrices[1:], strict=True):
            total.addmm_(each, _weight(matrix, each.dtype))
        if mask is None and total.dtype is low.dtype:
            total.addmm_(outer_low, adapters.a, alpha=self._scaling)
        else:
            through = self._scaled_product(outer_low, adapters.a)
            total.add_(through if mask is None else through * mask)
        return Gradients(total, matrices)

    def _scaled_product(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        # With beta=0 the first operand is never read: any row will do.
        return torch.addmm(right[0], left, right, beta=0, alpha=self._scaling)

    def _drop(self, hidden: torch.Tensor) -> tuple[torch.Tensor | None, torch.Tensor]:
        rate = getattr(self._dropout, "p", 0.0) if self._dropout.training else 0.0
        if not rate:
            return None, hidden
        mask = torch.empty_like(hidden).bernoulli_(1 - rate).div_(1 - rate)
        return mask, hidden * mask

    def _adapters(self, hidden: torch.Tensor) -> CastAdapters:
        """Return the adapters in autocast's dtype, else in their own; cast once until reset."""
        if self._cast is None:
            count, device = len(self._layers), hidden.device.type
            amp = torch.is_autocast_enabled(device)
            dtype = torch.get_autocast_dtype(device) if amp else self._dtype
            a = torch.cat(self.parameters[:count]) if count > 1 else self.parameters[0]
            b = tuple(each.to(dtype) for each in self.parameters[count:])
            self._cast = CastAdapters(a.to(dtype), b)
        return self._cast


def _apply(function: type[torch.autograd.Function], *given: Any) -> Any:
    return function.apply(*given)  # type: ignore[no-untyped-call]


class _Projections(torch.autograd.Function):
    """The outputs of a group of LoRA layers for one input."""

    @staticmethod
    def forward(
        ctx: Any, group: LoraGroup, hidden: torch.Tensor, *_adapters: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        made = group.multiply(hidden.flatten(0, -2))
        ctx.group, ctx.adapters = group, made.adapters
        ctx.save_for_backward(hidden, made.low, made.mask)
        return tuple(each.view(*hidden.shape[:-1], -1) for each in made.outputs)

    @staticmethod
    def backward(ctx: Any, *outer: torch.Tensor) -> Any:
        hidden, low, mask = ctx.saved_tensors
        found = ctx.group.differentiate(
            hidden.flatten(0, -2),
            low,
            mask,
            ctx.adapters,
            [each.flatten(0, -2) for each in outer],
            needs_hidden=ctx.needs_input_grad[1],
        )
        return None, _like(found.hidden, hidden), *found.adapters


class _Norm(NamedTuple):
    """A frozen RMSNorm: its weight [..., width] and epsilon, float32 on the weight's device."""

    weight: torch.Tensor
    epsilon: torch.Tensor

    @classmethod
    def of(cls, module: Any) -> "_Norm":
        weight = module.weight.detach()
        return cls(weight, torch.tensor(module.variance_epsilon, device=weight.device))

    def scale(self, hidden: torch.Tensor) -> torch.Tensor:
        """Return the reciprocal root mean square of each row, [..., 1], float32."""
        length = torch.linalg.vector_norm(hidden, dim=-1, keepdim=True, dtype=torch.float32)
        width = hidden.shape[-1]
        return torch.addcmul(self.epsilon, length, length, value=1 / width).rsqrt_()

    def output(self, hidden: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
        """Return the normalised rows, rounded as transformers rounds them."""
        return _scaled(hidden, scale, hidden.dtype) * self.weight

    def differentiate(
        self, hidden: torch.Tensor, scale: torch.Tensor, outer: torch.Tensor
    ) -> torch.Tensor:
        """Return the gradient of ``hidden`` from that of the output."""
        weighted, scaled = outer * self.weight, hidden * scale
        along = (weighted * scaled).sum(-1, keepdim=True)
        change = torch.addcmul(weighted, scaled, along, value=-1 / hidden.shape[-1])
        return _scaled(change, scale, hidden.dtype)


class _FusedBlock:
    """The ``forward`` of a decoder layer: norm, attention, norm, SwiGLU, with LoRA on all seven."""

    def __init__(self, block: Any, group: Callable[[Sequence[Any]], LoraGroup]) -> None:
        attention, mlp = block.self_attn, block.mlp
        self.attention = attention
        self.qkv = group([attention.q_proj, attention.k_proj, attention.v_proj])
        self.out = group([attention.o_proj])
        self.gate_up = group([mlp.gate_proj, mlp.up_proj])
        self.down = group([mlp.down_proj])
        self._after = [*self.out.parameters, *self.gate_up.parameters, *self.down.parameters]
        self.input_norm = _Norm.of(block.input_layernorm)
        self.mlp_norm = _Norm.of(block.post_attention_layernorm)
        self.head_norm = _head_norm(attention)
        self._plain = block.forward
        config = attention.config
        self._interface = _attention_interface(attention)
        self._given = {"scaling": attention.scaling, "dropout": config.attention_dropout}
        if hasattr(attention, "sliding_window"):
            self._given["sliding_window"] = attention.sliding_window

    def __call__(
        self,
        hidden_states: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        past_key_values: Any = None,
        position_embeddings: Any = None,
        **given: Any,
    ) -> Any:
        """Compute the block (transformers' interface); with a cache, as transformers does."""
        if past_key_values is not None:
            return self._plain(
                hidden_states,
                attention_mask=attention_mask,
                past_key_values=past_key_values,
                position_embeddings=position_embeddings,
                **given,
            )
        qkv = _apply(
            _BeforeAttention, self, hidden_states, *position_embeddings, *self.qkv.parameters
        )
        dropout = self._given["dropout"] if self.attention.training else 0.0
        settings = given | self._given | {"dropout": dropout}
        attended, _ = self._interface(self.attention, *qkv, attention_mask, **settings)
        attended = attended.reshape(*hidden_states.shape[:-1], -1)
        return _apply(_AfterAttention, self, hidden_states, attended, *self._after)


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
        *_adapters: torch.Tensor,
    ) -> tuple[torch.Tensor, ...]:
        scale = block.input_norm.scale(hidden)
        made = block.qkv.multiply(block.input_norm.output(hidden, scale).flatten(0, -2))
        heads = [each.view(*hidden.shape[:-1], -1, cos.shape[-1]) for each in made.outputs]
        both = torch.cat(heads[:2], dim=2)
        raw = head_scale = None
        if block.head_norm is not None:
            raw, head_scale = both, block.head_norm.scale(both)
            both = block.head_norm.output(both, head_scale)
        turned = _rotate(both, cos, sin, 1)
        ctx.block, ctx.adapters = block, made.adapters
        ctx.sizes = [each.shape[2] for each in heads[:2]]
        ctx.save_for_backward(hidden, scale, made.low, made.mask, cos, sin, raw, head_scale)
        query, key = torch.split_with_sizes(turned, ctx.sizes, 2)
        return query.transpose(1, 2), key.transpose(1, 2), heads[2].transpose(1, 2)

    @staticmethod
    def backward(ctx: Any, *outer: torch.Tensor) -> Any:
        hidden, scale, low, mask, cos, sin, raw, head_scale = ctx.saved_tensors
        block: _FusedBlock = ctx.block
        query, key, value = (each.transpose(1, 2) for each in outer)
        both = _rotate(torch.cat([query, key], dim=2), cos, sin, -1)
        if block.head_norm is not None:
            both = block.head_norm.differentiate(raw, head_scale, both)
        parts = [*torch.split_with_sizes(both, ctx.sizes, 2), value]
        found = block.qkv.differentiate(
            block.input_norm.output(hidden, scale).flatten(0, -2),
            low,
            mask,
            ctx.adapters,
            [each.flatten(2).flatten(0, 1) for each in parts],
            needs_hidden=ctx.needs_input_grad[1],
        )
        inner = None
        if found.hidden is not None:
            inner = block.input_norm.differentiate(hidden, scale, found.hidden.view_as(hidden))
        return None, inner, None, None, *found.adapters


class _AfterAttention(torch.autograd.Function):
    """Output projection, residual, norm, SwiGLU with its projections, residual."""

    @staticmethod
    def forward(
        ctx: Any,
        block: _FusedBlock,
        residual: torch.Tensor,
        attended: torch.Tensor,
        *_adapters: torch.Tensor,
    ) -> torch.Tensor:
        out = block.out.multiply(attended.flatten(0, -2))
        hidden = _sum(out.outputs[0].view_as(residual), residual)
        scale = block.mlp_norm.scale(hidden)
        made = block.gate_up.multiply(block.mlp_norm.output(hidden, scale).flatten(0, -2))
        gate, up = made.outputs
        down = block.down.multiply(silu(gate).mul_(up))
        ctx.block = block
        ctx.adapters = (out.adapters, made.adapters, down.adapters)
        ctx.save_for_backward(
            *(attended, out.low, out.mask, hidden, scale),
            *(gate, up, made.low, made.mask, down.low, down.mask),
        )
        return _sum(down.outputs[0].view_as(residual), hidden)

    @staticmethod
    def backward(ctx: Any, outer: torch.Tensor) -> Any:
        attended, out_low, out_mask, hidden, scale, *rest = ctx.saved_tensors
        gate, up, low, mask, down_low, down_mask = rest
        block: _FusedBlock = ctx.block
        activated = silu(gate)
        down = block.down.differentiate(
            activated * up,
            down_low,
            down_mask,
            ctx.adapters[2],
            [outer.flatten(0, -2).to(gate.dtype)],
            needs_hidden=True,
        )
        assert down.hidden is not None  # noqa: S101 -- it was asked for
        of_up = down.hidden * activated
        of_gate = torch.ops.aten.silu_backward(down.hidden.mul_(up), gate)
        gate_up = block.gate_up.differentiate(
            block.mlp_norm.output(hidden, scale).flatten(0, -2),
            low,
            mask,
            ctx.adapters[1],
            [of_gate, of_up],
            needs_hidden=True,
        )
        assert gate_up.hidden is not None  # noqa: S101 -- it was asked for
        of_hidden = block.mlp_norm.differentiate(hidden, scale, gate_up.hidden.view_as(hidden))
        of_hidden.add_(outer)
        out = block.out.differentiate(
            attended.flatten(0, -2),
            out_low,
            out_mask,
            ctx.adapters[0],
            [of_hidden.flatten(0, -2).to(attended.dtype)],
            needs_hidden=ctx.needs_input_grad[2],
        )
        adapters = [*out.adapters, *gate_up.adapters, *down.adapters]
        return None, of_hidden, _like(out.hidden, attended), *adapters


def _rotate(both: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, sign: int) -> torch.Tensor:
    """Turn each pair of a head's halves by its position's angle; ``sign`` -1 turns back.

    Args:
        both: [batch, tokens, heads, width].
        cos: [batch, tokens, width]; its halves are equal, as those of ``sin``.
        sin: as ``cos``.
        sign: of the angle.
    """
    cos, sin = cos.unsqueeze(2), sin.unsqueeze(2)
    both = both.to(cos.dtype)
    half = both.shape[-1] // 2
    turned = both * cos
    turned[..., :half].addcmul_(both[..., half:], sin[..., half:], value=-sign)
    turned[..., half:].addcmul_(both[..., :half], sin[..., :half], value=sign)
    return turned


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
    cast: torch.Tensor = weight.to(dtype)
    return cast


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

"""Load a base model: in 4-bit NF4 or plain, in the dtype that the hardware decides."""

from typing import TYPE_CHECKING, Any, NamedTuple

import torch  # noqa: TID253 -- this module is only ever imported by an engine at work
from yoyak.engine.device import Hardware, precision_for
from yoyak.engine.hub import fetch_config
from yoyak.engine.model_classes import Kind
from yoyak.errors import BadRecipe, RunFailed, Unavailable

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from yoyak.config.schema import Recipe

SCRATCH = "base"
"""The folder, inside the engine's, of a base that was built from scratch."""


class BaseModel(NamedTuple):
    """A hub id or a local folder; ``sha256`` identifies its content."""

    name_or_path: str
    revision: str | None
    sha256: str


def load_base(
    base: BaseModel, kind: Kind, recipe: "Recipe", hardware: Hardware
) -> "PreTrainedModel":
    """Load the base onto the device, quantised to 4-bit if the recipe says so.

    Attention is SDPA where the class supports it, else transformers' eager one (Gemma 2, LongT5).

    Raises:
        Unavailable: the weights cannot be loaded.
        RunFailed: the model does not fit in the device's memory.
        BadRecipe: its layers cannot be used in 4-bit on a CPU.
    """
    from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

    dtype = precision_for(recipe, hardware).base
    auto: Any = AutoModelForSeq2SeqLM if kind == "seq2seq" else AutoModelForCausalLM
    settings: dict[str, Any] = {"device_map": {"": str(hardware.device)}}
    if recipe.model.quantisation is not None:
        settings["quantization_config"] = _nf4(dtype, _not_quantised(base))
    try:
        model: PreTrainedModel = auto.from_pretrained(
            base.name_or_path,
            revision=base.revision or "main",
            dtype=dtype,
            trust_remote_code=False,
            use_safetensors=None if recipe.model.allow_pickle else True,
            **settings,
        )
    except torch.OutOfMemoryError as error:
        raise RunFailed("engine.base-out-of-memory", base=base.name_or_path) from error
    except (OSError, ValueError, ImportError, RuntimeError) as error:
        problem = next(iter(str(error).splitlines()), type(error).__name__)
        raise Unavailable(
            "engine.base-unreadable", base=base.name_or_path, problem=problem
        ) from error
    forbid_cpu_repacking(model)
    _refuse_uneven_layers(model)
    return model


def _not_quantised(base: BaseModel) -> list[str] | None:
    """Return the layers to leave out of 4 bit; ``None`` for transformers' own choice.

    The T5 family casts hidden states to the dtype of ``wo``, which for 4-bit weights is uint8, so
    transformers leaves ``wo`` alone; for LongT5 it forgets to.
    """
    config = fetch_config(base.name_or_path, base.revision)
    return ["wo", "lm_head"] if config is not None and config.model_type == "longt5" else None


def _nf4(dtype: torch.dtype, not_quantised: list[str] | None) -> Any:
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(  # type: ignore[no-untyped-call]
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
        llm_int8_skip_modules=not_quantised,
    )


def forbid_cpu_repacking(model: torch.nn.Module) -> None:
    """Keep 4-bit layers on CPUs from repacking their weights in evaluation.

    On CPUs with AVX512-BF16, bitsandbytes 0.50 repacks them in place at the first forward pass in
    evaluation mode. Later gradients and merges read the repacked bytes as plain ones and are wrong
    without any error.
    """
    each: Any
    for each in model.modules():
        if hasattr(each, "support_avx512bf16_for_cpu"):
            each.support_avx512bf16_for_cpu = False


def _refuse_uneven_layers(model: torch.nn.Module) -> None:
    """Refuse widths that are no multiple of 64: bitsandbytes 0.50 misreads them on CPUs."""
    each: Any
    for name, each in model.named_modules():
        state = getattr(getattr(each, "weight", None), "quant_state", None)
        if state is None or each.weight.device.type != "cpu":
            continue
        if state.shape[-1] % state.blocksize:
            raise BadRecipe(
                "engine.uneven-4-bit", layer=name, width=state.shape[-1], block=state.blocksize
            )

"""The base model of a run: where it is, how it gets into memory, and adapters on top of it."""

from typing import TYPE_CHECKING, Any, NamedTuple

import torch  # noqa: TID253 -- this module is only ever imported by an engine at work
from yoyak.engine.device import Hardware, precision_for
from yoyak.engine.models.model import Kind
from yoyak.errors import BadRecipe, RunFailed, Unavailable

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from yoyak.config.schema import Recipe

SCRATCH = "base"
"""The folder, inside the engine's, of a base that was built from scratch."""


class BaseModel(NamedTuple):
    """A hub id or a local folder; ``sha256`` identifies what is in it."""

    place: str
    revision: str | None
    sha256: str


def load_base(
    base: BaseModel, kind: Kind, recipe: "Recipe", hardware: Hardware
) -> "PreTrainedModel":
    """The base in memory: in 4-bit where the recipe says so, in the dtype the hardware decides.

    Raises:
        Unavailable: the weights cannot be loaded.
    """
    from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

    dtype = precision_for(recipe, hardware).base
    automatic: Any = AutoModelForSeq2SeqLM if kind == "seq2seq" else AutoModelForCausalLM
    settings: dict[str, Any] = {"device_map": {"": str(hardware.device)}}
    if recipe.model.quantisation is not None:
        settings["quantization_config"] = _nf4(dtype)
    try:
        model: PreTrainedModel = automatic.from_pretrained(
            base.place,
            revision=base.revision or "main",
            dtype=dtype,
            attn_implementation="sdpa",
            trust_remote_code=False,
            **settings,
        )
    except torch.OutOfMemoryError as error:
        raise RunFailed("engine.base-out-of-memory", base=base.place) from error
    except (OSError, ValueError, ImportError, RuntimeError) as error:
        problem = next(iter(str(error).splitlines()), type(error).__name__)
        raise Unavailable("engine.base-unreadable", base=base.place, problem=problem) from error
    keep_unpacked(model)
    _refuse_uneven_layers(model)
    return model


def _nf4(dtype: torch.dtype) -> Any:
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(  # type: ignore[no-untyped-call]
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
    )


def keep_unpacked(model: torch.nn.Module) -> None:
    """Forbids 4-bit layers on CPUs to repack their weights in evaluation.

    On CPUs with AVX512-BF16, bitsandbytes 0.50 repacks them in place at the first forward pass in
    evaluation mode. Gradients and merges afterwards read the packed bytes as plain ones and are
    wrong without any error.
    """
    each: Any
    for each in model.modules():
        if hasattr(each, "support_avx512bf16_for_cpu"):
            each.support_avx512bf16_for_cpu = False


def _refuse_uneven_layers(model: torch.nn.Module) -> None:
    """Bitsandbytes 0.50 reads 4-bit rows on CPUs wrongly unless blocks of 64 fill them evenly."""
    each: Any
    for name, each in model.named_modules():
        state = getattr(getattr(each, "weight", None), "quant_state", None)
        if state is None or each.weight.device.type != "cpu":
            continue
        if state.shape[-1] % state.blocksize:
            raise BadRecipe(
                "engine.uneven-4-bit", layer=name, width=state.shape[-1], block=state.blocksize
            )

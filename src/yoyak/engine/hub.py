"""Load tokenizer and configuration of a base model, from a folder or the hub; run no code."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from yoyak.engine.base_facts import needs_remote_code
from yoyak.errors import Unavailable

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedTokenizerFast


def fetch_tokenizer(base: str, revision: str | None) -> "PreTrainedTokenizerFast":
    """Load the fast tokenizer of a local folder or hub id.

    Raises:
        Unavailable: it is not there, is not a fast one, or needs code of its own (``auto_map``).
    """
    from transformers import AutoTokenizer, PreTrainedTokenizerFast
    from transformers.models.auto.tokenization_auto import get_tokenizer_config

    try:
        if "auto_map" in get_tokenizer_config(base, revision=revision):
            raise Unavailable("engine.foreign-code", base=base)
        tokenizer = AutoTokenizer.from_pretrained(base, revision=revision, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise Unavailable("engine.no-tokenizer", base=base, problem=_first_line(error)) from error
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        raise Unavailable("engine.slow-tokenizer", base=base, kind=type(tokenizer).__name__)
    return tokenizer


def fetch_config(base: str, revision: str | None) -> "PretrainedConfig | None":
    """Load the model's configuration; ``None`` if a local folder holds a tokenizer only.

    Raises:
        Unavailable: only code of its own could load it (``auto_map``), or it cannot be read.
    """
    from transformers import AutoConfig, PretrainedConfig

    if _lacks(base, "config.json"):
        return None
    try:
        fields, _ = PretrainedConfig.get_config_dict(base, revision=revision)
        if needs_remote_code(fields):
            raise Unavailable("engine.foreign-code", base=base)
        config: PretrainedConfig = AutoConfig.from_pretrained(
            base, revision=revision, trust_remote_code=False
        )
    except (OSError, ValueError) as error:
        raise Unavailable("engine.no-model", base=base, problem=_first_line(error)) from error
    return config


def fetch_generation_stops(base: str, revision: str | None) -> tuple[int, ...]:
    """Return the EOS ids of the model's generation config; empty if there is no such file.

    Raises:
        Unavailable: a local folder's file cannot be read.
    """
    from transformers import GenerationConfig

    if _lacks(base, "generation_config.json"):
        return ()
    try:
        eos: Any = GenerationConfig.from_pretrained(base, revision=revision or "main").eos_token_id
    except OSError as error:
        if Path(base).is_dir():
            raise Unavailable("engine.no-model", base=base, problem=_first_line(error)) from error
        return ()  # older models on the hub have no such file
    if eos is None:
        return ()
    return tuple(eos) if isinstance(eos, list) else (int(eos),)


def _lacks(base: str, name: str) -> bool:
    folder = Path(base)
    return folder.is_dir() and not (folder / name).is_file()


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)

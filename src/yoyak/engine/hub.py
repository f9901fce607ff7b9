"""Load tokenizer and configuration of a base model, from a folder or the hub; run no code."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from yoyak.engine.base_facts import needs_remote_code
from yoyak.errors import Unavailable, YoyakError

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedTokenizerFast


def fetch_tokenizer(base: str, revision: str | None) -> "PreTrainedTokenizerFast":
    """Load the fast tokenizer of a local folder or hub id.

    ``tokenizer.json`` is read as it is, whatever class tokenizer_config.json names: transformers
    would rebuild pko-t5's BPE as the SentencePiece model of its ``T5TokenizerFast``, and a class
    that comes as code (``auto_map``) is not needed. Only where that file is missing does the class
    convert what there is.

    Raises:
        Unavailable: it is not there, cannot be read, is not a fast one, or has no tokenizer.json
            and needs code of its own.
    """
    from transformers import AutoTokenizer, PreTrainedTokenizerFast
    from transformers.models.auto.tokenization_auto import get_tokenizer_config

    try:
        whole = _has_file(base, "tokenizer.json", revision)
        if not whole and "auto_map" in get_tokenizer_config(base, revision=revision):
            raise Unavailable("engine.foreign-code", base=base)
        loader = PreTrainedTokenizerFast if whole else AutoTokenizer
        tokenizer = loader.from_pretrained(
            base, revision=revision or "main", trust_remote_code=False
        )
    except YoyakError:
        raise
    except Exception as error:  # broken files end in any of transformers' errors
        raise Unavailable("engine.no-tokenizer", base=base, problem=_first_line(error)) from error
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        raise Unavailable("engine.slow-tokenizer", base=base, kind=type(tokenizer).__name__)
    return tokenizer


def _has_file(base: str, name: str, revision: str | None) -> bool:
    from transformers.utils.hub import cached_file

    if Path(base).is_dir():
        return not _lacks(base, name)
    found = cached_file(
        base,
        name,
        revision=revision,
        _raise_exceptions_for_missing_entries=False,
        _raise_exceptions_for_connection_errors=False,
    )
    return found is not None


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
        listed = eos if isinstance(eos, list) else [] if eos is None else [eos]
        return msgspec.convert(listed, tuple[int, ...])
    except Exception as error:  # broken files end in any of transformers' errors
        if isinstance(error, OSError) and not Path(base).is_dir():
            return ()  # older models on the hub have no such file
        problem = f"generation_config.json: {_first_line(error)}"
        raise Unavailable("engine.no-model", base=base, problem=problem) from error


def _lacks(base: str, name: str) -> bool:
    folder = Path(base)
    return folder.is_dir() and not (folder / name).is_file()


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)

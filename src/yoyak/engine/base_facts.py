"""Find out about a base model before anything of it is loaded: the one answer of every verb.

``inspect_base`` reads ``config.json``, the tokenizer's files and the names and sizes of the
weights, from a folder, the hub's cache, or the hub (a few kB). ``yoyak doctor``, ``plan`` and
``run`` ask it before a worker starts, and the worker asks it again before it loads the model. No
torch is imported, and no code that comes with a model is ever run.
"""

import json
import os
import re
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from yoyak.config.schema import Recipe
from yoyak.engine import model_classes
from yoyak.engine.model_classes import Kind
from yoyak.engine.tokenization.chat_template import read_template
from yoyak.errors import BadData, BadRecipe, InputMissing, Unavailable, YoyakError

NETWORK_SECONDS = 2.0
RETRY_SECONDS = 30.0
"""A hub that was not reached is tried again after so long: a plan asks for each of its bases."""
KINDS: Mapping[str, Kind] = {"seq2seq": "seq2seq", "qlora": "causal"}
"""The kind of model that each engine with a model trains."""
TOKENIZER_FILES = (
    "tokenizer.json", "tokenizer.model", "spiece.model", "sentencepiece.bpe.model",
    "vocab.json", "vocab.txt",
)  # fmt: skip
"""A tokenizer has at least one of these."""
TEMPLATE = "chat_template.jinja"
NATIVE_ALTERNATIVES = {"exaone": "LGAI-EXAONE/EXAONE-4.0-1.2B"}
"""A base of the same vendor that transformers knows, for types that bring code of their own."""

_LFS = b"version https://git-lfs.github.com/spec/"
_SAFETENSORS = re.compile(r"model(-\d+-of-\d+)?\.safetensors")
_PICKLE = re.compile(r"pytorch_model(-\d+-of-\d+)?\.bin")
_PART = re.compile(r"-(\d+)-of-(\d+)\.")
_HUB_ID = re.compile(r"[\w-][\w.-]*(/[\w.-]+)?")
_OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
_TRUE = {"1", "ON", "YES", "TRUE"}
"""What the hub's client takes for true, in any case."""
_EXPERTS = ("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts")
_LONGEST_HEADER = 100_000_000
"""Bytes of a safetensors header that are read: the format's own limit."""
_failures: dict[tuple[str | None, int], float] = {}
"""When each address was last not reached, on the monotonic clock."""
_HEADS = ("num_attention_heads", "n_head", "n_heads", "num_heads")


class BaseFacts(NamedTuple):
    """What is known of a base model; ``None`` where it is not known."""

    base: str
    folder: Path | None = None
    """A whole copy on this machine."""
    commit: str | None = None
    config: dict[str, Any] | None = None
    """``config.json``, completed by the defaults of its class."""
    download_bytes: int | None = None
    """What is still to be downloaded."""
    refusal: YoyakError | None = None
    """Why no run can use it."""


class _Contents(NamedTuple):
    """The files of a base: sizes by name, and a way to read a small one."""

    place: str
    sizes: Mapping[str, int]
    read: Callable[[str], bytes]
    folder: Path | None = None
    """Where they are, if they are on this machine."""


def inspect_base(recipe: Recipe) -> BaseFacts | None:
    """Return what is known of the recipe's base; ``None`` for a recipe without one.

    Only the class of a base that an engine of this package trains is judged.
    """
    model = recipe.model
    if model.base is None:
        return None
    facts = BaseFacts(model.base)
    try:
        folder = find_folder(model.base, model.revision)
        if folder is not None:
            found = _folder_contents(folder)
            facts = facts._replace(config=_read_config(found, model.base))
            _check(recipe, found, facts.config or {})
            commit = None if is_local(model.base) else folder.name
            return facts._replace(folder=folder, commit=commit, download_bytes=0)
        found, commit = _hub_contents(model.base, model.revision)
        config = _read_config(found, model.base)
        size = sum(found.sizes[name] for name in _weights(found.sizes)) or None
        facts = facts._replace(config=config, commit=commit, download_bytes=size)
        _check(recipe, found, config)
    except YoyakError as error:
        return facts._replace(refusal=error)
    except OSError as error:
        problem = error.strerror or type(error).__name__
        path = error.filename or model.base
        return facts._replace(
            refusal=InputMissing("config.cannot-read", path=path, problem=problem)
        )
    return facts


def require_base(recipe: Recipe) -> BaseFacts:
    """Return what is known of the recipe's base.

    Raises:
        BadData, BadRecipe, InputMissing, Unavailable: no run can use it, as the message says.
    """
    facts = inspect_base(recipe)
    if facts is None:
        raise BadRecipe("engine.no-base", recipe=recipe.name)
    if facts.refusal is not None:
        raise facts.refusal
    return facts


def needs_remote_code(config: Mapping[str, Any]) -> bool:
    """Return whether only code that comes with the model could load it (``auto_map``)."""
    kinds: tuple[Kind, ...] = ("seq2seq", "causal")
    known = [model_classes.class_name(str(config.get("model_type")), kind) for kind in kinds]
    return "auto_map" in config and not any(known)


# --- folders and the hub's cache -----------------------------------------------------------------


def is_local(base: str) -> bool:
    """Return whether ``base`` names a folder, so that no download replaces what is missing."""
    return Path(base).is_dir() or _HUB_ID.fullmatch(base) is None


def find_folder(base: str, revision: str | None) -> Path | None:
    """Return the folder to load ``base`` from: its own, or a whole snapshot in the hub's cache.

    ``None`` for a base that is still to be downloaded.

    Raises:
        InputMissing: ``base`` names a folder that does not exist.
    """
    if is_local(base):
        if not Path(base).is_dir():
            raise InputMissing("bases.missing", base=base)
        return Path(base)
    for snapshot in _snapshots(base, revision):
        names = {path.name for path in snapshot.iterdir() if path.exists()}  # links may dangle
        if "config.json" in names and not _missing_parts(names) and _weights(names):
            return snapshot
    return None


def hub_cache() -> Path:
    """Return where the hub's client keeps models, by its own environment variables."""
    cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    home = os.environ.get("HF_HOME", f"{cache}/huggingface")
    named = os.environ.get("HF_HUB_CACHE") or f"{home}/hub"
    return Path(os.path.expandvars(Path(named).expanduser()))


def hub_folder(base: str) -> Path:
    """Return where the hub's client keeps ``base``, whether it is there or not."""
    return hub_cache() / f"models--{base.replace('/', '--')}"


def _snapshots(base: str, revision: str | None) -> list[Path]:
    """Return the cached snapshots that a download of ``revision`` may end in."""
    folder, wanted = hub_folder(base), revision or "main"
    reference = folder / "refs" / wanted
    commit = reference.read_text(encoding="utf-8").strip() if reference.is_file() else wanted
    exact = folder / "snapshots" / commit
    if exact.is_dir() or revision is not None:
        return [exact] if exact.is_dir() else []
    return sorted(path for path in folder.glob("snapshots/*") if path.is_dir())


def _folder_contents(folder: Path) -> _Contents:
    files = [path for path in folder.iterdir() if path.is_file()]
    sizes = {path.name: path.stat().st_size for path in files}
    return _Contents(str(folder), sizes, lambda name: (folder / name).read_bytes(), folder)


# --- the hub -------------------------------------------------------------------------------------


def hub_is_reachable() -> bool:
    """Return whether the hub's host, or the proxy before it, accepts a connection.

    False when the hub's client is told to stay offline, and for a while after a failure.
    """
    if any(os.environ.get(name, "").upper() in _TRUE for name in _OFFLINE):
        return False
    address = _hub_address()
    failed = _failures.get(address)
    if failed is not None and time.monotonic() - failed < RETRY_SECONDS:
        return False
    reached = threading.Event()
    # A name lookup has no time limit of its own, so the thread is not waited for.
    threading.Thread(target=_connect, args=(address, reached), daemon=True).start()
    if not reached.wait(NETWORK_SECONDS):
        _failures[address] = time.monotonic()
        return False
    return True


def hub_endpoint() -> str:
    """Return the hub's address."""
    return os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")


def _hub_address() -> tuple[str | None, int]:
    """Return the host and port to connect to."""
    address = urlsplit(hub_endpoint())
    proxy = getproxies().get(address.scheme)
    if proxy and not proxy_bypass(address.hostname or ""):
        address = urlsplit(proxy)
    return address.hostname, address.port or (80 if address.scheme == "http" else 443)


def _connect(address: tuple[str | None, int], reached: threading.Event) -> None:
    with (
        suppress(OSError),  # not reached: that is the answer
        socket.create_connection(address, timeout=NETWORK_SECONDS),
    ):
        reached.set()


def _hub_contents(base: str, revision: str | None) -> tuple[_Contents, str | None]:
    """Ask the hub for a base's files, their sizes and its commit; small files are read on demand.

    Raises:
        Unavailable: the hub cannot be reached, has no such base, or does not let us read it.
    """
    try:
        from huggingface_hub import HfApi, hf_hub_download
    except ImportError as error:
        raise Unavailable("bases.no-hub-client", base=base) from error
    if not hub_is_reachable():
        raise Unavailable("bases.unreachable", base=base)
    endpoint = hub_endpoint()

    def read(name: str) -> bytes:
        with _hub_errors(base, revision):
            path = hf_hub_download(
                base, name, revision=revision, endpoint=endpoint, cache_dir=hub_cache()
            )
        return Path(path).read_bytes()

    with _hub_errors(base, revision):
        info = HfApi(endpoint).model_info(base, revision=revision, files_metadata=True)
    sizes = {each.rfilename: each.size or 0 for each in info.siblings or ()}
    return _Contents(base, sizes, read), info.sha


@contextmanager
def _hub_errors(base: str, revision: str | None) -> Iterator[None]:
    """Raise the errors of the hub's client as Unavailable, each with its own sentence."""
    import httpx
    from huggingface_hub import errors

    try:
        yield
    except errors.GatedRepoError as error:
        raise Unavailable("bases.gated", base=base, url=f"{hub_endpoint()}/{base}") from error
    except (errors.RepositoryNotFoundError, errors.HFValidationError) as error:
        raise Unavailable("bases.not-on-hub", base=base) from error
    except errors.RevisionNotFoundError as error:
        raise Unavailable("bases.no-revision", base=base, revision=revision) from error
    except (httpx.HTTPError, OSError) as error:
        problem = next(iter(str(error).splitlines()), type(error).__name__)
        raise Unavailable("bases.hub-failed", base=base, problem=problem) from error


# --- what the files say --------------------------------------------------------------------------


def _read_config(found: _Contents, base: str) -> dict[str, Any]:
    """Return ``config.json`` with the defaults of its class.

    Raises:
        InputMissing, BadData: there is none, or it is not a configuration.
    """
    if "config.json" not in found.sizes:
        if "adapter_config.json" in found.sizes:
            adapter = _read_json(found, "adapter_config.json")
            of = adapter.get("base_model_name_or_path") or "ORG/NAME"
            raise InputMissing("bases.adapter-only", base=base, of=of)
        raise InputMissing("bases.no-config", base=base)
    config = _read_json(found, "config.json")
    if not isinstance(config.get("model_type"), str):
        raise BadData("bases.no-model-type", base=base)
    return model_classes.with_defaults(config)


def _read_json(found: _Contents, name: str) -> dict[str, Any]:
    """Return a JSON object of the base.

    Raises:
        BadData: it is a Git LFS pointer, no JSON, or JSON of another type.
    """
    content = found.read(name)
    if content.startswith(_LFS):
        raise BadData("bases.lfs-pointer", file=name, base=found.place)
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise BadData("bases.bad-json", file=name, base=found.place, problem=error) from error
    if not isinstance(value, dict):
        kind = type(value).__name__
        raise BadData("bases.not-an-object", file=name, base=found.place, kind=kind)
    return value


def _check(recipe: Recipe, found: _Contents, config: Mapping[str, Any]) -> None:
    """Raise what keeps the recipe from using the base, the most telling reason first."""
    base = str(recipe.model.base)
    kind = KINDS.get(recipe.engine)
    if kind is not None and model_classes.is_installed():
        _check_class(recipe, kind, config)
    settings = {
        name: _read_json(found, name)
        for name in ("generation_config.json", "tokenizer_config.json")
        if name in found.sizes
    }
    if not any(name in found.sizes for name in TOKENIZER_FILES):
        raise InputMissing("bases.no-tokenizer", base=base)
    if recipe.prompt.style == "chat":
        source = found.read(TEMPLATE).decode(errors="replace") if TEMPLATE in found.sizes else None
        read_template(source, settings.get("tokenizer_config.json", {}))
    _check_weights(recipe, found)


def _check_weights(recipe: Recipe, found: _Contents) -> None:
    """Raise if weights are missing, a pickle that nobody asked for, or not there in whole."""
    base, weights = str(recipe.model.base), _weights(found.sizes)
    if not weights:
        raise InputMissing("bases.no-weights", base=base)
    if missing := _missing_parts(found.sizes):
        raise InputMissing("bases.missing-part", base=base, part=missing)
    if weights[0].endswith(".bin") and not recipe.model.allow_pickle:
        raise Unavailable("bases.pickle", base=base, file=weights[0])
    for name in (*TOKENIZER_FILES, *weights):
        if found.folder is not None and name in found.sizes:
            _check_bytes(found.folder / name, base)


def _check_bytes(path: Path, base: str) -> None:
    """Raise BadData for a Git LFS pointer, and for safetensors shorter than their header says."""
    with path.open("rb") as file:
        first = file.read(len(_LFS))
        if first == _LFS:
            raise BadData("bases.lfs-pointer", file=path.name, base=base)
        if path.suffix != ".safetensors":
            return
        length = int.from_bytes(first[:8], "little")
        file.seek(8)
        try:
            header = json.loads(file.read(min(length, _LONGEST_HEADER)))
            ends = [each["data_offsets"][1] for key, each in header.items() if key[0] != "_"]
        except (ValueError, TypeError, KeyError, AttributeError, IndexError):
            ends = [path.stat().st_size]
    if path.stat().st_size < 8 + length + max(ends, default=0):
        raise BadData("bases.cut-off", base=base, file=path.name)


def _check_class(recipe: Recipe, kind: Kind, config: Mapping[str, Any]) -> None:
    """Refuse a base whose class no engine here trains.

    Raises:
        BadRecipe: the recipe's engine trains another kind of model.
        Unavailable: transformers does not know the class, or it is none that is trained here.
    """
    base, model_type = str(recipe.model.base), str(config["model_type"])
    if needs_remote_code(config):
        native = NATIVE_ALTERNATIVES.get(model_type, "ORG/NAME")
        raise Unavailable("bases.remote-code", base=base, type=model_type, native=native)
    own: Kind = "seq2seq" if config.get("is_encoder_decoder") else "causal"
    name = model_classes.class_name(model_type, own)
    decodes = (
        own == "seq2seq" or config.get("is_decoder") or not model_classes.is_encoder(model_type)
    )
    if name is None or not decodes:
        raise Unavailable("bases.no-generator", base=base, type=model_type)
    if own != kind:
        raise BadRecipe(
            f"bases.is-{own}", base=base, recipe=recipe.name, engine=recipe.engine, name=name
        )
    text = config.get("text_config") or config
    if any(isinstance(text.get(key), int) and text[key] > 1 for key in _EXPERTS):
        raise Unavailable("bases.experts", base=base, name=name)
    if own == "causal" and not any(text.get(key) for key in _HEADS):
        raise Unavailable("bases.no-attention", base=base, name=name)
    quantised = config.get("quantization_config")
    if isinstance(quantised, dict):
        method = quantised.get("quant_method", "?")
        raise Unavailable("bases.quantised", base=base, method=method)


def _weights(names: Iterable[str]) -> list[str]:
    """Return the files of weights that transformers would load: safetensors, else pickles."""
    for whole, pattern in (("model.safetensors", _SAFETENSORS), ("pytorch_model.bin", _PICKLE)):
        found = sorted(name for name in names if pattern.fullmatch(name))
        if found:
            return [whole] if whole in found else found
    return []


def _missing_parts(names: Iterable[str]) -> str | None:
    """Return the first missing part of the weights: each part's name says of how many."""
    found = _weights(names)
    match = _PART.search(found[0]) if found else None
    if match is None:
        return None
    head, total, ending = found[0][: match.start(1)], match[2], found[0][match.end(2) :]
    parts = (f"{head}{part:05}-of-{total}{ending}" for part in range(1, int(total) + 1))
    return next((part for part in parts if part not in found), None)

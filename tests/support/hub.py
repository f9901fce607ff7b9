"""Base models on a disk and on a hub of the test's own, without torch and without a network."""

import contextlib
import json
import threading
from base64 import b64decode
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

import pytest

TINY = {
    "qwen3": {
        "model_type": "qwen3", "architectures": ["Qwen3ForCausalLM"], "hidden_size": 64,
        "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 32,
        "intermediate_size": 128, "vocab_size": 64, "tie_word_embeddings": True,
        "dtype": "bfloat16",
    },
    "bart": {
        "model_type": "bart", "architectures": ["BartModel"], "d_model": 64, "encoder_layers": 1,
        "decoder_layers": 1, "encoder_attention_heads": 2, "decoder_attention_heads": 2,
        "encoder_ffn_dim": 128, "decoder_ffn_dim": 128, "vocab_size": 64,
        "max_position_embeddings": 64, "is_encoder_decoder": True, "decoder_start_token_id": 2,
    },
}  # fmt: skip
"""Configurations as their publishers write them."""


def safetensors(values: int = 4) -> bytes:
    """A whole file of so many float32 zeros under one name."""
    header = json.dumps(
        {"weight": {"dtype": "F32", "shape": [values], "data_offsets": [0, 4 * values]}}
    ).encode()
    return len(header).to_bytes(8, "little") + header + bytes(4 * values)


def base_files(model_type: str = "qwen3", **changes: object) -> dict[str, bytes]:
    """The files of a base that every check accepts; its weights hold nothing."""
    return {
        "config.json": json.dumps(TINY[model_type] | changes).encode(),
        "generation_config.json": b'{"eos_token_id": 1}',
        "tokenizer_config.json": b"{}",
        "tokenizer.json": b"{}",
        "model.safetensors": safetensors(),
    }


def write_base(folder: Path, files: dict[str, bytes] | None = None) -> Path:
    """Write those files, by default a whole Qwen3."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in (base_files() if files is None else files).items():
        (folder / name).write_bytes(content)
    return folder


class FakeHub:
    """A hub on 127.0.0.1 that serves the API and the files of the models put into it."""

    COMMIT = "0123456789abcdef0123456789abcdef01234567"

    def __init__(self) -> None:
        self.models: dict[str, dict[str, bytes]] = {}
        self.gated: set[str] = set()
        self.fails_with: int | None = None
        self.asked: list[str] = []
        self.public: set[str] = set()
        self.pushed: dict[str, dict[str, bytes]] = {}
        """The files of each repository that was pushed to."""
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *words):
                pass

            def do_HEAD(self):
                hub.answer(self, body=False)

            def do_GET(self):
                hub.answer(self, body=True)

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                hub.take(self, body)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def answer(self, request, *, body: bool) -> None:
        path = unquote(request.path.partition("?")[0])
        self.asked.append(path)
        status, content, headers = self._find(path)
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name, value)
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        if body:
            request.wfile.write(content)

    def take(self, request, body: bytes) -> None:
        """Create a repository or take a commit, as the hub's API does, every file in the body."""
        self.asked.append(request.path)
        name = request.path.removeprefix("/api/models/")
        status = self.fails_with or 200
        if self.fails_with is not None:
            answer = {"error": "refused"}
        elif request.path == "/api/repos/create":
            asked = json.loads(body)
            name = f"{asked['organization']}/{asked['name']}"
            private = asked.get("private") or asked.get("visibility") == "private"
            status = 409 if name in self.models else 200
            if status == 200:
                self.public |= set() if private else {name}
                self.models[name] = {}
            answer = {"url": f"{self.url}/{name}"}
        elif "/preupload/" in request.path:
            modes = {"uploadMode": "regular", "shouldIgnore": False, "oid": None}
            answer = {"files": [each | modes for each in json.loads(body)["files"]]}
        elif "/commit/" in request.path:
            name = name.partition("/commit")[0]
            lines = map(json.loads, body.splitlines())
            files = [line["value"] for line in lines if line["key"] == "file"]
            self.pushed[name] = {each["path"]: b64decode(each["content"]) for each in files}
            url = f"{self.url}/{name}/commit/{self.COMMIT}"
            answer = {"commitUrl": url, "commitOid": self.COMMIT, "success": True}
        else:
            answer = {}
        content = json.dumps(answer).encode()
        request.send_response(status)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        request.wfile.write(content)

    def _find(self, path: str) -> tuple[int, bytes, dict[str, str]]:
        if self.fails_with is not None:
            return self.fails_with, b"", {}
        is_api = path.startswith("/api/models/")
        rest = path.removeprefix("/api/models/").strip("/")
        name, _, file = rest.partition("/revision/" if is_api else "/resolve/")
        if name not in self.models:
            return 401, b"", {"X-Error-Code": "RepoNotFound", "X-Error-Message": "no such model"}
        revision, _, file = file.partition("/")
        if revision not in {"", "main", self.COMMIT}:
            return 404, b"", {"X-Error-Code": "RevisionNotFound"}
        files = self.models[name]
        if is_api:
            siblings = [
                {"rfilename": each, "size": len(content)} for each, content in files.items()
            ]
            info = {"id": name, "sha": self.COMMIT, "siblings": siblings}
            info["private"] = name not in self.public
            return 200, json.dumps(info).encode(), {"Content-Type": "application/json"}
        if name in self.gated:
            return 403, b"", {"X-Error-Code": "GatedRepo", "X-Error-Message": "ask for access"}
        if file not in files:
            return 404, b"", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": self.COMMIT}
        return 200, files[file], {"X-Repo-Commit": self.COMMIT, "ETag": f'"{hash(files[file])}"'}

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def fake_hub(monkeypatch, tmp_path):
    """A hub that can be reached, and an empty cache."""
    hub = FakeHub()
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    with contextlib.suppress(ImportError):  # it reads the environment only when it is imported
        from huggingface_hub import constants

        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub-cache"))
    yield hub
    hub.close()


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """No hub, and an empty cache."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub-cache"))


def without(*names: str) -> dict[str, bytes]:
    """A whole base but for those files."""
    return {name: content for name, content in base_files().items() if name not in names}


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
PARTS = {f"model-0000{part}-of-00003.safetensors": safetensors() for part in (1, 2, 3)}

UNUSABLE: dict[str, tuple[dict[str, bytes], str, int]] = {
    "a folder without a configuration": (without("config.json"), "no-config", 66),
    "an adapter alone": (
        {"adapter_config.json": b'{"base_model_name_or_path": "org/whole"}'}, "adapter-only", 66,
    ),
    "a broken adapter": ({"adapter_config.json": b"{"}, "bad-json", 65),
    "half a configuration": (base_files() | {"config.json": b'{"model_type": "qw'}, "bad-json", 65),
    "an empty configuration": (base_files() | {"config.json": b""}, "bad-json", 65),
    "a configuration that is no text": (base_files() | {"config.json": b"\xff"}, "bad-json", 65),
    "a list for a configuration": (base_files() | {"config.json": b"[]"}, "not-an-object", 65),
    "a configuration of nothing": (base_files() | {"config.json": b"{}"}, "no-model-type", 65),
    "half a generation config": (
        base_files() | {"generation_config.json": b'{"eos_token_id": 1'}, "bad-json", 65,
    ),
    "a list for a generation config": (
        base_files() | {"generation_config.json": b"[]"}, "not-an-object", 65,
    ),
    "half a tokenizer config": (base_files() | {"tokenizer_config.json": b"{"}, "bad-json", 65),
    "no tokenizer": (without("tokenizer.json"), "no-tokenizer", 66),
    "no weights": (without("model.safetensors"), "no-weights", 66),
    "a part of three missing": (
        without("model.safetensors") | dict(list(PARTS.items())[::2]), "missing-part", 66,
    ),
    "pickled weights": (
        without("model.safetensors") | {"pytorch_model.bin": b"PK\x03\x04"}, "pickle", 69,
    ),
    "code of its own": (
        base_files()
        | {"config.json": b'{"model_type": "exaone", "auto_map": {"AutoModel": "m.M"}}'},
        "remote-code", 69,
    ),
    "a type that nobody knows": (
        base_files() | {"config.json": b'{"model_type": "nonsense"}'}, "no-generator", 69,
    ),
    "an encoder": (base_files() | {"config.json": b'{"model_type": "bert"}'}, "no-generator", 69),
    "a speech model": (
        base_files() | {"config.json": b'{"model_type": "whisper"}'}, "no-generator", 69,
    ),
    "experts": (base_files("qwen3", num_local_experts=8), "experts", 69),
    "a state-space model": (
        base_files() | {"config.json": b'{"model_type": "mamba"}'}, "no-attention", 69,
    ),
    "a quantised model": (
        base_files("qwen3", quantization_config={"quant_method": "awq"}), "quantised", 69,
    ),
    "an encoder-decoder for a chat recipe": (base_files("bart"), "is-seq2seq", 78),
}  # fmt: skip
"""Bases that a chat recipe cannot use: their files, the message and the exit code."""

UNUSABLE_ON_DISK: dict[str, tuple[dict[str, bytes], str, int]] = {
    "a pointer for a configuration": (base_files() | {"config.json": POINTER}, "lfs-pointer", 65),
    "a pointer for weights": (base_files() | {"model.safetensors": POINTER}, "lfs-pointer", 65),
    "a pointer for a tokenizer": (base_files() | {"tokenizer.json": POINTER}, "lfs-pointer", 65),
    "weights that were not copied to the end": (
        base_files() | {"model.safetensors": safetensors(64)[:-1]}, "cut-off", 65,
    ),
    "empty weights": (base_files() | {"model.safetensors": b""}, "cut-off", 65),
    "half a header of weights": (
        base_files() | {"model.safetensors": safetensors()[:20]}, "cut-off", 65,
    ),
}  # fmt: skip
"""The same, where the files have to be here to be seen."""

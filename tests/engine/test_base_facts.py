"""What is known of a base before anything is loaded, from a folder, the cache and a hub."""

import json
import os
import runpy
import socket
import sys
import threading
from types import SimpleNamespace

import pytest

from support.hub import (
    UNUSABLE,
    UNUSABLE_ON_DISK,
    FakeHub,
    base_files,
    safetensors,
    without,
    write_base,
)
from support.tokenizers import CHAT_FORMS, write_tokenizer
from yoyak import messages
from yoyak.config import load
from yoyak.engine import base_facts
from yoyak.engine.base_facts import inspect_base, require_base
from yoyak.errors import BadRecipe, YoyakError


@pytest.fixture(autouse=True)
def _needs_transformers():
    pytest.importorskip("transformers")


def recipe_of(base, name="qwen3-4b", *sets):
    return load.resolve(name, sets=[f"model.base={base}", *sets]).recipe


@pytest.mark.parametrize("case", [*UNUSABLE, *UNUSABLE_ON_DISK])
def test_a_folder_that_no_run_can_use_is_one_sentence_with_a_next_command(case, tmp_path):
    files, key, code = (UNUSABLE | UNUSABLE_ON_DISK)[case]
    facts = inspect_base(recipe_of(write_base(tmp_path / "base", files)))
    assert (facts.refusal.key, facts.refusal.exit_code) == (f"bases.{key}", code)
    for language in ("en", "ko"):
        with messages.speaking(language):
            said = str(facts.refusal)
            assert str(tmp_path / "base") in said
            assert "→" in said
            assert "\n" not in said


@pytest.mark.parametrize("case", UNUSABLE)
def test_the_same_is_said_of_the_same_files_on_the_hub(case, fake_hub):
    files, key, code = UNUSABLE[case]
    fake_hub.models["org/base"] = files
    facts = inspect_base(recipe_of("org/base"))
    assert (facts.refusal.key, facts.refusal.exit_code) == (f"bases.{key}", code)
    assert not [path for path in fake_hub.asked if path.endswith((".safetensors", ".bin"))]


def test_a_whole_folder_is_known_without_a_network(tmp_path, offline):
    folder = write_base(tmp_path / "base")
    facts = require_base(recipe_of(folder))
    assert (facts.folder, facts.download_bytes, facts.refusal) == (folder, 0, None)
    assert facts.config["hidden_size"] == 64
    assert facts.config["rms_norm_eps"] == 1e-6, "completed by the defaults of its class"
    assert require_base(recipe_of(write_base(tmp_path / "b", base_files("bart")), "kobart"))


def test_weights_in_parts_are_whole_when_all_are_there(tmp_path):
    parts = {f"model-0000{part}-of-00002.safetensors": safetensors() for part in (1, 2)}
    assert require_base(recipe_of(write_base(tmp_path, without("model.safetensors") | parts)))
    write_base(tmp_path)
    (tmp_path / "model-00002-of-00002.safetensors").unlink()
    assert require_base(recipe_of(tmp_path)), "one whole file is taken before parts"


def test_pickled_weights_are_taken_when_they_are_asked_for(tmp_path):
    files = without("model.safetensors") | {"pytorch_model.bin": b"PK"}
    folder = write_base(tmp_path, files)
    assert require_base(recipe_of(folder, "qwen3-4b", "model.allow_pickle=true")).folder == folder
    write_base(tmp_path)
    assert require_base(recipe_of(folder)).folder == folder, "safetensors are there as well"


HOSTILE = "{% for i in range(9999) %}{% for j in range(9999) %}x{% endfor %}{% endfor %}"


@pytest.mark.parametrize("place", ["chat_template.jinja", "tokenizer_config.json"])
def test_a_template_that_no_prompt_can_be_built_with_is_refused_beforehand(place, tmp_path):
    config = json.dumps({"chat_template": HOSTILE}).encode()
    content = HOSTILE.encode() if place.endswith("jinja") else config
    folder = write_base(tmp_path, base_files() | {place: content})
    with pytest.raises(BadRecipe, match="loop passes"):
        require_base(recipe_of(folder))


@pytest.mark.parametrize("form", CHAT_FORMS)
def test_the_template_of_every_family_is_accepted(form, tmp_path):
    names = ("tokenizer_config.json", "chat_template.jinja")
    written = write_tokenizer(form, tmp_path / "tokenizer")
    files = {each: (written / each).read_bytes() for each in names if (written / each).is_file()}
    assert require_base(recipe_of(write_base(tmp_path / "base", base_files() | files)))


def test_code_that_is_not_needed_does_not_keep_a_known_class_out(tmp_path):
    files = base_files("qwen3", auto_map={"AutoModelForCausalLM": "modeling.Other"})
    assert require_base(recipe_of(write_base(tmp_path, files)))


def test_an_engine_of_somebody_else_may_use_any_class(tmp_path):
    folder = write_base(tmp_path, UNUSABLE["code of its own"][0])
    assert require_base(recipe_of(folder, "qwen3-4b", "engine=mine:Engine")).folder == folder


def test_a_causal_base_for_an_encoder_decoder_recipe_names_a_recipe_that_fits(tmp_path):
    with pytest.raises(BadRecipe, match=r"Qwen3ForCausalLM.*qwen3-4b --set model\.base"):
        require_base(recipe_of(write_base(tmp_path), "kobart"))


def test_a_recipe_without_a_base_has_no_facts():
    assert inspect_base(load.resolve("tiny-bart").recipe) is None
    with pytest.raises(BadRecipe):
        require_base(load.resolve("lead").recipe)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_may_not_be_read_is_named(tmp_path):
    folder = write_base(tmp_path / "base")
    (folder / "config.json").chmod(0)
    assert str(folder / "config.json") in str(inspect_base(recipe_of(folder)).refusal)


OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")

# --- the hub -------------------------------------------------------------------------------------


def test_a_few_files_from_the_hub_are_enough(fake_hub):
    fake_hub.models["org/base"] = base_files() | {"model.safetensors": bytes(5_000)}
    facts = require_base(recipe_of("org/base"))
    assert (facts.folder, facts.download_bytes, facts.commit) == (None, 5_000, FakeHub.COMMIT)
    assert facts.config["hidden_size"] == 64
    fetched = {path.rpartition("/")[2] for path in fake_hub.asked if "/resolve/" in path}
    assert fetched == {"config.json", "generation_config.json", "tokenizer_config.json"}


@pytest.mark.parametrize(
    ("prepare", "sets", "key"),
    [
        (lambda hub: hub.gated.add("org/base"), (), "gated"),
        (lambda hub: hub.models.clear(), (), "not-on-hub"),
        (lambda hub: None, ("model.revision=v9",), "no-revision"),
        (lambda hub: setattr(hub, "fails_with", 404), (), "hub-failed"),
    ],
)
def test_what_the_hub_does_not_give_has_a_sentence_of_its_own(fake_hub, prepare, sets, key):
    fake_hub.models["org/base"] = base_files()
    prepare(fake_hub)
    refusal = inspect_base(recipe_of("org/base", "qwen3-4b", *sets)).refusal
    assert (refusal.key, refusal.exit_code) == (f"bases.{key}", 69)
    assert "→" in str(refusal)
    assert fake_hub.url in str(refusal) or key != "gated"


def test_no_hub_is_said_plainly_and_no_client_of_it_too(offline, fake_hub, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert inspect_base(recipe_of("org/base")).refusal.key == "bases.unreachable"
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert inspect_base(recipe_of("org/base")).refusal.key == "bases.no-hub-client"
    assert fake_hub.asked == []


@pytest.mark.parametrize("revision", [None, "v1"])
def test_the_snapshot_that_a_download_would_end_in_is_taken_from_the_cache(fake_hub, revision):
    sets = () if revision is None else (f"model.revision={revision}",)
    cached = base_facts.hub_folder("org/base")
    write_base(cached / "snapshots" / "older")
    whole = write_base(cached / "snapshots" / "newer")
    (cached / "refs").mkdir()
    (cached / "refs" / (revision or "main")).write_text("newer")
    facts = require_base(recipe_of("org/base", "qwen3-4b", *sets))
    assert (facts.folder, facts.commit, facts.download_bytes) == (whole, "newer", 0)
    assert fake_hub.asked == []
    (whole / "model.safetensors").unlink()
    fake_hub.models["org/base"] = base_files()
    assert inspect_base(recipe_of("org/base", "qwen3-4b", *sets)).folder is None


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"HF_HOME": "~/models"},
        {"HF_HOME": "$PLACE/models"},
        {"XDG_CACHE_HOME": "~/caches"},
        {"HF_HOME": "/other", "HF_HUB_CACHE": "~/hub"},
        {"HF_HUB_OFFLINE": "true"},
        {"HF_HUB_OFFLINE": "false"},
        {"TRANSFORMERS_OFFLINE": "YES"},
    ],
)
def test_environment_variables_mean_what_they_mean_to_the_hubs_client(
    variables, tmp_path, monkeypatch
):
    constants = pytest.importorskip("huggingface_hub.constants")
    for name in ("HF_HOME", "HF_HUB_CACHE", "XDG_CACHE_HOME", "HUGGINGFACE_HUB_CACHE", *OFFLINE):
        monkeypatch.delenv(name, raising=False)
    for name, value in ({"HOME": str(tmp_path), "PLACE": "/mnt"} | variables).items():
        monkeypatch.setenv(name, value)
    client = runpy.run_path(constants.__file__)  # read anew, with these variables
    assert str(base_facts.hub_cache()) == client["HF_HUB_CACHE"]
    monkeypatch.setattr(base_facts, "_connect", lambda _, reached: reached.set())
    monkeypatch.setattr(base_facts, "_failures", {})
    assert base_facts.hub_is_reachable() is not client["HF_HUB_OFFLINE"]


def test_the_hub_is_asked_for_two_seconds_at_most(monkeypatch):
    for name in OFFLINE:
        monkeypatch.delenv(name, raising=False)
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.getsockname()[1]}")
        assert base_facts.hub_is_reachable()
    monkeypatch.setattr(base_facts, "NETWORK_SECONDS", 0.1)
    answered = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answered.wait() and [])
    assert not base_facts.hub_is_reachable(), "a name server that never answers is not waited for"
    answered.set()


def test_a_hub_that_was_not_reached_is_tried_again_after_a_while(monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://hub.invalid")
    for name in OFFLINE:
        monkeypatch.delenv(name, raising=False)
    clock = SimpleNamespace(now=0.0, monotonic=lambda: clock.now)
    monkeypatch.setattr(base_facts, "time", clock)
    monkeypatch.setattr(base_facts, "_failures", {})
    monkeypatch.setattr(base_facts, "NETWORK_SECONDS", 0.05)
    tried = []
    monkeypatch.setattr(base_facts, "_connect", lambda *given: tried.append(given))
    for now, times in ((0.0, 1), (29.0, 1), (31.0, 2)):
        clock.now = now
        assert not base_facts.hub_is_reachable()
        assert len(tried) == times
    monkeypatch.setenv("HF_ENDPOINT", "http://other.invalid")
    assert not base_facts.hub_is_reachable()
    assert len(tried) == 3, "another hub is another question"


def test_behind_a_proxy_the_proxy_is_asked(fake_hub, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://hub.invalid")
    assert not base_facts.hub_is_reachable()
    monkeypatch.setenv("http_proxy", fake_hub.url)
    assert base_facts.hub_is_reachable()
    monkeypatch.setenv("no_proxy", "hub.invalid")
    assert not base_facts.hub_is_reachable()


def test_every_refusal_is_an_error_of_the_tree():
    kinds = {each.exit_code for each in YoyakError.__subclasses__()}
    assert {code for _, _, code in (UNUSABLE | UNUSABLE_ON_DISK).values()} <= kinds

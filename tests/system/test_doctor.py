"""Ten-odd lines: what is found is told, what is wrong is named, what is secret is not shown."""

import os
import pwd

import msgspec
import pytest

from support.hub import FakeHub, base_files, write_base
from yoyak import messages
from yoyak.config import load
from yoyak.config.project import ResourceLimits
from yoyak.data.sample.generator import generated_folder
from yoyak.engine.base_facts import hub_folder
from yoyak.files import disk_errors
from yoyak.system import limits, probe
from yoyak.system.doctor import CheckStatus, check

pytestmark = pytest.mark.process

ROOMY = ResourceLimits(disk_free_gb=0.0, ram_free_gb=0.0)


@pytest.fixture
def look(data, workspace, monkeypatch, fake_gpus):
    """The lines of one name, on a machine without a GPU unless the test says otherwise."""
    fake_gpus()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")

    def call(name, folder=data, limits_=ROOMY, names=()):
        wanted = [load.resolve(each).recipe for each in names]
        return [line for line in check(folder, workspace, limits_, wanted) if line.name == name]

    return call


def test_every_line_has_its_place_and_whoever_is_not_ok_a_next_step(data, workspace):
    lines = check(data, workspace, ROOMY)
    assert [line.name for line in lines] == [
        "python", "libraries", "extras", "gpu", "resources", "workspace", "models", "tokens",
        "analyser", "data", "fonts", "locale", "runs",
    ]  # fmt: skip
    assert all(line.found for line in lines)
    assert all(line.next_step for line in lines if line.status is not CheckStatus.OK)
    assert not workspace.folder.exists()


def test_the_lines_are_spoken_in_korean_too(data, workspace):
    with messages.speaking("ko"):
        said = " ".join(line.found for line in check(data, workspace, ROOMY))
    assert "디스크" in said


def test_tokens_are_set_or_unset_and_never_shown(look, data, workspace, monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    assert "hub token unset" in look("tokens")[0].found
    secret = "hf_" + "n0tShown" * 4
    monkeypatch.setenv("HF_TOKEN", secret)
    assert "hub token set" in look("tokens")[0].found
    for broken in (f"{secret}\n", f'"{secret}"', ""):
        monkeypatch.setenv("HF_TOKEN", broken)
        (line,) = look("tokens")
        assert line.status is CheckStatus.BAD
        assert "HF_TOKEN" in line.found
    assert secret not in msgspec.json.encode(check(data, workspace, ROOMY)).decode()


def test_bad_data_are_named_with_their_row(look, data, tmp_path):
    assert look("data")[0].status is CheckStatus.OK
    (line,) = look("data", tmp_path)
    assert (line.status, "train.csv" in line.found) == (CheckStatus.BAD, True)
    for name in ("train", "dev", "test"):
        text = (data / f"{name}.csv").read_text("utf-8")
        (tmp_path / f"{name}.csv").write_text(text, encoding="utf-8")
    (tmp_path / "dev.csv").write_text("fname,dialogue\n", encoding="utf-8")
    (line,) = look("data", tmp_path)
    assert (line.status, "dev.csv" in line.found) == (CheckStatus.BAD, True)
    assert line.next_step


def test_a_dialogue_that_stands_in_two_splits_is_told(look, data, tmp_path):
    for name in ("train", "dev", "test"):
        text = (data / f"{name}.csv").read_text("utf-8")
        (tmp_path / f"{name}.csv").write_text(text, encoding="utf-8")
    train = (data / "train.csv").read_text("utf-8").replace("train_", "dev_")
    (tmp_path / "dev.csv").write_text(train, encoding="utf-8")
    kept, leaked = look("data", tmp_path)
    assert (kept.status, leaked.status) == (CheckStatus.OK, CheckStatus.WARN)
    assert "train_0" in leaked.found


def test_the_disk_is_held_against_the_projects_limits(look, monkeypatch):
    (line,) = look("resources", limits_=ResourceLimits(disk_free_gb=10.0**9))
    assert line.status is CheckStatus.BAD
    assert line.next_step
    monkeypatch.setattr(limits, "_disk", lambda folder: (None, None))
    assert look("resources")[0].status is CheckStatus.BAD


def test_large_recipes_would_take_long_without_a_gpu(look, fake_gpus):
    assert look("gpu")[0].status is CheckStatus.OK
    (line,) = look("gpu", names=("lead", "qwen25-7b"))
    assert line.status is CheckStatus.WARN, "a run would start, so it is no refusal"
    assert "qwen25-7b" in line.found
    fake_gpus({})
    (line,) = look("gpu", names=("qwen25-7b",))
    assert line.status is CheckStatus.OK
    assert "RTX 3090" in line.found
    assert "25.4 of 25.8 GB" in line.found


@pytest.mark.parametrize(
    ("changes", "word"),
    [({"capability": (7, 5)}, "no bf16"), ({"memory": (24576, 20312)}, "held by process")],
)
def test_a_gpu_that_may_surprise_is_a_warning(look, fake_gpus, changes, word):
    fake_gpus(changes)
    (line,) = look("gpu")
    assert line.status is CheckStatus.WARN
    assert word in line.found


@pytest.mark.parametrize(
    ("cuda", "status"), [(None, "bad"), ("13.0", "bad"), ("12.8", "ok"), ("99.1", "ok")]
)
def test_torch_has_to_be_built_for_the_driver(look, fake_gpus, monkeypatch, cuda, status):
    fake_gpus({})
    monkeypatch.setattr(probe, "torch_cuda", lambda: cuda)
    (line,) = look("cuda")
    assert line.status == status


def test_a_base_is_here_or_can_be_fetched_or_neither(look, fake_hub, monkeypatch):
    fake_hub.models["gogamza/kobart-base-v2"] = base_files("bart") | {
        "model.safetensors": bytes(10**6)
    }
    (line,) = look("models", names=("kobart",))
    assert line.status is CheckStatus.OK
    assert "0.0 GB are still to be downloaded" in line.found
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (line,) = look("models", names=("kobart",))
    assert (line.status, "gogamza/kobart-base-v2" in line.found) == (CheckStatus.BAD, True)
    cached = hub_folder("gogamza/kobart-base-v2") / "snapshots" / FakeHub.COMMIT
    write_base(cached, base_files("bart"))
    (line,) = look("models", names=("kobart",))
    assert (line.status, "models here" in line.found) == (CheckStatus.OK, True)


def test_a_base_folder_that_does_not_exist_is_bad(look, tmp_path):
    (tmp_path / "mine.toml").write_text(
        f'extends = "kobart"\nmodel.base = "{tmp_path}/gone"\n', encoding="utf-8"
    )
    (line,) = look("models", names=(str(tmp_path / "mine.toml"),))
    assert (line.status, f"{tmp_path}/gone" in line.found) == (CheckStatus.BAD, True)
    assert line.next_step


def test_what_does_not_fit_the_gpu_is_bad_and_slow_4_bits_are_a_warning(look, fake_gpus, fake_hub):
    config = load.resolve("qwen3-4b").recipe.base.config
    files = base_files() | {"config.json": msgspec.json.encode(config)}
    fake_hub.models["Qwen/Qwen3-4B-Instruct-2507"] = files
    fake_gpus({"name": "Tesla T4", "capability": (7, 5), "memory": (15360, 3)})
    lines = look("models", names=("qwen3-4b",))
    assert [line.status for line in lines] == [CheckStatus.WARN, CheckStatus.OK]
    assert "quantisation=none" in lines[0].next_step
    fake_gpus({"memory": (1024, 3)})
    (line,) = look("models", names=("qwen3-4b",))
    assert (line.status, "on the GPU" in line.found) == (CheckStatus.BAD, True)


def test_a_library_outside_its_range_is_named(look, monkeypatch):
    real = probe.installed
    monkeypatch.setattr(
        probe, "installed", lambda name: "5.99.0" if name == "transformers" else real(name)
    )
    (line,) = look("libraries")
    assert line.status is CheckStatus.BAD
    assert "transformers 5.99.0 (transformers<5.24,>=5.17)" in line.found
    monkeypatch.setattr(probe, "installed", lambda name: None if name == "torch" else real(name))
    (line,) = look("libraries")
    assert (line.status, "torch" in line.found) == (CheckStatus.WARN, True)


def test_a_missing_extra_is_named_with_the_command_that_installs_it(look, monkeypatch):
    monkeypatch.setattr(probe, "installed", lambda name: "1.0")
    (line,) = look("extras")
    assert line.next_step is None
    assert "serve" in line.found
    assert "train" not in line.found
    gone = {"uvicorn", "optuna"}
    monkeypatch.setattr(probe, "installed", lambda name: None if name in gone else "1.0")
    (line,) = look("extras")
    assert line.status is CheckStatus.OK, "nothing is wrong without them"
    assert line.next_step.startswith("pip install 'yoyak[serve,tune]'")


@pytest.mark.parametrize(
    ("fonts", "status"),
    [(("Nanum",), CheckStatus.OK), ((), CheckStatus.WARN), (None, CheckStatus.WARN)],
)
def test_fonts_are_there_or_missing_or_unknown(look, monkeypatch, fonts, status):
    monkeypatch.setattr(probe, "korean_fonts", lambda: fonts)
    assert look("fonts")[0].status is status


def test_a_run_with_a_live_process_is_named(look, workspace, corpus):
    run = workspace.find_or_create(load.resolve("lead").recipe, corpus, lambda: b"{}")
    assert "none is being worked on" in look("runs")[0].found
    with run.lock():
        assert f"process {os.getpid()}" in look("runs")[0].found
    (run.folder / "identity.json").write_bytes(b"{")
    (line,) = look("runs")
    assert (line.status, "identity.json" in line.found) == (CheckStatus.BAD, True)


@pytest.fixture
def tool(monkeypatch, tmp_path):
    """Puts a program of that name before all others, which answers as a shell script does."""
    folder = tmp_path / "tools"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)

    def put(name, script):
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)

    return put


def test_who_holds_the_memory_of_the_gpu_is_named(look, fake_gpus):
    import psutil

    me = os.getpid()
    fake_gpus({"memory": (24576, 20312)}, processes=[(me, 20000 * 2**20), (4194305, None)])
    (line,) = look("gpu")
    name, owner = psutil.Process(me).name(), pwd.getpwuid(os.getuid()).pw_name
    assert line.status is CheckStatus.WARN
    assert f"{me} ({name}, {owner}, 21.0 GB), 4194305 →" in f"{line.found} →"


@pytest.mark.parametrize(
    ("used", "limit", "status", "left"),
    [("1000000*", 900000, CheckStatus.BAD, "0.0"), ("1000000", 21000000, CheckStatus.OK, "20.5")],
)
def test_a_quota_counts_whatever_the_disk_has_free(look, tool, used, limit, status, left):
    tool("quota", f"echo '     /dev/sda1 {used} {limit} {limit} 0 77 0 0 0'; exit 1")
    room, quota = look("resources")
    assert room.status is CheckStatus.OK
    assert (quota.status, left in quota.found) == (status, True)


def test_no_quota_and_many_places_for_files_are_not_worth_a_line(look, tool, monkeypatch):
    tool("quota", "echo 'Disk quotas for user kim (uid 1000): none'")
    assert len(look("resources")) == 1
    monkeypatch.setattr(disk_errors, "free_inodes", lambda folder: 12)
    assert [line.status for line in look("resources")] == [CheckStatus.OK, CheckStatus.BAD]


def test_the_sample_has_no_findings(look):
    (line,) = look("data", generated_folder())
    assert line.status is CheckStatus.OK

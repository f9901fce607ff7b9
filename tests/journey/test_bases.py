"""``doctor``, ``plan`` and ``run`` give one answer about a base, before a worker starts."""

import json
import subprocess
import sys

import pytest

from support.hub import UNUSABLE, UNUSABLE_ON_DISK, base_files, write_base


@pytest.fixture(autouse=True)
def _no_gpu(fake_gpus):
    pytest.importorskip("transformers")
    fake_gpus()


def answers(yoyak, base, *words):
    """Exit codes of plan and run, whether doctor's line is bad, and what each of them says."""
    named = ("qwen3-4b.toml", "--data", *words)
    (yoyak.folder / "qwen3-4b.toml").write_text(
        f'extends = "qwen3-4b"\nmodel.base = "{base}"\n', encoding="utf-8"
    )
    plan = yoyak("plan", *named, check=False)
    run = yoyak("run", *named, check=False)
    doctor = json.loads(yoyak("doctor", *named, "--json", check=False).stdout)
    lines = [line for line in doctor if line["name"] == "models" and line["status"] == "bad"]
    found = [f"{line['found']} → {line['next_step']}" for line in lines]
    return plan, run, found


@pytest.mark.parametrize("case", [*UNUSABLE, *UNUSABLE_ON_DISK])
def test_what_no_run_can_use_is_refused_by_all_in_the_same_words(yoyak, data, case):
    files, _, code = (UNUSABLE | UNUSABLE_ON_DISK)[case]
    base = write_base(yoyak.folder / "base", files)
    plan, run, (found,) = answers(yoyak, base, data)
    assert (plan.returncode, run.returncode) == (code, code)
    assert found in plan.stderr
    assert found in run.stderr
    assert not (yoyak.folder / "workspace" / "runs").exists(), "no run was created"


@pytest.mark.parametrize("case", ["gone", "gated", "unknown", "broken"])
def test_the_hub_is_asked_once_by_each_and_they_agree(yoyak, data, fake_hub, case):
    fake_hub.models["org/base"] = base_files()
    if case == "gated":
        fake_hub.gated.add("org/base")
    elif case == "broken":
        fake_hub.models["org/base"]["config.json"] = b"[]"
    elif case == "unknown":
        del fake_hub.models["org/base"]
    base = "./gone" if case == "gone" else "org/base"
    plan, run, (found,) = answers(yoyak, base, data)
    assert plan.returncode == run.returncode == {"gone": 66, "broken": 65}.get(case, 69)
    assert found in plan.stderr
    assert found in run.stderr


def test_offline_is_said_by_all_and_is_a_note_on_a_plan_for_another_machine(yoyak, data, offline):
    plan, run, (found,) = answers(yoyak, "org/base", data)
    assert plan.returncode == run.returncode == 69
    assert found in plan.stderr
    assert found in run.stderr
    other = yoyak("plan", "qwen3-4b.toml", "--data", data, "--gpu", "RTX 3090")
    assert "org/base" in other.stdout, "with a note, and nothing else is against it"


@pytest.mark.parametrize("verb", ["plan", "doctor"])
def test_neither_torch_nor_transformers_is_imported_to_ask_a_hub(yoyak, data, fake_hub, verb):
    fake_hub.models["org/base"] = base_files()
    (yoyak.folder / "mine.toml").write_text('extends = "qwen3-4b"\nmodel.base = "org/base"\n')
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "yoyak", verb, "mine.toml", "--data", data],
        cwd=yoyak.folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "huggingface_hub" in imported
    assert not {"torch", "transformers", "peft"} & imported
    assert "/api/models/org/base" in fake_hub.asked


def test_a_base_that_can_be_used_is_planned_from_its_configuration_alone(yoyak, data, fake_hub):
    fake_hub.models["org/base"] = base_files() | {"model.safetensors": bytes(300_000)}
    (yoyak.folder / "mine.toml").write_text('extends = "qwen3-4b"\nmodel.base = "org/base"\n')
    made = json.loads(yoyak("plan", "mine.toml", "--data", data, "--json").stdout)
    (one,) = made["recipes"]
    assert made["refusals"] == []
    assert one["download_gb"] == pytest.approx(3e-4)
    assert one["training"]["weights_gb"] > 0
    lines = json.loads(yoyak("doctor", "mine.toml", "--data", data, "--json", check=False).stdout)
    assert [line["status"] for line in lines if line["name"] == "models"][-1] == "ok"

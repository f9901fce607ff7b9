"""The benchmarks run on any machine at tiny size, and say what they claim to say."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BENCHMARKS = ROOT / "benchmarks"
SAID_FULL_SIZE = """
import json, msgspec, fullsize
from yoyak.engine.device import detect, silence_libraries
from yoyak.engine.models.model import count_parameters
from yoyak.planning.model_shapes import shape_of
from yoyak.config.load import resolve
silence_libraries()
found = {}
for name in ("llama32-ko-3b", "qwen3-4b", "qwen25-7b", "llama3-ko-8b", "kobart"):
    recipe = resolve(name).recipe
    shape = fullsize.tiny(shape_of(recipe))
    model = fullsize.build(shape, recipe, detect())
    values = list(model.parameters())
    found[name] = {
        "counted": count_parameters(values),
        "shape": shape.parameters,
        "four_bit": sum(hasattr(value, "quant_state") for value in values),
        "linears": 0 if recipe.lora is None else 7 * shape.layers,
        "meta": [n for n, t in model.state_dict().items() if t.device.type == "meta"],
        "published": [shape_of(recipe).parameters, recipe.base.parameters],
    }
print(json.dumps(found))
"""


@pytest.fixture
def history(monkeypatch):
    spec = importlib.util.spec_from_file_location("history", BENCHMARKS / "history.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.delenv("YOYAK_BENCH_HISTORY", raising=False)
    return module


def run(*arguments: str) -> list[dict]:
    done = subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(BENCHMARKS)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def run_git(*words: str) -> subprocess.CompletedProcess:
    return subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, check=False)


@pytest.mark.process
def test_a_ratio_is_compared_with_the_last_of_the_same_name_and_machine(history, tmp_path, capsys):
    path = tmp_path / "history.jsonl"
    here, other = history.Machine("EPYC", 2), history.Machine("EPYC", 64)
    for name, ratio, machine in [
        ("score", 20.0, here), ("score", 10.0, here), ("engine", 3.0, here), ("score", 99.0, other),
    ]:  # fmt: skip
        assert history.record(name, ratio, 0.02, machine, path=path).entry.ratio == ratio
    found = history.record("score", 8.0, 0.02, here, path=path)
    assert found.previous.ratio == 10.0, "neither another name nor another machine"
    assert found.change == pytest.approx(-0.2)
    assert found.is_beyond_noise
    assert "SLOWER" in capsys.readouterr().err
    assert [entry.ratio for entry in history.read(path)] == [20.0, 10.0, 3.0, 99.0, 8.0]
    line = json.loads(path.read_bytes().splitlines()[-1])
    assert line["machine"] == {"cpu": "EPYC", "cores": 2, "gpu": None}
    assert line.keys() == {"name", "ratio", "spread", "machine", "commit", "date"}


@pytest.mark.process
@pytest.mark.parametrize(
    ("before", "now", "beyond"),
    [
        ((10.0, 0.02), (9.2, 0.02), False),  # less than a tenth
        ((10.0, 0.02), (8.5, 0.02), True),
        ((10.0, 0.10), (8.5, 0.10), False),  # less than both spreads
        ((10.0, None), (9.2, None), False),
        ((10.0, None), (12.0, None), True),
    ],
)
def test_a_change_within_the_noise_of_both_is_none(history, tmp_path, before, now, beyond):
    path, machine = tmp_path / "history.jsonl", history.Machine("EPYC", 2)
    first = history.record("score", *before, machine, path=path)
    assert first.previous is None
    assert first.change is None
    assert history.record("score", *now, machine, path=path).is_beyond_noise is beyond


def test_a_ratio_of_times_is_that_of_the_best_with_what_the_medians_lie_above(history):
    assert history.compare_times([6.0, 9.0], [2.0, 2.0, 2.2]) == (3.0, pytest.approx(0.25))
    assert history.compare_times([6.0], [2.0, 2.2]) == (3.0, None), "unknown is not zero"


@pytest.mark.process
def test_a_damaged_history_and_a_ratio_that_is_none_are_refused(history, tmp_path):
    path = tmp_path / "history.jsonl"
    for ratio in (0.0, float("nan"), -1.0):
        with pytest.raises(ValueError, match="is no ratio"):
            history.record("score", ratio, None, path=path)
    history.record("score", 2.0, None, path=path)
    path.write_bytes(path.read_bytes() + b'{"name": "score"')
    with pytest.raises(ValueError, match="line 2"):
        history.record("score", 2.0, None, path=path)


@pytest.mark.torch
@pytest.mark.slow  # no quicker kin runs the script; that the engine learns: test_finetune.py
def test_the_engine_and_the_plain_way_learn_and_say_the_same():
    (found,) = run(str(BENCHMARKS / "engine.py"), "--tiny", "--json")
    training, generation = found["training"], found["generation"]
    assert training["same_rows_apart"] < 1e-6
    held = [training[side]["held_out"] for side in ("ours", "theirs")]
    assert max(held) < training["held_out_before"]
    assert held[0] == pytest.approx(held[1], rel=0.02)
    assert training["ours"]["padded_tokens_a_row"] < training["theirs"]["padded_tokens_a_row"]
    assert generation["same_texts"] == generation["dialogues"]
    assert generation["mean_tokens"] < generation["longest_tokens"], "answers end where they will"
    assert "one thread" in found["machine"]


@pytest.mark.torch
@pytest.mark.slow  # no quicker kin; that both compute the same: torch/models/test_fused_lora.py
def test_fused_adapters_are_timed_beside_pefts(tmp_path, monkeypatch):
    monkeypatch.setenv("YOYAK_BENCH_HISTORY", str(tmp_path / "history.jsonl"))
    (found,) = run(str(BENCHMARKS / "adapters.py"), "--tiny")
    assert found["ratio"] == found["peft"] / found["fused"]
    assert (tmp_path / "history.jsonl").read_text().count("adapters.2x64") == 1


@pytest.mark.torch
@pytest.mark.slow
def test_every_model_and_case_runs_small():
    lines = run(str(BENCHMARKS / "gpu.py"), "--tiny", "--repeats", "1")
    assert len({line["model"] for line in lines}) == 5
    done = [line for line in lines if "rows_per_second" in line]
    assert {line["case"] for line in done} >= {"ours", "ours-no-drop", "ours-packed", "team"}
    assert all(line["machine"] and line["rows_per_second"] > 0 for line in done)
    assert all(line["first_loss"] > 0 and line["spread"] is None for line in done)
    failed = {line["case"] for line in lines if "failed" in line}
    assert failed <= {"ours-compiled"}, "a compiler may take longer than a case may"


@pytest.mark.torch
@pytest.mark.slow
def test_a_case_that_fails_or_takes_too_long_ends_no_other():
    arguments = ("--tiny", "--model", "kobart", "--case", "ours", "--case", "team")
    lines = run(str(BENCHMARKS / "gpu.py"), *arguments, "--limit-s", "0.1")
    assert [line["failed"] for line in lines] == ["took more than 0 s"] * 2
    lines = run(str(BENCHMARKS / "gpu.py"), *arguments, "--repeats", "0")
    assert [line["failed"].partition(":")[0] for line in lines] == ["ZeroDivisionError"] * 2


@pytest.mark.torch
@pytest.mark.slow
def test_the_builders_make_the_published_architectures():
    (found,) = run("-c", SAID_FULL_SIZE)
    for name, model in found.items():
        assert model["counted"] == model["shape"], name
        assert model["four_bit"] == model["linears"], name
        assert model["meta"] == [], name
        assert model["published"][0] == model["published"][1], name


@pytest.mark.torch
@pytest.mark.slow
def test_this_engine_and_a_former_one_give_the_same_ids():
    former = run_git("cat-file", "-e", "2ed4acd06cb2e135a130fa4a8726f05339e56747")
    if former.returncode:
        pytest.skip("the history of this checkout does not reach commit 2ed4acd")
    found = run(str(BENCHMARKS / "generation.py"), "--tiny", "--json")
    assert [line["case"] for line in found] == [
        "tiny-qlora, greedy", "tiny-bart, 2 beams", "tiny-bart, 4 beams",
    ]  # fmt: skip
    assert all(line["equal_rows"] == line["rows"] for line in found)


@pytest.mark.torch
@pytest.mark.slow
def test_each_way_to_answer_is_measured_on_the_same_answers():
    found = run(str(BENCHMARKS / "gpu_generation.py"), "--tiny", "--model", "qwen3-4b")
    assert [line["case"] for line in found] == ["nf4", "nf4-peft", "merged", "plain"]
    lengths = [line["new_tokens_per_second"] / line["rows_per_second"] for line in found]
    assert lengths == pytest.approx([lengths[0]] * 4), "stops are planted by place"


@pytest.mark.torch
@pytest.mark.slow
def test_ctranslate2_says_the_same_on_kobarts_shape():
    pytest.importorskip("ctranslate2", reason="the [fast] extra is not installed")
    found = run(str(BENCHMARKS / "beams.py"), "--tiny")
    assert [line["decoding"] for line in found] == ["greedy", "beam 4"]
    assert found[0]["equal_rows"] == found[0]["rows"]


@pytest.mark.slow
@pytest.mark.process
@pytest.mark.torch
def test_predict_and_serve_write_every_token_that_they_are_timed_for():
    pytest.importorskip("torch")
    (found,) = run(str(BENCHMARKS / "throughput.py"), "--tiny", "--json")
    ways = found["found"]
    rows, new = found["options"]["rows"], found["options"]["new"]
    for name in ("transformers.generate, row by row", "yoyak predict", "yoyak serve, 16 clients"):
        counted, tokens, *seconds = ways[name]
        assert (counted, tokens) == (rows, rows * new)
        assert min(seconds) > 0
    assert ways["transformers.pipeline, batches of 8"][0] == rows
    vllm = ways["vLLM, offline"]
    assert vllm[0] == rows if isinstance(vllm, list) else "not installed" in vllm


FORCED = """
import json, sys
import gpu, peer_trl
from yoyak.engine.device import silence_libraries
silence_libraries()
forced, given_config = json.loads(sys.argv.pop(1)), peer_trl.SFTConfig
peer_trl.SFTConfig = lambda **given: given_config(**given | forced)
gpu.main()
"""


@pytest.mark.torch
@pytest.mark.slow
def test_a_peer_has_figures_only_if_its_steps_took_the_rows_they_were_given():
    pytest.importorskip("trl")
    case = ("--here", "--tiny", "--model", "qwen3-4b", "--case", "trl", "--repeats", "1")
    (line,) = run("-c", FORCED, "{}", *case)
    assert line["rows_per_second"] > 0
    with pytest.raises(AssertionError, match="took the rows 2"):
        run("-c", FORCED, '{"gradient_accumulation_steps": 4}', *case)

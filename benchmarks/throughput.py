"""Rows per second of predict and serve, against loops of transformers and against vLLM, in one run.

    python benchmarks/throughput.py [--rows N] [--width N] [--layers N] [--new N] [--clients N]
                                    [--vllm PYTHON] [--json] [--tiny]

One random Qwen3 in float32 (so that every row is as long as the limit) answers the same dialogues
of the sample greedily: by the engine of `yoyak predict`, by the resident model of `yoyak serve`
asked by N clients at a time, by `transformers.generate` row by row, by `transformers.pipeline` in
batches of 8, and by vLLM offline, in the interpreter that ``--vllm`` names, since its pins choose
another torch. Each way answers two rows first, then all, with one thread; loading is not counted.
Up to 120 rows are different dialogues; more repeat them, and vLLM reads a repeated prompt once.
What is not installed is named as not run. Ratios are to ``generate``: by the clock, for which the
machine must be idle, and by the processor's time.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

WARM_UP = 2
BATCH = 8
LIMIT_SECONDS = 3600
VLLM_ENVIRONMENT = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "OMP_NUM_THREADS": "1",
}


class Measured(NamedTuple):
    """Rows and new tokens of one way (``None``: it does not say), and the seconds that it took.

    Of the clock, and of the processor for all threads.
    """

    rows: int
    tokens: int | None
    seconds: float
    cpu_seconds: float


def measure(answer: Callable[[list], int | None], rows: list) -> Measured:
    """Answer a few rows, then all; ``answer`` returns how many new tokens it wrote."""
    answer(rows[:WARM_UP])
    began, cpu_began = time.perf_counter(), time.process_time()
    tokens = answer(rows)
    seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - cpu_began
    return Measured(len(rows), tokens, seconds, cpu_seconds)


# --- the model that all get -----------------------------------------------------------------------


def make_model(options: argparse.Namespace, folder: Path) -> tuple[Any, Any, Any]:
    """Write a run's weights and their export; return the trained model, rows and token ids."""
    import transformers as hf

    import torch
    from yoyak.config.load import resolve
    from yoyak.data import sample
    from yoyak.data.corpus import read_corpus
    from yoyak.engine.formats.export import ExportRequest, write_export
    from yoyak.engine.models import weights
    from yoyak.engine.models.model import ModelBundle
    from yoyak.engine.tokenization.encode import encode_rows
    from yoyak.engine.tokenization.train_tokenizer import train_tokenizer
    from yoyak.prediction.model import TrainedModel

    recipe = resolve(
        "tiny-qlora", sets=("model.quantisation=none", f"decode.max_new_tokens={options.new}")
    ).recipe
    corpus = read_corpus(sample.folder())
    texts = [text for row in corpus.train.dialogues for text in (row.text, *row.references)]
    tokenizer = train_tokenizer(texts, recipe)
    torch.manual_seed(0)
    torch.set_num_threads(1)
    config = hf.Qwen3Config(
        vocab_size=tokenizer.vocab_size,
        hidden_size=options.width,
        intermediate_size=3 * options.width,
        num_hidden_layers=options.layers,
        num_attention_heads=options.width // 64,
        num_key_value_heads=options.width // 64,
        head_dim=64,
        max_position_embeddings=2048,
        eos_token_id=tokenizer.stop_id,
        pad_token_id=tokenizer.pad_id,
    )
    model = hf.AutoModelForCausalLM.from_config(config).eval()
    saved = weights.SavedWeights(
        form="whole", base="", revision=None, base_sha256="", learning_hash="", data_sha256="",
        step=0, max_new_tokens=options.new,
    )  # fmt: skip
    run = folder / "run"
    bundle = ModelBundle(model, tokenizer, "causal", torch.device("cpu"))
    weights.write(run / weights.FOLDER, saved, bundle)
    target = folder / "export"
    target.mkdir()
    write_export(ExportRequest("throughput", run, recipe), target)
    known = (*corpus.train.dialogues, *corpus.dev.dialogues)
    dialogues = [known[number % len(known)] for number in range(options.rows)]
    encoded = encode_rows(tokenizer, dialogues, recipe.prompt, with_answers=False)
    trained = TrainedModel("throughput", recipe, run, corpus.train, {})
    return trained, dialogues, [list(row.source_ids) for row in encoded]


# --- the ways -------------------------------------------------------------------------------------


def by_predict(trained: Any, dialogues: list) -> Measured:
    import msgspec

    from yoyak import engine as engines
    from yoyak.engine import GenerateJob

    engine = engines.load(trained.recipe.engine)

    def answer(rows: list) -> int:
        named = [msgspec.structs.replace(row, id=f"row_{place}") for place, row in enumerate(rows)]
        job = GenerateJob(
            recipe=trained.recipe, decode=trained.recipe.decode, dialogues=named,
            train=trained.train, folder=trained.folder, emit=lambda _: None, smoke_check=False,
            keep_rows=False,
        )  # fmt: skip
        return sum(each.tokens or 0 for each in engine.generate(job))

    return measure(answer, dialogues)


def by_serve(trained: Any, dialogues: list, clients: int) -> Measured:
    from yoyak.prediction.resident_model import ResidentModel

    with ResidentModel(trained) as model, ThreadPoolExecutor(clients) as pool:

        def ask(row: Any) -> int:
            return model.submit(row).result.result().prediction.tokens or 0

        return measure(lambda rows: sum(pool.map(ask, rows)), dialogues)


def by_generate(export: Path, prompts: list) -> Measured:
    from transformers import AutoModelForCausalLM, GenerationConfig

    import torch

    model = AutoModelForCausalLM.from_pretrained(export)
    settings = GenerationConfig.from_pretrained(export)

    def answer(rows: list) -> int:
        count = 0
        for ids in rows:
            with torch.no_grad():
                out = model.generate(input_ids=torch.tensor([ids]), generation_config=settings)
            count += out.shape[1] - len(ids)
        return count

    return measure(answer, prompts)


def by_pipeline(export: Path, prompts: list) -> Measured:
    from transformers import AutoTokenizer, GenerationConfig, pipeline

    tokenizer = AutoTokenizer.from_pretrained(export, padding_side="left")
    pipe = pipeline("text-generation", model=str(export), tokenizer=tokenizer)
    settings = GenerationConfig.from_pretrained(export)

    def answer(rows: list) -> None:
        texts = [tokenizer.decode(ids) for ids in rows]
        found = pipe(
            texts,
            batch_size=BATCH,
            return_full_text=False,
            generation_config=settings,
        )
        assert len(found) == len(rows)

    return measure(answer, prompts)


def vllm_worker(export: str, prompts_file: str, new: int) -> None:
    """Answer in another interpreter; print what was measured."""
    os.environ.update(VLLM_ENVIRONMENT)
    import vllm

    prompts = json.loads(Path(prompts_file).read_text("utf-8"))
    settings = json.loads(Path(export, "generation_config.json").read_text("utf-8"))
    longest = max(map(len, prompts)) + new
    model = vllm.LLM(
        export, skip_tokenizer_init=True, generation_config="vllm", dtype="float32",
        max_model_len=longest, enforce_eager=True, seed=0,
    )  # fmt: skip
    sampling = vllm.SamplingParams(
        temperature=0.0, max_tokens=new, stop_token_ids=settings["eos_token_id"], detokenize=False
    )

    def answer(rows: list) -> int:
        asked = [{"prompt_token_ids": ids} for ids in rows]
        found = model.generate(asked, sampling, use_tqdm=False)
        return sum(len(each.outputs[0].token_ids) for each in found)

    print(json.dumps(measure(answer, prompts)))


def by_vllm(python: str | None, export: Path, prompts: list, new: int) -> Measured | str:
    """Return what was measured, or why it was not run."""
    python = python or sys.executable
    probe = "import importlib.util, sys; sys.exit(importlib.util.find_spec('vllm') is None)"
    if subprocess.run([python, "-c", probe], check=False).returncode:
        return f"vllm is not installed in {python}"
    file = export.parent / "prompts.json"
    file.write_text(json.dumps(prompts), "utf-8")
    words = [python, __file__, "--worker", str(export), str(file), str(new)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=LIMIT_SECONDS)
    if done.returncode:
        return (done.stderr.strip().splitlines() or ["?"])[-1]
    return Measured(*json.loads(done.stdout.strip().splitlines()[-1]))


def main() -> None:
    if sys.argv[1:2] == ["--worker"]:
        vllm_worker(sys.argv[2], sys.argv[3], int(sys.argv[4]))
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--new", type=int, default=48, help="new tokens of each row")
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--vllm", metavar="PYTHON", help="an interpreter that has vllm")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--tiny", action="store_true")
    options = parser.parse_args()
    if options.tiny:
        options.rows, options.width, options.layers, options.new = 8, 64, 1, 8
    with tempfile.TemporaryDirectory() as folder:
        trained, dialogues, prompts = make_model(options, Path(folder))
        export = Path(folder) / "export"
        found: dict[str, Measured | str] = {
            "transformers.generate, row by row": by_generate(export, prompts),
            f"transformers.pipeline, batches of {BATCH}": by_pipeline(export, prompts),
            "yoyak predict": by_predict(trained, dialogues),
            f"yoyak serve, {options.clients} clients": by_serve(
                trained, dialogues, options.clients
            ),
            "vLLM, offline": by_vllm(options.vllm, export, prompts, options.new),
        }
    if options.json:
        print(json.dumps({"options": vars(options), "found": found}))
        return
    baseline = next(iter(found.values()))
    assert isinstance(baseline, Measured)
    print(f"{options.rows} rows, {options.new} new tokens each at most; {os.cpu_count()} CPUs")
    for name, one in found.items():
        if isinstance(one, str):
            print(f"{name:40} not run: {one}")
        else:
            clock = baseline.seconds / one.seconds
            processor = baseline.cpu_seconds / one.cpu_seconds
            print(
                f"{name:40} {one.rows / one.seconds:8.2f} rows/s  {one.tokens or '–':>7} tokens"
                f"  x {clock:.2f} (clock)  x {processor:.2f} (processor)"
            )


if __name__ == "__main__":
    main()

"""Merge LoRA adapters into an unquantised copy of the base, if it gives nearly the same logits.

The base is loaded again without 4-bit rounding; nothing is merged into live 4-bit weights. The
result is another model than the one that was trained and evaluated, since the adapters were trained
beside rounded weights: so both generate for the same rows and their distance is reported. Nothing
is written: a merged 8B base takes 16 GB of disk, and seconds to make again.
"""

import gc
import math
from pathlib import Path
from typing import Any

import msgspec

import torch  # noqa: TID253 -- this module is only ever imported by an engine at work
from yoyak.config.schema import Greedy, Recipe
from yoyak.engine import GenerateJob
from yoyak.engine.device import detect, precision_for
from yoyak.engine.inference.generate import DecodeJob
from yoyak.engine.inference.parity import (
    emit_parity,
    emit_warning,
    equal_rows,
    evenly_spaced,
    generate_rows,
    logit_distance,
    teacher_forced_logits,
)
from yoyak.engine.model_classes import Kind
from yoyak.engine.models import weights
from yoyak.engine.models.model import ModelBundle, count_parameters
from yoyak.engine.models.weights import SavedWeights
from yoyak.engine.tokenization.encode import encode_rows
from yoyak.engine.tokenization.script_filter import blocked_token_ids

COMPARED_ROWS = 8
MAX_DISTANCE = 0.5
"""Largest root mean square difference of logits, as a share of their standard deviation. Unrelated
models are 1.4 apart; what NF4 rounds away moves logits by a tenth or so."""
OVERHEAD_GB = 3.0
"""KV cache and workspaces beside the merged weights; a batch that is too big is halved."""
GB = 1e9


def load_merged(job: GenerateJob, kind: Kind) -> tuple[ModelBundle, SavedWeights]:
    """Load the merged model of a job if it fits and is close enough, else the trained one.

    Which of the two it is, and their distance, go to the job's ``emit``.

    Raises:
        InputMissing, Unavailable, RunFailed: as ``weights.load``.
    """
    trained, saved = weights.load(job.folder, kind, job.recipe)
    if saved.form != "adapters" or not _fits(trained, job):
        return trained, saved
    encoded = encode_rows(trained.tokenizer, job.dialogues, job.recipe.prompt, with_answers=False)
    rows = evenly_spaced(encoded, COMPARED_ROWS)
    decode_job = _greedy(trained, saved)
    before = generate_rows(decode_job, rows)
    expected = teacher_forced_logits(decode_job, rows, before.answers)
    del trained, decode_job
    _free_memory()
    merged, _ = load_whole(job.folder, kind, job.recipe)
    decode_job = _greedy(merged, saved)
    after = generate_rows(decode_job, rows)
    distance = logit_distance(teacher_forced_logits(decode_job, rows, before.answers), expected)
    root_mean_square = distance.root_mean_square
    passed = math.isfinite(root_mean_square) and root_mean_square <= MAX_DISTANCE
    fields: dict[str, object] = {
        "rows": len(rows),
        "equal": equal_rows(after, before),
        "mean": f"{distance.mean:.3f}",
        "largest": f"{distance.largest:.2f}",
        "distance": f"{root_mean_square:.3f}",
        "limit": MAX_DISTANCE,
        "speed": f"{before.seconds / after.seconds:.1f}",
    }
    emit_parity(job.emit, "merged", passed, fields)
    if passed:
        return merged, saved
    del merged, decode_job
    _free_memory()
    return weights.load(job.folder, kind, job.recipe)


def without_quantisation(recipe: Recipe) -> Recipe:
    """Return the recipe with its base in the hardware's own number format."""
    model = msgspec.structs.replace(recipe.model, quantisation=None)
    return msgspec.structs.replace(recipe, model=model)


def load_whole(folder: Path, kind: Kind, recipe: Recipe) -> tuple[ModelBundle, SavedWeights]:
    """Load trained weights without quantisation, adapters merged into the base.

    Raises:
        InputMissing, Unavailable, RunFailed: as ``weights.load``.
    """
    bundle, saved = weights.load(folder, kind, without_quantisation(recipe))
    model: Any = bundle.model
    if saved.form == "adapters":
        model = model.merge_and_unload(safe_merge=True)
    return bundle._replace(model=model.eval()), saved


def _greedy(bundle: ModelBundle, saved: SavedWeights) -> DecodeJob:
    return DecodeJob(bundle, Greedy(), saved.max_new_tokens, blocked_token_ids(bundle.tokenizer))


def _fits(trained: ModelBundle, job: GenerateJob) -> bool:
    """Return whether GPU memory can hold the merged model once the trained one is freed."""
    if trained.device.type != "cuda":
        return True
    each = precision_for(without_quantisation(job.recipe), detect()).base.itemsize
    needed = count_parameters(trained.model.parameters()) * each / GB + OVERHEAD_GB
    free = (torch.cuda.mem_get_info()[0] + torch.cuda.memory_reserved()) / GB
    if needed > free:
        emit_warning(
            job.emit, "engine.merged-too-large", needed=f"{needed:.1f}", free=f"{free:.1f}"
        )
    return needed <= free


def _free_memory() -> None:
    gc.collect()
    torch.cuda.empty_cache()

"""Adapters added into their base in the number format of the card, instead of beside 4-bit weights.

The base is loaded afresh without 4-bit rounding; what is live in 4 bits is never merged into. That
is another system than the one that was trained and judged: the adapters have learnt beside rounded
weights. So both are asked the same rows, and how far they are apart is told. Nothing is written:
a merged 8B base takes 16 GB of disk, and seconds to make again.
"""

import gc
import math

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
    forced_logits,
    generate_rows,
    logit_distance,
    spread_over,
)
from yoyak.engine.models import weights
from yoyak.engine.models.model import Kind, ModelBundle, count_parameters
from yoyak.engine.models.weights import SavedWeights
from yoyak.engine.tokenization.encode import EncodedRow, encode_rows
from yoyak.engine.tokenization.script_filter import blocked_token_ids

ROWS = 8
LIMIT = 0.5
"""Largest root mean square of the difference of logits, as a share of their spread. Unrelated
models are 1.4 apart; what NF4 rounds away moves logits by a tenth or so."""
BESIDE_GB = 3.0
"""Keys, values and workspaces beside the merged weights; a batch that is too big is halved."""
GB = 1e9


def open_merged(job: GenerateJob, kind: Kind) -> tuple[ModelBundle, SavedWeights]:
    """The merged system of a job, if it fits and is the same model; else the trained one.

    Which of the two speaks, and how far apart they are, is told through the job's ``emit``.

    Raises:
        InputMissing, Unavailable, RunFailed: as ``weights.load``.
    """
    trained, described = weights.load(job.folder, kind, job.recipe)
    if described.form != "adapters" or not _fits(trained, job):
        return trained, described
    rows = _rows(trained, job)
    work = _asked(trained, described)
    before = generate_rows(work, rows)
    expected = forced_logits(work, rows, before.answers)
    del trained, work
    _release()
    merged = _merged(job, kind)
    work = _asked(merged, described)
    after = generate_rows(work, rows)
    found = logit_distance(forced_logits(work, rows, before.answers), expected)
    passed = math.isfinite(found.root_mean_square) and found.root_mean_square <= LIMIT
    fields: dict[str, object] = {
        "rows": len(rows),
        "equal": equal_rows(after, before),
        "mean": f"{found.mean:.3f}",
        "largest": f"{found.largest:.2f}",
        "distance": f"{found.root_mean_square:.3f}",
        "limit": LIMIT,
        "speed": f"{before.seconds / after.seconds:.1f}",
    }
    emit_parity(job.emit, "merged", passed, fields)
    if passed:
        return merged, described
    del merged, work
    _release()
    return weights.load(job.folder, kind, job.recipe)


def without_rounding(recipe: Recipe) -> Recipe:
    """The recipe with its base in the card's own number format."""
    model = msgspec.structs.replace(recipe.model, quantisation=None)
    return msgspec.structs.replace(recipe, model=model)


def _merged(job: GenerateJob, kind: Kind) -> ModelBundle:
    bundle, _ = weights.load(job.folder, kind, without_rounding(job.recipe))
    adapted = bundle.model
    return bundle._replace(model=adapted.merge_and_unload(safe_merge=True).eval())  # type: ignore[operator]


def _rows(bundle: ModelBundle, job: GenerateJob) -> list[EncodedRow]:
    rows = encode_rows(bundle.tokenizer, job.dialogues, job.recipe.prompt, with_answers=False)
    return spread_over(rows, ROWS)


def _asked(bundle: ModelBundle, described: SavedWeights) -> DecodeJob:
    return DecodeJob(
        bundle, Greedy(), described.max_new_tokens, blocked_token_ids(bundle.tokenizer)
    )


def _fits(trained: ModelBundle, job: GenerateJob) -> bool:
    """Whether the card can hold the merged system once the trained one has gone."""
    if trained.device.type != "cuda":
        return True
    each = precision_for(without_rounding(job.recipe), detect()).base.itemsize
    needed = count_parameters(trained.model.parameters()) * each / GB + BESIDE_GB
    free = (torch.cuda.mem_get_info()[0] + torch.cuda.memory_reserved()) / GB
    if needed > free:
        emit_warning(
            job.emit, "engine.merged-too-large", needed=f"{needed:.1f}", free=f"{free:.1f}"
        )
    return needed <= free


def _release() -> None:
    gc.collect()
    torch.cuda.empty_cache()

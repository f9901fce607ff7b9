"""Run every context of a run once, in seconds: train, save, load, generate, score, write CSV.

One optimizer step is made, the weights are saved and loaded as a second model, which must have the
logits and answers of the first; the answers are scored and written as CSV rows. It finds errors
that would end a run in its last context, after hours of training. Nothing of it is kept.
"""

import csv
import io
import math
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch  # noqa: TID253 -- this module is only ever imported by an engine at work
from yoyak.config.schema import Greedy, Recipe
from yoyak.engine.check_result import check_result, error_result
from yoyak.engine.device import detect, precision_for
from yoyak.engine.inference.generate import generate
from yoyak.engine.models import weights
from yoyak.engine.models.load import SCRATCH
from yoyak.engine.models.model import ModelBundle, trainable_parameters
from yoyak.engine.preflight.check_context import CheckContext, distance, undisturbed
from yoyak.engine.tokenization.encode import EncodedRow
from yoyak.engine.training.optimizer import model_optimizer
from yoyak.events import CheckResult
from yoyak.values import Dialogue, Prediction

if TYPE_CHECKING:
    from yoyak.engine.models.weights import SavedWeights

FOLDER = "dry-run"
NEW_TOKENS = 12
WHOLE = "#Person1#은 #Person2#에게 회의를 세 시로 옮기자고 제안합니다."
HALF = "#Person1#은 #Person2#에게"


class DryRunContext(NamedTuple):
    """Input of the dry run: two training rows, as ``rows`` and as ``dialogues``.

    ``weights`` is the description that the run will write into ``folder``, the engine's own;
    ``tolerance`` is the largest distance between the logits of the trained and the loaded model.
    """

    bundle: ModelBundle
    rows: Sequence[EncodedRow]
    dialogues: Sequence[Dialogue]
    recipe: Recipe
    weights: "SavedWeights"
    folder: Path
    tolerance: float


def dry_run(context: DryRunContext) -> CheckResult:
    """Make the dry run; weights, mode and random state are restored.

    Errors are a failed result, except for yoyak's own, which are raised.
    """
    try:
        return _stages(context)
    except (RuntimeError, ValueError, TypeError, KeyError, OSError) as error:
        return error_result("rehearsal", error)


def _stages(context: DryRunContext) -> CheckResult:
    with undisturbed(context.bundle), _weights_restored(context.bundle):
        _one_step(context)
        answers = _answers(context.bundle, context.rows)
        with _saved_and_loaded(context) as loaded:
            apart = _distance(context, loaded)
            repeated = _answers(loaded, context.rows)
    score = _rouge(answers, context.dialogues)
    same = [one.text == other.text for one, other in zip(answers, repeated, strict=True)]
    passed = (
        apart <= context.tolerance
        and all(same)
        and score is not None
        and _csv_rows(answers) == [[answer.id, answer.text] for answer in answers]
    )
    return check_result(
        "rehearsal",
        passed,
        "engine.found-rehearsal",
        rows=len(answers),
        tokens=sum(answer.tokens or 0 for answer in answers),
        distance=f"{apart:.1e}",
        same=sum(same),
        score="–" if score is None else f"{100 * score:.2f}",
    )


def _one_step(context: DryRunContext) -> None:
    """Make a step at the full learning rate: trained weights must differ from the initial ones."""
    autocast_dtype = precision_for(context.recipe, detect()).autocast
    optimizer = model_optimizer(context.bundle, context.recipe, autocast_dtype)
    optimizer.gradient([context.rows])
    optimizer.clip()
    optimizer.step(context.recipe.train.learning_rate)
    context.bundle.model.eval()


@contextmanager
def _weights_restored(bundle: ModelBundle) -> Iterator[None]:
    named = trainable_parameters(bundle.model)
    kept = {name: value.detach().clone() for name, value in named.items()}
    try:
        yield
    finally:
        with torch.no_grad():
            for name, value in named.items():
                value.copy_(kept[name])


@contextmanager
def _saved_and_loaded(context: DryRunContext) -> Iterator[ModelBundle]:
    """Save and load the weights as a later process would; the folder is removed afterwards."""
    folder = context.folder / FOLDER
    if folder.exists():
        shutil.rmtree(folder)  # of a dry run that was killed
    folder.mkdir(parents=True)
    try:
        if (context.folder / SCRATCH).exists():
            (folder / SCRATCH).symlink_to((context.folder / SCRATCH).resolve())
        weights.write(folder / weights.FOLDER, context.weights, context.bundle)
        yield weights.load(folder, context.bundle.kind, context.recipe)[0]
    finally:
        shutil.rmtree(folder)
        torch.cuda.empty_cache()


def _distance(context: DryRunContext, loaded: ModelBundle) -> float:
    """Return the distance between the logits of the loaded and the trained model."""
    precision = precision_for(context.recipe, detect())
    trained, found = (
        CheckContext(bundle, context.rows, precision).logits(context.rows)
        for bundle in (context.bundle, loaded)
    )
    return distance(found, trained)


def _answers(bundle: ModelBundle, rows: Sequence[EncodedRow]) -> list[Prediction]:
    return list(generate(bundle, rows, Greedy(max_new_tokens=NEW_TOKENS), max_new_tokens=0))


def _rouge(answers: Sequence[Prediction], dialogues: Sequence[Dialogue]) -> float | None:
    """Return the mean ROUGE of the answers; ``None`` if the metric fails its sanity checks.

    Half a text scored against the whole one must have more precision than recall; with answers and
    references swapped it would be the other way round.
    """
    from yoyak.metrics.protocol import OFFICIAL
    from yoyak.metrics.rouge import score_rows

    references: Mapping[str, tuple[str, ...]] = {each.id: each.references[:1] for each in dialogues}
    scores = score_rows(
        [answer.text for answer in answers], [references[a.id] for a in answers], OFFICIAL
    )
    known = score_rows([HALF], [(WHOLE,)], OFFICIAL)
    same = score_rows([WHOLE], [(WHOLE,)], OFFICIAL)
    mean = float(scores[:, :, 2].mean())
    sane = bool((known[:, 0, 0] > known[:, 0, 1]).all()) and bool((same == 1.0).all())
    return mean if sane and math.isfinite(mean) and 0.0 <= mean <= 1.0 else None


def _csv_rows(answers: Sequence[Prediction]) -> list[list[str]]:
    file = io.StringIO()
    csv.writer(file).writerows([answer.id, answer.text] for answer in answers)
    return list(csv.reader(io.StringIO(file.getvalue(), newline="")))

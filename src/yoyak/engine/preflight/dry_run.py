"""The rehearsal: the whole road once, in seconds, before hours are spent on it.

One step is taken, the weights are saved and opened again as a fresh system, which must say what
the living one says; two rows are answered, judged and written as rows of a file. Runs that had
trained for hours and died in one of the later stations are the reason. Nothing of it is kept.
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
from yoyak.engine.check_line import breakdown, check
from yoyak.engine.device import detect, precision_for
from yoyak.engine.inference.generate import generate
from yoyak.engine.models import weights
from yoyak.engine.models.load import SCRATCH
from yoyak.engine.models.model import ModelBundle, trainable_parameters
from yoyak.engine.preflight.model_checks import CheckContext, distance, undisturbed
from yoyak.engine.tokenization.encode import EncodedRow
from yoyak.engine.training.model_optimizer import ModelOptimizer
from yoyak.events import CheckResult
from yoyak.values import Dialogue, Prediction

if TYPE_CHECKING:
    from yoyak.engine.models.weights import SavedWeights

FOLDER = "rehearsal"
NEW_TOKENS = 12
WHOLE = "#Person1#은 #Person2#에게 회의를 세 시로 옮기자고 제안합니다."
HALF = "#Person1#은 #Person2#에게"


class DryRunStage(NamedTuple):
    """What the rehearsal plays with: two training rows, as ``rows`` and as ``dialogues``.

    ``weights`` describes what the run will write into ``folder``, the engine's own.
    """

    bundle: ModelBundle
    rows: Sequence[EncodedRow]
    dialogues: Sequence[Dialogue]
    recipe: Recipe
    weights: "SavedWeights"
    folder: Path


def run_dry_run(stage: DryRunStage) -> CheckResult:
    """The rehearsal as a line of the proof card; weights, mode and random state stay as found.

    Whatever breaks on the way is the line's finding, except for what ``yoyak`` itself refuses.
    """
    try:
        return _play(stage)
    except (RuntimeError, ValueError, TypeError, KeyError, OSError) as error:
        return breakdown("rehearsal", error)


def _play(stage: DryRunStage) -> CheckResult:
    with undisturbed(stage.bundle), _weights_given_back(stage.bundle):
        _one_step(stage)
        said = _answers(stage.bundle, stage.rows)
        with _saved_and_opened(stage) as again:
            apart = _distance(stage, again)
            repeated = _answers(again, stage.rows)
    score = _judged(said, stage.dialogues)
    texts = [answer.text for answer in said]
    sound = (
        apart <= _bench(stage, stage.bundle).tolerance
        and texts == [answer.text for answer in repeated]
        and score is not None
        and _file_rows(said) == [[answer.id, answer.text] for answer in said]
    )
    return check(
        "rehearsal",
        sound,
        "engine.found-rehearsal",
        rows=len(said),
        tokens=sum(answer.tokens or 0 for answer in said),
        distance=f"{apart:.1e}",
        same=sum(one.text == other.text for one, other in zip(said, repeated, strict=True)),
        score="–" if score is None else f"{100 * score:.2f}",
    )


def _one_step(stage: DryRunStage) -> None:
    """A step at full rate: what learns must differ from a fresh model to be recognised again."""
    autocast = precision_for(stage.recipe, detect()).autocast
    optimizer = ModelOptimizer(stage.bundle, stage.recipe.train, autocast)
    optimizer.gradient([stage.rows])
    optimizer.clip()
    optimizer.apply(stage.recipe.train.learning_rate)
    stage.bundle.model.eval()


@contextmanager
def _weights_given_back(bundle: ModelBundle) -> Iterator[None]:
    named = trainable_parameters(bundle.model)
    kept = {name: value.detach().clone() for name, value in named.items()}
    try:
        yield
    finally:
        with torch.no_grad():
            for name, value in named.items():
                value.copy_(kept[name])


@contextmanager
def _saved_and_opened(stage: DryRunStage) -> Iterator[ModelBundle]:
    """The system that a later process would open, from a folder that is gone afterwards."""
    folder = stage.folder / FOLDER
    if folder.exists():
        shutil.rmtree(folder)  # of a rehearsal that was killed
    folder.mkdir(parents=True)
    try:
        if (stage.folder / SCRATCH).exists():
            (folder / SCRATCH).symlink_to((stage.folder / SCRATCH).resolve())
        weights.write(folder / weights.FOLDER, stage.weights, stage.bundle)
        yield weights.load(folder, stage.bundle.kind, stage.recipe)[0]
    finally:
        shutil.rmtree(folder)
        torch.cuda.empty_cache()


def _bench(stage: DryRunStage, bundle: ModelBundle) -> CheckContext:
    return CheckContext(bundle, stage.rows, stage.rows, precision_for(stage.recipe, detect()))


def _distance(stage: DryRunStage, again: ModelBundle) -> float:
    """How far the opened system's logits are from the living one's."""
    living, opened = (_bench(stage, bundle).logits(stage.rows) for bundle in (stage.bundle, again))
    return distance(opened, living)


def _answers(bundle: ModelBundle, rows: Sequence[EncodedRow]) -> list[Prediction]:
    return list(generate(bundle, rows, Greedy(max_new_tokens=NEW_TOKENS), max_new_tokens=0))


def _judged(answers: Sequence[Prediction], dialogues: Sequence[Dialogue]) -> float | None:
    """The mean ROUGE of the answers; ``None`` where the judge is not to be believed.

    Half a text scored against the whole one must have more precision than recall: with answers
    and references swapped it would be the other way round.
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
    sensible = bool((known[:, 0, 0] > known[:, 0, 1]).all()) and bool((same == 1.0).all())
    return mean if sensible and math.isfinite(mean) and 0.0 <= mean <= 1.0 else None


def _file_rows(answers: Sequence[Prediction]) -> list[list[str]]:
    file = io.StringIO()
    csv.writer(file).writerows([answer.id, answer.text] for answer in answers)
    return list(csv.reader(io.StringIO(file.getvalue(), newline="")))

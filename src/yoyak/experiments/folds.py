"""Train a recipe on several folds and seeds, and score the out-of-fold summaries as one system.

Folds are of train. So each member also predicts dev and test like any other run, and all of them
are candidates for the blend; the rows of train that it held out are what it predicts besides.
Together the members of a seed answer each row of train once, by a model that has not seen it. Their
score is of other rows than dev and compared with out-of-fold scores of the same rows only.
"""

import json
from collections.abc import Sequence
from typing import NamedTuple

from yoyak.config.schema import LONGEST_NAME, Recipe
from yoyak.data.training_rows import held_out_split
from yoyak.errors import BadRecipe
from yoyak.events import RunStatus
from yoyak.files import atomic
from yoyak.metrics.protocol import OFFICIAL
from yoyak.metrics.scorecard import evaluate
from yoyak.runs.fold_scores import FoldScores, read_fold_scores, write_fold_scores
from yoyak.runs.replicates import family_of
from yoyak.runs.run import Run
from yoyak.runs.stage_records import file_sha256
from yoyak.runs.workspace import Workspace
from yoyak.scheduler.create_runs import RunRequest
from yoyak.values import Corpus, Dialogue, Prediction


class FoldPlan(NamedTuple):
    """How many folds and seeds a recipe is trained with; ``None`` folds trains on all of train."""

    folds: int | None = None
    seeds: int = 1

    def requests(self, name: str, recipe: Recipe) -> list[RunRequest]:
        """Return the runs of the recipe called ``name``, each with its seed, fold and name.

        Seeds count up from the recipe's own. With one seed and no folds it is the recipe itself.

        Raises:
            BadRecipe: the recipe has folds of its own, or trains on dev.
        """
        if self.folds is None and self.seeds == 1:
            return [RunRequest(name)]
        if self.folds is not None and (recipe.data.folds is not None or recipe.data.with_dev):
            raise BadRecipe("experiments.folds-twice", recipe=recipe.name)
        first = recipe.train.seed
        return [
            RunRequest(name, self._sets(recipe, seed, fold))
            for seed in range(first, first + self.seeds)
            for fold in (range(1, self.folds + 1) if self.folds is not None else (None,))
        ]

    def _sets(self, recipe: Recipe, seed: int, fold: int | None) -> tuple[str, ...]:
        suffix = "" if fold is None else f"-fold{fold}of{self.folds}"
        suffix += "" if self.seeds == 1 else f"-seed{seed}"
        name = json.dumps(f"{recipe.name[: LONGEST_NAME - len(suffix)]}{suffix}")
        held_out = () if fold is None else (f"data.folds={self.folds}", f"data.fold={fold}")
        return (f"name={name}", f"train.seed={seed}", *held_out)


def score_out_of_fold(
    workspace: Workspace, corpus: Corpus, runs: Sequence[Run]
) -> list[FoldScores]:
    """Score the summaries of every seed whose folds are all finished; stored scores are kept."""
    groups: dict[tuple[str, int], dict[int, Run]] = {}
    for run in runs:
        recipe = run.recipe
        if recipe.data.fold is not None and run.state().status is RunStatus.FINISHED:
            groups.setdefault((family_of(recipe), recipe.train.seed), {})[recipe.data.fold] = run
    whole = [group for group in groups.values() if len(group) == _folds(group)]
    return [_scored(workspace, corpus, [group[fold] for fold in sorted(group)]) for group in whole]


def _folds(group: dict[int, Run]) -> int:
    return next(iter(group.values())).recipe.data.folds or 0


def _scored(workspace: Workspace, corpus: Corpus, members: Sequence[Run]) -> FoldScores:
    outputs = {run.name: file_sha256(run.predictions_path("train")) or "" for run in members}
    recipe = members[0].recipe
    key = atomic.sha256_of(family_of(recipe), corpus.train.fingerprint)
    known = read_fold_scores(workspace, key, recipe.train.seed)
    if known is not None and known.outputs == outputs:
        return known
    predictions: list[Prediction] = []
    rows: list[Dialogue] = []
    for run in members:
        held_out = held_out_split(corpus.train, run.recipe.data)
        rows += [] if held_out is None else held_out.dialogues
        predictions += run.predictions("train")
    split = corpus.train
    if len(rows) != len(split.dialogues):  # [data] leaves rows out
        ids = {row.id for row in rows}
        kept = tuple(row for row in split.dialogues if row.id in ids)
        split = split.__class__(
            name="train", dialogues=kept, fingerprint=atomic.sha256_of(split.fingerprint, len(kept))
        )
    found = FoldScores(
        key=key,
        recipe=family_name(members[0]),
        seed=recipe.train.seed,
        folds=len(members),
        train_sha256=split.fingerprint,
        outputs=outputs,
        card=evaluate(predictions, split, OFFICIAL),
    )
    write_fold_scores(workspace, found)
    return found


def family_name(run: Run) -> str:
    """Return the name of the recipe that a member was made of."""
    recipe = run.recipe
    return recipe.name.partition("-fold")[0] if recipe.data.fold else recipe.name

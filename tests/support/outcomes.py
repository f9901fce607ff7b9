"""What comes of a line-up or a study: weights, answers, scores, to be compared bit for bit."""

from pathlib import Path

from yoyak.files.atomic import sha256_file
from yoyak.runs.run import Run
from yoyak.runs.study import Study
from yoyak.runs.workspace import Workspace


def outcome(run: Run) -> dict[str, object]:
    """Return hashes of a run's weights, its answers and its score on dev."""
    weights = {
        path.name: sha256_file(path)
        for path in sorted((run.folder / "weights").glob("*.safetensors"))
    }
    assert weights, f"{run.name} has no weights"
    answers = {
        split: sorted((one.id, one.text) for one in run.predictions(split))
        for split in ("dev", "test")
    }
    return {"weights": weights, "answers": answers, "score": run.scorecard("dev").rouge}


def outcomes(workspace: Path) -> dict[str, dict[str, object]]:
    """Return the outcome of each run of a workspace that is trained, by recipe."""
    runs = [run for run in Workspace(workspace).runs() if run.recipe.train.epochs]
    return {run.identity.recipe: outcome(run) for run in runs}


def study_outcome(study: Study) -> dict[str, object]:
    """Return what a study came to, without the names of its runs and the time they took."""
    return {
        "trials": [
            (one.number, one.repeats, one.sets, one.state, one.scores, one.evaluations)
            for one in (*study.trials, *study.confirmations)
        ],
        "verdict": study.verdict,
    }

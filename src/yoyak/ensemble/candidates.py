"""Candidates for a submission: the decodings of every run and the imports, aligned row by row."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from yoyak.config.schema import Recipe
from yoyak.ensemble.imports import Import, imports
from yoyak.errors import BadData, InputMissing
from yoyak.metrics.scorecard import Scorecard
from yoyak.runs.run import Run
from yoyak.runs.workspace import Workspace
from yoyak.values import Corpus, Prediction, Split, Value


class Lineage(Value, frozen=True, kw_only=True):
    """Where a column comes from; recipe and hash are ``None`` for imported predictions.

    ``system`` is the run's id or the import's name: columns that share it are decodes of the same
    weights, and share its votes.
    """

    system: str
    decode: str
    recipe: str | None = None
    recipe_sha256: str | None = None

    @property
    def name(self) -> str:
        """The column's name for people."""
        return f"{self.system}/{self.decode}"


class CandidateColumn(NamedTuple):
    """All answers of one system under one decode."""

    lineage: Lineage
    predictions: tuple[Prediction, ...]


class CandidatePool(NamedTuple):
    """Columns over the same ids in the same order.

    The order of columns is the order of preference: the caller puts the best system on dev first,
    and every tie goes to the earlier column.
    """

    ids: tuple[str, ...]
    columns: tuple[CandidateColumn, ...]

    @property
    def systems(self) -> tuple[str, ...]:
        """The systems in order of preference, each once."""
        return tuple(dict.fromkeys(column.lineage.system for column in self.columns))

    @property
    def texts(self) -> list[list[str]]:
        """The candidate texts of every dialogue, in column order."""
        rows = zip(*(column.predictions for column in self.columns), strict=True)
        return [[one.text for one in row] for row in rows]

    def columns_of(self, system: str) -> tuple[int, ...]:
        """The places of a system's columns."""
        return tuple(
            at for at, column in enumerate(self.columns) if column.lineage.system == system
        )


def align(ids: Sequence[str], columns: Sequence[CandidateColumn]) -> CandidatePool:
    """A pool in the order of ``ids``, which every column must answer, each exactly once.

    Raises:
        BadData: no columns, the same column twice, or a column whose ids are not ``ids``.
    """
    if not columns or not ids:
        raise BadData("submission.empty-pool", columns=len(columns), rows=len(ids))
    names = [column.lineage.name for column in columns]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise BadData("submission.repeated-column", columns=", ".join(twice))
    return CandidatePool(tuple(ids), tuple(_aligned(tuple(ids), column) for column in columns))


def _aligned(ids: tuple[str, ...], column: CandidateColumn) -> CandidateColumn:
    by_id = {one.id: one for one in column.predictions}
    unlike = sorted(by_id.keys() ^ set(ids))
    if unlike or len(by_id) != len(column.predictions):
        raise BadData(
            "submission.unlike-column",
            column=column.lineage.name,
            found=len(column.predictions),
            expected=len(ids),
            count=len(unlike),
            ids=", ".join(unlike[:5]),
        )
    return column._replace(predictions=tuple(by_id[name] for name in ids))


# --- candidates of a workspace --------------------------------------------------------------------


class Candidate(NamedTuple):
    """One system under one decode, with whole and scored dev predictions.

    ``test`` is ``None`` until all of test is predicted. ``names`` are what a person may call it
    by; ``recipe`` is ``None`` for imports.
    """

    lineage: Lineage
    card: Scorecard
    dev: tuple[Prediction, ...]
    test: tuple[Prediction, ...] | None
    names: tuple[str, ...]
    recipe: Recipe | None = None

    @property
    def instructions(self) -> tuple[str, ...]:
        """The texts of its prompt, as far as they are known."""
        return (self.recipe.prompt.system, self.recipe.prompt.instruction) if self.recipe else ()


def candidates(
    workspace: Workspace, corpus: Corpus, names: Sequence[str] = ()
) -> tuple[Candidate, ...]:
    """The candidates on these data, the best dev mean first.

    Args:
        workspace: runs and imports.
        corpus: only what was made from these data counts.
        names: runs, recipes (their newest run) or imports; none means all.

    Raises:
        InputMissing: a name has no candidate.
    """
    found = [*_from_runs(workspace, corpus), *_from_imports(workspace, corpus)]
    for name in names:
        if not any(name in one.names for one in found):
            known = ", ".join(dict.fromkeys(one.lineage.system for one in found))
            raise InputMissing("submission.no-candidate", name=name, known=known)
    chosen = [one for one in found if not names or set(one.names) & set(names)]
    return tuple(sorted(chosen, key=lambda one: -one.card.rouge.mean))


def pool(chosen: Sequence[Candidate], split: Split) -> CandidatePool:
    """The candidates' answers to dev or test, in the order given.

    Raises:
        BadData: a candidate does not answer the whole split.
    """
    ids = [dialogue.id for dialogue in split.dialogues]
    return align(
        ids,
        [
            CandidateColumn(one.lineage, one.dev if split.name == "dev" else one.test or ())
            for one in chosen
        ],
    )


def _from_runs(workspace: Workspace, corpus: Corpus) -> Iterator[Candidate]:
    wanted = (corpus.train.fingerprint, corpus.dev.fingerprint)
    newest: dict[str, str] = {}
    runs = [
        run
        for run in workspace.runs()
        if (run.identity.train_sha256, run.identity.dev_sha256) == wanted
    ]
    for run in runs:
        newest[run.identity.recipe] = run.name
    for run in runs:
        recipe = run.identity.recipe
        names = (run.name, recipe) if newest[recipe] == run.name else (run.name,)
        for variant in (None, *_variants(run)):
            yield from _of_run(run, variant, names, corpus)


def _variants(run: Run) -> list[str]:
    """The names of the other decodes that the run has dev predictions of."""
    paths = sorted(run.predictions_path("dev").parent.glob("dev@*.jsonl"))
    return [path.stem.partition("@")[2] for path in paths]


def _of_run(
    run: Run, variant: str | None, names: tuple[str, ...], corpus: Corpus
) -> Iterator[Candidate]:
    from yoyak.ensemble.decode_search import name_of

    card = run.scorecard("dev", variant)
    dev = _whole(run.predictions("dev", variant), corpus.dev)
    if card is None or dev is None:
        return
    recipe = run.recipe
    decode = variant or name_of(recipe.decode)
    yield Candidate(
        lineage=Lineage(
            system=run.name,
            decode=decode,
            recipe=recipe.name,
            recipe_sha256=recipe.full_hash,
        ),
        card=card,
        dev=dev,
        test=_whole(run.predictions("test", variant), corpus.test),
        names=names,
        recipe=recipe,
    )


def _from_imports(workspace: Workspace, corpus: Corpus) -> Iterator[Candidate]:
    for found in imports(workspace):
        card, dev = found.scorecard(), _whole(found.predictions("dev"), corpus.dev)
        if card is not None and dev is not None and _same_data(found, corpus):
            yield Candidate(
                lineage=Lineage(system=found.name, decode="imported"),
                card=card,
                dev=dev,
                test=_whole(found.predictions("test"), corpus.test),
                names=(found.name,),
            )


def _same_data(found: Import, corpus: Corpus) -> bool:
    return found.record.data_sha256.get("dev") == corpus.dev.fingerprint


def _whole(predictions: Sequence[Prediction], split: Split) -> tuple[Prediction, ...] | None:
    """The predictions if they answer the whole split, in its order."""
    by_id = {one.id: one for one in predictions}
    if by_id.keys() != {dialogue.id for dialogue in split.dialogues}:
        return None
    return tuple(by_id[dialogue.id] for dialogue in split.dialogues)

"""Everything that could be handed in: the decodes of every run, and the imports."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from yoyak.config.schema import Recipe
from yoyak.ensemble.candidate_pool import CandidateColumn, CandidatePool, Lineage, align
from yoyak.ensemble.imports import Import, imports
from yoyak.errors import InputMissing
from yoyak.metrics.scorecard import Scorecard
from yoyak.runs.run import Run
from yoyak.runs.workspace import Workspace
from yoyak.values import Corpus, Prediction, Split


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

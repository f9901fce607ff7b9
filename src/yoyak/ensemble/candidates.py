"""Candidates for a submission: the decodings of every run and the imports, aligned row by row."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from yoyak.config.schema import BeamSearch, Decode, Greedy, Recipe, Sampling
from yoyak.ensemble.imports import Import, imports
from yoyak.errors import BadData, InputMissing
from yoyak.events import RunState
from yoyak.messages import listed
from yoyak.metrics.protocol import OFFICIAL, protocol_of
from yoyak.metrics.scorecard import Scorecard
from yoyak.runs.run import Run
from yoyak.runs.stage_records import (
    StaleOutput,
    StaleReason,
    is_verifiable,
    provenance,
    stale_outputs,
)
from yoyak.runs.study import hidden_runs
from yoyak.runs.workspace import Workspace
from yoyak.values import Corpus, Prediction, Protocol, Split, Value


class Lineage(Value, frozen=True, kw_only=True):
    """Identify a column: a system under one decoding.

    ``system`` is the run's id or the import's name: columns that share it are decodings of the same
    weights, and share its votes. Recipe and hash are ``None`` for imports.
    """

    system: str
    decode: str
    recipe: str | None = None
    recipe_sha256: str | None = None

    @property
    def name(self) -> str:
        """The column's name as displayed."""
        return f"{self.system}/{self.decode}"


class CandidateColumn(NamedTuple):
    """All predictions of one system under one decoding."""

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
        """The distinct systems in order of preference."""
        return tuple(dict.fromkeys(column.lineage.system for column in self.columns))

    @property
    def texts(self) -> list[list[str]]:
        """Candidate texts by dialogue, in column order."""
        rows = zip(*(column.predictions for column in self.columns), strict=True)
        return [[one.text for one in row] for row in rows]

    def columns_of(self, system: str) -> tuple[int, ...]:
        """Return the indices of a system's columns."""
        return tuple(
            index for index, column in enumerate(self.columns) if column.lineage.system == system
        )


def align(ids: Sequence[str], columns: Sequence[CandidateColumn]) -> CandidatePool:
    """Align columns in the order of ``ids``, which every column must answer exactly once.

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
    """One system under one decoding, with complete and scored dev predictions.

    ``test`` is ``None`` until all of test is predicted. ``names`` are the names that a command may
    use for it; ``recipe`` is ``None`` for imports. ``provenance`` has the hashes that bind its
    answers, ``stale`` each output that was edited or made from other inputs; where ``verifiable``
    is false, an older version recorded no hashes to compare.
    """

    lineage: Lineage
    card: Scorecard
    dev: tuple[Prediction, ...]
    test: tuple[Prediction, ...] | None
    names: tuple[str, ...]
    recipe: Recipe | None = None
    provenance: dict[str, str] = {}
    stale: tuple[StaleOutput, ...] = ()
    verifiable: bool = True
    variant: str | None = None
    """Name of a decoding other than the run's own."""

    @property
    def instructions(self) -> tuple[str, ...]:
        """The texts of its prompt; none for imports."""
        return (self.recipe.prompt.system, self.recipe.prompt.instruction) if self.recipe else ()


def name_of(decode: Decode) -> str:
    """Return a short name that is a legal file name: ``beam-4-lp1.2-ng3-max96``."""
    match decode:
        case BeamSearch():
            minimum = f"-min{decode.min_new_tokens}" if decode.min_new_tokens else ""
            kind = f"beam-{decode.num_beams}-lp{decode.length_penalty:g}{minimum}"
        case Sampling():
            kind = f"sample-t{decode.temperature:g}-p{decode.top_p:g}-s{decode.seed}"
        case Greedy():
            kind = "greedy"
    blocking = f"-ng{decode.no_repeat_ngram_size}" if decode.no_repeat_ngram_size else ""
    longest = f"-max{decode.max_new_tokens}" if decode.max_new_tokens else ""
    quantile = decode.length_cap_quantile
    by_length = f"-cap{quantile:g}" if quantile is not None else ""
    return f"{kind}{blocking}{longest}{by_length}"


def candidates(
    workspace: Workspace, corpus: Corpus, names: Sequence[str] = ()
) -> tuple[Candidate, ...]:
    """Return the candidates on these data, the best dev mean first, unlike protocols last.

    Args:
        workspace: runs and imports.
        corpus: only what was made from these data counts.
        names: runs, recipes (their newest run) or imports; none means all but the trials of
            studies.

    Raises:
        InputMissing: a name has no candidate.
    """
    found = [*_from_runs(workspace, corpus), *_from_imports(workspace, corpus)]
    references = {dialogue.id: dialogue.references for dialogue in corpus.dev.dialogues}
    found = [_under(protocol_of(OFFICIAL, references), one) for one in found] if found else []
    for name in names:
        if not any(name in one.names for one in found):
            raise _no_candidate(workspace, corpus, name, found)
    hidden = hidden_runs(workspace.studies_folder)
    chosen = [
        one
        for one in found
        if (set(one.names) & set(names) if names else one.lineage.system not in hidden)
    ]
    return tuple(sorted(chosen, key=lambda one: (_UNRANKED in one.stale, -one.card.rouge.mean)))


def _no_candidate(
    workspace: Workspace, corpus: Corpus, name: str, found: Sequence[Candidate]
) -> InputMissing:
    """Return why ``name`` is not among ``found``: other data, or nothing whole and scored."""
    run = workspace.named(name)
    taken_in = next((one for one in imports(workspace) if one.name == name), None)
    made_from: dict[str, str | None] = {}
    if run is not None:
        made_from = {"train": run.identity.train_sha256, "dev": run.identity.dev_sha256}
    elif taken_in is not None:
        made_from = {"dev": taken_in.record.data_sha256.get("dev")}
    now = {"train": corpus.train.fingerprint, "dev": corpus.dev.fingerprint}
    other = [split for split, made in made_from.items() if made != now[split]]
    if other:
        return InputMissing("submission.other-data", name=name, splits=", ".join(other))
    known = listed(list(dict.fromkeys(one.lineage.system for one in found)))
    return InputMissing("submission.no-candidate", name=name, known=known or "–")


def _under(protocol: Protocol, one: Candidate) -> Candidate:
    """Return the candidate, stale if its score is of another protocol: it cannot be ranked."""
    if one.card.protocol == protocol or _UNRANKED in one.stale:
        return one
    return one._replace(stale=(*one.stale, _UNRANKED))


_UNRANKED = StaleOutput("score", StaleReason.PROTOCOL)


def pool(chosen: Sequence[Candidate], split: Split) -> CandidatePool:
    """Align the candidates' predictions of dev or test, in the order given.

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
        state = run.state()
        for variant in (None, *_variants(run)):
            yield from _of_run(run, state, variant, names, corpus)


def _variants(run: Run) -> list[str]:
    """List the other decodings that the run has dev predictions of."""
    paths = sorted(run.predictions_path("dev").parent.glob("dev@*.jsonl"))
    return [path.stem.partition("@")[2] for path in paths]


def _of_run(
    run: Run, state: RunState, variant: str | None, names: tuple[str, ...], corpus: Corpus
) -> Iterator[Candidate]:
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
        provenance=provenance(state, variant),
        stale=stale_outputs(run, state, corpus, variant),
        verifiable=is_verifiable(run),
        variant=variant,
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
                provenance=found.provenance,
                stale=found.stale_outputs(corpus),
            )


def _same_data(found: Import, corpus: Corpus) -> bool:
    return found.record.data_sha256.get("dev") == corpus.dev.fingerprint


def _whole(predictions: Sequence[Prediction], split: Split) -> tuple[Prediction, ...] | None:
    """Return the predictions in the order of the split; ``None`` if any is missing or unknown."""
    by_id = {one.id: one for one in predictions}
    if by_id.keys() != {dialogue.id for dialogue in split.dialogues}:
        return None
    return tuple(by_id[dialogue.id] for dialogue in split.dialogues)

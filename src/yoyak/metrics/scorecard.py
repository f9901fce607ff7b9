"""Evaluate a file of summaries: scores, interval, baselines, statistics and alarms."""

import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from yoyak.metrics import align_ids, baselines, rouge_consistency, sanity_checks
from yoyak.metrics.align_ids import Alignment
from yoyak.metrics.baselines import Probes, TrivialBaselines
from yoyak.metrics.diagnostics import slices
from yoyak.metrics.diagnostics import statistics as statistics_
from yoyak.metrics.diagnostics.error_types import ErrorType, SummaryItem, rows_with
from yoyak.metrics.diagnostics.slices import Slice, Topics
from yoyak.metrics.diagnostics.statistics import COUNTED, FileStatistics
from yoyak.metrics.diagnostics.text_patterns import speakers
from yoyak.metrics.protocol import OFFICIAL, Definition, protocol_of
from yoyak.metrics.rouge import corpus_mean, score_rows
from yoyak.values import (
    Dialogue,
    Interval,
    PredictedTexts,
    Prediction,
    Protocol,
    ReferenceMode,
    Rouge,
    Score,
    Split,
    StopReason,
    Value,
)

if TYPE_CHECKING:
    from yoyak.metrics.bootstrap import Floats

RESAMPLES = 10_000
SEED = 42
FEW_ROWS = 10
"""Below this many rows, ratios of the measures say nothing: two short texts often agree in all."""


class RowScore(Value, frozen=True, kw_only=True):
    """The F1 of one row."""

    id: str
    rouge: Rouge


class Measures(Value, frozen=True, kw_only=True):
    """Precision, recall and F1 of each measure, means over the rows."""

    rouge1: Score
    rouge2: Score
    rougeL: Score


class Scorecard(Value, frozen=True, kw_only=True):
    """The complete evaluation of a file of summaries.

    ``interval`` is of the mean of the three F1, percentile bootstrap over rows.
    """

    protocol: Protocol
    rouge: Rouge
    interval: Interval
    measures: Measures
    by_reference_mode: dict[ReferenceMode, Rouge]
    """Mean and max over references where a row has several; else only the protocol's own."""
    rows: tuple[RowScore, ...]
    alignment: Alignment
    floors: TrivialBaselines
    probes: Probes
    statistics: FileStatistics
    faults: dict[ErrorType, tuple[str, ...]]
    """The ids of the rows that show each kind of fault."""
    alarms: tuple[sanity_checks.Alarm, ...]
    slices: tuple[Slice, ...]
    topics: Topics | None
    resamples: int
    seed: int

    @property
    def n(self) -> int:
        """Return the number of scored rows."""
        return len(self.rows)

    def __repr__(self) -> str:
        """Return one line, F1 × 100: all fields would fill pages."""
        rouge, low, high = self.rouge, 100 * self.interval.low, 100 * self.interval.high
        return (
            f"<Scorecard mean {100 * rouge.mean:.2f} ({low:.2f}–{high:.2f}), "
            f"R-1 {100 * rouge.rouge1:.2f}, R-2 {100 * rouge.rouge2:.2f}, "
            f"R-L {100 * rouge.rougeL:.2f}, {self.n} rows, {len(self.alarms)} alarms>"
        )


class _Job(NamedTuple):
    """What is evaluated, rows in the order of the references."""

    texts: dict[str, str]
    references: dict[str, tuple[str, ...]]
    dialogues: Mapping[str, Dialogue] | None
    definition: Definition
    alignment: Alignment
    stopped_by_length: int | None
    decomposed: tuple[str, ...]
    labelled_predictions: bool
    seed: int
    resamples: int


def evaluate(
    predictions: Sequence[Prediction] | Mapping[str, str],
    split: Split,
    definition: Definition = OFFICIAL,
    *,
    seed: int = SEED,
    resamples: int = RESAMPLES,
) -> Scorecard:
    """Evaluate the predictions of a whole split.

    Raises:
        BadData: the ids of predictions and split differ, an id is there twice, or a dialogue has
            no reference.
    """
    texts, stopped = _unpacked(predictions)
    written = (
        texts if isinstance(predictions, Mapping) else {row.id: row.raw for row in predictions}
    )
    dialogues = {dialogue.id: dialogue for dialogue in split.dialogues}
    references = _composed_all({key: one.references for key, one in dialogues.items()})
    alignment = align_ids.align(texts, references)
    align_ids.require_whole(alignment)
    return _evaluate(
        _Job(
            texts=_composed({key: texts[key] for key in references}),
            references=references,
            dialogues=dialogues,
            definition=definition,
            alignment=alignment,
            stopped_by_length=stopped,
            decomposed=tuple(dict.fromkeys((*_decomposed(written), *_decomposed(texts)))),
            labelled_predictions=False,
            seed=seed,
            resamples=resamples,
        )
    )


def evaluate_texts(
    predictions: Mapping[str, str],
    references: Mapping[str, tuple[str, ...]],
    dialogues: Mapping[str, Dialogue] | None = None,
    definition: Definition = OFFICIAL,
    *,
    seed: int = SEED,
    resamples: int = RESAMPLES,
) -> Scorecard:
    """Evaluate texts of any origin: rows are matched by id, what does not match raises an alarm.

    Only shared ids are scored, and the protocol is that of the rows that were scored. Texts are
    scored in Unicode NFC; ``PredictedTexts`` tell the alarms what their file looked like.

    Raises:
        BadData: no id is shared, or a row has no reference.
    """
    file = predictions if isinstance(predictions, PredictedTexts) else PredictedTexts(predictions)
    alignment = align_ids.align(predictions, references)
    align_ids.require_any(alignment)
    shared = _composed_all({key: row for key, row in references.items() if key in predictions})
    return _evaluate(
        _Job(
            texts=_composed({key: predictions[key] for key in shared}),
            references=shared,
            dialogues=dialogues,
            definition=definition,
            alignment=alignment,
            stopped_by_length=None,
            decomposed=_decomposed({key: file.as_written.get(key, file[key]) for key in shared}),
            labelled_predictions=file.has_dialogues and not dialogues,
            seed=seed,
            resamples=resamples,
        )
    )


def _composed(texts: Mapping[str, str]) -> dict[str, str]:
    return {key: unicodedata.normalize("NFC", text) for key, text in texts.items()}


def _composed_all(references: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    return {
        key: tuple(unicodedata.normalize("NFC", text) for text in row)
        for key, row in references.items()
    }


def _decomposed(texts: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(key for key, text in texts.items() if not unicodedata.is_normalized("NFC", text))


def _unpacked(
    predictions: Sequence[Prediction] | Mapping[str, str],
) -> tuple[Mapping[str, str], int | None]:
    """Return the texts by id, and how many hit the token limit where that is known."""
    if isinstance(predictions, Mapping):
        return predictions, None
    found = align_ids.by_id(predictions)
    stops = [row.stop for row in found.values()]
    known = [stop for stop in stops if stop is not StopReason.IMPORTED]
    stopped = known.count(StopReason.LENGTH) if known else None
    return {key: row.text for key, row in found.items()}, stopped


def _evaluate(job: _Job) -> Scorecard:
    theirs = list(job.references.values())
    scores = score_rows(list(job.texts.values()), theirs, job.definition)
    rows = _row_scores(job.texts, scores)
    means = {row.id: row.rouge.mean for row in rows}
    items = statistics_.items(job.texts, job.references, job.dialogues)
    evidence = _evidence(job, scores, items)
    known = (
        {key: job.dialogues[key] for key in job.texts if key in job.dialogues}
        if (job.dialogues)
        else {}
    )
    return Scorecard(
        protocol=protocol_of(job.definition, job.references),
        rouge=evidence.rouge,
        interval=_interval(scores, job),
        measures=_measures(scores, job.definition),
        by_reference_mode=_by_reference_mode(job, evidence.rouge),
        rows=rows,
        alignment=job.alignment,
        floors=evidence.floors,
        probes=evidence.probes,
        statistics=evidence.statistics,
        faults=dict(evidence.faults),
        alarms=(*sanity_checks.run_sanity_checks(evidence), *_triple_alarms(evidence)),
        slices=slices.slices(known, means, seed=job.seed, resamples=job.resamples),
        topics=slices.topics(list(known.values())),
        resamples=job.resamples,
        seed=job.seed,
    )


def _row_scores(texts: Mapping[str, str], scores: "Floats") -> tuple[RowScore, ...]:
    return tuple(
        RowScore(id=key, rouge=Rouge(rouge1=one, rouge2=two, rougeL=longest))
        for key, (one, two, longest) in zip(texts, scores[:, :, 2].tolist(), strict=True)
    )


def _interval(scores: "Floats", job: _Job) -> Interval:
    from yoyak.metrics import bootstrap

    means = scores[:, :, 2].mean(axis=1, keepdims=True)
    return bootstrap.mean_intervals(means, seed=job.seed, resamples=job.resamples)[0]


def _measures(scores: "Floats", definition: Definition) -> Measures:
    rouge1, rouge2, rouge_l = (
        Score(precision=precision, recall=recall, f1=f1)
        for precision, recall, f1 in corpus_mean(scores, definition).tolist()
    )
    return Measures(rouge1=rouge1, rouge2=rouge2, rougeL=rouge_l)


def _by_reference_mode(job: _Job, own: Rouge) -> dict[ReferenceMode, Rouge]:
    modes = {job.definition.references: own}
    if all(len(row) == 1 for row in job.references.values()):
        return modes
    for mode in ReferenceMode:
        if mode not in modes:
            other = msgspec.structs.replace(job.definition, references=mode)
            texts, theirs = list(job.texts.values()), list(job.references.values())
            modes[mode] = baselines.rouge_of(score_rows(texts, theirs, other), other)
    return modes


def _evidence(
    job: _Job, scores: "Floats", items: Mapping[str, SummaryItem]
) -> sanity_checks.SanityInputs:
    first = {key: row[0] for key, row in job.references.items()}
    theirs = statistics_.items(first, job.references, job.dialogues)
    faults = rows_with(items, COUNTED)
    counts = Counter(text.strip() for text in job.texts.values())
    return sanity_checks.SanityInputs(
        rouge=baselines.rouge_of(scores, job.definition),
        alignment=job.alignment,
        floors=baselines.trivial_baselines(job.references, job.dialogues, job.definition),
        probes=baselines.probes(job.texts, job.references, scores, job.definition),
        statistics=FileStatistics(
            predictions=statistics_.text_statistics(items, faults, job.definition),
            references=statistics_.text_statistics(
                theirs, rows_with(theirs, COUNTED), job.definition
            ),
            tags_found=statistics_.tags_found(items),
            stopped_by_length=job.stopped_by_length,
        ),
        faults=faults,
        untagged=tuple(
            key
            for key, item in items.items()
            if not speakers(item.text) and any(map(speakers, item.references))
        ),
        repeated_text=tuple(key for key, text in job.texts.items() if counts[text.strip()] > 1),
        equal_to_reference=tuple(
            key
            for key, text in job.texts.items()
            if text.strip() and text.strip() in {row.strip() for row in job.references[key]}
        ),
        decomposed=job.decomposed,
        labelled_predictions=job.labelled_predictions,
        rouge1_equals_rougel=_equal_share(scores),
    )


def _equal_share(scores: "Floats") -> float:
    """Return the share of rows with any overlap in which ROUGE-1 and ROUGE-L agree."""
    import numpy as np

    found = scores[scores[:, 0, 2] > 0]
    equal = np.isclose(found[:, 0, 2], found[:, 2, 2], rtol=0, atol=1e-9)
    return float(equal.mean()) if len(found) >= FEW_ROWS else 0.0


def _triple_alarms(evidence: sanity_checks.SanityInputs) -> tuple[sanity_checks.Alarm, ...]:
    if evidence.alignment.scored < FEW_ROWS:
        return ()
    rouge, floor = evidence.rouge, evidence.floors.constant
    says_already = rouge.mean < floor.mean
    claim = rouge_consistency.RougeClaim(
        100 * rouge.rouge1,
        100 * rouge.rouge2,
        100 * rouge.rougeL,
        sum=100 * rouge.sum,
        mean=100 * rouge.mean,
        constant_floor=None if says_already else 100 * floor.rouge1,
    )
    return rouge_consistency.computed_consistency(claim)

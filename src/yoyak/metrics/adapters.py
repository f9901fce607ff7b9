"""Offer the metric in the calling conventions of Hugging Face ``evaluate`` and ``lm-eval``.

Neither library is imported: ``evaluate.combine`` and ``evaluate.evaluator`` ask for ``name`` and
``compute``, and a task of ``lm-eval`` for a callable with a ``__name__``.
"""

from collections.abc import Iterable
from unicodedata import normalize

from yoyak.metrics.protocol import OFFICIAL, Definition
from yoyak.metrics.text_lists import Predictions, References, definition_of, rows_by_id
from yoyak.values import DevMetric


class RougeMetric:
    """Korean ROUGE as a function of ``predictions`` and ``references``.

    A call returns the corpus means of ``rouge1``, ``rouge2``, ``rougeL`` and their ``rouge_mean``,
    fractions 0 to 1, without interval or alarms. ``add`` and ``add_batch`` collect rows for a
    later ``compute()``.
    """

    name = "yoyak_rouge"
    __name__ = name

    def __init__(self, protocol: str | Definition = OFFICIAL) -> None:
        self.definition = definition_of(protocol)
        self._predictions: list[str] = []
        self._references: list[str | Iterable[str]] = []

    def __call__(self, predictions: Predictions, references: References) -> dict[str, float]:
        """Return the means of these rows; errors are those of ``yoyak.metrics.score``."""
        from yoyak.metrics.baselines import rouge_of
        from yoyak.metrics.rouge import score_rows

        texts, theirs = rows_by_id(predictions, references)
        rows = score_rows(
            [normalize("NFC", text) for text in texts.values()],
            [tuple(normalize("NFC", text) for text in row) for row in theirs.values()],
            self.definition,
        )
        found = rouge_of(rows, self.definition)
        return {
            DevMetric.ROUGE1.value: found.rouge1,
            DevMetric.ROUGE2.value: found.rouge2,
            DevMetric.ROUGEL.value: found.rougeL,
            DevMetric.ROUGE_MEAN.value: found.mean,
        }

    def add(self, *, prediction: str, reference: str | Iterable[str]) -> None:
        """Collect one row."""
        self._predictions.append(prediction)
        self._references.append(reference)

    def add_batch(
        self, *, predictions: Iterable[str], references: Iterable[str | Iterable[str]]
    ) -> None:
        """Collect rows."""
        self._predictions.extend(predictions)
        self._references.extend(references)

    def compute(
        self, *, predictions: Predictions | None = None, references: References | None = None
    ) -> dict[str, float]:
        """Return the means of these rows or, without arguments, of those collected so far.

        The collected rows are forgotten afterwards.
        """
        if predictions is not None or references is not None:
            return self(predictions or (), references or ())
        ours, theirs = self._predictions, self._references
        self._predictions, self._references = [], []
        return self(ours, theirs)

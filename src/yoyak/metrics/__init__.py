"""Score summaries with the contest's ROUGE on Korean morphemes, and test what differs.

The public names are those of ``__all__``, loaded on first use (docs/python-api.md)::

    from yoyak.metrics import compare, score

    card = score(["…"], [["…", "…"]])            # scores, interval, baselines, alarms
    compare({"ours": card, "theirs": other})      # which differences are proven

``text_lists`` scores lists of texts, ``adapters`` and ``assertions`` offer that to other libraries
and to tests. ``tokenizers`` cuts texts into morphemes, ``protocol`` names a way of scoring,
``rouge`` computes it, ``scorecard`` evaluates a file, ``sanity_checks`` holds the alarms,
``significance`` compares systems, ``diagnostics`` finds errors in single summaries. No torch, no
Java.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from yoyak.metrics.adapters import RougeMetric
    from yoyak.metrics.assertions import assert_rouge_at_least
    from yoyak.metrics.protocol import OFFICIAL, Definition, parse
    from yoyak.metrics.rouge import corpus_mean, pairwise, score_rows
    from yoyak.metrics.scorecard import Scorecard
    from yoyak.metrics.significance import Comparison, Verdict, compare
    from yoyak.metrics.text_lists import score

_MODULES = {
    "OFFICIAL": "protocol",
    "Definition": "protocol",
    "parse": "protocol",
    "corpus_mean": "rouge",
    "pairwise": "rouge",
    "score_rows": "rouge",
    "Scorecard": "scorecard",
    "Comparison": "significance",
    "Verdict": "significance",
    "compare": "significance",
    "score": "text_lists",
    "RougeMetric": "adapters",
    "assert_rouge_at_least": "assertions",
}

__all__ = [
    "OFFICIAL",
    "Comparison",
    "Definition",
    "RougeMetric",
    "Scorecard",
    "Verdict",
    "assert_rouge_at_least",
    "compare",
    "corpus_mean",
    "pairwise",
    "parse",
    "score",
    "score_rows",
]


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)

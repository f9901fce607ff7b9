"""Score summaries with the contest's ROUGE on Korean morphemes, and test what differs.

The usual entry points, loaded on first use::

    from yoyak.metrics import compare, evaluate_texts, score_rows

    card = evaluate_texts({"dev_0": "…"}, {"dev_0": ("…",)})   # scores, interval, baselines, alarms
    compare({"ours": card, "theirs": other})                   # which differences are proven

``tokenizers`` cuts texts into morphemes, ``protocol`` names a way of scoring, ``rouge`` computes
it, ``scorecard`` evaluates a file, ``sanity_checks`` holds the alarms, ``significance`` compares
systems, ``diagnostics`` finds errors in single summaries. No torch, no Java.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from yoyak.metrics.protocol import OFFICIAL, Definition, parse
    from yoyak.metrics.rouge import corpus_mean, pairwise, score_rows
    from yoyak.metrics.scorecard import Scorecard, evaluate, evaluate_texts
    from yoyak.metrics.significance import Comparison, Verdict, compare

_MODULES = {
    "OFFICIAL": "protocol",
    "Definition": "protocol",
    "parse": "protocol",
    "corpus_mean": "rouge",
    "pairwise": "rouge",
    "score_rows": "rouge",
    "Scorecard": "scorecard",
    "evaluate": "scorecard",
    "evaluate_texts": "scorecard",
    "Comparison": "significance",
    "Verdict": "significance",
    "compare": "significance",
}

__all__ = [
    "OFFICIAL",
    "Comparison",
    "Definition",
    "Scorecard",
    "Verdict",
    "compare",
    "corpus_mean",
    "evaluate",
    "evaluate_texts",
    "pairwise",
    "parse",
    "score_rows",
]


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)

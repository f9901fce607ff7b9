"""Pools of candidates whose words are what stands between blanks: quick to score and plain."""

from hypothesis import strategies as st

from yoyak.ensemble.candidates import CandidateColumn, Lineage, align
from yoyak.metrics.protocol import Definition
from yoyak.values import Prediction

SPACE = Definition(analyser="space")  # words are what stands between blanks: quick and plain
WORDS = st.lists(st.sampled_from(["비", "눈", "해", "달", "별", "강", "산"]), max_size=6).map(
    " ".join
)


def pool_of(*columns, systems=None):
    systems = systems or [f"s{at}" for at in range(len(columns))]
    ids = [f"test_{row}" for row in range(len(columns[0]))]
    return align(
        ids,
        [
            CandidateColumn(
                Lineage(system=system, decode=f"d{at}"),
                tuple(Prediction(id=i, text=t, raw=t) for i, t in zip(ids, texts, strict=True)),
            )
            for at, (system, texts) in enumerate(zip(systems, columns, strict=True))
        ],
    )

"""The table of all pairs of candidates against scoring them one by one."""

import numpy as np  # noqa: TID253 -- a test loads what it compares
import pytest

from yoyak.errors import BadData
from yoyak.metrics import protocol, rouge, token_codes
from yoyak.metrics.pairwise import pairwise

CANDIDATES = [
    [
        "#Person1#은 우산을 두고 왔다고 말한다.",
        "#Person2#는 우산을 빌려준다.",
        "#Person1#은 우산을 두고 왔다고 말한다.",
        "",
    ],
    ["버스가 늦었다.", "지하철이 늦어서 회의에 늦는다. 버스도 늦었다."],
    ["하나뿐인 후보"],
    [],
]


@pytest.mark.parametrize("wish", ["official", "rouge101", "baseline-notebook", "official,tok=char"])
def test_every_cell_is_the_score_of_its_pair(wish):
    chosen = protocol.parse(wish)
    tables = pairwise(CANDIDATES, chosen)
    assert [table.shape for table in tables] == [(4, 4, 3), (2, 2, 3), (1, 1, 3), (0, 0, 3)]
    for texts, table in zip(CANDIDATES, tables, strict=True):
        for row, hypothesis in enumerate(texts):
            for column, reference in enumerate(texts):
                single = rouge.score_rows([hypothesis], [(reference,)], chosen)[0, :, 2]
                assert np.array_equal(table[row, column], single)


def test_the_official_table_is_symmetric_and_twins_have_equal_rows():
    table = pairwise(CANDIDATES)[0]
    assert np.array_equal(table, table.transpose(1, 0, 2))
    assert np.array_equal(table[0], table[2])
    assert table[0, 2].tolist() == [1.0, 1.0, 1.0]
    assert table[3].max() == 0.0


def test_what_cannot_be_a_summary_is_refused():
    with pytest.raises(BadData, match=r"row 1 .* not a summary"):
        pairwise([["우산"], ["가" * token_codes.LIMIT, "우산"]])

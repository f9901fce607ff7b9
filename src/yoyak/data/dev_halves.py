"""Split dev in two at random: settings are selected on one half and judged on the other.

Decoding search and studies use the same split, so that whatever was selected anywhere was never
selected on the half that judges.
"""

from collections.abc import Sequence

from yoyak.errors import BadData
from yoyak.values import Dialogue

SEED = 42


def halves(
    dialogues: Sequence[Dialogue], seed: int = SEED
) -> tuple[list[Dialogue], list[Dialogue]]:
    """Return the selection half and the judging half, each in the order of ``dialogues``.

    Raises:
        BadData: there are fewer than four rows.
    """
    import numpy as np

    order = np.random.default_rng(seed).permutation(len(dialogues))
    half = len(order) // 2
    if half < 2:
        raise BadData("submission.too-few-rows", rows=len(order))
    chosen = set(order[:half].tolist())
    rows = list(enumerate(dialogues))
    return (
        [dialogue for at, dialogue in rows if at in chosen],
        [dialogue for at, dialogue in rows if at not in chosen],
    )

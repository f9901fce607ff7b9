"""Split dev in two at random: settings are selected on one half and judged on the other.

Decoding search and studies use the same split, so that whatever was selected anywhere was never
selected on the half that judges. Near-duplicate dialogues are in the same half: a twin of a judging
row in the other half would have been selected for.
"""

from collections.abc import Sequence

from yoyak.data.folds import duplicate_groups
from yoyak.errors import BadData
from yoyak.values import Dialogue

SEED = 42


def halves(
    dialogues: Sequence[Dialogue], seed: int = SEED
) -> tuple[list[Dialogue], list[Dialogue]]:
    """Return the selection half and the judging half, each in the order of ``dialogues``.

    Rows are taken into the first half in a random order, each with its near-duplicates, until it
    has half of them.

    Raises:
        BadData: there are fewer than four rows, or their near-duplicates leave one half empty.
    """
    import numpy as np

    order = np.random.default_rng(seed).permutation(len(dialogues)).tolist()
    if len(order) < 4:
        raise BadData("submission.too-few-rows", rows=len(order))
    groups = duplicate_groups(tuple(dialogues))
    group_of = {at: group for group in groups for at in group}
    chosen: set[int] = set()
    for at in order:
        if len(chosen) >= len(order) // 2:
            break
        chosen.update(group_of[at])
    if len(order) - len(chosen) < 2:
        raise BadData("data.dev-of-few-groups", groups=len(groups), rows=len(order))
    rows = list(enumerate(dialogues))
    return (
        [dialogue for at, dialogue in rows if at in chosen],
        [dialogue for at, dialogue in rows if at not in chosen],
    )

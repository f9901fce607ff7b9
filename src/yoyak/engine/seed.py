"""Randomness that needs no storing: what a step draws is a pure function of (seed, step).

Dropout is the only thing that draws during training. Seeding every generator anew at each step
makes a replayed, resumed or re-run step draw the same numbers, with no generator state on disk.
"""

import hashlib
import random

import torch  # noqa: TID253 -- this module is only ever imported by an engine at work


def seed_all(seed: int, *names: object) -> None:
    """Seeds Python's, numpy's and torch's generators (every device) with (seed, names)."""
    import numpy as np

    text = "/".join(map(str, (seed, *names)))
    value = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])
    random.seed(value)
    np.random.seed(value % 2**32)
    torch.manual_seed(value % 2**63)

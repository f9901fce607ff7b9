"""Seed random generators per step, so that no generator state has to be saved.

Only dropout draws random numbers during training. Seeding every generator at each step from
(seed, step) gives a retried, resumed or repeated step the same numbers.
"""

import hashlib
import random

import torch  # noqa: TID253 -- this module is only ever imported by an engine at work


def seed_all(seed: int, *names: object) -> None:
    """Seed Python's, NumPy's and torch's generators (every device) from (seed, names)."""
    import numpy as np

    text = "/".join(map(str, (seed, *names)))
    value = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])
    random.seed(value)
    np.random.seed(value % 2**32)
    torch.manual_seed(value % 2**63)

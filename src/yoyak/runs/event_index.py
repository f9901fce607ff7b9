"""Subsampling of long event logs, so that ``yoyak status`` decodes a tenth of their lines.

There are tens of thousands of training steps and system metrics. The newest of them are kept, and
the two next to every other event, so that the state, the speed and the steps lost in a crash are
those of the whole log; of the rest a few are kept for the shape of the curve.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence

from yoyak.events import AlignStep, SystemMetrics, TrainStep, tags_of

NEWEST = 500
"""As many as the forecast measures the speed on."""
OLDER = 100

_FREQUENT = [
    tuple(f'{{"event":"{tag}"'.encode() for tag in tags_of(kind))
    for kind in (TrainStep, AlignStep, SystemMetrics)
]


def state_events(lines: Sequence[bytes]) -> list[bytes]:
    """Return the lines that decide the state, in order; a line of an unknown kind is kept."""
    frequent = [
        [place for place, line in enumerate(lines) if line.startswith(kind)] for kind in _FREQUENT
    ]
    others = sorted(set(range(len(lines))).difference(*frequent))
    kept = {*others, *(place for places in frequent for place in _chosen(places, others))}
    return [lines[place] for place in sorted(kept)]


def _chosen(places: Sequence[int], others: Sequence[int]) -> Iterator[int]:
    yield from places[-NEWEST:]
    older = places[:-NEWEST]
    yield from older[:: -(-len(older) // OLDER) or 1]
    for other in others:
        after = bisect_left(places, other)
        yield from places[max(after - 1, 0) : after + 1]

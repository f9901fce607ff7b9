"""The telling lines of a long log: what ``yoyak status`` reads, a second's work in a tenth of it.

Steps and samples come by the ten thousand and say again what the one before them said. Of these
the newest are kept, and the two beside every other event, so that the state, the pace and what was
lost in a crash come out as from the whole log; of the rest a few, for the shape of a curve.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence

from yoyak.events import SystemMetrics, TrainStep, tags_of

NEWEST = 500
"""As many as the pace is taken from (report.forecast)."""
OLDER = 100

_STEP, _SAMPLE = (
    tuple(f'{{"event":"{tag}"'.encode() for tag in tags_of(kind))
    for kind in (TrainStep, SystemMetrics)
)


def state_events(lines: Sequence[bytes]) -> list[bytes]:
    """The telling ones of ``lines``, in order; a line that cannot be told is telling."""
    steps = [place for place, line in enumerate(lines) if line.startswith(_STEP)]
    samples = [place for place, line in enumerate(lines) if line.startswith(_SAMPLE)]
    others = sorted(set(range(len(lines))).difference(steps, samples))
    kept = {*others, *_chosen(steps, others), *_chosen(samples, others)}
    return [lines[place] for place in sorted(kept)]


def _chosen(places: Sequence[int], others: Sequence[int]) -> Iterator[int]:
    yield from places[-NEWEST:]
    older = places[:-NEWEST]
    yield from older[:: -(-len(older) // OLDER) or 1]
    for other in others:
        after = bisect_left(places, other)
        yield from places[max(after - 1, 0) : after + 1]

"""What cards can do, from their makers' data sheets: time is estimated by arithmetic on it."""

from yoyak.queue import machine
from yoyak.values import Value


class Device(Value, frozen=True, kw_only=True):
    """A card: dense bfloat16 products with float32 sums, and the speed of its memory."""

    name: str
    memory_gb: float
    tflops: float
    bandwidth_gb_per_second: float


_DATA_SHEETS = (
    ("RTX 3090", 25.8, 71.0, 936.0),
    ("RTX 4090", 25.8, 165.2, 1008.0),
    ("RTX 5090", 34.2, 209.5, 1792.0),
    ("RTX A6000", 51.5, 154.8, 768.0),
    ("A10G", 25.8, 70.0, 600.0),
    ("A10", 25.8, 125.0, 600.0),
    ("L4", 25.8, 121.0, 300.0),
    ("L40S", 51.5, 362.0, 864.0),
    ("A100", 42.9, 312.0, 1555.0),
    ("H100", 85.9, 989.4, 3352.0),
    ("H200", 151.0, 989.4, 4800.0),
)
"""Name, GB (1e9 bytes), TFLOP/s, GB/s; the smallest memory a card of that name is sold with."""

DEVICES = {
    name: Device(name=name, memory_gb=memory, tflops=tflops, bandwidth_gb_per_second=bandwidth)
    for name, memory, tflops, bandwidth in _DATA_SHEETS
}


def named(name: str) -> Device | None:
    """The card whose data-sheet name stands in ``name`` as a whole word, the longest first."""
    words = name.upper().replace("-", " ").split()
    for known in sorted(DEVICES, key=len, reverse=True):
        wanted = known.upper().split()
        if any(words[i : i + len(wanted)] == wanted for i in range(len(words))):
            return DEVICES[known]
    return None


def here() -> tuple[Device, ...]:
    """The cards of this machine; one without a data sheet has its memory and no speed."""
    return tuple(_of(card) for card in machine.cards())


def _of(card: machine.Card) -> Device:
    known = named(card.name)
    return Device(
        name=card.name,
        memory_gb=card.total_gb,
        tflops=known.tflops if known else 0.0,
        bandwidth_gb_per_second=known.bandwidth_gb_per_second if known else 0.0,
    )

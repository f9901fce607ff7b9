"""What GPUs can do, from their makers' data sheets."""

from yoyak.system.probe import visible_gpus
from yoyak.values import Value


class GpuSpec(Value, frozen=True, kw_only=True):
    """A GPU's memory, dense bfloat16 products with float32 sums, and memory bandwidth."""

    name: str
    memory_gb: float
    tflops: float | None = None
    bandwidth_gb_per_second: float | None = None


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
"""Name, GB (1e9 bytes), TFLOP/s, GB/s; the smallest memory a GPU of that name is sold with."""

GPUS = {
    name: GpuSpec(name=name, memory_gb=memory, tflops=tflops, bandwidth_gb_per_second=bandwidth)
    for name, memory, tflops, bandwidth in _DATA_SHEETS
}


def find_spec(name: str) -> GpuSpec | None:
    """Return the GPU whose data-sheet name is in ``name`` as whole words, the longest first."""
    words = f" {name.upper().replace('-', ' ')} "
    known = (each for each in sorted(GPUS, key=len, reverse=True) if f" {each.upper()} " in words)
    return GPUS.get(next(known, ""))


def installed_gpus() -> tuple[GpuSpec, ...]:
    """Return the visible GPUs with their own memory; speeds are ``None`` without a data sheet."""
    return tuple(
        GpuSpec(
            name=gpu.name,
            memory_gb=gpu.total_gb,
            tflops=spec.tflops if spec else None,
            bandwidth_gb_per_second=spec.bandwidth_gb_per_second if spec else None,
        )
        for gpu in visible_gpus()
        for spec in [find_spec(gpu.name)]
    )

"""Whether each switch for speed that is set leaves the gradient what it is.

A switch that was asked for and fails ends the run by name; nothing falls back in silence.
"""

from collections.abc import Iterator

from yoyak.config.schema import TrainSettings
from yoyak.engine.check_line import breakdown, close
from yoyak.engine.models.kernels import KernelOptions, KernelPatches
from yoyak.engine.models.model import trainable_parameters
from yoyak.engine.preflight.model_checks import (
    CheckContext,
    distance,
    gradient_of,
    second_matrices_filled,
    undisturbed,
)
from yoyak.errors import YoyakError
from yoyak.events import CheckResult


def check_switches(bench: CheckContext, settings: TrainSettings) -> Iterator[CheckResult]:
    """A line for each switch that the recipe sets, on top of those before it."""
    wanted = KernelOptions.of(settings)
    steps = [
        ("kernels-equal-torch", wanted.liger, KernelOptions(liger=True)),
        ("compiled-equals-eager", wanted.compiled, wanted),
        ("packed-equals-padded", settings.packing == "on", wanted._replace(packed=True)),
    ]
    for name, is_set, switches in steps:
        if is_set:
            yield equals_plain(bench, name, switches)


def equals_plain(bench: CheckContext, name: str, switches: KernelOptions) -> CheckResult:
    """Loss and gradient of rows of unlike lengths, with the switches on and plain.

    Adapters' second matrices start at zero and would hide half of the gradient; here they do not.
    Whatever breaks is the line's finding.
    """
    rows = [*bench.rows, bench.rows[0]]
    board = KernelPatches(bench.bundle, switches)
    try:
        with (
            undisturbed(bench.bundle),
            second_matrices_filled(trainable_parameters(bench.bundle.model)),
        ):
            loss, gradient = gradient_of(bench, [rows])
            with board.on(packed=switches.packed):
                switched, other = gradient_of(bench, [rows], packed=switches.packed)
    except YoyakError:
        raise
    except Exception as error:  # noqa: BLE001 -- compilers have many errors, and each ends the run
        return breakdown(name, error)
    apart = max(distance(other, gradient), abs(switched - loss) / max(abs(loss), 1e-12))
    return close(name, apart, bench.tolerance)

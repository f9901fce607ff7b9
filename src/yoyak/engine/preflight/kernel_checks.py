"""Check that each speed option of the recipe (Liger, compile, packing) leaves the gradient alone.

An option that was asked for and fails ends the run; there is no silent fallback.
"""

from collections.abc import Iterator

from yoyak.config.schema import TrainSettings
from yoyak.engine.check_result import distance_result, error_result
from yoyak.engine.models.kernels import KernelOptions, KernelPatches
from yoyak.engine.models.model import trainable_parameters
from yoyak.engine.preflight.model_checks import (
    CheckContext,
    distance,
    gradient_of,
    lora_b_filled,
    undisturbed,
)
from yoyak.errors import YoyakError
from yoyak.events import CheckResult


def check_kernels(context: CheckContext, settings: TrainSettings) -> Iterator[CheckResult]:
    """Check each option that the recipe sets, together with those before it."""
    wanted = KernelOptions.of(settings)
    steps = [
        ("kernels-equal-torch", wanted.liger, KernelOptions(liger=True)),
        ("compiled-equals-eager", wanted.compiled, wanted),
        ("packed-equals-padded", settings.packing == "on", wanted._replace(packed=True)),
    ]
    for name, is_set, options in steps:
        if is_set:
            yield equals_plain(context, name, options)


def equals_plain(context: CheckContext, name: str, options: KernelOptions) -> CheckResult:
    """Compare loss and gradient of rows of different lengths with and without the options.

    LoRA's B matrices start at zero and would hide half of the gradient; here they are filled. Any
    error but one of yoyak's own is a failed result.
    """
    rows = [*context.rows, context.rows[0]]
    patches = KernelPatches(context.bundle, options)
    try:
        with (
            undisturbed(context.bundle),
            lora_b_filled(trainable_parameters(context.bundle.model)),
        ):
            plain_loss, plain = gradient_of(context, [rows])
            with patches.active(packed=options.packed):
                loss, gradient = gradient_of(context, [rows], packed=options.packed)
    except YoyakError:
        raise
    except Exception as error:  # noqa: BLE001 -- compilers raise many types, and each ends the run
        return error_result(name, error)
    apart = max(distance(gradient, plain), abs(loss - plain_loss) / max(abs(plain_loss), 1e-12))
    return distance_result(name, apart, context.tolerance)

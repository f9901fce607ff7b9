"""Duration of training and generation: measured on this machine, else from data sheets."""

import math
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from statistics import quantiles

import msgspec

from yoyak.config.schema import Greedy, Recipe, Recompute
from yoyak.events import AlignStep, PredictionProgress, TrainStep
from yoyak.planning.gpu_catalogue import GpuSpec
from yoyak.planning.memory_estimate import generation_memory, row_bytes, rows_at_once
from yoyak.planning.model_shapes import ModelShape
from yoyak.planning.workload import Workload, beams_of
from yoyak.runs.run import Run
from yoyak.system import probe
from yoyak.system.probe import GB
from yoyak.values import Value

UTILISATION = (0.25, 0.55)
"""Share of a GPU's peak that fine-tuning reaches, from careless to careful: an assumption.

A loop on an RTX 3090 was recorded at 1,150 tokens a second with a 3B, which is 0.31.
"""
BANDWIDTH_SHARE = (0.3, 0.7)
"""Share of the memory's bandwidth that decoding reaches: an assumption."""
RECOMPUTE_FLOP = {Recompute.NOTHING: 0, Recompute.ALTERNATE: 1, Recompute.EVERYTHING: 2}
"""FLOP per weight and token that activation checkpointing adds."""
MEASURED_STEPS = 10
MEASURED_BATCHES = 3


class TimeEstimate(Value, frozen=True, kw_only=True):
    """A duration between two estimates, in seconds; ``measured`` on earlier runs here or not."""

    low_seconds: float
    high_seconds: float
    measured: bool = False
    flops: float | None = None
    """Of all training steps, where the estimate comes from them."""

    def __add__(self, other: "TimeEstimate") -> "TimeEstimate":
        return TimeEstimate(
            low_seconds=self.low_seconds + other.low_seconds,
            high_seconds=self.high_seconds + other.high_seconds,
            measured=self.measured and other.measured,
        )


# --- by arithmetic -------------------------------------------------------------------------------


def training_flops(
    shape: ModelShape, recipe: Recipe, work: Workload, recompute: Recompute
) -> float:
    """Return the FLOP of all steps.

    Per weight and token: 2 forward, 2 for the inputs' gradient, 2 for a trained weight's. The head
    sees supervised tokens only, the embedding is a lookup.
    """
    body = shape.parameters - shape.embedding_parameters
    head = shape.vocabulary * shape.width
    each = 4 + (2 if recipe.lora is None else 0) + RECOMPUTE_FLOP[recompute]
    once = each * (body * work.trained_tokens + head * work.trained_answer_tokens)
    return recipe.train.row_copies * once


def training_time(
    shape: ModelShape, recipe: Recipe, work: Workload, gpu: GpuSpec, recompute: Recompute
) -> TimeEstimate | None:
    """Return the seconds of training; ``None`` for a GPU without a data sheet.

    ``None`` also for models from scratch: kernel launches take their time, which is not counted.
    """
    if not gpu.tflops or recipe.model.scratch is not None:
        return None
    flops = training_flops(shape, recipe, work, recompute)
    estimate = _at_peak(flops / (gpu.tflops * 1e12), UTILISATION)
    return msgspec.structs.replace(estimate, flops=flops)


def align_time(
    shape: ModelShape, recipe: Recipe, work: Workload, gpu: GpuSpec, recompute: Recompute
) -> TimeEstimate | None:
    """Return the seconds of metric-aware training: sampling, forward passes, gradients.

    Beside the gradient there is a forward pass of the model, and one of the supervised model where
    the method asks for it; ``None`` as in ``training_time``.
    """
    settings = recipe.align
    gradients = training_time(shape, recipe, work, gpu, recompute)
    sampling = generation_time(shape, msgspec.structs.replace(recipe, decode=Greedy()), work, gpu)
    if settings is None or gradients is None or sampling is None:
        return None
    each = 4 + (2 if recipe.lora is None else 0) + RECOMPUTE_FLOP[recompute]
    passes = 2 if settings.needs_reference else 1
    updates = settings.updates if settings.is_online else 1
    share = (updates * each + 2 * (updates + passes - 1)) / each
    computing = TimeEstimate(
        low_seconds=share * gradients.low_seconds, high_seconds=share * gradients.high_seconds
    )
    return computing + sampling


def generation_time(
    shape: ModelShape, recipe: Recipe, work: Workload, gpu: GpuSpec
) -> TimeEstimate | None:
    """Return the seconds of all generation: FLOP for all tokens, bandwidth for the new ones.

    Each new token of a batch reads all weights once, and the keys and values of its rows; 4-bit
    weights are read packed, written unpacked and read again.
    """
    if not gpu.tflops or not gpu.bandwidth_gb_per_second or recipe.model.scratch is not None:
        return None
    source, new, beams = work.mean_source_tokens, work.answer_tokens_p99, beams_of(recipe)
    rows = work.generated_rows / beams
    fitting = rows_at_once(
        shape, recipe, row_bytes(shape, recipe, source, new, beams), gpu.memory_gb
    )
    batches = work.generations * math.ceil(rows / work.generations / fitting)
    weights = generation_memory(shape, recipe).weights_gb * GB
    if recipe.model.quantisation is not None and recipe.generate.weights != "merged":
        weights += 4.0 * shape.linear_parameters
    kept = rows * row_bytes(shape, recipe, source, new / 2, beams)
    decoding = new * (batches * weights + kept) / (gpu.bandwidth_gb_per_second * 1e9)
    body = shape.parameters - shape.embedding_parameters
    new_tokens = work.generated_rows * new
    flops = 2 * body * (rows * source + new_tokens)
    flops += 2 * shape.vocabulary * shape.width * new_tokens
    computing = flops / (gpu.tflops * 1e12)
    return _at_peak(decoding, BANDWIDTH_SHARE) + _at_peak(computing, UTILISATION)


def _at_peak(seconds: float, reached: tuple[float, float]) -> TimeEstimate:
    slow, fast = reached
    return TimeEstimate(low_seconds=seconds / fast, high_seconds=seconds / slow)


# --- as measured ---------------------------------------------------------------------------------


def measured_training(
    runs: Iterable[Run], recipe: Recipe, work: Workload, hardware: str
) -> TimeEstimate | None:
    """Return the seconds of training at the pace of earlier runs of this model on ``hardware``.

    From the median step to the slowest tenth; ``None`` below ten steps.
    """
    alike = (run for run in runs if _is_alike(run, recipe, hardware))
    return _measured(alike, _seconds_per_token, work.trained_tokens, MEASURED_STEPS)


def measured_align(
    runs: Iterable[Run], recipe: Recipe, work: Workload, hardware: str
) -> TimeEstimate | None:
    """Return the seconds of metric-aware training at the pace of runs with the same method.

    As ``measured_training``.
    """

    def key(asked: Recipe) -> tuple[object, ...] | None:
        align = asked.align
        return None if align is None else (align.method, align.samples, align.updates)

    alike = (
        run for run in runs if key(run.recipe) == key(recipe) and _is_alike(run, recipe, hardware)
    )
    return _measured(alike, _align_seconds_per_token, work.trained_tokens, MEASURED_STEPS)


def measured_generation(
    runs: Iterable[Run], recipe: Recipe, work: Workload, hardware: str
) -> TimeEstimate | None:
    """Return the seconds of all generation at the pace of earlier runs that decode alike.

    From the median batch of rows to the slowest tenth; ``None`` below three batches.
    """
    alike = (
        run
        for run in runs
        if (run.recipe.decode, run.recipe.generate) == (recipe.decode, recipe.generate)
        and run.recipe.prompt == recipe.prompt
        and _is_alike(run, recipe, hardware)
    )
    rows = work.generated_rows / beams_of(recipe)
    return _measured(alike, _seconds_per_row, rows, MEASURED_BATCHES)


def _measured(
    runs: Iterable[Run], pace: Callable[[Run], Iterator[float]], units: float, least: int
) -> TimeEstimate | None:
    found = [seconds for run in runs for seconds in pace(run)]
    if len(found) < least:
        return None
    tenths = quantiles(found, n=10, method="inclusive")
    return TimeEstimate(
        low_seconds=units * tenths[4], high_seconds=units * tenths[8], measured=True
    )


def _seconds_per_token(run: Run) -> Iterator[float]:
    """Yield the pace of each step but the first two, which compile and warm up."""
    steps = [event for event in run.log(whole=False).events if isinstance(event, TrainStep)]
    yield from (step.seconds / step.tokens for step in steps[2:] if step.tokens and step.seconds)


def _align_seconds_per_token(run: Run) -> Iterator[float]:
    """Yield the pace of each step, sampling included, over the tokens that it learns from."""
    steps = [event for event in run.log(whole=False).events if isinstance(event, AlignStep)]
    yield from (step.seconds / step.tokens for step in steps[1:] if step.tokens and step.seconds)


def _seconds_per_row(run: Run) -> Iterator[float]:
    """Yield the pace of each batch of rows, within one split and attempt."""
    stored = [
        event
        for event in run.log(whole=False).events
        # What is sampled from train has another decoding, and several samples a row.
        if isinstance(event, PredictionProgress) and event.split != "train"
    ]
    for before, after in pairwise(stored):
        rows, seconds = after.done - before.done, after.seconds - before.seconds
        if after.split == before.split and rows > 0 and seconds > 0:
            yield seconds / rows


class _RunHardware(msgspec.Struct):
    """The part of provenance.json that decides a run's pace."""

    processor: str = ""
    threads: int | None = None
    gpus: tuple[str, ...] = ()


def _is_alike(run: Run, recipe: Recipe, hardware: str) -> bool:
    """Return whether ``run`` had the same model on the same GPU, or processor and threads."""
    path = run.folder / "provenance.json"
    is_same = (run.recipe.model, run.recipe.lora) == (recipe.model, recipe.lora)
    if not is_same or run.recipe.train.row_copies != recipe.train.row_copies or not path.is_file():
        return False
    had = msgspec.json.decode(path.read_bytes(), type=_RunHardware)
    if had.gpus:
        return any(hardware in gpu for gpu in had.gpus)
    return hardware in had.processor and had.threads == probe.threads_for(recipe)

"""Train supervised weights further with the metric as reward, and save the result as weights."""

import shutil
import time
from collections.abc import Callable, Iterator, Sequence

import msgspec

from yoyak.config.schema import AlignSettings
from yoyak.engine import GenerationStopped, TrainJob
from yoyak.engine.alignment import samples
from yoyak.engine.alignment.checks import check_advantages, check_rewards, check_start
from yoyak.engine.alignment.policy import Policy, ReferenceModel, disable_dropout
from yoyak.engine.alignment.rewards import RewardPool, SampledGroup, rewards
from yoyak.engine.alignment.samples import Candidates, Sampler, StepRecords
from yoyak.engine.alignment.step import AlignInputs, AlignStepper
from yoyak.engine.inference.stop import stop_between_tokens
from yoyak.engine.model_classes import Kind
from yoyak.engine.models import weights
from yoyak.engine.models.load import SCRATCH
from yoyak.engine.pipeline.finetune import (
    FinetuneInputs,
    build_context,
    describe,
    evaluated_dialogues,
    is_done,
    load_best,
    prepare,
)
from yoyak.engine.pipeline.start import load_checkpoint, start_state
from yoyak.engine.preflight.run import require, require_kernels
from yoyak.engine.tokenization.encode import EncodedRow
from yoyak.engine.tokenization.script_filter import blocked_token_ids
from yoyak.engine.training.checkpoint import TrainState
from yoyak.engine.training.context import TrainContext
from yoyak.engine.training.evaluation import EvalMetrics
from yoyak.engine.training.schedule import TrainSchedule
from yoyak.engine.training.trainer import train
from yoyak.errors import BadRecipe, Interrupted
from yoyak.events import (
    CheckResult,
    PredictionProgress,
    PreflightCheck,
    PreflightPassed,
    RewardWatched,
    Stopped,
)
from yoyak.files import atomic, jsonl
from yoyak.metrics import reward_watch

CHUNK_ROWS = 32
"""Dialogues whose candidates are sampled and stored together."""


def align(job: TrainJob, kind: Kind) -> None:
    """Train the weights of ``job.supervised`` further and write ``weights/``.

    Does nothing if they are there.

    Raises:
        Interrupted: ``job.stop_asked`` became true; everything is saved.
        InputMissing: there are no whole supervised weights.
        BadRecipe, RunFailed: as the message says.
    """
    settings, supervised = job.recipe.align, job.supervised
    if settings is None or supervised is None:
        raise BadRecipe("engine.no-align", recipe=job.recipe.name)
    if is_done(job):
        return
    work = job._replace(recipe=job.recipe.aligning)
    # Base and token cache are those of supervised training.
    ready = prepare(work._replace(folder=supervised), kind)
    weights.load_trained(ready.bundle, supervised / weights.FOLDER)
    disable_dropout(ready.bundle.model)
    if job.recipe.lora is not None and (supervised / SCRATCH).is_dir():
        shutil.copytree(supervised / SCRATCH, job.folder / SCRATCH, dirs_exist_ok=True)
    with RewardPool(settings) as pool:
        state = _train(work, settings, ready, pool)
    described = describe(work, ready, state)
    described = msgspec.structs.replace(described, learning_hash=job.recipe.learning_hash)
    weights.write(job.folder / weights.FOLDER, described, ready.bundle)


def _train(
    work: TrainJob, settings: AlignSettings, ready: FinetuneInputs, pool: RewardPool
) -> TrainState:
    context = build_context(work, ready)
    schedule = TrainSchedule(work.recipe, context.shapes, settings.evaluate_every_steps)
    context = context._replace(schedule=schedule, watch=_watch(work, settings), stage="align")
    # Before a checkpoint is loaded: the weights are still the supervised ones.
    alignment = _alignment(context, settings, ready, pool)
    context = context._replace(step=AlignStepper(alignment))
    start = load_checkpoint(context)
    if start is None:
        _preflight(work, ready.rows, alignment)
        refused = require_kernels(work, ready.bundle, ready.rows)
        start = start_state(context, kernels_refused=refused)
    return load_best(context, train(context, start))


def _alignment(
    context: TrainContext, settings: AlignSettings, ready: FinetuneInputs, pool: RewardPool
) -> AlignInputs:
    job, recipe = context.job, context.job.recipe
    sampler = Sampler(
        bundle=ready.bundle,
        samples=settings.samples,
        temperature=settings.temperature,
        max_new_tokens=min(
            ready.max_new_tokens, recipe.decode.max_new_tokens or ready.max_new_tokens
        ),
        blocked=blocked_token_ids(ready.bundle.tokenizer),
        seed=recipe.train.seed,
    )
    alignment = AlignInputs(
        settings=settings,
        policy=Policy(context.optimizer, settings.temperature),
        reference=ReferenceModel(context.optimizer.named) if settings.needs_reference else None,
        sampler=sampler,
        pool=pool,
        references={row.id: row.references for row in job.train.dialogues},
        records=StepRecords(job.folder / samples.FOLDER),
        candidates={},
    )
    if settings.is_online:
        return alignment
    return alignment._replace(candidates=_candidates(context, alignment))


def _candidates(context: TrainContext, alignment: AlignInputs) -> dict[str, Candidates]:
    """Sample the dialogues that steps will learn from, as far as that was not done yet.

    Stored chunk by chunk: what a killed run has not stored is sampled again, in the same chunks.

    Raises:
        Interrupted: ``stop_asked`` became true; whole chunks are stored.
    """
    job, schedule = context.job, context.schedule
    assert job.supervised is not None  # noqa: S101 -- ``align`` has asked
    manifest = atomic.read_manifest(job.supervised / weights.FOLDER)
    name = f"candidates-{manifest.fingerprint[:12] if manifest else 'unknown'}.jsonl"
    path = job.folder / samples.FOLDER / name
    used = sorted({row for step in range(schedule.steps) for row in schedule.rows(step)})
    known = samples.read_records(path, Candidates) if path.is_file() else []
    whole = len(known) if len(known) == len(used) else len(known) // CHUNK_ROWS * CHUNK_ROWS
    if path.is_file() and whole < len(known):
        atomic.write_bytes(path, samples.lines_of(known[:whole]))
    found, began = known[:whole], time.monotonic()
    for start in range(whole, len(used), CHUNK_ROWS):
        rows = [context.rows[row] for row in used[start : start + CHUNK_ROWS]]
        try:
            with stop_between_tokens(context.optimizer.bundle.model, job.stop_asked):
                chunk = _sampled(alignment, rows, start)
        except GenerationStopped:
            job.emit(Stopped(at=time.time(), step=0, reason="align"))
            raise Interrupted("engine.stopped", step=0, steps=schedule.steps) from None
        jsonl.append_lines(path, samples.lines_of(chunk), durable=True)
        found += chunk
        seconds = time.monotonic() - began
        job.emit(
            PredictionProgress(
                at=time.time(), split="train", done=len(found), of=len(used), seconds=seconds
            )
        )
    by_id = {one.id: one for one in found}
    samples.write_pairs(job.folder / samples.FOLDER, by_id)
    return by_id


def _sampled(alignment: AlignInputs, rows: Sequence[EncodedRow], start: int) -> list[Candidates]:
    waiting = {}
    for index, token_ids, texts in alignment.sampler.groups(rows, f"candidates/{start}"):
        group = SampledGroup(tuple(texts), alignment.references[rows[index].id])
        waiting[index] = token_ids, texts, alignment.pool.submit([group])
    return [
        Candidates(
            id=rows[index].id,
            token_ids=tuple(token_ids),
            texts=tuple(texts),
            rewards=tuple(alignment.pool.result(rewards)[0].tolist()),
        )
        for index, (token_ids, texts, rewards) in sorted(waiting.items())
    ]


def _preflight(job: TrainJob, rows: Sequence[EncodedRow], alignment: AlignInputs) -> None:
    """Check rewards and model before the first step; emit each result, and all of them.

    Raises:
        RunFailed: a check failed.
    """
    results: list[CheckResult] = []
    for result in _checks(job, rows, alignment):
        results.append(result)
        job.emit(PreflightCheck(at=time.time(), check=result))
    job.emit(PreflightPassed(at=time.time(), checks=tuple(results)))
    require(results)


def _checks(
    job: TrainJob, rows: Sequence[EncodedRow], alignment: AlignInputs
) -> Iterator[CheckResult]:
    settings, pool, sampler = alignment.settings, alignment.pool, alignment.sampler
    yield from check_rewards(job.train.dialogues, settings, pool)
    yield check_advantages(job.train.dialogues, rows, sampler, pool, settings)
    if alignment.reference is not None:
        yield check_start(rows, alignment.policy, alignment.reference, sampler)


def _watch(
    job: TrainJob, settings: AlignSettings
) -> Callable[[TrainContext, TrainState, EvalMetrics], TrainState]:
    """Return what compares each evaluation with the first one, and warns of what gets worse."""
    dialogues = evaluated_dialogues(job)

    def watch(context: TrainContext, state: TrainState, metrics: EvalMetrics) -> TrainState:
        texts = [metrics.texts[row.id] for row in dialogues]
        optimised = rewards(texts, [row.references for row in dialogues], settings)
        now = reward_watch.watch(metrics.texts, dialogues, optimised)
        start = state.watched_start
        if start is None:
            return msgspec.structs.replace(state, watched_start=now)
        found = reward_watch.compare(start, now)
        watched = RewardWatched(
            at=time.time(),
            step=state.step,
            rows=len(dialogues),
            optimised_change=found.optimised.mean,
            characters_change=found.characters.mean,
            characters_error=found.characters.error,
            outside={trait.value: share for trait, share in now.outside.items()},
            outside_start={trait.value: share for trait, share in start.outside.items()},
            alarms=found.alarms,
        )
        context.job.emit(watched)
        for name, alarm in zip(found.alarms, reward_watch.alarms(watched), strict=True):
            if name not in state.reward_alarms:
                context.warn(alarm.key, **alarm.evidence)
        return msgspec.structs.replace(state, reward_alarms=found.alarms)

    return watch

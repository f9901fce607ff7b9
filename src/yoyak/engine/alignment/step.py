"""One step of metric-aware training: samples, rewards, objective, gradient, records."""

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

import msgspec

import torch  # noqa: TID253 -- this module is only ever imported by an engine at work
from yoyak.config.schema import AlignSettings
from yoyak.engine import GenerationStopped
from yoyak.engine.alignment import objectives
from yoyak.engine.alignment.policy import Policy, ReferenceModel, TokenLogps
from yoyak.engine.alignment.rewards import RewardPool, SampledGroup
from yoyak.engine.alignment.samples import (
    Candidates,
    Sampler,
    StepRecords,
    StepSamples,
    pair_of,
)
from yoyak.engine.inference.stop import stop_between_tokens
from yoyak.engine.models.collate import shape_of
from yoyak.engine.tokenization.encode import EncodedRow
from yoyak.engine.training.checkpoint import TrainState
from yoyak.engine.training.context import TrainContext
from yoyak.engine.training.deterministic_kernels import deterministic_kernels
from yoyak.engine.training.recovery import MicroBatches, StepRows, fit_memory, skip_step
from yoyak.engine.training.trainer import update_weights
from yoyak.events import AlignStep

if TYPE_CHECKING:
    from yoyak.engine.alignment.rewards import Floats

DEFAULT_BETA = {"simpo": 2.0}
DEFAULT_MARGIN = {"simpo": 1.0, "brio": 0.001}


class AlignInputs(NamedTuple):
    """What steps work with.

    ``candidates`` are the samples of each dialogue for methods that rank them, by id; ``reference``
    is ``None`` where no step asks for it.
    """

    settings: AlignSettings
    policy: Policy
    reference: ReferenceModel | None
    sampler: Sampler
    pool: RewardPool
    references: Mapping[str, tuple[str, ...]]
    records: StepRecords
    candidates: Mapping[str, Candidates]


class Group(NamedTuple):
    """The samples of one dialogue that a step learns from."""

    row: EncodedRow
    token_ids: Sequence[tuple[int, ...]]
    texts: Sequence[str]
    rewards: "Future[Floats] | Sequence[float]"


class StepTensors(NamedTuple):
    """What a method's loss is computed from, beside the log-probabilities.

    ``rewards`` and ``distinct`` are [groups, samples]; sequences are in the order of groups, and
    behind them the reference summaries where their likelihood counts.
    """

    rewards: torch.Tensor
    distinct: torch.Tensor
    old: torch.Tensor
    reference: torch.Tensor | None
    budget: int


def loss_of(settings: AlignSettings, logps: TokenLogps, step: StepTensors) -> torch.Tensor:
    """Return the loss of a step from the log-probabilities of its sequences."""
    groups, size = step.rewards.shape
    count = groups * size
    values, mask = logps.values[:count], logps.mask[:count]
    loss = _objective(settings, TokenLogps(values, mask), step)
    if settings.is_online and step.reference is not None:
        divergence = objectives.kl_per_token(values, step.reference[:count])
        budget = None if settings.length_normalised else step.budget
        loss = loss + settings.kl * objectives.mean_loss(divergence, mask, budget)
    if settings.likelihood_weight:
        values, mask = logps.values[count:], logps.mask[count:]
        loss = loss - settings.likelihood_weight * (values * mask).sum() / mask.sum()
    return loss


def _objective(settings: AlignSettings, logps: TokenLogps, step: StepTensors) -> torch.Tensor:
    values, mask = logps
    shape = step.rewards.shape
    method = settings.method
    if method == "grpo":
        advantages = objectives.group_advantages(step.rewards, scaled=settings.scale_rewards)
        losses = objectives.clipped_surrogate(
            values, step.old[: len(values)], advantages.flatten(), settings.clip
        )
        budget = None if settings.length_normalised else step.budget
        return objectives.mean_loss(losses, mask, budget)
    if method in {"mrt", "brio"}:
        averaged = settings.length_normalised
        scores = objectives.sequence_scores(values, mask, averaged=averaged).view(shape)
        if method == "mrt":
            return objectives.minimum_risk(scores, step.rewards, step.distinct, settings.sharpness)
        return objectives.ranking(scores, step.rewards, _margin(settings))
    averaged = method != "dpo"
    chosen, rejected = objectives.sequence_scores(values, mask, averaged=averaged).view(shape).T
    beta = settings.beta or DEFAULT_BETA.get(method, 0.1)
    if method == "simpo":
        return objectives.simpo(chosen, rejected, beta, _margin(settings))
    assert step.reference is not None  # noqa: S101 -- AlignSettings.needs_reference
    reference = step.reference[: len(values)]
    theirs = objectives.sequence_scores(reference, mask, averaged=averaged).view(shape)
    compare = objectives.dpo if method == "dpo" else objectives.ipo
    return compare(chosen, rejected, theirs[:, 0] - theirs[:, 1], beta)


def _margin(settings: AlignSettings) -> float:
    return DEFAULT_MARGIN[settings.method] if settings.margin is None else settings.margin


class AlignStepper:
    """Makes steps of metric-aware training, as ``TrainContext.step``."""

    def __init__(self, alignment: AlignInputs) -> None:
        self._with = alignment

    def __call__(self, context: TrainContext, state: TrainState) -> TrainState:
        """Make one step; return the state as it was if a stop request ended the sampling."""
        started, waited = time.perf_counter(), self._with.pool.waited_seconds
        rows = [context.rows[row] for row in context.schedule.rows(state.step)]
        groups: list[Group] | None = None
        with suppress(GenerationStopped):
            groups = self._groups(context, state, rows)
        if groups is None:
            return state
        sampled = time.perf_counter() - started
        step = _Step(self._with, rows, groups)
        made = None
        for _ in range(self._with.settings.updates if self._with.settings.is_online else 1):
            with deterministic_kernels(enabled=state.deterministic):
                loss, state = step.gradient(context, state)
                made = update_weights(context, state, loss)
            if made is None:
                return skip_step(context, state)
        assert made is not None  # noqa: S101 -- there is one update at least
        after = msgspec.structs.replace(state, step=state.step + 1, skipped_steps=0)
        rewards = step.rewards()
        if self._with.settings.is_online:
            self._with.records.add(after.step, _records(after.step, groups, rewards))
        context.job.emit(
            AlignStep(
                at=time.time(),
                step=after.step,
                epoch=context.schedule.epoch(after.step),
                loss=loss,
                reward=float(rewards.mean()) if groups else 0.0,
                reward_spread=float(rewards.std(-1, correction=0).mean()) if groups else 0.0,
                kl=step.kl,
                learning_rate=made.learning_rate,
                grad_norm=made.grad_norm,
                groups=len(groups),
                tokens=step.tokens,
                seconds=time.perf_counter() - started,
                sampled_seconds=sampled,
                waited_seconds=self._with.pool.waited_seconds - waited,
            )
        )
        return after

    def _groups(
        self, context: TrainContext, state: TrainState, rows: Sequence[EncodedRow]
    ) -> list[Group]:
        if not self._with.settings.is_online:
            return [group for row in rows if (group := self._ranked(row)) is not None]
        found = {}
        model = context.optimizer.bundle.model
        with stop_between_tokens(model, context.job.stop_asked):
            for index, token_ids, texts in self._with.sampler.groups(rows, state.step):
                sampled = SampledGroup(tuple(texts), self._with.references[rows[index].id])
                rewards = self._with.pool.submit([sampled])
                found[index] = Group(rows[index], token_ids, texts, rewards)
        return [found[index] for index in range(len(rows))]

    def _ranked(self, row: EncodedRow) -> Group | None:
        """Return the group of a dialogue; ``None`` if all of its samples are as good."""
        one = self._with.candidates[row.id]
        pair = pair_of(one)
        if pair is None:
            return None
        chosen = range(len(one.texts)) if self._with.settings.method == "brio" else pair
        return Group(
            row,
            [one.token_ids[each] for each in chosen],
            [one.texts[each] for each in chosen],
            [one.rewards[each] for each in chosen],
        )


class _Step:
    """The sequences of one step, whose gradient may be asked for several times."""

    def __init__(
        self, alignment: AlignInputs, rows: Sequence[EncodedRow], groups: Sequence[Group]
    ) -> None:
        self._with = alignment
        self._groups = groups
        self._sequences = [
            group.row._replace(answer_ids=ids) for group in groups for ids in group.token_ids
        ]
        if alignment.settings.likelihood_weight:
            self._sequences += rows
        self._old: torch.Tensor | None = None
        self._reference: TokenLogps | None = None
        self.kl: float | None = None

    @property
    def tokens(self) -> int:
        """Tokens of one forward pass over every sequence."""
        return sum(len(row.source_ids) + len(row.answer_ids) for row in self._sequences)

    def gradient(self, context: TrainContext, state: TrainState) -> tuple[float, TrainState]:
        """Accumulate the gradient in micro-batches that fit; return the loss and the state."""
        if not self._sequences:
            return 0.0, state  # no dialogue of this step has a pair
        kind = context.optimizer.bundle.kind
        part = StepRows(
            self._sequences,
            [shape_of(row, kind) for row in self._sequences],
            range(len(self._sequences)),
            len(self._sequences),
        )
        return fit_memory(context, state, part, self._accumulate)

    def _accumulate(self, cut: MicroBatches) -> float:
        policy, settings = self._with.policy, self._with.settings
        logps = policy.log_probabilities(self._sequences, cut)
        if self._old is None:
            self._old = logps.values
        if self._with.reference is not None and self._reference is None:
            with self._with.reference.active():
                self._reference = policy.log_probabilities(self._sequences, cut)
        # Until here no reward was needed: the workers had the time of these passes.
        tensors = self._tensors(logps.values)
        values = logps.values.clone().requires_grad_()
        loss = loss_of(settings, logps._replace(values=values), tensors)
        (weights,) = torch.autograd.grad(loss, values)
        policy.accumulate(self._sequences, cut, weights)
        self.kl = self._divergence(logps)
        return float(loss.detach())

    def _tensors(self, values: torch.Tensor) -> StepTensors:
        assert self._old is not None  # noqa: S101 -- set by the caller
        distinct = [
            [ids not in group.token_ids[:place] for place, ids in enumerate(group.token_ids)]
            for group in self._groups
        ]
        return StepTensors(
            rewards=self.rewards().to(values),
            distinct=torch.tensor(distinct, dtype=torch.bool, device=values.device),
            old=self._old,
            reference=None if self._reference is None else self._reference.values,
            budget=self._with.sampler.max_new_tokens,
        )

    def rewards(self) -> torch.Tensor:
        """Return the rewards of the groups, [groups, samples], once they are there."""
        found = [
            self._with.pool.result(group.rewards)[0].tolist()
            if isinstance(group.rewards, Future)
            else list(group.rewards)
            for group in self._groups
        ]
        return torch.tensor(found or [[]], dtype=torch.float64)

    def _divergence(self, logps: TokenLogps) -> float | None:
        if self._reference is None:
            return None
        each = objectives.kl_per_token(logps.values, self._reference.values)
        return float((each * logps.mask).sum() / logps.mask.sum())


def _records(step: int, groups: Sequence[Group], rewards: torch.Tensor) -> list[StepSamples]:
    return [
        StepSamples(step=step, id=group.row.id, texts=tuple(group.texts), rewards=tuple(values))
        for group, values in zip(groups, rewards.tolist(), strict=True)
    ]

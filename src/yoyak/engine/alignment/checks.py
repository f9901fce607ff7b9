"""Preflight checks of metric-aware training: the reward and the model at step 0."""

from collections.abc import Iterator, Sequence

import msgspec

import torch  # noqa: TID253 -- this module is only ever imported by an engine at work
from yoyak.config.schema import AlignSettings
from yoyak.engine.alignment import objectives
from yoyak.engine.alignment.policy import Policy, ReferenceModel
from yoyak.engine.alignment.rewards import RewardPool, SampledGroup, rewards
from yoyak.engine.alignment.samples import Sampler
from yoyak.engine.check_result import check_result
from yoyak.engine.tokenization.encode import EncodedRow
from yoyak.events import CheckResult
from yoyak.metrics.diagnostics.text_patterns import speakers
from yoyak.metrics.scorecard import evaluate
from yoyak.values import Dialogue, Split

JUDGED_ROWS = 100
SAMPLED_ROWS = 4
TOLERANCE = 1e-9
"""Of rewards: they are the judge's numbers, added in another order."""
KL_TOLERANCE = 1e-5
"""Of the divergence per token; kernels and evaluation mode round differently."""


def check_rewards(
    dialogues: Sequence[Dialogue], settings: AlignSettings, pool: RewardPool
) -> Iterator[CheckResult]:
    """Check the reward on the first dialogues of train."""
    rows = dialogues[:JUDGED_ROWS]
    by_reference = msgspec.structs.replace(settings, rank_by="reference")
    yield reward_of_reference(rows, by_reference)
    yield reward_is_judge(rows, settings, pool)
    yield reward_of_tags(rows, by_reference)


def reward_of_reference(rows: Sequence[Dialogue], settings: AlignSettings) -> CheckResult:
    """Check that a summary that is its reference gets the reward 1."""
    texts = [row.references[0] for row in rows]
    found = rewards(texts, [(text,) for text in texts], settings)
    wrong = [row.id for row, value in zip(rows, found, strict=True) if abs(value - 1) > TOLERANCE]
    return _reward_check("reward-reference", rows, wrong)


def reward_is_judge(
    rows: Sequence[Dialogue], settings: AlignSettings, pool: RewardPool
) -> CheckResult:
    """Check the workers' rewards of worse summaries against the scorecard's rows.

    Each summary is the reference without its last words, so that no two rows have the same score.
    """
    plain = msgspec.structs.replace(settings, rank_by="reference", length_penalty=0.0)
    texts = {row.id: _shortened(row.references[0]) for row in rows}
    found = pool.result(
        pool.submit([SampledGroup((texts[row.id],), row.references) for row in rows], plain)
    )[:, 0]
    split = Split(name="train", dialogues=tuple(rows), fingerprint="")
    weights = settings.rouge_weights
    judged = {
        one.id: sum(
            weight * value
            for weight, value in zip(
                weights, (one.rouge.rouge1, one.rouge.rouge2, one.rouge.rougeL), strict=True
            )
        )
        / sum(weights)
        for one in evaluate(texts, split, resamples=1).rows
    }
    wrong = [
        row.id
        for row, value in zip(rows, found, strict=True)
        if abs(value - judged[row.id]) > TOLERANCE
    ]
    return _reward_check("reward-judge", rows, wrong)


def _reward_check(name: str, rows: Sequence[Dialogue], wrong: Sequence[str]) -> CheckResult:
    """Return the result of a check, where ``wrong`` are the ids of the rows that fail it."""
    return check_result(
        name,
        not wrong,
        "engine.found-rewards",
        rows=len(rows),
        wrong=len(wrong),
        first=wrong[0] if wrong else "–",
    )


def _shortened(text: str) -> str:
    words = text.split()
    return " ".join(words[: max(2, len(words) * 2 // 3)])


def reward_of_tags(rows: Sequence[Dialogue], settings: AlignSettings) -> CheckResult:
    """Check that speaker tags alone, once or many times, get no reward."""
    plain = msgspec.structs.replace(settings, length_penalty=0.0)
    texts, references = [], []
    for row in rows:
        tags = speakers(row.references[0]) or ("#Person1#", "#Person2#")
        texts += [" ".join(tags), " ".join(tags * 4)]
        references += [row.references] * 2
    found = rewards(texts, references, plain)
    wrong = [row.id for row, both in zip(rows, found.reshape(-1, 2), strict=True) if both.any()]
    return _reward_check("reward-tags", rows, wrong)


def check_start(
    rows: Sequence[EncodedRow], policy: Policy, reference: ReferenceModel, sampler: Sampler
) -> CheckResult:
    """Check that the divergence from the supervised model is zero before the first step.

    The model is computed as in a step's gradient, the supervised one as in a step's forward pass.
    """
    chosen = sorted(rows, key=lambda row: len(row.source_ids))[:SAMPLED_ROWS]
    sequences = [
        chosen[index]._replace(answer_ids=ids)
        for index, token_ids, _ in sampler.groups(chosen, "preflight")
        for ids in token_ids
    ]
    cut = [[index] for index in range(len(sequences))]
    trained = policy.log_probabilities(sequences, cut, as_gradient=True)
    with reference.active():
        theirs = policy.log_probabilities(sequences, cut)
    each = objectives.kl_per_token(trained.values, theirs.values)
    found = float((each * trained.mask).sum() / trained.mask.sum())
    return check_result(
        "kl-start",
        found <= KL_TOLERANCE,  # false for NaN
        "engine.found-distance",
        distance=f"{found:.1e}",
        tolerance=f"{KL_TOLERANCE:.1e}",
    )


def check_advantages(
    dialogues: Sequence[Dialogue],
    rows: Sequence[EncodedRow],
    sampler: Sampler,
    pool: RewardPool,
    settings: AlignSettings,
) -> CheckResult:
    """Check that the advantages of sampled groups have mean zero and follow their rewards."""
    by_id = {row.id: row for row in dialogues}
    chosen = sorted(rows, key=lambda row: len(row.source_ids))[:SAMPLED_ROWS]
    groups = [
        SampledGroup(tuple(texts), by_id[chosen[index].id].references)
        for index, _, texts in sampler.groups(chosen, "preflight")
    ]
    found = torch.from_numpy(pool.result(pool.submit(groups, settings)))
    advantages = objectives.group_advantages(found, scaled=settings.scale_rewards)
    worst = float(advantages.mean(-1).abs().max())
    ordered = bool(
        (found.argsort(dim=-1, stable=True) == advantages.argsort(dim=-1, stable=True)).all()
    )
    return check_result(
        "advantages-centred",
        worst <= KL_TOLERANCE and ordered,
        "engine.found-distance",
        distance=f"{worst:.1e}",
        tolerance=f"{KL_TOLERANCE:.1e}",
    )

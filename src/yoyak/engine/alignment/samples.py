"""Sample summaries from the model in training, and keep them as records.

``align/samples.jsonl`` has the samples and rewards of every step of ``mrt`` and ``grpo``. The other
methods sample once, from the supervised model: ``align/candidates-….jsonl`` has their samples with
token ids, ``align/pairs.jsonl`` what they learn from. What is sampled is a pure function of seed,
step and dialogue, so a resumed run samples the same.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

import msgspec

from yoyak.config.schema import Sampling
from yoyak.engine.inference.generate import DecodeJob, generate_ids, prediction_of
from yoyak.engine.models.model import ModelBundle
from yoyak.engine.tokenization.encode import EncodedRow
from yoyak.files import atomic, jsonl
from yoyak.values import Value

FOLDER = "align"
SAMPLES = "samples.jsonl"
PAIRS = "pairs.jsonl"

Record = TypeVar("Record", bound=Value)


class StepSamples(Value, frozen=True, kw_only=True):
    """The samples of one dialogue at one step, and their rewards."""

    step: int
    id: str
    texts: tuple[str, ...]
    rewards: tuple[float, ...]


class Candidates(Value, frozen=True, kw_only=True):
    """The samples of one dialogue from the supervised model, with their token ids."""

    id: str
    token_ids: tuple[tuple[int, ...], ...]
    texts: tuple[str, ...]
    rewards: tuple[float, ...]


class PreferencePair(Value, frozen=True, kw_only=True):
    """The samples of one dialogue with the highest and the lowest reward."""

    id: str
    chosen: str
    rejected: str
    chosen_reward: float
    rejected_reward: float


class Sampler(NamedTuple):
    """How summaries are sampled; ``seed`` is the run's."""

    bundle: ModelBundle
    samples: int
    temperature: float
    max_new_tokens: int
    blocked: tuple[int, ...]
    seed: int

    def groups(
        self, rows: Sequence[EncodedRow], step: object
    ) -> Iterator[tuple[int, list[tuple[int, ...]], list[str]]]:
        """Yield token ids and texts of each row's samples as soon as all of them are there.

        The first value is the row's index. The whole distribution is sampled from, but for tokens
        that are never generated.
        """
        digest = hashlib.sha256(f"{self.seed}/align/{step}".encode()).digest()
        decode = Sampling(temperature=self.temperature, top_p=1.0, seed=int.from_bytes(digest[:4]))
        copies = {
            f"{index}/{copy}": row for index, row in enumerate(rows) for copy in range(self.samples)
        }
        job = DecodeJob(self.bundle, decode, self.max_new_tokens, self.blocked)
        found: dict[int, dict[int, tuple[int, ...]]] = {}
        asked = [row._replace(id=f"{row.id}/{name}") for name, row in copies.items()]
        for finished in generate_ids(job, asked):
            for row, ids in finished:
                index, copy = map(int, row.id.split("/")[-2:])
                group = found.setdefault(index, {})
                group[copy] = tuple(ids)
                if len(group) == self.samples:
                    answers = [group[each] for each in range(self.samples)]
                    yield index, answers, [self._text(row.id, ids) for ids in answers]

    def _text(self, id_: str, ids: Sequence[int]) -> str:
        return prediction_of(self.bundle.tokenizer, id_, list(ids), 0.0).text


class StepRecords:
    """The records of steps, in a file of their own; a step that is repeated replaces the first."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / SAMPLES
        jsonl.drop_torn_line(self._path)
        self._last = max((one.step for one in read_records(self._path, StepSamples)), default=0)

    def add(self, step: int, records: Sequence[StepSamples]) -> None:
        """Append the records of ``step``, and drop those of it and of later steps."""
        if step <= self._last:
            kept = [one for one in read_records(self._path, StepSamples) if one.step < step]
            atomic.write_bytes(self._path, lines_of(kept))
        jsonl.append_lines(self._path, lines_of(records))
        self._last = step


def read_records(path: Path, kind: type[Record]) -> list[Record]:
    """Return the records of a file; none where there is no file."""
    return [msgspec.json.decode(line, type=kind) for line in jsonl.read_lines(path)]


def lines_of(records: Sequence[Value]) -> bytes:
    """Return records as JSON lines."""
    return b"".join(msgspec.json.encode(one) + b"\n" for one in records)


def pair_of(candidates: Candidates) -> tuple[int, int] | None:
    """Return which sample is best and which is worst; ``None`` if all rewards are equal."""
    order = sorted(range(len(candidates.rewards)), key=lambda each: -candidates.rewards[each])
    best, worst = order[0], order[-1]
    return (best, worst) if candidates.rewards[best] > candidates.rewards[worst] else None


def write_pairs(folder: Path, candidates: Mapping[str, Candidates]) -> int:
    """Write ``align/pairs.jsonl``; return how many dialogues have a pair."""
    pairs = [
        PreferencePair(
            id=one.id,
            chosen=one.texts[pair[0]],
            rejected=one.texts[pair[1]],
            chosen_reward=one.rewards[pair[0]],
            rejected_reward=one.rewards[pair[1]],
        )
        for one in candidates.values()
        if (pair := pair_of(one)) is not None
    ]
    atomic.write_bytes(folder / PAIRS, lines_of(pairs))
    return len(pairs)

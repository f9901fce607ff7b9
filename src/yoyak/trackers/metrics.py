"""Convert the events of a run to the points that trackers plot, each point once."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from yoyak.events import AlignStep, AnyEvent, Evaluated, Scored, SystemMetrics, TrainStep


class TrackerPoint(NamedTuple):
    """Metrics at one step, by the tracker's names; ROUGE is ×100.

    ``number`` counts the points of a run from 0 and is the same in every replay.
    """

    number: int
    step: int
    at: float
    values: dict[str, float]


class TrackerMetrics:
    """Converter for a log that is read in pieces; an event without a step gets the last one.

    A step that was repeated after a resume equals the first (resume is exact) and is left out, and
    so is a repeated evaluation.
    """

    def __init__(self) -> None:
        self._trained = self._evaluated = self._averaged = self._count = 0
        self._aligned = self._align_evaluated = 0

    def points(self, events: Iterable[AnyEvent]) -> Iterator[TrackerPoint]:
        """Yield the points of the next events of the log."""
        for event in events:
            values = _values(event) if self._is_new(event) else {}
            if values:
                # Metric-aware training goes on where supervised training ended.
                aligned = max(self._aligned, self._align_evaluated)
                step = max(self._trained, self._evaluated) + aligned
                yield TrackerPoint(self._count, step, event.at, values)
                self._count += 1

    def _is_new(self, event: AnyEvent) -> bool:
        if isinstance(event, TrainStep):
            before, self._trained = self._trained, max(self._trained, event.step)
            return event.step > before
        if isinstance(event, AlignStep):
            before, self._aligned = self._aligned, max(self._aligned, event.step)
            return event.step > before
        if isinstance(event, Evaluated) and event.stage == "align":
            before, self._align_evaluated = (
                self._align_evaluated,
                max(self._align_evaluated, event.step),
            )
            return event.step > before
        if isinstance(event, Evaluated) and event.averaged:
            before, self._averaged = self._averaged, max(self._averaged, event.step)
            return event.step > before
        if isinstance(event, Evaluated):
            before, self._evaluated = self._evaluated, max(self._evaluated, event.step)
            return event.step > before
        return True


def _values(event: AnyEvent) -> dict[str, float]:
    match event:
        case TrainStep():
            return {
                "train/loss": event.loss,
                "train/grad_norm": event.grad_norm,
                "train/learning_rate": event.learning_rate,
                "train/epoch": event.epoch,
                "train/seconds_per_step": event.seconds,
            }
        case AlignStep():
            values = {
                "align/loss": event.loss,
                "align/reward": event.reward,
                "align/reward_spread": event.reward_spread,
                "align/grad_norm": event.grad_norm,
                "align/learning_rate": event.learning_rate,
                "align/seconds_per_step": event.seconds,
            }
            return values if event.kl is None else values | {"align/kl": event.kl}
        case Evaluated() | Scored():
            prefix = "dev_part" if isinstance(event, Evaluated) else event.split
            if isinstance(event, Evaluated) and event.averaged:
                prefix = "dev_part_ema"
            rouge = event.rouge
            named = {"rouge1": rouge.rouge1, "rouge2": rouge.rouge2, "rougeL": rouge.rougeL}
            scores = named | {"mean": rouge.mean}
            values = {f"{prefix}/{name}": 100 * value for name, value in scores.items()}
            loss = event.loss if isinstance(event, Evaluated) else None
            return values if loss is None else values | {f"{prefix}/loss": loss}
        case SystemMetrics():
            known = {"disk_used_gb": event.disk_used_gb, "vram_used_gb": event.vram_used_gb}
            return {f"machine/{name}": value for name, value in known.items() if value is not None}
        case _:
            return {}

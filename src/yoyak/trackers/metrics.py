"""What trackers are told of a run: its numbers by their names, each point once."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from yoyak.events import AnyEvent, Evaluated, Scored, SystemMetrics, TrainStep


class TrackerPoint(NamedTuple):
    """What is known at one step, by the tracker's names; scores ×100.

    ``number`` counts the points of a run from 0, the same in every telling.
    """

    number: int
    step: int
    at: float
    values: dict[str, float]


class TrackerMetrics:
    """The numbers of a log that is read in pieces; what has no step belongs to the last one.

    A step that had to be done again is as it was the first time (resume is exact), so it counts
    once; so does an evaluation.
    """

    def __init__(self) -> None:
        self._trained = self._evaluated = self._told = 0

    def __call__(self, events: Iterable[AnyEvent]) -> Iterator[TrackerPoint]:
        """The points of the next piece."""
        for event in events:
            values = _values(event) if self._is_news(event) else {}
            if values:
                yield TrackerPoint(
                    self._told, max(self._trained, self._evaluated), event.at, values
                )
                self._told += 1

    def _is_news(self, event: AnyEvent) -> bool:
        if isinstance(event, TrainStep):
            before, self._trained = self._trained, max(self._trained, event.step)
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
        case Evaluated() | Scored():
            prefix = "dev_part" if isinstance(event, Evaluated) else "dev"
            rouge = event.rouge
            named = {"rouge1": rouge.rouge1, "rouge2": rouge.rouge2, "rougeL": rouge.rougeL}
            scores = named | {"mean": rouge.mean}
            points = {f"{prefix}/{name}": 100 * value for name, value in scores.items()}
            loss = event.loss if isinstance(event, Evaluated) else None
            return points if loss is None else points | {f"{prefix}/loss": loss}
        case SystemMetrics():
            known = {"disk_used_gb": event.disk_used_gb, "vram_used_gb": event.vram_used_gb}
            return {f"machine/{name}": value for name, value in known.items() if value is not None}
        case _:
            return {}

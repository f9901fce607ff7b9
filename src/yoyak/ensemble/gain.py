"""What one way of answering is worth over another, as it is shown and kept; no numpy is needed."""

from yoyak.values import Interval, Value


class Gain(Value, frozen=True, kw_only=True):
    """A mean score (0 to 1) and how much it is above the best single system's."""

    name: str
    mean: float
    difference: float
    interval: Interval
    """Of the difference, 95 %, paired over rows."""

    @property
    def proven(self) -> bool:
        """The interval lies above zero."""
        return self.interval.low > 0

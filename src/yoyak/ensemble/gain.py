"""The gain of one way of answering over another, as shown and stored (imports no numpy)."""

from yoyak.values import Interval, Value


class Gain(Value, frozen=True, kw_only=True):
    """A mean score (0 to 1) and its difference to the baseline, the best single system."""

    name: str
    mean: float
    difference: float
    interval: Interval
    """95 % interval of the difference, paired over rows."""

    @property
    def proven(self) -> bool:
        """Whether the interval lies above zero."""
        return self.interval.low > 0

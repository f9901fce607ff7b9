"""Draw a curve in characters: braille dots, two columns and four rows of them in a character."""

import math
from collections.abc import Sequence

_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""Bits of a braille pattern by row and column of its dot (Unicode standard, chapter 21.1)."""
_BRAILLE = 0x2800
_LEAST_WIDTH, _LEAST_HEIGHT = 12, 3


def line_plot(
    xs: Sequence[float], ys: Sequence[float], width: int, height: int, *, digits: int = 2
) -> list[str]:
    """Return a curve as ``height`` lines of at most ``width`` columns, its axes labelled.

    Points must be ordered by x. The first line is labelled with the highest y, the one above the
    last with the lowest, the last line with both ends of x. What is not finite is left out; without
    a point, or without room, there are no lines.
    """
    points = [(x, y) for x, y in zip(xs, ys, strict=True) if math.isfinite(x) and math.isfinite(y)]
    if not points or width < _LEAST_WIDTH or height < _LEAST_HEIGHT:
        return []
    (first, _), (last, _) = points[0], points[-1]
    low, high = min(y for _, y in points), max(y for _, y in points)
    labels = [f"{high:.{digits}f}", f"{low:.{digits}f}"]
    margin = max(map(len, labels)) + 1
    columns, rows = width - margin - 1, height - 1
    dots = _Dots(columns, rows)
    for (x, y), (next_x, next_y) in zip(points, [*points[1:], points[-1]], strict=True):
        dots.line(
            (_scaled(x, first, last, dots.width), _scaled(y, high, low, dots.height)),
            (_scaled(next_x, first, last, dots.width), _scaled(next_y, high, low, dots.height)),
        )
    sides = [labels[0], *[""] * (rows - 2), labels[1]]
    body = [
        f"{side:>{margin - 1}} ┤{line}" if side else f"{'':>{margin}}│{line}"
        for side, line in zip(sides, dots.lines(), strict=True)
    ]
    start, end = f"{first:g}", f"{last:g}" if last > first else ""
    return [*body, f"{'':>{margin}}└{start}{end:>{columns - len(start)}}"]


def _scaled(value: float, start: float, end: float, size: int) -> int:
    """Return the dot of ``value`` where ``start`` is dot 0 and ``end`` the last of ``size``."""
    return 0 if start == end else round((value - start) / (end - start) * (size - 1))


class _Dots:
    """A field of dots, ``columns`` × ``rows`` characters large."""

    def __init__(self, columns: int, rows: int) -> None:
        self.width, self.height = 2 * columns, 4 * rows
        self._cells = [[0] * columns for _ in range(rows)]

    def line(self, start: tuple[int, int], end: tuple[int, int]) -> None:
        """Set the dots on the way from ``start`` to ``end``."""
        steps = max(abs(end[0] - start[0]), abs(end[1] - start[1])) or 1
        for step in range(steps + 1):
            x = start[0] + round((end[0] - start[0]) * step / steps)
            y = start[1] + round((end[1] - start[1]) * step / steps)
            self._cells[y // 4][x // 2] |= _DOTS[y % 4][x % 2]

    def lines(self) -> list[str]:
        """Return the field, one string a row."""
        return [
            "".join(chr(_BRAILLE + cell) if cell else " " for cell in row) for row in self._cells
        ]

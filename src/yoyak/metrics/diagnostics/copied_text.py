"""The longest run of words that a summary takes over from its dialogue, and where it stands there.

Such runs are the extractive fragments of Grusky et al. (2018). A system that copies openings shows
short positions; one that copies whole turns, long runs.
"""

from collections import defaultdict

from yoyak.values import Value


class CopiedRun(Value, frozen=True, kw_only=True):
    """The longest copied run of a summary.

    ``position`` is the middle of the run in the dialogue, 0 (start) to 1 (end); ``None`` where no
    word is copied.
    """

    words: int
    position: float | None


class DialogueWords:
    """The words of one dialogue, indexed once for the summaries of many systems."""

    def __init__(self, dialogue: str) -> None:
        self._words = dialogue.split()
        self._places: dict[str, list[int]] = defaultdict(list)
        for place, word in enumerate(self._words):
            self._places[word].append(place)

    def longest_copied(self, summary: str) -> CopiedRun:
        """Return the longest run; of equally long ones, the first in the summary, then here."""
        ours = summary.split()
        best, at = 0, 0
        for start, word in enumerate(ours):
            if len(ours) - start <= best:
                break
            for place in self._places.get(word, ()):
                length = self._common(ours, start, place)
                if length > best:
                    best, at = length, place
        if not best:
            return CopiedRun(words=0, position=None)
        return CopiedRun(words=best, position=(at + best / 2) / len(self._words))

    def _common(self, ours: list[str], start: int, place: int) -> int:
        most = min(len(ours) - start, len(self._words) - place)
        length = 1
        while length < most and ours[start + length] == self._words[place + length]:
            length += 1
        return length

"""The longest run of words that a summary takes over from its dialogue, and where it stands there.

Such runs are the extractive fragments of Grusky et al. (2018). A system that copies openings shows
short positions; one that copies whole turns, long runs.
"""

from difflib import SequenceMatcher

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
        self._matcher = SequenceMatcher[str](None, (), self._words, autojunk=False)

    def longest_copied(self, summary: str) -> CopiedRun:
        """Return the longest run; of equally long ones, the first in the summary, then here."""
        self._matcher.set_seq1(summary.split())
        found = self._matcher.find_longest_match()
        if not found.size:
            return CopiedRun(words=0, position=None)
        position = (found.b + found.size / 2) / len(self._words)
        return CopiedRun(words=found.size, position=position)

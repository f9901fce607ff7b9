"""How much of a summary was copied: the share of its n-grams that the dialogue lacks."""

from collections.abc import Sequence

from yoyak.values import Value


class Novelty(Value, frozen=True, kw_only=True):
    """Mean over rows of the share of distinct n-grams that are new (See 2017), 0 to 1.

    ``copied`` counts the rows whose whole token list occurs in the dialogue as it is.
    """

    unigrams: float
    bigrams: float
    trigrams: float
    copied: int


def novelty(summaries: Sequence[str], dialogues: Sequence[str]) -> Novelty | None:
    """The novelty of texts that are encoded as one code point a token.

    A row too short for an n-gram is left out of that mean; ``None`` when no row has a trigram.
    """
    means = [_mean_share(summaries, dialogues, size) for size in (1, 2, 3)]
    if means[2] is None or means[1] is None or means[0] is None:
        return None
    copied = sum(
        bool(summary) and summary in dialogue
        for summary, dialogue in zip(summaries, dialogues, strict=True)
    )
    return Novelty(unigrams=means[0], bigrams=means[1], trigrams=means[2], copied=copied)


def _mean_share(summaries: Sequence[str], dialogues: Sequence[str], size: int) -> float | None:
    shares = []
    for summary, dialogue in zip(summaries, dialogues, strict=True):
        grams = {summary[start : start + size] for start in range(len(summary) - size + 1)}
        if grams:
            shares.append(sum(gram not in dialogue for gram in grams) / len(grams))
    return sum(shares) / len(shares) if shares else None

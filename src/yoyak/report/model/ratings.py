"""What people prefer of two systems, from the workspace's log of blind ratings."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from yoyak.metrics.rater_agreement import Preferred, preferences
from yoyak.report.model.report import RatedPair
from yoyak.report.model.rows import RowSource
from yoyak.runs.ratings import PairRating, RatingRecord, Side, current_ratings, texts_sha256


def rated_pairs(
    sources: Sequence[RowSource], records: Sequence[RatingRecord]
) -> tuple[RatedPair, ...]:
    """Return every pair of systems that was rated, in the order of the tables.

    A rating counts while both systems still have the texts that were shown.
    """
    by_key = {source.table.key: source for source in sources}
    votes: dict[tuple[str, str, str], dict[str, dict[str, Preferred]]] = {}
    for rating in _valid(by_key, current_ratings(records)):
        one, other = sorted((rating.left, rating.right))
        rows = votes.setdefault((rating.table, one, other), {})
        rows.setdefault(rating.row, {})[rating.rater] = _preferred(rating, one)
    order = {key: place for place, key in enumerate(by_key)}
    keys = sorted(votes, key=lambda pair: order[pair[0]])
    found = preferences([votes[key] for key in keys])
    pairs = []
    for (key, one, other), preference in zip(keys, found, strict=True):
        table = by_key[key].table
        names = {system.run: system.name for system in table.systems}
        pairs.append(
            RatedPair(
                data=table.data,
                split=table.split,
                one=names[one],
                other=names[other],
                preference=preference,
            )
        )
    return tuple(pairs)


def _valid(by_key: Mapping[str, RowSource], ratings: Iterable[PairRating]) -> Iterator[PairRating]:
    for rating in ratings:
        source = by_key.get(rating.table)
        texts = {} if source is None else source.answers(rating.row)
        left, right = texts.get(rating.left), texts.get(rating.right)
        if left is None or right is None or rating.left == rating.right:
            continue
        if texts_sha256(left, right) == rating.texts_sha256:
            yield rating


def _preferred(rating: PairRating, one: str) -> Preferred:
    if rating.choice is Side.TIE:
        return Preferred.TIE
    chosen = rating.left if rating.choice is Side.LEFT else rating.right
    return Preferred.ONE if chosen == one else Preferred.OTHER

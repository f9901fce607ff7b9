"""Consensus over 5 systems × 4 candidates × 499 rows, against the naive loop over ``rouge``.

Everything is timed in the same run, in CPU seconds (what one core needs, whoever else is at work
on the machine), on summaries made up here: sentences of 8 to 24 words over a vocabulary of 3,000,
systems that differ from a common truth by 20 to 40 % of their words. The naive loop is what teams
write: analyse each text again for every pair, then ``rouge.Rouge().get_scores``. It is timed on the
first rows and scaled by the number of pairs.
"""

import random
import time

import history
from rouge import Rouge

from yoyak.ensemble.candidates import CandidateColumn, Lineage, align
from yoyak.ensemble.mbr import similarity
from yoyak.ensemble.methods import ensemble_inputs, run_method
from yoyak.metrics.protocol import OFFICIAL
from yoyak.metrics.token_codes import encoder
from yoyak.values import Prediction

SYSTEMS, DECODES, ROWS, NAIVE_ROWS = 5, 4, 499, 2
SYLLABLES = "가나다라마바사아자차카타파하고노도로모보소오조초코토포호기니디리미비시이지치키티피히"
ENDINGS = ("은", "는", "이", "가", "을", "를", "에게", "에서", "와", "과", "도", "")


def summaries():
    draw = random.Random(42)
    words = ["".join(draw.choices(SYLLABLES, k=draw.randint(2, 4))) for _ in range(3000)]

    def word():
        return draw.choice(words) + draw.choice(ENDINGS)

    truth = [[word() for _ in range(draw.randint(8, 24))] for _ in range(ROWS)]

    def near(sentence, share):
        kept = [word() if draw.random() < share else each for each in sentence]
        return f"#Person1#은 {' '.join(kept)} 말합니다."

    shares = [0.2 + 0.05 * system for system in range(SYSTEMS) for _ in range(DECODES)]
    return [[near(sentence, share) for sentence in truth] for share in shares]


def pool_of(columns):
    ids = [f"test_{row}" for row in range(ROWS)]
    return align(
        ids,
        [
            CandidateColumn(
                Lineage(system=f"s{at // DECODES}", decode=f"d{at % DECODES}"),
                tuple(Prediction(id=i, text=t, raw=t) for i, t in zip(ids, texts, strict=True)),
            )
            for at, texts in enumerate(columns)
        ],
    )


def seconds(work, times=1):
    """CPU seconds of each of ``times`` runs."""
    spent = []
    for _ in range(times):
        start = time.process_time()
        work()
        spent.append(time.process_time() - start)
    return spent


def naive(rows):
    from mecab import MeCab

    judge, mecab = Rouge(), MeCab()
    for texts in rows:
        for at, ours in enumerate(texts):
            for place, theirs in enumerate(texts):
                if at != place:
                    judge.get_scores(" ".join(mecab.morphs(ours)), " ".join(mecab.morphs(theirs)))


def main():
    pool = pool_of(summaries())
    encoder(OFFICIAL).encode(["준비"])  # the dictionary is loaded before anything is timed
    colds = seconds(lambda: run_method("mbr", ensemble_inputs(pool)))
    warms = seconds(lambda: run_method("mbr", ensemble_inputs(pool)), times=3)
    table = similarity(pool)
    chosen = min(seconds(lambda: run_method("mbr", ensemble_inputs(pool, table=table)), times=3))
    few = seconds(lambda: naive(pool.texts[:NAIVE_ROWS]), times=2)
    slows = [spent * ROWS / NAIVE_ROWS for spent in few]
    cold, warm, slow = min(colds), min(warms), min(slows)
    count = SYSTEMS * DECODES
    print(f"consensus of {count} candidates x {ROWS} rows = {ROWS * count * (count - 1):,} pairs")
    print(f"  with tokenising        {cold:8.2f} s")
    print(f"  tokenised already      {warm:8.2f} s")
    print(f"  pairs scored already   {chosen:8.3f} s")
    print(f"  loop over rouge 1.0.1  {slow:8.1f} s (measured on {NAIVE_ROWS} rows, scaled)")
    print(f"  ratio, tokenising      {slow / cold:8.0f} x")
    print(f"  ratio, tokenised       {slow / warm:8.0f} x")
    history.record("consensus.tokenising", *history.compare_times(slows, colds))
    history.record("consensus.tokenised", *history.compare_times(slows, warms))


if __name__ == "__main__":
    main()

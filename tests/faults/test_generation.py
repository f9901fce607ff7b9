"""kill −9 while a real model answers: every answer once, every answer the same."""

import signal
import time

import msgspec
import pytest

from yoyak.config.schema import Greedy
from yoyak.events import PredictionProgress, Scored, Started

pytestmark = [pytest.mark.torch, pytest.mark.timeout(3600)]

KILLS_LONG = 50
KILLS_SHORT = 1


def fell_among_answers(run):
    """Whether the last attempt ended after its first answer and before the score."""
    kinds = [type(event) for event in run.events()]
    last = kinds[len(kinds) - kinds[::-1].index(Started) :]
    return PredictionProgress in last and Scored not in last


def one_more_batch(run):
    """A condition that holds as soon as some more answers are on the disk."""

    def stored():
        return sum(isinstance(event, PredictionProgress) for event in run.events())

    before = stored()
    return lambda: stored() > before


def test_kills_during_generation_change_no_answer(
    long, note, luck, tmp_path, whole_of, worker, outcome_of
):
    killed, whole = (whole_of("bart").copied(tmp_path / name) for name in ("killed", "whole"))
    kills = among = rounds = differing = twice = 0
    while kills < (KILLS_LONG if long else KILLS_SHORT):
        rounds += 1
        # Another decoding: only prediction and scoring are done again, in both.
        for run in (killed, whole):
            decode = Greedy(max_new_tokens=40 + rounds)
            run.write_recipe(msgspec.structs.replace(run.recipe, decode=decode))
        began = time.monotonic()
        assert worker(whole) == 0
        usual_seconds = time.monotonic() - began
        code = None
        while code != 0:
            moment = luck.uniform(0.3, 1.2) * usual_seconds
            code = worker(killed, moment if long else one_more_batch(killed))
            assert code in {0, -signal.SIGKILL}
            kills += code != 0
            among += code != 0 and fell_among_answers(killed)
        differing += outcome_of(killed) != outcome_of(whole)
        for split in ("dev", "test"):
            lines = killed.predictions_path(split).read_bytes().splitlines()
            twice += len(lines) - len(killed.predictions(split))
    note(
        "generation",
        {
            "kills": kills,
            "of them between an attempt's first answer and the score": among,
            "decodings": rounds,
            "answers that are there twice": twice,
            "decodings whose answers or scores differ": differing,
        },
    )
    assert (twice, differing) == (0, 0)

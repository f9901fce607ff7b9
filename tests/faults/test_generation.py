"""kill −9 while a real model answers: every answer once, every answer the same."""

import signal

import msgspec
import pytest

from yoyak.recipe import Greedy

pytestmark = [pytest.mark.torch, pytest.mark.timeout(3600)]

KILLS_LONG = 50
KILLS_SHORT = 2


def test_kills_during_generation_change_no_answer(long, ledger, luck, run_of, worker, outcome_of):
    killed, whole = run_of("bart"), run_of("bart")
    assert worker(killed) == worker(whole) == 0
    kills = rounds = differing = twice = 0
    while kills < (KILLS_LONG if long else KILLS_SHORT):
        rounds += 1
        # Another decoding: only prediction and scoring are done again, in both.
        for run in (killed, whole):
            decode = Greedy(max_new_tokens=40 + rounds)
            run.write_recipe(msgspec.structs.replace(run.recipe, decode=decode))
        assert worker(whole) == 0
        code = None
        while code != 0:
            code = worker(killed, luck.uniform(0.5, 2.5) * (1 + kills / 50))
            assert code in {0, -signal.SIGKILL}
            kills += code != 0
        differing += outcome_of(killed) != outcome_of(whole)
        for split in ("dev", "test"):
            lines = killed.predictions_path(split).read_bytes().splitlines()
            twice += len(lines) - len(killed.predictions(split))
    ledger["generation"] = {
        "kills": kills,
        "decodings": rounds,
        "answers that are there twice": twice,
        "decodings whose answers or scores differ": differing,
    }
    assert (twice, differing) == (0, 0)

"""kill −9 while a real model answers: every answer once, every answer the same."""

import signal

import pytest

from yoyak.recipe import Greedy

pytestmark = [pytest.mark.torch, pytest.mark.timeout(3600)]

KILLS_LONG = 50
KILLS_SHORT = 2


def test_kills_during_generation_change_no_answer(
    long, ledger, luck, run_of, worker, outcome_of, server
):
    killed, whole = run_of("bart"), run_of("bart")
    assert worker(killed) == worker(whole) == 0
    kills = rounds = 0
    while kills < (KILLS_LONG if long else KILLS_SHORT):
        rounds += 1
        # Another decoding: only prediction and scoring are done again, in both.
        for run in (killed, whole):
            decode = Greedy(max_new_tokens=40 + rounds)
            run.write_recipe(with_decode(run.recipe, decode))
        assert worker(whole) == 0
        code = None
        while code != 0:
            code = worker(killed, luck.uniform(0.5, 2.5) * (1 + kills / 50))
            assert code in {0, -signal.SIGKILL}
            kills += code != 0
        assert outcome_of(killed) == outcome_of(whole)
        for split in ("dev", "test"):
            lines = killed.predictions_path(split).read_bytes().splitlines()
            assert len(lines) == len(killed.predictions(split))  # none twice
    ledger["generation"] = {"kills": kills, "rounds": rounds, "answers that differ": 0}


def with_decode(recipe, decode):
    import msgspec

    return msgspec.structs.replace(recipe, decode=decode)

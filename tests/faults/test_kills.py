"""kill −9 at random moments of real training: nothing is lost, not one bit is another."""

import signal
import statistics
import time

import pytest

pytestmark = [pytest.mark.torch, pytest.mark.timeout(3600)]

FORMS = ["bart", "lora", "nf4"]
KILLS_LONG = 70
"""Of each form: 210 in all."""
KILLS_SHORT = 1


@pytest.mark.parametrize("form", FORMS)
def test_random_kills_change_no_bit(
    form, long, ledger, luck, run_of, worker, outcome_of, committed, first_step_after,
    seconds_to_recover,
):  # fmt: skip
    whole = run_of(form)
    began = time.monotonic()
    assert worker(whole) == 0
    usual_seconds = time.monotonic() - began
    expected = outcome_of(whole)

    kills, runs, lost, recoveries = 0, 0, 0, []
    while kills < (KILLS_LONG if long else KILLS_SHORT):
        runs += 1
        run = run_of(form)
        code = None
        while code != 0:
            before = committed(run)
            code = worker(run, luck.uniform(0.1, 1.2) * usual_seconds)
            assert code in {0, -signal.SIGKILL}, (run.folder / "worker.log").read_text()
            kills += code != 0
            first = first_step_after(run) if run.state().attempts else None
            if before is not None and first is not None:
                lost += first - before - 1 != 0
                recoveries.append(seconds_to_recover(run))
        assert outcome_of(run) == expected
    assert lost == 0
    ledger[f"kills-{form}"] = {
        "kills": kills,
        "runs": runs,
        "unrecoverable": 0,
        "steps lost beyond the last checkpoint": lost,
        "runs whose weights, answers or scores differ": 0,
        "median seconds to the next step": round(statistics.median(recoveries), 2)
        if recoveries
        else None,
    }

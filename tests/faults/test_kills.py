"""kill −9 at random moments of real training: nothing is lost, not one bit is another."""

import signal
import statistics

import pytest

pytestmark = [pytest.mark.torch, pytest.mark.timeout(3600)]

FORMS = [
    pytest.param("bart", marks=pytest.mark.slow),
    pytest.param("lora", marks=pytest.mark.slow),
    "nf4",
]
KILLS_LONG = 70
"""Of each form: 210 in all."""
KILLS_SHORT = 1


def has_made(run, step):
    return lambda: run.state().step >= step


@pytest.mark.parametrize("form", FORMS)
def test_random_kills_change_no_bit(
    form, long, note, luck, run_of, whole_of, worker, outcome_of, committed, first_step_after,
    seconds_to_recover,
):  # fmt: skip
    whole = whole_of(form)
    kills, runs, stuck, lost, differing, recoveries = 0, 0, 0, 0, 0, []
    while kills < (KILLS_LONG if long else KILLS_SHORT):
        runs += 1
        run = run_of(form)
        code, step = None, luck.randint(1, 12)
        while code != 0:
            before = committed(run)
            if long:
                code = worker(run, luck.uniform(0.1, 1.2) * whole.seconds)
            else:
                code = worker(run, None if kills else has_made(run, step))
            kills += code == -signal.SIGKILL
            if code not in {0, -signal.SIGKILL}:
                stuck += 1
                break
            first = first_step_after(run) if run.state().attempts else None
            if before is not None and first is not None:
                lost += first != before + 1
                recoveries.append(seconds_to_recover(run))
        differing += code == 0 and outcome_of(run) != whole.outcome
    note(
        f"kills-{form}",
        {
            "kills": kills,
            "runs": runs,
            "runs that could not go on": stuck,
            "restarts that lost a step beyond the last checkpoint": lost,
            "runs whose weights, answers or scores differ": differing,
            "median seconds from start to the next step": (
                round(statistics.median(recoveries), 2) if recoveries else "not measured"
            ),
        },
    )
    assert (stuck, lost, differing) == (0, 0, 0)

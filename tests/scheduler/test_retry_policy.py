"""What becomes of a run whose worker has ended, as a table."""

import signal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yoyak.config import load
from yoyak.events import Failed, Warned
from yoyak.scheduler.retry_policy import (
    RetryAction,
    RetryCounts,
    decide,
    is_out_of_memory,
    oom_retry_level,
    with_smaller_batches,
)

OUT_OF_MEMORY = Failed(at=1.0, kind="OutOfMemoryError", message="CUDA out of memory.")
OTHER = Failed(at=1.0, kind="ValueError", message="shapes differ")
TRIED = RetryCounts(restarts=3, oom_retries=3)


@pytest.mark.parametrize(
    ("code", "failed", "tries", "verdict"),
    [
        (0, None, RetryCounts(), RetryAction.FINISHED),
        (75, None, RetryCounts(), RetryAction.INTERRUPTED),
        (-signal.SIGTERM, None, RetryCounts(), RetryAction.INTERRUPTED),
        (-signal.SIGKILL, None, RetryCounts(), RetryAction.AGAIN),
        (-signal.SIGKILL, None, TRIED, RetryAction.INTERRUPTED),
        (-signal.SIGSEGV, None, RetryCounts(), RetryAction.AGAIN),
        (-signal.SIGSEGV, None, TRIED, RetryAction.FAILED),
        (-signal.SIGABRT, None, RetryCounts(), RetryAction.FAILED),
        (70, OUT_OF_MEMORY, RetryCounts(), RetryAction.SMALLER),
        (70, OUT_OF_MEMORY, TRIED, RetryAction.FAILED),
        (70, OTHER, RetryCounts(), RetryAction.FAILED),
        (74, None, RetryCounts(), RetryAction.FAILED),
    ],
)
def test_verdicts(code, failed, tries, verdict):
    assert decide(code, failed, tries) is verdict


@pytest.mark.parametrize(
    ("kind", "message", "memory"),
    [
        ("OutOfMemoryError", "", True),
        ("MemoryError", "", True),
        ("RuntimeError", "CUDA error: out of memory", True),
        ("RuntimeError", "CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate", True),
        ("RuntimeError", "mat1 and mat2 shapes cannot be multiplied", False),
        # The engine has tried everything by itself before it says this.
        ("engine.row-out-of-memory", "row 7 is out of memory", False),
    ],
)
def test_a_lack_of_memory_is_known_by_its_kind_and_its_words(kind, message, memory):
    assert is_out_of_memory(Failed(at=1.0, kind=kind, message=message)) is memory


@given(batch=st.integers(1, 64), rung=st.integers(0, 5), data=st.data())
def test_every_rung_keeps_the_batch_and_divides_it(batch, rung, data):
    divisors = [each for each in range(1, batch + 1) if batch % each == 0]
    micro = data.draw(st.none() | st.sampled_from(divisors))
    sets = [f"train.batch_size={batch}"]
    if micro is not None:
        sets.append(f"train.micro_batch_size={micro}")
    recipe = load.resolve("kobart", sets=sets).recipe
    smaller = with_smaller_batches(recipe, rung).train
    assert smaller.batch_size == batch
    if rung:
        assert batch % smaller.micro_batch_size == 0
        assert smaller.micro_batch_size <= max(1, (micro or batch) // 2**rung)
        assert smaller.micro_batch_tokens == max(1, 4096 // 2**rung)


def test_recomputing_comes_second_and_never_against_the_users_will():
    recipe = load.resolve("qwen3-4b").recipe
    assert [
        with_smaller_batches(recipe, rung).train.gradient_checkpointing for rung in range(4)
    ] == [
        "auto",
        "auto",
        "selective",
        "on",
    ]
    off = load.resolve("qwen3-4b", sets=["train.gradient_checkpointing=off"]).recipe
    assert with_smaller_batches(off, 3).train.gradient_checkpointing == "off"


def test_rungs_are_counted_from_the_log():
    smaller = Warned(at=1.0, key="scheduler.smaller-passes")
    assert oom_retry_level([smaller, OTHER, Warned(at=2.0, key="scheduler.slow"), smaller]) == 2

"""What becomes of a run whose worker has ended, as a table."""

import signal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yoyak import recipes
from yoyak.events import Failed, Warned
from yoyak.queue.retry import Tries, Verdict, is_out_of_memory, judge, on_rung, rung_of

OUT_OF_MEMORY = Failed(at=1.0, kind="OutOfMemoryError", message="CUDA out of memory.")
OTHER = Failed(at=1.0, kind="ValueError", message="shapes differ")
TRIED = Tries(restarts=3, rungs=3)


@pytest.mark.parametrize(
    ("code", "failed", "tries", "verdict"),
    [
        (0, None, Tries(), Verdict.FINISHED),
        (75, None, Tries(), Verdict.INTERRUPTED),
        (-signal.SIGTERM, None, Tries(), Verdict.INTERRUPTED),
        (-signal.SIGKILL, None, Tries(), Verdict.AGAIN),
        (-signal.SIGKILL, None, TRIED, Verdict.INTERRUPTED),
        (-signal.SIGSEGV, None, Tries(), Verdict.AGAIN),
        (-signal.SIGSEGV, None, TRIED, Verdict.FAILED),
        (-signal.SIGABRT, None, Tries(), Verdict.FAILED),
        (70, OUT_OF_MEMORY, Tries(), Verdict.SMALLER),
        (70, OUT_OF_MEMORY, TRIED, Verdict.FAILED),
        (70, OTHER, Tries(), Verdict.FAILED),
        (74, None, Tries(), Verdict.FAILED),
    ],
)
def test_verdicts(code, failed, tries, verdict):
    assert judge(code, failed, tries) is verdict


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
    sets = [f"train.batch_rows={batch}"]
    if micro is not None:
        sets.append(f"train.micro_batch_rows={micro}")
    recipe = recipes.resolve("kobart", sets=sets).recipe
    smaller = on_rung(recipe, rung).train
    assert smaller.batch_rows == batch
    if rung:
        assert batch % smaller.micro_batch_rows == 0
        assert smaller.micro_batch_rows <= max(1, (micro or batch) // 2**rung)
        assert smaller.micro_batch_tokens == max(1, 4096 // 2**rung)


def test_recomputing_comes_second_and_never_against_the_users_will():
    recipe = recipes.resolve("qwen3-4b").recipe
    assert [on_rung(recipe, rung).train.gradient_checkpointing for rung in range(4)] == [
        "auto", "auto", "selective", "on",
    ]  # fmt: skip
    off = recipes.resolve("qwen3-4b", sets=["train.gradient_checkpointing=off"]).recipe
    assert on_rung(off, 3).train.gradient_checkpointing == "off"


def test_rungs_are_counted_from_the_log():
    smaller = Warned(at=1.0, key="queue.smaller-passes")
    assert rung_of([smaller, OTHER, Warned(at=2.0, key="queue.slow"), smaller]) == 2

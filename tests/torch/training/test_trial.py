import pytest

from yoyak import events

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")
from yoyak.engine import loop, trial  # noqa: E402
from yoyak.engine.batches import padded_tokens  # noqa: E402
from yoyak.engine.checkpoint import Progress  # noqa: E402
from yoyak.engine.models import parts  # noqa: E402

SETS = ("train.max_steps=6", "train.epochs=9", "evaluate.every_epochs=none")


@pytest.fixture
def passes():
    """Counts the padded tokens of every pass of a model; may run out of memory above ``most``."""

    def watch(course, most=10**9):
        seen = []

        def note(module, args, kwargs):
            seen.append(kwargs["input_ids"].numel())
            if seen[-1] > most:
                raise torch.OutOfMemoryError

        parts(course.learner.loaded.model).backbone.register_forward_pre_hook(
            note, with_kwargs=True
        )
        return seen

    return watch


def test_the_largest_pass_of_the_run_is_met_first(course, passes, bits):
    made = course("lora", *SETS, "train.micro_batch_rows=4")
    seen = passes(made)
    before = bits(made.learner)
    progress = Progress(budget_tokens=500)
    assert trial.largest_pass(made, progress) == progress
    largest = seen.pop()
    assert not seen
    assert bits(made.learner) == before
    assert all(value.grad is None for value in made.learner.named.values())
    for step in range(12):
        for row in made.timetable.rows(step):
            assert padded_tokens([made.shapes[row]]) <= largest <= 500


def test_what_does_not_fit_is_made_smaller_before_the_first_step(course, passes):
    made = course("lora", *SETS, "train.micro_batch_rows=4")
    longest = max(max(shape) for shape in made.shapes)
    passes(made, most=2 * longest)
    found = trial.largest_pass(made, Progress(budget_tokens=loop.BUDGET_TOKENS))
    assert found.budget_tokens < loop.BUDGET_TOKENS or found.recompute != "off"
    warned = [event.key for event in course.said if isinstance(event, events.Warned)]
    assert set(warned) == {"engine.memory-replay"}


def test_a_cpu_needs_no_trial(course, passes):
    made = course("lora", *SETS)
    seen = passes(made)
    progress = Progress(budget_tokens=4096)
    assert trial.tried(made, progress) is progress
    assert seen == []

import pytest

from yoyak import events

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")
from yoyak.engine.models.collate import padded_tokens  # noqa: E402
from yoyak.engine.models.model import model_parts  # noqa: E402
from yoyak.engine.pipeline import start  # noqa: E402
from yoyak.engine.preflight import device_probes  # noqa: E402
from yoyak.engine.training.checkpoint import TrainState  # noqa: E402

SETS = ("train.max_steps=6", "train.epochs=9", "evaluate.every_epochs=none")


@pytest.fixture
def passes():
    """Counts the padded tokens of every pass of a model; may run out of memory above ``most``."""

    def watch(context, most=10**9):
        seen = []

        def note(module, args, kwargs):
            seen.append(kwargs["input_ids"].numel())
            if seen[-1] > most:
                raise torch.OutOfMemoryError

        model_parts(context.optimizer.bundle.model).backbone.register_forward_pre_hook(
            note, with_kwargs=True
        )
        return seen

    return watch


def test_the_largest_pass_of_the_run_is_met_first(context, passes, bits):
    made = context("lora", *SETS, "train.micro_batch_size=4")
    seen = passes(made)
    before = bits(made.optimizer)
    progress = TrainState(budget_tokens=500)
    assert device_probes.probe_peak_memory(made, progress) == progress
    largest = seen.pop()
    assert not seen
    assert bits(made.optimizer) == before
    assert all(value.grad is None for value in made.optimizer.named.values())
    for step in range(12):
        for row in made.schedule.rows(step):
            assert padded_tokens([made.shapes[row]]) <= largest <= 500


def test_what_does_not_fit_is_made_smaller_before_the_first_step(context, passes):
    made = context("lora", *SETS, "train.micro_batch_size=4")
    longest = max(max(shape) for shape in made.shapes)
    passes(made, most=2 * longest)
    found = device_probes.probe_peak_memory(
        made, TrainState(budget_tokens=start.DEFAULT_BUDGET_TOKENS)
    )
    assert found.budget_tokens < start.DEFAULT_BUDGET_TOKENS or found.recompute != "off"
    warned = [event.key for event in context.said if isinstance(event, events.Warned)]
    assert set(warned) == {"engine.memory-replay"}


def test_a_cpu_needs_no_trial(context, passes):
    made = context("lora", *SETS)
    seen = passes(made)
    progress = TrainState(budget_tokens=4096)
    assert device_probes.run_device_probes(made, progress) is progress
    assert seen == []

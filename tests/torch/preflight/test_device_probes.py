"""What is probed before the first step, and that the probes leave nothing behind."""

import pytest

from support.training import train
from yoyak.events import Warned

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")
from yoyak.engine.models.collate import padded_tokens  # noqa: E402
from yoyak.engine.models.model import unwrap_model  # noqa: E402
from yoyak.engine.pipeline import start  # noqa: E402
from yoyak.engine.preflight import device_probes  # noqa: E402
from yoyak.engine.training.checkpoint import TrainState  # noqa: E402

SETS = ("train.max_steps=6", "train.epochs=9", "evaluate.every_epochs=none")
START = TrainState(budget_tokens=4096)


def plant(context, work):
    """Lets something happen to the logits of every pass."""
    unwrap_model(context.optimizer.bundle.model).get_output_embeddings().register_forward_hook(
        lambda module, args, logits: work(logits)
    )


def noise():
    generator = torch.Generator().manual_seed(1)
    return lambda logits: logits + torch.randn(logits.shape, generator=generator) * 1e-4


def never_deterministic(logits):
    """What PyTorch does in an operation that has no deterministic form."""
    if torch.are_deterministic_algorithms_enabled():
        raise RuntimeError(
            "some_backward_cuda does not have a deterministic implementation, but you set "
            "'torch.use_deterministic_algorithms(True)'. You can turn off determinism."
        )
    return logits


def warned(said):
    return [event for event in said if isinstance(event, Warned)]


@pytest.mark.parametrize("form", ["bart", "nf4"])
def test_a_device_that_repeats_itself_is_exact_and_nothing_is_as_it_was_not(form, context, bits):
    made = context(form, *SETS)  # with dropout
    weights = bits(made.optimizer)
    moments = {name: value.clone() for name, value in made.optimizer.optimizer_state().items()}
    assert device_probes.check_determinism(made, START) == TrainState(
        budget_tokens=4096, deterministic=True
    )
    assert warned(context.said) == []
    assert bits(made.optimizer) == weights
    assert all(
        torch.equal(value, moments[name])
        for name, value in made.optimizer.optimizer_state().items()
    )
    assert all(value.grad is None for value in made.optimizer.named.values())
    assert not torch.are_deterministic_algorithms_enabled()


def test_the_short_runs_really_move_the_weights(context, bits):
    made = context("lora", *SETS, "train.warmup_ratio=1.0")
    seen = []
    apply = made.optimizer.step
    made.optimizer.step = lambda rate: (apply(rate), seen.append(bits(made.optimizer)))
    assert device_probes.is_deterministic(made, START)
    assert len(seen) == 2 * device_probes.DETERMINISM_STEPS
    assert len(set(seen)) == device_probes.DETERMINISM_STEPS
    assert seen[:3] == seen[3:]


def test_one_that_does_not_repeat_itself_is_told_of_and_not_slowed_down(context, bits):
    made = context("lora", *SETS)
    before = bits(made.optimizer)
    plant(made, noise())
    assert not device_probes.check_determinism(made, START).deterministic
    (told,) = warned(context.said)
    assert told.key == "engine.not-exact"
    assert bits(made.optimizer) == before


def test_a_kernel_without_a_deterministic_form_is_named_and_the_run_goes_on(context):
    made = context("lora", *SETS)
    plant(made, never_deterministic)
    progress = device_probes.check_determinism(made, START)
    (told,) = warned(context.said)
    assert told.key == "engine.not-deterministic"
    assert "some_backward_cuda" in told.fields["problem"]
    assert not progress.deterministic
    assert train(made).step == 6


def test_other_errors_of_the_short_runs_are_not_hidden(context):
    made = context("lora", *SETS)

    def broken(logits):
        raise RuntimeError("shapes do not match")

    plant(made, broken)
    with pytest.raises(RuntimeError, match="shapes do not match"):
        device_probes.check_determinism(made, START)


def test_steps_run_in_the_mode_that_was_proved_and_go_on_in_it(context, monkeypatch):
    """As on a card: the CPU is made to take the trial."""
    monkeypatch.setattr(start, "run_device_probes", device_probes.check_determinism)
    modes = []

    def note(logits):
        modes.append(torch.are_deterministic_algorithms_enabled())
        return logits

    made = context("lora", *SETS)
    plant(made, note)
    assert train(made).deterministic
    assert set(modes) == {True}
    assert made.checkpoints.newest().deterministic, "whoever resumes goes on in it"
    modes.clear()
    other = context("lora", *SETS, "train.deterministic=false", folder=made.job.folder / "other")
    plant(other, note)
    assert not train(other).deterministic
    assert set(modes) == {False}


# --- memory ---------------------------------------------------------------------------------------


@pytest.fixture
def passes():
    """Counts the padded tokens of every pass of a model; may run out of memory above ``most``."""

    def watch(context, most=10**9):
        seen = []

        def note(module, args, kwargs):
            seen.append(kwargs["input_ids"].numel())
            if seen[-1] > most:
                raise torch.OutOfMemoryError

        unwrap_model(context.optimizer.bundle.model).register_forward_pre_hook(
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
    warned = [event.key for event in context.said if isinstance(event, Warned)]
    assert set(warned) == {"engine.memory-replay"}


def test_a_cpu_needs_no_trial(context, passes):
    made = context("lora", *SETS)
    seen = passes(made)
    progress = TrainState(budget_tokens=4096)
    assert device_probes.run_device_probes(made, progress) is progress
    assert seen == []


# --- packing --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "packed", "said"),
    [((2.0, 1.0), True, "packing-faster"), ((1.0, 2.0), False, "packing-slower")],
)
def test_rows_are_packed_where_that_measures_faster(seconds, packed, said, context, monkeypatch):
    made = context("lora", *SETS)
    monkeypatch.setattr(device_probes, "measure_packing", lambda *_: seconds)
    progress = device_probes.choose_packing(made, TrainState(budget_tokens=4096))
    assert progress.packed is packed
    assert context.said[-1].key == f"engine.{said}"


def test_both_ways_are_really_measured_and_leave_nothing_behind(context, bits):
    made = context("lora", *SETS)
    before = bits(made.optimizer)
    padded, packed = device_probes.measure_packing(made, TrainState(budget_tokens=4096))
    assert padded > 0
    assert packed > 0
    assert bits(made.optimizer) == before
    assert all(value.grad is None for value in made.optimizer.named.values())


def test_rows_that_would_leak_are_not_packed_however_fast(context, monkeypatch):
    from transformers import masking_utils

    made = context("lora", *SETS)
    monkeypatch.setattr(masking_utils, "find_packed_sequence_indices", lambda positions: None)
    assert not device_probes.choose_packing(made, TrainState(budget_tokens=4096)).packed
    assert context.said[-1].key == "engine.packing-impossible"

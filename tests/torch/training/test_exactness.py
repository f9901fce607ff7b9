"""A device has to show that it repeats itself; one that does not is told of, and trains on."""

import pytest

from support.training import train
from yoyak.events import Warned

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")
from yoyak.engine.models.model import model_parts  # noqa: E402
from yoyak.engine.pipeline import start  # noqa: E402
from yoyak.engine.preflight import device_probes  # noqa: E402
from yoyak.engine.training.checkpoint import TrainState  # noqa: E402
from yoyak.engine.training.deterministic_kernels import deterministic_kernels  # noqa: E402

SETS = ("train.max_steps=6", "train.epochs=9", "evaluate.every_epochs=none")
START = TrainState(budget_tokens=4096)


def plant(context, work):
    """Lets something happen to the logits of every pass."""
    model_parts(context.optimizer.bundle.model).head.register_forward_hook(
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


def test_the_mode_forbids_what_torch_knows_to_be_inexact():
    with deterministic_kernels(enabled=True):
        assert torch.are_deterministic_algorithms_enabled()
        assert not torch.is_deterministic_algorithms_warn_only_enabled()
        assert torch.backends.cudnn.deterministic
        assert not torch.backends.cuda.cudnn_sdp_enabled()
        assert torch.backends.cuda.flash_sdp_enabled()
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.backends.cuda.cudnn_sdp_enabled()


def test_a_cpu_needs_no_trial(context):
    made = context("lora", *SETS)
    assert device_probes.run_device_probes(made, START) is START

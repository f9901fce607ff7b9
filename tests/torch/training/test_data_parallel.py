"""Two processes that train one run, the second forked from this one."""

import os
import signal
import socket
import traceback

import pytest

from support.training import train
from yoyak import events
from yoyak.errors import Interrupted, RunFailed

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")
dist = torch.distributed

from yoyak.engine.models.model import unwrap_model  # noqa: E402
from yoyak.engine.training.data_parallel import (  # noqa: E402
    GradientSource,
    MainRank,
    compute_gradients,
    other_ranks,
)

SETS = (
    "train.max_steps=3",
    "train.epochs=9",
    "train.micro_batch_size=1",
    "train.batch_size=3",
    "evaluate.every_epochs=none",
)


def source_of(context):
    source = GradientSource(context.optimizer, context.rows, context.job.recipe.train.seed)
    return source, source.identity("base", "data")


@pytest.fixture
def ranks(monkeypatch):
    """Trains a context as rank 0; rank 1 is a fork whose context ``change`` may spoil."""
    children = []

    def make(made, change=lambda made: None):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        for name, value in {
            "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": 2, "RANK": 0,
            "GLOO_SOCKET_IFNAME": "lo",
        }.items():  # fmt: skip
            monkeypatch.setenv(name, str(value))
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                os.environ["RANK"] = "1"
                change(made)
                compute_gradients(lambda: source_of(made))
                code = 0
            except BaseException:  # noqa: BLE001
                traceback.print_exc()
            os._exit(code)
        children.append(pid)
        with other_ranks() as main_rank:
            assert main_rank is MainRank
            return train(made._replace(ranks=main_rank(*source_of(made))))

    yield make
    for pid in children:
        os.waitpid(pid, 0)


@pytest.mark.filterwarnings("ignore:.*fork")
@pytest.mark.parametrize("form", ["bart", "lora", pytest.param("nf4", marks=pytest.mark.slow)])
def test_two_processes_end_with_the_bits_of_one(form, context, ranks, bits, tmp_path):
    alone = context(form, *SETS, folder=tmp_path / "alone")
    train(alone)
    losses = [event.loss for event in context.said if isinstance(event, events.TrainStep)]
    context.said.clear()
    together = context(form, *SETS, folder=tmp_path / "together")
    before = bits(together.optimizer)
    ranks(together)
    assert [each.loss for each in context.said if isinstance(each, events.TrainStep)] == losses
    assert bits(together.optimizer) == bits(alone.optimizer) != before


@pytest.mark.filterwarnings("ignore:.*fork")
def test_where_one_process_is_out_of_memory_all_repeat_the_step(context, ranks):
    made = context("bart", *SETS, "train.batch_size=4", "train.micro_batch_size=2")
    widest = max(max(shape) for shape in made.shapes)

    def cap(made):
        def refuse(module, args, kwargs):
            if kwargs["input_ids"].numel() > widest:
                raise torch.OutOfMemoryError

        unwrap_model(made.optimizer.bundle.model).register_forward_pre_hook(
            refuse, with_kwargs=True
        )

    assert ranks(made, cap).step == 3
    warned = [each.key for each in context.said if isinstance(each, events.Warned)]
    assert "engine.memory-replay" in warned


@pytest.mark.filterwarnings("ignore:.*fork")
def test_a_lost_process_interrupts_the_run(context, ranks):
    made = context("bart", *SETS)

    def die_at_its_first_pass(made):
        hook = unwrap_model(made.optimizer.bundle.model).register_forward_pre_hook
        hook(lambda *_: os.kill(os.getpid(), signal.SIGKILL))

    with pytest.raises(Interrupted, match="newest checkpoint"):
        ranks(made, die_at_its_first_pass)
    assert not dist.is_initialized()


@pytest.mark.filterwarnings("ignore:.*fork")
def test_processes_that_began_with_other_weights_are_refused(context, ranks):
    made = context("bart", *SETS)

    def spoil(made):
        with torch.no_grad():
            next(iter(made.optimizer.named.values())).add_(1.0)

    with pytest.raises(RunFailed, match="process 1 has"):
        ranks(made, spoil)


def test_a_failure_before_the_ranks_met_is_what_the_run_failed_of(monkeypatch):
    with socket.socket() as taken:  # so that rank 0 cannot open its store there either
        taken.bind(("", 0))
        taken.listen()
        for name, value in {
            "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": taken.getsockname()[1],
            "WORLD_SIZE": 2, "RANK": 0,
        }.items():  # fmt: skip
            monkeypatch.setenv(name, str(value))
        with pytest.raises(RunFailed, match="too long"), other_ranks():
            raise RunFailed("scheduler.worker-died", found="too long", log="worker.log")

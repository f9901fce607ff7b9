"""Where the runs of a command are trained: the options, and what the scheduler is given."""

from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from yoyak.cli.context import CommandContext
from yoyak.messages import text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from yoyak.scheduler.placement import Placement

RayAddress = Annotated[
    str | None,
    typer.Option("--ray", metavar="ADDRESS", help=text("cli.option-ray"), show_default=False),
]
Processes = Annotated[
    int, typer.Option("--processes", min=1, max=64, help=text("cli.option-processes"))
]


@contextmanager
def placement(context: CommandContext, ray: str | None, processes: int) -> "Iterator[Placement]":
    """Yield this machine, or the Ray cluster at ``ray``.

    Raises:
        Unavailable: there is no such cluster, or no machine has a GPU per process.
    """
    if ray is None:
        from yoyak.scheduler.local_machine import LocalMachine

        yield LocalMachine(processes=processes)
        return
    from yoyak.cluster.connection import connected, locked
    from yoyak.cluster.lineup import RayCluster

    with connected(ray) as module, locked(context.workspace.folder) as probe:
        yield RayCluster(module, probe, context.project.limits, processes)

"""Whether a line-up may begin: the plan of what is left of it, before a download or a process."""

from collections.abc import Sequence

from yoyak.errors import DiskFull, Unavailable
from yoyak.files import atomic
from yoyak.queue import devices, limits
from yoyak.queue.devices import Device
from yoyak.queue.disk_plan import Held
from yoyak.queue.limits import GB
from yoyak.queue.plan import Place, Plan, plan
from yoyak.queue.prune import candidates
from yoyak.runs.run import Run
from yoyak.runs.settings import ResourceLimits
from yoyak.runs.workspace import Workspace
from yoyak.scheduler.stages import is_finished, is_trained
from yoyak.values import Corpus


def place_here(workspace: Workspace, limits_: ResourceLimits, device: Device | None) -> Place:
    """Room and earlier runs of this workspace, for a plan on ``device``."""
    return Place(
        device,
        limits.room_gb(limits.read_disk(workspace.folder), limits_),
        limits_.disk_free_gb,
        purge_bases=limits_.prune_hub,
        runs=workspace.runs(),
    )


def admit(
    runs: Sequence[Run], corpus: Corpus, workspace: Workspace, limits_: ResourceLimits
) -> None:
    """Returns if the runs may begin; those that are done or worked on ask for nothing.

    Raises:
        DiskFull, Unavailable: the plan speaks against it; the message has its arithmetic.
    """
    left = [run for run in runs if run.holder() is None and not is_finished(run, corpus)]
    refusals = _plan_of_rest(left, corpus, workspace, limits_).refusals if left else ()
    if refusals:
        reasons = "\n".join(str(refusal.error) for refusal in refusals)
        kind = DiskFull if refusals[-1].for_disk else Unavailable
        raise kind("scheduler.not-admitted", reasons=reasons)


def _plan_of_rest(
    left: Sequence[Run], corpus: Corpus, workspace: Workspace, limits_: ResourceLimits
) -> Plan:
    """What runs hold already is not counted again, and what the governor would prune is room.

    Without a card only the disk can refuse.
    """
    recipes = [run.recipe for run in left]
    place = place_here(workspace, limits_, next(iter(devices.here()), None))
    place = place._replace(held={run.recipe.name: _held(run, corpus) for run in left})
    made = plan(recipes, corpus, place)
    if place.disk_free_gb is None or not any(refusal.for_disk for refusal in made.refusals):
        return made
    # What may go is verified byte by byte, so it is looked for only where it decides.
    bases = [recipe.model.base for recipe in recipes if recipe.model.base is not None]
    spare = candidates(workspace, hub=limits_.prune_hub, needed_bases=bases)
    room = place.disk_free_gb + sum(each.size_bytes for each in spare) / GB
    return plan(recipes, corpus, place._replace(disk_free_gb=room))


def _held(run: Run, corpus: Corpus) -> Held:
    folders = (run.engine_folder / name for name in ("checkpoints", "weights"))
    return Held(sum(map(atomic.size_bytes, folders)), is_trained(run, corpus))

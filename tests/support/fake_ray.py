"""The part of Ray that ``yoyak.cluster`` uses, in this process; a test loses actors by hand."""

import os
import signal
from contextlib import suppress
from types import SimpleNamespace

__all__ = ["FakeRay"]


class RayError(Exception):
    pass


class RayActorError(RayError):
    pass


class ActorUnavailableError(RayActorError):
    pass


class RayTaskError(RayError):
    def __init__(self, cause):
        super().__init__(str(cause))
        self.cause = cause


class _Method:
    def __init__(self, actor, name):
        self._actor, self._name = actor, name

    def remote(self, *given):
        return _Call(self._actor, self._name, given)


class _Actor:
    def __init__(self, ray, kind, given):
        self.made = kind(*given)
        self.lost: Exception | None = None
        ray.actors.append(self)

    def __getattr__(self, name):
        return _Method(self, name)


class _Call:
    def __init__(self, actor, name, given):
        self.actor, self.name, self.given = actor, name, given

    def result(self):
        if self.actor.lost is not None:
            raise self.actor.lost
        try:
            return getattr(self.actor.made, self.name)(*self.given)
        except Exception as error:
            raise RayTaskError(error) from error


class FakeRay:
    """Actors are objects of this process; a call is made when it is asked for its result."""

    exceptions = SimpleNamespace(
        RayError=RayError,
        RayActorError=RayActorError,
        ActorUnavailableError=ActorUnavailableError,
        RayTaskError=RayTaskError,
    )

    def __init__(self, *resources: dict[str, float], places: int = 1_000) -> None:
        self._resources = resources
        self._places = places
        """How many actors can be alive; the others wait until one is lost."""
        self.actors: list[_Actor] = []
        self.options: list[dict[str, float]] = []
        self.waits = False
        """Whether actors wait for a node."""

    def nodes(self):
        return [{"Alive": True, "Resources": each} for each in self._resources]

    def remote(self, kind):
        def options(**named):
            self.options.append(named)
            return SimpleNamespace(remote=lambda *given: _Actor(self, kind, given))

        return SimpleNamespace(options=options)

    def put(self, value):
        return value

    def wait(self, calls, **_how):
        alive = [actor for actor in self.actors if actor.lost is None][: self._places]
        placed = [call for call in calls if call.actor.lost is not None or call.actor in alive]
        assert placed or self.waits, "the calls wait for actors that get no place"
        ready = [] if self.waits else placed[-1:]
        return ready, [call for call in calls if call not in ready]

    def get(self, call, **_how):
        return call.result()

    def lose(self, actor):
        """Lose an actor's node, with the worker process that it started there."""
        actor.lost = RayActorError("the node died")
        process = actor.made._worker.process
        with suppress(ProcessLookupError):  # it has ended
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def kill(self, actor):
        actor.lost = actor.lost or RayActorError("killed")

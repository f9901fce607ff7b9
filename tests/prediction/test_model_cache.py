"""Models that stay loaded: which one makes room, when all are freed, new weights."""

import sys
import weakref
from types import ModuleType

import msgspec
import pytest

from yoyak.config.schema import BeamSearch
from yoyak.data.corpus import parse_turns
from yoyak.errors import RunFailed
from yoyak.files import atomic
from yoyak.prediction.model_cache import ModelCache, Question
from yoyak.prediction.resident_model import WARM_UP
from yoyak.runs.run import Run
from yoyak.values import Dialogue, Prediction, StopReason

DIALOGUE = Dialogue(id="a", turns=parse_turns("#Person1#: 안녕\n#Person2#: 네."))


class Engine:
    alive = weakref.WeakSet()

    def __init__(self):
        self.alive.add(self)

    def generate(self, job):
        for one in job.dialogues:
            text = type(job.decode).__name__
            yield Prediction(id=one.id, text=text, raw=text, tokens=1, stop=StopReason.STOP_TOKEN)


@pytest.fixture
def runs(tmp_path):
    return [Run(tmp_path / name) for name in "abc"]


@pytest.fixture
def make(lead_model, monkeypatch):
    module = ModuleType("engines_of_cache")
    module.Engine = Engine
    monkeypatch.setitem(sys.modules, "engines_of_cache", module)
    monkeypatch.setattr(Engine, "alive", weakref.WeakSet())
    made = []

    def cache(most=2, now=lambda: 0.0, engine="Engine"):
        recipe = msgspec.structs.replace(lead_model.recipe, engine=f"engines_of_cache:{engine}")
        made.append(
            ModelCache(
                most, 60.0, lambda run: lead_model._replace(name=run.name, recipe=recipe), now
            )
        )
        return made[-1]

    yield cache
    for one in made:
        one.clear()


def text(ticket):
    return ticket.result.result(timeout=60).prediction.text


def test_the_least_recently_asked_model_makes_room(make, runs):
    cache, (a, b, c) = make(), runs
    for run in (a, b, a, c):
        assert text(cache.ask(run, Question(DIALOGUE))) == "Greedy"
    assert (cache.loaded(), cache.loads) == (("a", "c"), 3)
    assert len(Engine.alive) == 2
    cache.ask(b, Question(DIALOGUE))
    assert (cache.loaded(), cache.loads) == (("c", "b"), 4)


def test_new_weights_of_a_run_are_loaded(make, runs):
    cache, run = make(), runs[0]
    cache.ask(run, Question(DIALOGUE))
    with atomic.whole_folder(run.engine_folder / "weights") as folder:
        atomic.write_text(folder / "model", "new")
    cache.ask(run, Question(DIALOGUE))
    assert cache.loads == 2


def test_another_decoding_needs_no_other_model(make, runs):
    cache = make()
    assert text(cache.ask(runs[0], Question(DIALOGUE, BeamSearch()))) == "BeamSearch"
    assert text(cache.ask(runs[0], Question(DIALOGUE))) == "Greedy"
    assert cache.loads == 1


def test_idle_models_are_freed_and_asked_ones_are_not(make, runs):
    now = [0.0]
    cache = make(now=lambda: now[0])
    cache.ask(runs[0], Question(DIALOGUE))
    now[0] = 59.0
    cache.clear_if_idle()
    assert cache.loaded() == ("a",)
    now[0] = 60.0
    cache.clear_if_idle()
    assert cache.loaded() == ()
    assert len(Engine.alive) == 0


def test_a_model_that_cannot_answer_is_not_kept(make, runs, monkeypatch):
    def fail(_, job):
        assert job.dialogues[0].turns == WARM_UP.turns
        raise RunFailed("runs.no-record", path="weights")

    monkeypatch.setattr(Engine, "generate", fail)
    cache = make()
    with pytest.raises(RunFailed):
        cache.ask(runs[0], Question(DIALOGUE))
    assert cache.loaded() == ()


def test_a_model_that_fits_alone_only_is_loaded_alone(make, runs, monkeypatch):
    usual = Engine.generate

    def generate(self, job):
        if len(Engine.alive) > 1:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return usual(self, job)

    monkeypatch.setattr(Engine, "generate", generate)
    cache = make()
    for run in runs[:2]:
        assert text(cache.ask(run, Question(DIALOGUE))) == "Greedy"
    assert cache.loaded() == ("b",)
    assert len(Engine.alive) == 1

"""A model that stays loaded: batches of whoever waits, limits, cancelling, failures, closing."""

import sys
import threading
from concurrent.futures import CancelledError
from types import ModuleType

import msgspec
import pytest

from yoyak.data.corpus import parse_turns
from yoyak.engine import GenerationStopped
from yoyak.errors import Interrupted, RunFailed
from yoyak.metrics.diagnostics.error_types import ErrorType
from yoyak.prediction.resident_model import WARM_UP, Limits, QueueFull, ResidentModel
from yoyak.values import Dialogue, Prediction, StopReason


def dialogue(text, id_="a"):
    return Dialogue(id=id_, turns=parse_turns(f"#Person1#: {text}\n#Person2#: 네."))


class Gate:
    """Repeats the first turn; waits before each batch until it is opened."""

    def __init__(self):
        self.open = threading.Event()
        self.entered = threading.Semaphore(0)
        self.batches = []

    def generate(self, job):
        texts = [one.turns[0].text for one in job.dialogues]
        self.batches.append(texts)
        if texts != [WARM_UP.turns[0].text]:
            self.entered.release()
            while not self.open.wait(0.001):
                if job.stop_asked():
                    raise GenerationStopped
        if "고장" in texts:
            raise RuntimeError("CUDA error")
        for one, text in zip(job.dialogues, texts, strict=True):
            if text == "침묵":
                continue
            job.on_text(one.id, text[:1])
            said = text.replace("그 사람", "#Person7#")
            yield Prediction(id=one.id, text=said, raw=said, tokens=3, stop=StopReason.STOP_TOKEN)


@pytest.fixture
def gate(monkeypatch):
    made = Gate()
    module = ModuleType("gates")
    module.Gate = lambda: made
    monkeypatch.setitem(sys.modules, "gates", module)
    return made


@pytest.fixture
def model(lead_model, gate):
    recipe = msgspec.structs.replace(lead_model.recipe, engine="gates:Gate")
    with ResidentModel(lead_model._replace(recipe=recipe), Limits(waiting=4, batch=3)) as resident:
        yield resident
        gate.open.set()


def answer(ticket):
    return ticket.result.result(timeout=30).prediction.text


def test_who_waits_is_answered_in_one_batch_of_limited_size(model, gate):
    first = model.submit(dialogue("하나"))
    gate.entered.acquire()
    others = [model.submit(dialogue(text)) for text in ("둘", "셋", "넷", "다섯")]
    assert model.load == (4, 1)
    gate.open.set()
    assert [answer(ticket) for ticket in (first, *others)] == ["하나", "둘", "셋", "넷", "다섯"]
    assert gate.batches[1:] == [["하나"], ["둘", "셋", "넷"], ["다섯"]]


def test_an_answer_bears_the_callers_id_and_its_flags(model, gate):
    gate.open.set()
    one, two = (model.submit(dialogue("그 사람은 갑니다.", "same")) for _ in range(2))
    for ticket in (one, two):
        summary = ticket.result.result(timeout=30)
        assert summary.prediction.id == "same"
        assert ErrorType.UNKNOWN_SPEAKER in summary.flags
        assert summary.waited_seconds >= 0
        assert summary.seconds >= 0


def test_more_than_may_wait_is_refused_and_a_cancelled_one_makes_room(model, gate):
    model.submit(dialogue("하나"))
    gate.entered.acquire()
    waiting = [model.submit(dialogue(str(n))) for n in range(4)]
    with pytest.raises(QueueFull):
        model.submit(dialogue("다섯"))
    assert waiting[1].result.cancel()
    late = model.submit(dialogue("여섯"))
    gate.open.set()
    assert answer(late) == "여섯"
    assert all("1" not in batch for batch in gate.batches)


def test_a_batch_that_every_caller_has_left_is_ended(model, gate):
    left = model.submit(dialogue("하나"))
    gate.entered.acquire()
    assert left.result.cancel()
    next_one = model.submit(dialogue("둘"))
    gate.entered.acquire()  # the gate is still closed: only a stop ended the first batch
    gate.open.set()
    assert answer(next_one) == "둘"
    with pytest.raises(CancelledError):
        left.result.result(timeout=30)


def test_a_dialogue_that_breaks_its_batch_fails_alone(model, gate):
    model.submit(dialogue("하나"))
    gate.entered.acquire()
    good, bad, silent = (model.submit(dialogue(text)) for text in ("둘", "고장", "침묵"))
    gate.open.set()
    assert answer(good) == "둘"
    with pytest.raises(RunFailed, match="CUDA error"):
        bad.result.result(timeout=30)
    with pytest.raises(RunFailed, match="no summary"):
        silent.result.result(timeout=30)
    assert answer(model.submit(dialogue("또"))) == "또"


def test_texts_are_given_while_they_are_written(model, gate):
    heard = []
    gate.open.set()
    assert answer(model.submit(dialogue("하나둘"), heard.append)) == "하나둘"
    assert heard == ["하"]


def test_closing_answers_who_waits_and_takes_nobody_else(lead_model, gate):
    recipe = msgspec.structs.replace(lead_model.recipe, engine="gates:Gate")
    resident = ResidentModel(lead_model._replace(recipe=recipe))
    with resident:
        tickets = [resident.submit(dialogue(str(n))) for n in range(3)]
        gate.open.set()
    assert [answer(ticket) for ticket in tickets] == ["0", "1", "2"]
    with pytest.raises(Interrupted, match="stopping"):
        resident.submit(dialogue("늦은"))


def test_a_model_that_cannot_answer_is_not_served(lead_model, gate, monkeypatch):
    monkeypatch.setattr(Gate, "generate", lambda _, __: iter(()))
    recipe = msgspec.structs.replace(lead_model.recipe, engine="gates:Gate")
    with (
        pytest.raises(RunFailed, match="no summary"),
        ResidentModel(lead_model._replace(recipe=recipe)),
    ):
        pass

"""Summarise a pasted dialogue with finished systems, side by side; their models stay loaded."""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from difflib import SequenceMatcher
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

import msgspec

from yoyak import messages
from yoyak.config.schema import Decode, Recipe
from yoyak.data import sample
from yoyak.data.clean import clean
from yoyak.data.corpus import parse_turns, read_corpus
from yoyak.data.kakaotalk import chat_dialogue, read_chat
from yoyak.data.speakers import names_speakers, tag_speakers
from yoyak.errors import BadData, InputMissing, Interrupted, YoyakError
from yoyak.events import RunStatus
from yoyak.metrics.rouge import score_rows
from yoyak.prediction.model_cache import ModelCache, Question
from yoyak.prediction.resident_model import QueueFull, ResidentModel, Ticket
from yoyak.runs.run import Run
from yoyak.runs.workspace import Workspace
from yoyak.values import Dialogue, Prediction, Rouge, Value
from yoyak.web.form_page import form_page
from yoyak.web.responses import (
    HEADERS,
    Refused,
    in_thread,
    json_response,
    read_json,
    require_own_page,
    response,
)

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

MOST_CHARACTERS = 20_000
"""Upper limit of a pasted dialogue: ten times the longest dialogue of the contest."""
MOST_BYTES = 6 * 2 * MOST_CHARACTERS + 10_000
"""Limit of a request: a dialogue and a reference, JSON may escape a character in six bytes."""
MOST_CHAT_BYTES = 20_000_000
"""Limit of a chat export: some years of a busy group."""

PASTED = "pasted"

DiffKind = Literal["same", "added", "missing"]


class PlaygroundAnswer(Value, frozen=True, kw_only=True):
    """One system's summary of the pasted dialogue; ``seconds`` includes loading its weights."""

    run: str
    system: str
    toy: bool
    text: str | None
    """``None`` if the system gave no answer."""
    tokens: int | None
    seconds: float
    problem: str | None = None
    """Why there is no answer; ``None`` if there is one."""
    rouge: Rouge | None = None
    """Against the reference that was given, under the official definition."""
    diff: tuple[tuple[DiffKind, str], ...] = ()
    """The answer's words beside the reference's: in both, in the answer only, in the reference."""


class _TryRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``systems`` are names of runs; none means all. ``decode`` replaces each recipe's own."""

    dialogue: str
    systems: tuple[str, ...] = ()
    decode: Decode | None = None
    reference: str = ""
    stream: bool = False


class _TryResponse(msgspec.Struct, frozen=True):
    answers: tuple[PlaygroundAnswer, ...]


class _Partial(msgspec.Struct, frozen=True):
    """A line of a stream: what a system has written so far."""

    run: str
    text: str


class _ChatRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``day`` is that of the messages to take; without it the last one that has some."""

    text: str
    day: str | None = None
    mask: bool = False


class _ChatResponse(msgspec.Struct, frozen=True):
    dialogue: str
    speakers: dict[str, str]
    days: dict[str, int]
    day: str | None
    left_out: int
    masked: dict[str, int]


class _Example(msgspec.Struct, frozen=True):
    """Row ``place`` (from 0) of ``of`` rows of dev that have the topic."""

    id: str
    topic: str
    dialogue: str
    references: tuple[str, ...]
    place: int
    of: int


def dialogue_of(pasted: str) -> Dialogue:
    """Return the pasted text, read like a row of test.csv; names of speakers become tags.

    Raises:
        BadData: the text has no utterance, or is longer than ``MOST_CHARACTERS``.
    """
    if len(pasted) > MOST_CHARACTERS:
        raise BadData("pages.try-too-long", found=len(pasted), most=MOST_CHARACTERS)
    tagged = tag_speakers(pasted).text if names_speakers([pasted]) else pasted
    turns = parse_turns(clean(tagged).text)
    if not any(turn.text.strip() for turn in turns):
        raise BadData("pages.try-empty")
    return Dialogue(id=PASTED, turns=turns)


def word_diff(answer: str, reference: str) -> tuple[tuple[DiffKind, str], ...]:
    """Return the words of both in one order, in stretches of one kind."""
    ours, theirs = answer.split(), reference.split()
    found: list[tuple[DiffKind, str]] = []
    for kind, low, high, start, end in SequenceMatcher(
        None, theirs, ours, autojunk=False
    ).get_opcodes():
        if kind == "equal":
            found.append(("same", " ".join(ours[start:end])))
            continue
        if low < high:
            found.append(("missing", " ".join(theirs[low:high])))
        if start < end:
            found.append(("added", " ".join(ours[start:end])))
    return tuple(found)


class _System(NamedTuple):
    """A system and how it is asked."""

    run: str
    recipe: Recipe
    ask: Callable[[Question], Ticket]

    @property
    def toy(self) -> bool:
        """Whether its weights began as random numbers."""
        return self.recipe.model.scratch is not None


class _Asking:
    """One request at work; ``leave`` gives back the dialogue that a model has now."""

    def __init__(self) -> None:
        self._alone = threading.Lock()
        self._ticket: Ticket | None = None
        self._has_left = False

    def wait(self, ticket: Ticket) -> Prediction:
        """Return the prediction of a ticket.

        Raises:
            CancelledError: the caller has left.
        """
        with self._alone:
            self._ticket = ticket
            if self._has_left:
                ticket.result.cancel()
        return ticket.result.result().prediction

    def leave(self) -> None:
        """Cancel what is being waited for, and whatever would be asked next."""
        with self._alone:
            self._has_left = True
            if self._ticket is not None:
                self._ticket.result.cancel()


class Playground:
    """The try-it page, and what it asks the server for.

    Args:
        workspace: whose finished runs are tried.
        models: these models instead, which stay loaded for other callers.
        cache: of the finished runs' models.
    """

    def __init__(
        self,
        workspace: Workspace,
        models: Sequence[ResidentModel] = (),
        cache: ModelCache | None = None,
    ) -> None:
        self._workspace = workspace
        self._models = models
        self.cache = ModelCache() if cache is None else cache
        self._topics: dict[str, dict[str, list[Dialogue]]] = {}

    def close(self) -> None:
        """Free the models."""
        self.cache.clear()

    def routes(self) -> "list[BaseRoute]":
        """Return the routes of the page."""
        from starlette.routing import Route

        return [
            Route("/try", self._page),
            Route("/api/try", self._try, methods=["POST"]),
            Route("/api/examples", self._examples),
            Route("/api/kakaotalk", self._kakaotalk, methods=["POST"]),
        ]

    # --- systems ---------------------------------------------------------------------------------

    def _systems(self) -> tuple[_System, ...]:
        """Return what can be asked: the resident models, or the newest finished run of each recipe.

        Raises:
            BadData: there is none.
        """
        if self._models:
            return tuple(
                _System(one.model.name, one.model.recipe, _resident(one)) for one in self._models
            )
        newest = {
            run.identity.recipe: run
            for run in self._workspace.runs()
            if run.state().status is RunStatus.FINISHED
        }
        if not newest:
            raise BadData("pages.try-nothing")
        return tuple(_System(run.name, run.recipe, self._cached(run)) for run in newest.values())

    def _cached(self, run: Run) -> Callable[[Question], Ticket]:
        return lambda question: self.cache.ask(run, question)

    def _require_free_memory(self) -> None:
        """Refuse to load models while a run is in progress, and free those that are loaded.

        Raises:
            Interrupted: a run is in progress.
        """
        if self._models:
            return
        working = next((run for run in self._workspace.runs() if run.holder() is not None), None)
        if working is not None:
            self.cache.clear()
            raise Interrupted("pages.try-busy", run=working.name)

    def answers(
        self,
        posted: _TryRequest,
        on_text: Callable[[str, str], None] = lambda _run, _text: None,
        asking: _Asking | None = None,
    ) -> Iterator[PlaygroundAnswer]:
        """Yield the answer of each system, one after another.

        A system that cannot answer gives the reason in ``problem``; the others still answer.

        Args:
            posted: dialogue, systems, decoding and reference.
            on_text: called with a run and its summary as far as it is written.
            asking: ends the answers when the caller leaves.

        Raises:
            BadData: the text is not a dialogue, or there is no such system.
            Interrupted: a run is in progress; its memory must not be shared.
        """
        dialogue = dialogue_of(posted.dialogue)
        known = {one.run: one for one in self._systems()}
        wanted = posted.systems or tuple(known)
        missing = [name for name in wanted if name not in known]
        if missing:
            raise BadData("pages.try-no-system", name=missing[0])
        self._require_free_memory()
        asking = _Asking() if asking is None else asking
        for name in wanted:
            system = known[name]
            question = Question(dialogue, posted.decode, _naming(on_text, name))
            try:
                yield _answer(system, question, asking, posted.reference.strip())
            except CancelledError:
                return

    # --- requests --------------------------------------------------------------------------------

    async def _page(self, _: "Request") -> "Response":
        return response(await in_thread(self._render))

    def _render(self) -> str:
        trouble, systems = None, tuple[_System, ...]()
        try:
            systems = self._systems()
        except YoyakError as error:
            trouble = error
        topics = self._dialogues_by_topic()
        return form_page(
            "try",
            trouble,
            systems=systems,
            topics={topic: len(rows) for topic, rows in topics.items()},
            kinds=[kind.__struct_config__.tag for kind in get_args(Decode)],
        )

    async def _try(self, request: "Request") -> "Response":
        from starlette.responses import StreamingResponse

        require_own_page(request)
        posted = await read_json(request, _TryRequest, MOST_BYTES)
        if posted.stream:
            return StreamingResponse(
                self._lines(posted), media_type="application/x-ndjson", headers=HEADERS
            )
        found = await in_thread(lambda: tuple(self.answers(posted)))
        return json_response(_TryResponse(answers=found))

    async def _lines(self, posted: _TryRequest) -> AsyncIterator[bytes]:
        """Yield JSON lines: ``{run, text}`` as it grows, then each whole answer; or an error."""
        loop, lines = asyncio.get_running_loop(), asyncio.Queue[msgspec.Struct | None]()
        asking = _Asking()

        def put(line: msgspec.Struct | None) -> None:
            loop.call_soon_threadsafe(lines.put_nowait, line)

        def work() -> None:
            try:
                for answer in self.answers(posted, lambda *said: put(_Partial(*said)), asking):
                    put(answer)
            except YoyakError as error:
                put(_StreamProblem(error=str(error)))
            finally:
                put(None)

        task = asyncio.ensure_future(in_thread(work))
        try:
            while (line := await lines.get()) is not None:
                yield msgspec.json.encode(line) + b"\n"
        finally:
            asking.leave()
            await task

    async def _kakaotalk(self, request: "Request") -> "Response":
        require_own_page(request)
        posted = await read_json(request, _ChatRequest, MOST_CHAT_BYTES)
        return json_response(await in_thread(lambda: _chat(posted)))

    async def _examples(self, request: "Request") -> "Response":
        topic, place = request.query_params.get("topic", ""), request.query_params.get("place", "0")
        rows = (await in_thread(self._dialogues_by_topic)).get(topic, [])
        if not rows or not place.isdecimal():
            raise Refused(404, messages.text("pages.try-no-topic"))
        at = int(place) % len(rows)
        row = rows[at]
        return json_response(
            _Example(row.id, topic, row.text, row.references, place=at, of=len(rows))
        )

    def _dialogues_by_topic(self) -> Mapping[str, list[Dialogue]]:
        """Return the dialogues of dev by topic, the most frequent topic first."""
        named = self._workspace.memory.data_folder
        folder = Path(named) if named else sample.folder()
        if str(folder) not in self._topics:
            try:
                dev = read_corpus(folder).dev.dialogues
            except (BadData, InputMissing):
                dev = read_corpus(sample.folder()).dev.dialogues  # the data have moved
            counts = Counter(row.topic or "" for row in dev)
            self._topics[str(folder)] = {
                topic: [row for row in dev if (row.topic or "") == topic]
                for topic, _ in counts.most_common()
            }
        return self._topics[str(folder)]


class _StreamProblem(msgspec.Struct, frozen=True):
    """The last line of a stream that cannot go on."""

    error: str


def _resident(model: ResidentModel) -> Callable[[Question], Ticket]:
    return lambda question: model.submit(question.dialogue, question.on_text, question.decode)


def _naming(on_text: Callable[[str, str], None], run: str) -> Callable[[str], None]:
    return lambda text: on_text(run, text)


def _answer(
    system: _System, question: Question, asking: _Asking, reference: str
) -> PlaygroundAnswer:
    began = time.monotonic()
    text = tokens = rouge = trouble = None
    try:
        prediction = asking.wait(system.ask(question))
        text, tokens = prediction.text, prediction.tokens
        rouge = _rouge(text, reference) if reference else None
    except QueueFull:
        trouble = messages.text("serving.full")
    except YoyakError as error:
        trouble = str(error)
    return PlaygroundAnswer(
        run=system.run,
        system=system.recipe.name,
        toy=system.toy,
        text=text,
        tokens=tokens,
        seconds=time.monotonic() - began,
        problem=trouble,
        rouge=rouge,
        diff=word_diff(text, reference) if text is not None and reference else (),
    )


def _rouge(text: str, reference: str) -> Rouge:
    one, two, longest = (float(row[2]) for row in score_rows([text], [(reference,)])[0])
    return Rouge(rouge1=one, rouge2=two, rougeL=longest)


def _chat(posted: _ChatRequest) -> _ChatResponse:
    """Return one day of a chat export as a dialogue.

    Raises:
        BadData: the text is no export, or has no message of that day.
    """
    chat = read_chat(posted.text)
    if chat is None:
        raise BadData("pages.try-no-chat")
    day = posted.day or chat.messages[-1].day
    of_day = [one for one in chat.messages if day is None or one.day == day]
    if not of_day:
        raise BadData("pages.try-no-chat")
    made = chat_dialogue(of_day, mask=posted.mask, most_characters=MOST_CHARACTERS)
    return _ChatResponse(
        dialogue=made.text,
        speakers=made.by_name,
        days=chat.days,
        day=day,
        left_out=chat.left_out,
        masked=made.masked,
    )

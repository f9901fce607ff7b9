"""Answer the OpenAI API's chat completions, and ``/v1/summaries``, with resident models.

A user's message is the dialogue; prompt, decoding and clean-up are those the run was evaluated
with, so requests that ask for others are refused instead of being followed silently.
"""

import asyncio
import hmac
import json
import sys
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TextIO, TypeVar

import msgspec

from yoyak import messages
from yoyak.errors import BadData, Interrupted, Unavailable, YoyakError
from yoyak.metrics.diagnostics.error_types import ErrorType
from yoyak.prediction.resident_model import QueueFull, ResidentModel, Summary, Ticket
from yoyak.values import StopReason
from yoyak.web.playground import MOST_CHARACTERS, dialogue_of

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

MOST_BYTES = 12 * MOST_CHARACTERS + 10_000
"""Limit of a request body: JSON may write a character as an escape of six bytes, or as two."""

Body = TypeVar("Body", bound=msgspec.Struct)

CLIENT_GONE = 499
"""Status of the log for a caller who closed the connection first; nginx's number."""


class ApiSettings(NamedTuple):
    """Who may ask, and how long an answer may take.

    Without ``keys`` everybody who reaches the port may. ``texts`` puts dialogues and summaries in
    the log.
    """

    keys: frozenset[str] = frozenset()
    seconds: float = 120.0
    texts: bool = False


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="text"):
    text: str


class _Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    role: str
    content: str | tuple[_Part, ...]
    name: str | None = None

    @property
    def text(self) -> str:
        if isinstance(self.content, str):
            return self.content
        return "\n".join(part.text for part in self.content)


class _ChatRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The fields that change nothing about how a run decodes; others are refused by name."""

    model: str
    messages: tuple[_Message, ...]
    stream: bool = False
    n: Literal[1] = 1
    user: str | None = None
    store: bool | None = None
    metadata: dict[str, str] | None = None


class _Turn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    speaker: str
    text: str


class _SummaryRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    dialogue: str | tuple[_Turn, ...]
    model: str | None = None

    @property
    def text(self) -> str:
        if isinstance(self.dialogue, str):
            return self.dialogue
        return "\n".join(f"{turn.speaker}: {turn.text}" for turn in self.dialogue)


class _SummaryResponse(msgspec.Struct, frozen=True):
    model: str
    summary: str
    stop: StopReason
    tokens: int | None
    flags: tuple[ErrorType, ...]


class _Refusal(Exception):
    """An answer that is not a summary, as the OpenAI API shapes errors."""

    def __init__(self, status: int, kind: str, message: str) -> None:
        super().__init__(message)
        self.status, self.kind, self.message = status, kind, message


class _Asked(NamedTuple):
    """What one request asks for."""

    model: ResidentModel
    text: str


class Api:
    """The routes of the resident models.

    Args:
        models: by the names that requests may use; the first is the default of ``/v1/summaries``.
        settings: keys and limits.
        log: receives a JSON line a request.

    Raises:
        Unavailable: the ``[serve]`` extra is not installed.
    """

    def __init__(
        self, models: Mapping[str, ResidentModel], settings: ApiSettings, log: TextIO = sys.stderr
    ) -> None:
        self._models = dict(models)
        self._settings = settings
        self._language = messages.language()
        self._log = log
        self._started = int(time.time())
        self._metrics = _Metrics(self._models)

    def routes(self) -> "list[BaseRoute]":
        """Return the routes of an ASGI application."""
        from starlette.routing import Route

        return [
            Route("/health", self._health),
            Route("/metrics", self._guard("metrics", self._prometheus)),
            Route("/v1/models", self._guard("models", self._list)),
            Route("/v1/chat/completions", self._guard("chat", self._chat), methods=["POST"]),
            Route("/v1/summaries", self._guard("summaries", self._summarise), methods=["POST"]),
        ]

    def _guard(
        self, route: str, handler: "Callable[[Request, _Entry], Awaitable[Response]]"
    ) -> "Callable[[Request], Awaitable[Response]]":
        """Check the key, shape errors, log and count; the answer is in the server's language."""

        async def guarded(request: "Request") -> "Response":
            entry = _Entry(self._log, self._metrics, route)
            with messages.speaking(self._language):
                try:
                    self._require_key(request)
                    response = await handler(request, entry)
                except _Refusal as refusal:
                    response = _error(refusal)
                if not entry.streaming:
                    entry.write(response.status_code)
            response.headers["X-Request-Id"] = entry.id
            return response

        return guarded

    def _require_key(self, request: "Request") -> None:
        if not self._settings.keys:
            return
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        # Every key is compared, each in constant time.
        known = [hmac.compare_digest(key.encode(), given.encode()) for key in self._settings.keys]
        if scheme.lower() != "bearer" or not any(known):
            raise _Refusal(401, "authentication_error", messages.text("serving.no-key"))

    async def _health(self, _: "Request") -> "Response":
        waiting = sum(model.load.waiting for model in self._models.values())
        return _json({"status": "ok", "models": list(self._models), "waiting": waiting})

    async def _prometheus(self, _: "Request", __: "_Entry") -> "Response":
        from starlette.responses import Response

        return Response(self._metrics.exposition(), media_type="text/plain; version=0.0.4")

    async def _list(self, _: "Request", __: "_Entry") -> "Response":
        data = [
            {"id": name, "object": "model", "created": self._started, "owned_by": "yoyak"}
            for name in self._models
        ]
        return _json({"object": "list", "data": data})

    async def _summarise(self, request: "Request", entry: "_Entry") -> "Response":
        posted = await _read(request, _SummaryRequest)
        name = next(iter(self._models)) if posted.model is None else posted.model
        asked = _Asked(self._model(name), posted.text)
        summary = await self._wait(request, self._submit(asked, entry), entry)
        prediction = summary.prediction
        return _json(
            _SummaryResponse(
                model=asked.model.model.name,
                summary=prediction.text,
                stop=prediction.stop,
                tokens=prediction.tokens,
                flags=summary.flags,
            )
        )

    async def _chat(self, request: "Request", entry: "_Entry") -> "Response":
        posted = await _read(request, _ChatRequest)
        if [message.role for message in posted.messages] != ["user"]:
            raise _Refusal(400, "invalid_request_error", messages.text("serving.one-message"))
        asked = _Asked(self._model(posted.model), posted.messages[0].text)
        if posted.stream:
            return self._stream(asked, entry)
        summary = await self._wait(request, self._submit(asked, entry), entry)
        body = self._completion(asked, entry, "chat.completion")
        message = {"role": "assistant", "content": summary.prediction.text, "refusal": None}
        body["choices"] = [
            {"index": 0, "message": message, "finish_reason": _finish(summary), "logprobs": None}
        ]
        return _json(body)

    def _stream(self, asked: _Asked, entry: "_Entry") -> "Response":
        from starlette.responses import StreamingResponse

        loop, texts = asyncio.get_running_loop(), asyncio.Queue[str | None]()

        def put(text: str | None) -> None:
            loop.call_soon_threadsafe(texts.put_nowait, text)

        ticket = self._submit(asked, entry, put)
        ticket.result.add_done_callback(lambda _: put(None))
        entry.streaming = True
        return StreamingResponse(
            self._events(asked, entry, ticket, texts), media_type="text/event-stream"
        )

    async def _events(
        self, asked: _Asked, entry: "_Entry", ticket: Ticket, texts: "asyncio.Queue[str | None]"
    ) -> AsyncIterator[str]:
        """Yield the chunks of a summary as server-sent events."""
        words, status = _Words(), CLIENT_GONE
        try:
            yield self._chunk(asked, entry, {"role": "assistant", "content": ""})
            async with asyncio.timeout(self._settings.seconds):
                while (text := await texts.get()) is not None:
                    if new := words.further(text):
                        yield self._chunk(asked, entry, {"content": new})
            summary = ticket.result.result()
            entry.summary = summary
            if new := words.rest(summary.prediction.text):
                yield self._chunk(asked, entry, {"content": new})
            yield self._chunk(asked, entry, {}, _finish(summary))
            status = 200
        except (TimeoutError, YoyakError) as error:
            with messages.speaking(self._language):
                refusal = _refusal_of(error) if isinstance(error, YoyakError) else self._too_slow()
            status = refusal.status
            yield _event(_error_body(refusal))
        finally:
            ticket.result.cancel()
            entry.write(status)
        yield "data: [DONE]\n\n"

    def _completion(self, asked: _Asked, entry: "_Entry", kind: str) -> dict[str, Any]:
        return {
            "id": f"chatcmpl-{entry.id}",
            "object": kind,
            "created": int(time.time()),
            "model": asked.model.model.name,
        }

    def _chunk(
        self, asked: _Asked, entry: "_Entry", delta: Mapping[str, str], finish: str | None = None
    ) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
        body = self._completion(asked, entry, "chat.completion.chunk")
        return _event(body | {"choices": [choice]})

    def _model(self, name: str) -> ResidentModel:
        found = self._models.get(name)
        if found is None:
            known = ", ".join(self._models)
            message = messages.text("serving.no-model", name=name, known=known)
            raise _Refusal(404, "not_found_error", message)
        return found

    def _submit(
        self, asked: _Asked, entry: "_Entry", on_text: Callable[[str], None] | None = None
    ) -> Ticket:
        entry.model = asked.model.model.name
        if self._settings.texts:
            entry.dialogue = asked.text
        try:
            return asked.model.submit(dialogue_of(asked.text), on_text)
        except QueueFull as error:
            raise _Refusal(429, "rate_limit_error", messages.text("serving.full")) from error
        except YoyakError as error:
            raise _refusal_of(error) from error

    async def _wait(self, request: "Request", ticket: Ticket, entry: "_Entry") -> Summary:
        """Return the summary; give the ticket back when the caller leaves or time is up."""
        answer = asyncio.wrap_future(ticket.result)
        gone = asyncio.ensure_future(_disconnected(request))
        try:
            first: set[asyncio.Future[Any]] = {answer, gone}
            await asyncio.wait(
                first, timeout=self._settings.seconds, return_when=asyncio.FIRST_COMPLETED
            )
            if answer.done():
                entry.summary = answer.result()
                return entry.summary
            if gone.done():
                raise _Refusal(CLIENT_GONE, "client_closed_request", "")
            raise self._too_slow()
        except YoyakError as error:
            raise _refusal_of(error) from error
        finally:
            answer.cancel()
            gone.cancel()

    def _too_slow(self) -> _Refusal:
        message = messages.text("serving.too-slow", seconds=round(self._settings.seconds))
        return _Refusal(504, "timeout_error", message)


class _Words:
    """What of a growing text was sent already; its last two words may still change."""

    def __init__(self) -> None:
        self._sent = ""

    def further(self, text: str) -> str:
        """Return what is certain of the text and not sent yet."""
        certain = " ".join(text.split(" ")[:-2])
        return self._advance(certain) if certain.startswith(self._sent) else ""

    def rest(self, text: str) -> str:
        """Return what is left of the final text.

        Raises:
            BadData: it does not begin with what was sent.
        """
        if not text.startswith(self._sent):
            raise BadData("serving.changed")
        return self._advance(text)

    def _advance(self, text: str) -> str:
        new, self._sent = text[len(self._sent) :], text
        return new


class _Metrics:
    """Counts in Prometheus' text format, in a registry of their own."""

    def __init__(self, models: Mapping[str, ResidentModel]) -> None:
        try:
            from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
        except ModuleNotFoundError as error:
            raise Unavailable("report.no-serve") from error
        self._registry = registry = CollectorRegistry()
        labels = ("route", "model", "status")
        self._requests = Counter("yoyak_requests", "Requests answered.", labels, registry=registry)
        self._seconds = Histogram(
            "yoyak_request_seconds",
            "From the request to the end of the answer.",
            ("model",),
            registry=registry,
            buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120),
        )
        self._tokens = Counter(
            "yoyak_generated_tokens", "Tokens generated.", ("model",), registry=registry
        )
        waiting = Gauge("yoyak_waiting", "Dialogues that wait.", ("model",), registry=registry)
        running = Gauge(
            "yoyak_running", "Dialogues being summarised.", ("model",), registry=registry
        )
        for model in set(models.values()):
            name = model.model.name
            waiting.labels(name).set_function(partial(_waiting, model))
            running.labels(name).set_function(partial(_running, model))

    def count(self, entry: "_Entry", status: int, seconds: float) -> None:
        """Count a request that was answered."""
        self._requests.labels(entry.route, entry.model, str(status)).inc()
        if entry.summary is not None:
            self._seconds.labels(entry.model).observe(seconds)
            self._tokens.labels(entry.model).inc(entry.summary.prediction.tokens or 0)

    def exposition(self) -> bytes:
        """Return all metrics in the text format."""
        from prometheus_client import generate_latest

        return generate_latest(self._registry)


def _waiting(model: ResidentModel) -> float:
    return model.load.waiting


def _running(model: ResidentModel) -> float:
    return model.load.running


class _Entry:
    """A request's line in the log."""

    def __init__(self, log: TextIO, metrics: _Metrics, route: str) -> None:
        self.id = uuid.uuid4().hex
        self.route = route
        self.model = ""
        self.summary: Summary | None = None
        self.dialogue: str | None = None
        self.streaming = False
        self._log, self._metrics = log, metrics
        self._began = time.monotonic()

    def write(self, status: int) -> None:
        """Write the line and count the request."""
        seconds = time.monotonic() - self._began
        self._metrics.count(self, status, seconds)
        line: dict[str, object] = {
            "at": round(time.time(), 3),
            "request": self.id,
            "route": self.route,
            "model": self.model or None,
            "status": status,
            "seconds": round(seconds, 4),
        }
        if self.summary is not None:
            line["waited_seconds"] = round(self.summary.waited_seconds, 4)
            line["tokens"] = self.summary.prediction.tokens
            line["flags"] = list(self.summary.flags)
        if self.dialogue is not None:
            line["dialogue"] = self.dialogue
            line["summary"] = self.summary.prediction.text if self.summary else None
        print(json.dumps(line, ensure_ascii=False), file=self._log, flush=True)


async def _read(request: "Request", kind: type[Body]) -> Body:
    """Return the body of a request.

    Raises:
        _Refusal: it is too long, no JSON, or has a field that is not served.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        # A page of another site can post anything else without asking.
        raise _Refusal(415, "invalid_request_error", messages.text("serving.json-only"))
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            raise _Refusal(
                413, "invalid_request_error", messages.text("serving.too-long", most=MOST_BYTES)
            )
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        message = messages.text("serving.bad-body", reason=error)
        raise _Refusal(400, "invalid_request_error", message) from error


async def _disconnected(request: "Request") -> None:
    """Return when the caller has closed the connection; the body must have been read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _finish(summary: Summary) -> str:
    return "length" if summary.prediction.stop is StopReason.LENGTH else "stop"


def _refusal_of(error: YoyakError) -> _Refusal:
    """Return what the caller is told: 400 for the dialogue's faults, 503 or 500 for ours."""
    if isinstance(error, BadData):
        return _Refusal(400, "invalid_request_error", str(error))
    if isinstance(error, Interrupted):
        return _Refusal(503, "service_unavailable", str(error))
    return _Refusal(500, "server_error", str(error))


def _error_body(refusal: _Refusal) -> dict[str, Any]:
    return {
        "error": {
            "message": refusal.message,
            "type": refusal.kind,
            "param": None,
            "code": None,
        }
    }


def _error(refusal: _Refusal) -> "Response":
    headers = {}
    if refusal.status == 429:
        headers["Retry-After"] = "1"
    if refusal.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return _json(_error_body(refusal), refusal.status, headers)


def _event(body: Mapping[str, object]) -> str:
    """Return a server-sent event."""
    return f"data: {json.dumps(body, ensure_ascii=False)}\n\n"


def _json(body: object, status: int = 200, headers: Mapping[str, str] | None = None) -> "Response":
    from starlette.responses import Response

    return Response(
        msgspec.json.encode(body), status, dict(headers or {}), media_type="application/json"
    )

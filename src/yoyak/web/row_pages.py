"""Serve the rows of a workspace page by page, and keep people's notes and blind ratings of them."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import msgspec

from yoyak import messages
from yoyak.report.model.load import gather_rows
from yoyak.report.model.ratings import rated_pairs
from yoyak.report.model.rows import RowSource
from yoyak.report.render.escape import plain, printable
from yoyak.report.render.explorer import PAGE_ROWS, rows_json, tables_json
from yoyak.report.sections.ratings import sentences
from yoyak.runs.ratings import (
    PairRating,
    RatingRecord,
    RowNote,
    Side,
    append_record,
    read_records,
    texts_sha256,
)
from yoyak.runs.workspace import Workspace
from yoyak.web.live_feed import stamp
from yoyak.web.responses import Refused, in_thread, read_json, require_own_page, response

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

MOST_NOTE_CHARACTERS = 4_000
MOST_NAME_CHARACTERS = 40
_MOST_BYTES = 6 * MOST_NOTE_CHARACTERS + 2_000
"""Limit of a request body: a Hangul syllable takes up to six bytes in JSON."""
_KEPT_PAGES = 32


class _Posted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A note or a rating as the explorer sends it."""

    kind: Literal["note", "rating"]
    table: str
    row: str
    rater: str
    text: str = ""
    left: str = ""
    right: str = ""
    choice: Side | None = None


class RowPages:
    """The rows of a workspace as they are now, read again when a run wrote new ones."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._lock = threading.Lock()
        self._version: object = None
        self._sources: dict[str, RowSource] = {}
        self._pages: OrderedDict[tuple[str, int], bytes] = OrderedDict()

    def routes(self) -> "list[Route]":
        """Return the routes of rows, notes and ratings."""
        from starlette.routing import Route

        return [
            Route("/api/rows", self.tables),
            Route("/api/rows/{key}", self.rows),
            Route("/api/ratings", self.ratings),
            Route("/api/ratings", self.add, methods=["POST"]),
            Route("/api/ratings/summary", self.summary),
        ]

    async def tables(self, _: "Request") -> "Response":
        """Return the head of every table of rows."""
        return await self._answer(lambda: tables_json(tuple(self._current().values())))

    async def rows(self, request: "Request") -> "Response":
        """Return up to ``PAGE_ROWS`` rows of a table from row ``start`` on."""
        key = str(request.path_params["key"])
        start = request.query_params.get("start", "0")
        if not start.isascii() or not start.isdecimal():
            raise Refused(400, messages.text("explorer.bad-start", start=start))
        return await self._answer(lambda: self._page(key, int(start)))

    async def ratings(self, _: "Request") -> "Response":
        """Return every note and rating, in the order they were made."""
        return await self._answer(
            lambda: msgspec.json.encode(read_records(self._workspace.ratings_path)[0])
        )

    async def summary(self, _: "Request") -> "Response":
        """Return what people prefer, one sentence per rated pair."""

        def work() -> bytes:
            records = read_records(self._workspace.ratings_path)[0]
            pairs = rated_pairs(tuple(self._current().values()), records) if records else ()
            return msgspec.json.encode(sentences(pairs))

        return await self._answer(work)

    async def add(self, request: "Request") -> "Response":
        """Append a note or a rating to the workspace's log and return it as it was kept."""
        require_own_page(request)
        posted = await read_json(request, _Posted, _MOST_BYTES)

        def work() -> bytes:
            record = self._record(posted)
            append_record(self._workspace.ratings_path, record)
            return msgspec.json.encode(record)

        return await self._answer(work)

    async def _answer(self, work: Callable[[], bytes]) -> "Response":
        return response(await in_thread(work), kind="application/json")

    def _record(self, posted: _Posted) -> RatingRecord:
        """Return what is kept of a request.

        Raises:
            Refused: the row is not there, its systems did not answer it, or a text is too long.
        """
        rater = plain(posted.rater)
        if not 0 < len(rater) <= MOST_NAME_CHARACTERS:
            raise Refused(400, messages.text("explorer.bad-name", most=MOST_NAME_CHARACTERS))
        if len(posted.text) > MOST_NOTE_CHARACTERS:
            raise Refused(400, messages.text("explorer.long-note", most=MOST_NOTE_CHARACTERS))
        answers = self._source(posted.table).answers(posted.row)
        if not answers:
            raise Refused(400, messages.text("explorer.no-such-row", row=posted.row))
        at = time.time()
        if posted.kind == "note":
            return RowNote(
                at=at, table=posted.table, row=posted.row, rater=rater, text=printable(posted.text)
            )
        left, right = answers.get(posted.left), answers.get(posted.right)
        if left is None or right is None or posted.left == posted.right or posted.choice is None:
            raise Refused(400, messages.text("explorer.no-such-pair", row=posted.row))
        return PairRating(
            at=at,
            table=posted.table,
            row=posted.row,
            rater=rater,
            left=posted.left,
            right=posted.right,
            choice=posted.choice,
            texts_sha256=texts_sha256(left, right),
        )

    def _source(self, key: str) -> RowSource:
        try:
            return self._current()[key]
        except KeyError:
            raise Refused(404, messages.text("explorer.no-such-table", table=key)) from None

    def _page(self, key: str, start: int) -> bytes:
        source = self._source(key)
        with self._lock:
            page = self._pages.get((key, start))
            if page is None:
                page = rows_json(source, start, start + PAGE_ROWS)
                self._pages[key, start] = page
                if len(self._pages) > _KEPT_PAGES:
                    self._pages.popitem(last=False)
            return page

    def _current(self) -> dict[str, RowSource]:
        """Return the tables by key; they are read again when predictions or scores changed."""
        with self._lock:
            version = _version_of(self._workspace)
            if version != self._version:
                found = gather_rows(self._workspace)
                self._sources = {one.table.key: one for one in found}
                self._pages.clear()
                self._version = version
            return self._sources


def _version_of(workspace: Workspace) -> object:
    """Return what changes with every file that rows are read from."""
    patterns = ("*/predictions/*.jsonl", "*/scores/*.json")
    paths = (path for one in patterns for path in sorted(workspace.runs_folder.glob(one)))
    return [(path, stamp(path)) for path in paths]

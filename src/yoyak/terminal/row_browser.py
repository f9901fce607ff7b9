"""The screen of ``yoyak watch`` in which dev rows are read: searched, filtered, ordered."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import msgspec
from rich.console import Group, RenderableType
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, VerticalScroll
from textual.screen import Screen
from textual.widgets import DataTable, Input, Static

from yoyak.data.corpus import read_corpus
from yoyak.errors import BadData, InputMissing, YoyakError
from yoyak.messages import text
from yoyak.metrics.diagnostics.error_report import ScoredSystem, find_errors
from yoyak.metrics.diagnostics.error_types import ErrorType
from yoyak.metrics.diagnostics.row_filter import DiagnosedRow, RowFilter, diagnose
from yoyak.report.model.report import System
from yoyak.report.render.escape import plain
from yoyak.report.sections import format
from yoyak.report.sections.examples import new_words
from yoyak.report.sections.format import fault_name
from yoyak.runs.run import Run
from yoyak.runs.stage_records import require_unedited
from yoyak.runs.workspace import Workspace
from yoyak.terminal.render import marked, shortened

_WIDE = 110
"""Columns from which the row is shown beside the list and not below it."""
_ORDERS = ("file", "low", "high")
_FAULT_COLUMNS, _SUMMARY_COLUMNS = 24, 200
"""As much of the faults and of the summary is in the list."""


def read_rows(run: Run) -> list[DiagnosedRow]:
    """Return the run's dev rows with their faults.

    Raises:
        InputMissing: the run has no score yet, or its data are gone.
        BadData: the data or the summaries are not those that were scored.
    """
    require_unedited(run)
    card = run.scorecard("dev")
    if card is None:
        raise InputMissing("watch.rows-unscored", name=run.identity.recipe)
    dev = read_corpus(Path(run.identity.data_folder)).dev
    if dev.fingerprint != run.identity.dev_sha256:
        raise BadData("watch.rows-other-data", folder=run.identity.data_folder)
    texts = {one.id: one.text for one in run.predictions("dev")}
    dialogues = {one.id: one for one in dev.dialogues}
    references = {key: one.references for key, one in dialogues.items()}
    errors = find_errors(texts, references, dialogues)
    return diagnose(ScoredSystem(card=card, texts=texts), errors, references, dialogues)


class RowBrowser(Screen[None]):
    """The dev rows of one system at a time.

    Args:
        workspace: of the runs.
        systems: the scored ones, which the digits choose from.
        run: id of the run to begin with.
        name: its name.
    """

    CSS = """
    #body { layout: vertical; height: 1fr; }
    #list { height: 1fr; }
    #detail { height: 1fr; border-top: solid; }
    RowBrowser.-wide #body { layout: horizontal; }
    RowBrowser.-wide #list { width: 3fr; height: 100%; }
    RowBrowser.-wide #detail { width: 2fr; height: 100%; border-top: none; border-left: solid; }
    #row, #title, #keys { height: auto; }
    #search { display: none; border: none; height: 1; }
    #search.open { display: block; }
    """
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (_WIDE, "-wide")]
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", show=False, priority=True),
        Binding("q", "back", show=False),
        Binding("slash", "search", show=False),
        Binding("f", "fault", show=False),
        Binding("s", "order", show=False),
        Binding("space", "read_on", show=False),
        Binding("j", "move(1)", show=False),
        Binding("k", "move(-1)", show=False),
        *(Binding(str(digit), f"system({digit})", show=False) for digit in range(1, 10)),
    ]

    def __init__(
        self, workspace: Workspace, systems: Sequence[System], run: str, name: str
    ) -> None:
        super().__init__()
        self._workspace, self._systems = workspace, systems
        self._run, self._system_name = run, name
        self._rows: list[DiagnosedRow] = []
        self._shown: list[DiagnosedRow] = []
        self._filter = RowFilter()
        self._order = 0
        self._message: str | None = text("watch.reading")

    def compose(self) -> ComposeResult:
        """Lay out title, search, list, row and keys."""
        yield Static(id="title", markup=False)
        yield Input(placeholder=text("watch.search"), id="search")
        with Container(id="body"):
            yield DataTable[Text](id="list", cursor_type="row")
            with VerticalScroll(id="detail", can_focus=False):
                yield Static(id="row", markup=False)
        yield Static(text("watch.keys-rows"), id="keys", markup=False)

    def on_mount(self) -> None:
        """Read the rows."""
        for key in ("row", "score", "faults", "summary"):
            self._list.add_column(text(f"watch.column-{key}"), key=key)
        self._list.focus()
        self._draw()
        self._load()

    @property
    def _list(self) -> DataTable[Text]:
        return self.query_one("#list", DataTable)

    @property
    def current(self) -> DiagnosedRow | None:
        """The row under the cursor."""
        place = self._list.cursor_row
        return self._shown[place] if 0 <= place < len(self._shown) else None

    # --- reading ------------------------------------------------------------------------------

    def _load(self) -> None:
        self._message, self._rows = text("watch.reading"), []
        self._draw()
        self.run_worker(self._read(), exclusive=True, group="rows")

    async def _read(self) -> None:
        try:
            run = Run(self._workspace.runs_folder / self._run)
            self._rows = await asyncio.to_thread(read_rows, run)
            self._message = None
        except YoyakError as error:
            self._message = str(error)
        self._draw()

    # --- drawing ------------------------------------------------------------------------------

    def _draw(self) -> None:
        """Fill the list with the rows that are left, the cursor on the row that it was on."""
        before = self.current
        rows = self._filter.keep(self._rows)
        if _ORDERS[self._order] != "file":
            turn = -1 if _ORDERS[self._order] == "high" else 1
            rows.sort(key=lambda row: (row.mean is None, turn * (row.mean or 0.0)))
        self._shown = rows
        self._list.clear()
        for row in rows:
            faults = ", ".join(map(fault_name, row.faults))
            summary = shortened(plain(" ".join(row.text.split())), _SUMMARY_COLUMNS)
            self._list.add_row(
                Text(plain(row.id)),
                Text(format.score(row.mean), justify="right"),
                Text(shortened(faults, _FAULT_COLUMNS)),
                Text(summary),
                key=row.id,
            )
        kept = [row.id for row in rows]
        if before is not None and before.id in kept:
            self._list.move_cursor(row=kept.index(before.id))
        self._draw_title()
        self._draw_row()

    def _draw_title(self) -> None:
        fault = ", ".join(map(fault_name, self._filter.faults)) or text("watch.rows-any")
        parts = [
            text(
                "watch.rows-title",
                name=plain(self._system_name),
                shown=len(self._shown),
                rows=len(self._rows),
            ),
            text(f"watch.rows-order-{_ORDERS[self._order]}"),
            text("watch.rows-fault", fault=fault),
        ]
        if self._filter.query:
            parts.append(text("watch.rows-query", query=plain(self._filter.query)))
        self.query_one("#title", Static).update(Text(" · ".join(parts), style="bold"))

    def _draw_row(self) -> None:
        row = self.current
        if row is not None:
            self.query_one("#row", Static).update(_detail(row, self._system_name))
            self.query_one("#detail").scroll_home(animate=False)
        else:
            message = self._message or text("watch.rows-none")
            self.query_one("#row", Static).update(Text(plain(message)))

    # --- keys ---------------------------------------------------------------------------------

    def on_data_table_row_highlighted(self, _: DataTable.RowHighlighted) -> None:
        """Show the row that the cursor has come to."""
        self._draw_row()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Search while the words are typed."""
        self._filter = msgspec.structs.replace(self._filter, query=event.value)
        self._draw()

    def on_input_submitted(self, _: Input.Submitted) -> None:
        """Return to the list; the search stays."""
        self._list.focus()

    def action_search(self) -> None:
        """Open the search."""
        search = self.query_one("#search", Input)
        search.add_class("open")
        search.focus()

    def action_back(self) -> None:
        """Clear the search if there is one, else leave the rows."""
        search = self.query_one("#search", Input)
        if search.has_class("open"):
            search.value = ""
            search.remove_class("open")
            self._list.focus()
        else:
            self.dismiss()

    def action_fault(self) -> None:
        """Show the next kind of fault that a row has, then all rows again."""
        kinds = [kind for kind in ErrorType if any(kind in row.faults for row in self._rows)]
        chosen = self._filter.faults[0] if self._filter.faults else None
        following = kinds if chosen not in kinds else kinds[kinds.index(chosen) + 1 :]
        self._filter = msgspec.structs.replace(self._filter, faults=tuple(following[:1]))
        self._draw()

    def action_order(self) -> None:
        """Order by file, lowest score, highest score."""
        self._order = (self._order + 1) % len(_ORDERS)
        self._draw()

    def action_move(self, rows: int) -> None:
        """Move the cursor."""
        self._list.move_cursor(row=self._list.cursor_row + rows)

    def action_read_on(self) -> None:
        """Scroll the row by a page, and from its end to its beginning."""
        detail = self.query_one("#detail", VerticalScroll)
        if detail.scroll_offset.y >= detail.max_scroll_y:
            detail.scroll_home(animate=False)
        else:
            detail.scroll_page_down(animate=False)

    def action_system(self, digit: int) -> None:
        """Read the same rows of another system."""
        if digit <= len(self._systems):
            chosen = self._systems[digit - 1]
            self._run, self._system_name = chosen.run, chosen.name
            self._load()


def _detail(row: DiagnosedRow, name: str) -> Group:
    """Return all that there is about one row, the summary's own words marked."""
    score = format.score(row.mean)
    parts: list[RenderableType] = [
        Text(text("watch.summary", name=plain(name), score=score), style="bold"),
        marked(new_words(row.text, row.references)) if row.text else Text("∅"),
    ]
    if row.faults:
        faults = ", ".join(map(fault_name, row.faults))
        parts.append(Text(text("watch.faults", faults=faults), style="yellow"))
    for reference in row.references:
        parts += [Text(text("watch.reference"), style="bold"), Text(plain(reference))]
    if row.dialogue is not None:
        topic = text("watch.topic", topic=plain(row.topic)) if row.topic else ""
        head = " · ".join(filter(None, (text("watch.dialogue"), topic)))
        parts += [Text(head, style="bold"), *map(Text, map(plain, row.dialogue.text.splitlines()))]
    return Group(*parts)

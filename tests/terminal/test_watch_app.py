"""The app of yoyak watch, driven through Textual's pilot."""

import pytest

from yoyak import messages
from yoyak.errors import BadData, Interrupted

pytest.importorskip("textual", reason="the extra [watch] is not installed")
from yoyak.terminal.watch_app import RunControls, _end_of


@pytest.fixture
def controls():
    """Controls that note what was asked of them."""
    asked = []

    def refuse(run):
        raise Interrupted("runs.locked", run=run.name, pid=7, host="box")

    noted = RunControls(
        stop=lambda run: asked.append(("stop", run.name)) or f"stopped {run.name}",
        resume=refuse,
        first=lambda run: asked.append(("first", run.name)) or "first",
    )
    return noted, asked


@pytest.mark.parametrize("language", ["en", "ko"])
@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 36), (200, 50)])
def test_a_screen_says_all_and_no_line_is_too_long(watching, columns_of, language, width, height):
    async def look(app):
        assert max(map(columns_of, app.lines)) <= width
        assert len(app.lines) == height
        said = app.screen
        assert "17/24 (71%)" in said
        assert "lead" in said
        assert "14 s" in said or "14초" in said
        with messages.speaking(language):
            for key in ("no-gpu", "keys"):
                assert messages.text(f"watch.{key}") in said
            assert messages.text("watch.loss", name="tiny-bart") in said
        assert ("375" in said) is (width >= 120), "750 tokens in 2 s"

    with messages.speaking(language):
        watching(look, width, height)


def test_the_cursor_begins_at_the_run_at_work_and_the_curves_follow_it(watching):
    async def look(app):
        assert app.app.selected_system.name == "tiny-bart"
        (top,) = [line for line in app.lines if " ┤" in line and "5.000" in line]
        assert "15.33" in app.screen, "the highest label of the evaluations"
        assert top
        await app.press("k")
        assert app.app.selected_system.name == "lead"
        assert messages.text("watch.no-loss", name="lead") in app.screen
        assert "5.000" not in app.screen
        await app.press("j")
        assert "5.000" in app.screen

    watching(look)


def test_what_a_run_does_next_is_seen_without_a_key(watching, tmp_path, corpus, make):
    from yoyak.config import load
    from yoyak.runs.workspace import Workspace

    workspace = Workspace(tmp_path / "workspace")
    run = workspace.find_or_create(load.resolve("tiny-bart").recipe, corpus, lambda: b"{}")
    events = make.training(24, 24)
    for event in events[:6]:
        run.emit(event)

    async def look(app):
        assert "2/24" in app.screen
        for event in events[6:]:
            run.emit(event)
        app.app._start_look()
        await app.settled()
        assert "24/24" in app.screen
        assert "step 24 · greedy dev ROUGE mean 15.33" in app.screen

    watching(look, workspace=workspace)


def test_l_shows_the_end_of_the_workers_log(watching, watched):
    run = watched.named("tiny-bart")
    (run.folder / "worker.log").write_bytes(b"old\n" * 9 + b"\xff\x1b[31mnewest line\n")
    assert _end_of(run)[-1].endswith("newest line")
    assert "\x1b" not in _end_of(run)[-1]

    async def look(app):
        assert "newest line" not in app.screen
        await app.press("l")
        assert "newest line" in app.screen
        assert messages.text("watch.worker-log", name="tiny-bart") in app.screen
        await app.press("l")
        assert "newest line" not in app.screen

    watching(look)


def test_stop_asks_first_and_says_what_came_of_it(watching, watched, controls):
    name = watched.named("tiny-bart").name
    noted, asked = controls

    async def look(app):
        await app.press("s")
        assert messages.text("watch.confirm-stop", name="tiny-bart") in app.screen
        await app.press("n")
        assert asked == []
        await app.press("s", "y")
        assert asked == [("stop", name)]
        assert f"stopped {name}" in app.screen
        await app.press("p", "y")
        assert asked[1:] == [("first", name)]

    watching(look, controls=noted)


def test_what_cannot_be_done_is_a_sentence(watching, watched, controls):
    name = watched.named("tiny-bart").name

    async def look(app):
        await app.press("r", "y")
        assert str(Interrupted("runs.locked", run=name, pid=7, host="box")) in app.screen

    watching(look, 200, controls=controls[0])


def test_without_controls_no_key_steers(watching):
    async def look(app):
        await app.press("s", "r", "p")
        assert len(app.app.screen_stack) == 1
        assert messages.text("watch.keys-steer") not in app.screen

    watching(look)


def test_q_leaves_without_an_error_and_unreadable_records_with_one(watching, monkeypatch):
    async def leave(app):
        await app.press("q")
        assert app.app.return_value is None
        assert not app.app.is_running

    watching(leave)
    damage = BadData("runs.bad-record", path="x", problem="y")

    def damaged(*_, **__):
        raise damage

    monkeypatch.setattr("yoyak.terminal.watch_app.gather", damaged)

    async def end(app):
        assert app.app.return_value is damage

    watching(end)


def test_an_empty_workspace_names_the_command(watching, tmp_path):
    from yoyak.runs.workspace import Workspace

    async def look(app):
        assert "yoyak run" in app.screen
        await app.press("enter", "s", "l")

    watching(look, workspace=Workspace(tmp_path))


@pytest.mark.parametrize("no_color", ["1", ""])
def test_the_cursor_is_seen_without_colour_and_no_color_leaves_none(
    watching, monkeypatch, no_color
):
    monkeypatch.setenv("NO_COLOR", no_color) if no_color else monkeypatch.delenv(
        "NO_COLOR", raising=False
    )

    async def look(app):
        styles = [
            (segment.text, segment.style)
            for strip in app.app.screen._compositor.render_strips()
            for segment in strip
            if segment.style
        ]
        (row,) = {style for said, style in styles if said.strip() == "tiny-bart*"}
        (other,) = {style for said, style in styles if said.strip() == "lead"}
        assert row.reverse
        assert not other.reverse
        colours = {colour for _, style in styles for colour in (style.color, style.bgcolor)}
        named = {colour.name for colour in colours if colour is not None}
        assert (named == {"default"}) is bool(no_color)

    watching(look)

"""The rows of a run in yoyak watch: read, searched, filtered, ordered."""

import pytest

from yoyak import messages
from yoyak.errors import BadData, InputMissing

pytest.importorskip("textual", reason="the extra [watch] is not installed")
from yoyak.terminal.row_browser import read_rows

INITIALS = "ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ"


@pytest.fixture
def ids(watched):
    return [row.id for row in read_rows(watched.named("lead"))]


def listed(app, ids):
    """The ids in the list, from the top."""
    first = (line.split()[0] for line in app.lines if line.strip())
    return [word for word in first if word in ids]


def test_enter_lists_every_row_and_shows_the_first(watching, watched, ids):
    first = read_rows(watched.named("lead"))[0]

    async def look(app):
        await app.press("k", "enter")
        assert listed(app, ids) == ids
        assert first.dialogue.turns[0].text[:12] in app.screen
        assert messages.text("watch.reference") in app.screen
        await app.press("j")
        assert app.app.screen.current.id == ids[1]
        await app.press("escape")
        assert messages.text("watch.keys") in app.screen

    watching(look, 160, 60)


def test_a_search_by_initials_leaves_what_has_them(watching, watched, ids):
    rows = read_rows(watched.named("lead"))
    word = rows[3].dialogue.text.split()[1][:3]
    initials = "".join(
        "ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ"[(ord(letter) - ord("가")) // 588]
        if "가" <= letter <= "힣"
        else letter
        for letter in word
    )

    async def look(app):
        await app.press("k", "enter", "slash", *initials, "enter")
        found = listed(app, ids)
        assert rows[3].id in found
        assert app.app.screen._filter.query == initials
        await app.press("slash", *"없는말없는말")
        assert listed(app, ids) == []
        assert messages.text("watch.rows-none") in app.screen
        await app.press("escape")
        assert listed(app, ids) == ids

    watching(look, 160, 60)


def test_s_orders_by_score_and_keeps_the_row(watching, watched, ids):
    rows = read_rows(watched.named("lead"))

    async def look(app):
        await app.press("k", "enter", "j", "j")
        chosen = app.app.screen.current.id
        await app.press("s")
        assert listed(app, ids) == [row.id for row in sorted(rows, key=lambda row: row.mean)]
        assert app.app.screen.current.id == chosen

    watching(look, 160, 60)


def test_f_goes_through_the_kinds_of_fault_there_are(watching, watched, ids):
    rows = read_rows(watched.named("lead"))
    kinds = {kind for row in rows for kind in row.faults}
    assert kinds, "the sample's leads have faults"

    async def look(app):
        await app.press("k", "enter")
        seen = []
        for _ in kinds:
            await app.press("f")
            (kind,) = app.app.screen._filter.faults
            seen.append(kind)
            assert listed(app, ids) == [row.id for row in rows if kind in row.faults]
        assert set(seen) == kinds
        await app.press("f")
        assert listed(app, ids) == ids

    watching(look, 160, 60)


def test_a_run_without_a_score_says_so_and_a_digit_shows_one_that_has(watching, ids):
    async def look(app):
        await app.press("enter")
        assert listed(app, ids) == []
        assert "tiny-bart" in app.screen
        await app.press("1")
        assert listed(app, ids) == ids

    watching(look, 160, 60)


@pytest.mark.parametrize("width", [80, 120])
def test_korean_rows_fit(watching, columns_of, width):
    async def look(app):
        await app.press("k", "enter")
        assert max(map(columns_of, app.lines)) <= width

    with messages.speaking("ko"):
        watching(look, width, 24)


def test_rows_are_those_that_were_scored(watched, tmp_path, monkeypatch):
    with pytest.raises(InputMissing):
        read_rows(watched.named("tiny-bart"))
    lead = watched.named("lead")
    from yoyak.data import sample

    identity = type(lead).identity.func(lead)
    import msgspec

    other = msgspec.structs.replace(identity, data_folder=str(sample.folder()))
    monkeypatch.setitem(lead.__dict__, "identity", other)
    with pytest.raises(BadData, match=str(sample.folder().name)):
        read_rows(lead)

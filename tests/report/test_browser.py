"""The page in a real browser: Debian's Chromium, driven by Playwright; skipped where absent."""

import os
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest

from yoyak import messages
from yoyak.events import Failed, Status
from yoyak.report import html
from yoyak.report.build import build
from yoyak.report.parts import Example

CHROMIUM = shutil.which("chromium")

if os.environ.get("YOYAK_REQUIRE_BROWSER") != "1":
    pytestmark = [
        pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
        pytest.mark.skipif(find_spec("playwright") is None, reason="Playwright is not installed"),
    ]

ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
HOSTILE = (
    '</script><script>window.pwned=1</script><img src=x onerror="window.pwned=1">"\'\u202eabc\u2069'
    + "길다" * 50_000
    + "\u200b\x00끝"
)


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        yield browser
        browser.close()


class Opened:
    """A page, with everything that it asked for and complained of."""

    def __init__(self, page):
        self.page = page
        self.requests: list[str] = []
        self.complaints: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))


@pytest.fixture
def open_page(browser, tmp_path):
    contexts = []

    def opened(text, width=1280, **settings):
        path = tmp_path / "index.html"
        path.write_text(text, encoding="utf-8")
        context = browser.new_context(
            viewport={"width": width, "height": 900}, offline=True, **settings
        )
        contexts.append(context)
        one = Opened(context.new_page())
        one.page.goto(path.as_uri())
        return one

    yield opened
    for context in contexts:
        context.close()


@pytest.fixture
def running(make):
    run = make.cut_run()._replace(status=Status.RUNNING)
    lengths = tuple(range(30, 90))
    example = Example(
        id="dev_3", dialogue="#Person1#: 점심 먹었어?\n#Person2#: 아직.",
        references=("두 사람은 점심 이야기를 한다.",),
        answers=(("lead", "#Person1#: 점심 먹었어?", 0.2),), why="worst",
    )  # fmt: skip
    return build(
        [make.lead_run(), make.toy_run()._replace(summary_lengths=lengths), run],
        make.rest(examples=(example,)),
    )


@pytest.mark.parametrize("language", messages.LANGUAGES)
def test_the_page_is_alone_in_the_world(open_page, running, language):
    with messages.speaking(language):
        opened = open_page(html.render(running))
    assert [url for url in opened.requests if not url.startswith(("file:", "data:"))] == []
    assert len([url for url in opened.requests if url.startswith("file:")]) == 1
    assert opened.complaints == []


@pytest.mark.parametrize("width", [390, 768, 1024, 1280])
@pytest.mark.parametrize("language", messages.LANGUAGES)
def test_nothing_is_wider_than_the_screen(open_page, running, width, language):
    with messages.speaking(language):
        page = open_page(html.render(running), width=width).page
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("width", [390, 1280])
def test_twenty_runs_with_long_names_fit_too(open_page, make, width):
    runs = [
        make.toy_run()._replace(id=f"run-{number}", label=f"260101-0901-tiny-bart-{number:04d}")
        for number in range(20)
    ]
    page = open_page(html.render(build(runs, make.rest())), width=width).page
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_hostile_text_is_shown_and_not_obeyed(open_page, make):
    run = make.cut_run()
    failed = Failed(at=make.noon + 500, kind="RunFailed", message=HOSTILE)
    bad = run._replace(
        events=(*run.events, failed), status=Status.FAILED, label="<b onclick=x>" + HOSTILE[:300]
    )
    example = Example(
        id=HOSTILE[:90], dialogue=HOSTILE, references=(HOSTILE,),
        answers=((HOSTILE[:90], HOSTILE, 0.5),), why="worst",
    )  # fmt: skip
    view = build([make.lead_run(), bad], make.rest(title=HOSTILE[:90], examples=(example,)))
    opened = open_page(html.render(view), width=390)
    assert opened.page.evaluate("window.pwned === undefined")
    assert opened.page.evaluate("document.scripts.length") == 0
    assert opened.page.evaluate("document.images.length") == 0
    assert "window.pwned=1" in opened.page.inner_text("body")
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= 390
    assert opened.complaints == []


def test_hangul_is_drawn_and_not_boxed(open_page, running):
    """Two syllables of a real font differ in their pixels; two missing glyphs do not."""
    with messages.speaking("ko"):
        page = open_page(html.render(running)).page
    drawn = []
    for syllable in "값쀍":
        page.evaluate("letter => { document.querySelector('h1').textContent = letter; }", syllable)
        drawn.append(page.locator("h1").screenshot())
    assert drawn[0] != drawn[1]


def test_dark_and_light_both_have_contrast(open_page, running):
    pages = [
        open_page(html.render(running), color_scheme=scheme).page for scheme in ("light", "dark")
    ]
    colours = [page.evaluate("getComputedStyle(document.documentElement).color") for page in pages]
    assert colours[0] != colours[1]
    grounds = [
        page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
        for page in pages
    ]
    assert grounds[0] != grounds[1]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.skipif(find_spec("axe_playwright_python") is None, reason="axe-core is not installed")
def test_axe_finds_nothing_serious(open_page, running, scheme, monkeypatch):
    from axe_playwright_python.sync_playwright import Axe

    # axe is a script, which the page's own policy refuses: the context lets it in for this test.
    page = open_page(html.render(running), color_scheme=scheme, bypass_csp=True).page
    found = Axe().run(page).response["violations"]
    assert [one["id"] for one in found if one["impact"] in {"serious", "critical"}] == []


def test_the_keyboard_reaches_every_link_and_shows_where_it_is(open_page, running):
    page = open_page(html.render(running)).page
    wanted = page.evaluate("document.querySelectorAll('a[href], summary').length")
    reached = set()
    for _ in range(wanted):
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate(
                "[...document.querySelectorAll('a[href], summary')].indexOf(document.activeElement)"
            )
        )
    assert reached == set(range(wanted))
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_it_prints_without_its_navigation(open_page, running, tmp_path):
    page = open_page(html.render(running)).page
    assert page.pdf().startswith(b"%PDF")
    page.emulate_media(media="print")
    assert not page.locator("nav").is_visible()
    assert page.locator("#performance").is_visible()


def test_without_charts_the_page_is_whole(open_page, running, monkeypatch):
    from yoyak.report import charts

    monkeypatch.setattr(charts, "is_available", lambda: False)
    opened = open_page(html.render(running), width=390)
    assert opened.complaints == []
    assert "yoyak[report]" in opened.page.inner_text("footer")


def test_screenshots_are_taken_where_they_are_asked_for(open_page, running):
    """Set YOYAK_SCREENSHOTS to a folder to get the pages that the docs show."""
    folder = os.environ.get("YOYAK_SCREENSHOTS")
    if folder is None:
        pytest.skip("YOYAK_SCREENSHOTS is not set")
    for language in messages.LANGUAGES:
        with messages.speaking(language):
            page = open_page(html.render(running)).page
        page.screenshot(path=Path(folder) / f"report.{language}.png", full_page=False)

"""The page in a real browser: Debian's Chromium, driven by Playwright; skipped where absent."""

import os
from importlib.util import find_spec
from pathlib import Path

import pytest

from yoyak import messages
from yoyak.events import Failed, RunStatus
from yoyak.report.model.build import Compared, build
from yoyak.report.model.report import Example
from yoyak.report.render import html
from yoyak.report.render.assets import SCRIPTS

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("browser")]

WIDTHS = (390, 768, 1024, 1280)
HOSTILE = (
    '</script><script>window.pwned=1</script><img src=x onerror="window.pwned=1">"\'\u202eabc\u2069'
    + "길다" * 50_000
    + "\u200b\x00끝"
)


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


@pytest.fixture(scope="module")
def running(make):
    run = make.cut_run()._replace(status=RunStatus.RUNNING)
    lengths = tuple(range(30, 90))
    example = Example(
        id="dev_3", dialogue="#Person1#: 점심 먹었어?\n#Person2#: 아직.",
        references=("두 사람은 점심 이야기를 한다.",),
        answers=(("lead", "#Person1#: 점심 먹었어?", 0.2),), why="worst",
    )  # fmt: skip
    return build(
        [make.lead_run(), make.toy_run()._replace(summary_lengths=lengths), run],
        make.rest(compared={make.basis: Compared(examples=(example,))}),
    )


@pytest.fixture(scope="module")
def drawn(running):
    """The page in each language; drawn once, looked at often."""
    pages = {}
    for language in messages.LANGUAGES:
        with messages.speaking(language):
            pages[language] = html.render(running)
    return pages


def sideways(page):
    """The widths at which something is wider than the screen."""
    wider = []
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        if page.evaluate("document.documentElement.scrollWidth") > width:
            wider.append(width)
    return wider


@pytest.mark.parametrize("language", messages.LANGUAGES)
def test_the_page_is_alone_in_the_world_and_fits_every_screen(open_page, drawn, language):
    opened = open_page(drawn[language])
    assert [url for url in opened.requests if not url.startswith(("file:", "data:"))] == []
    assert len([url for url in opened.requests if url.startswith("file:")]) == 1
    assert opened.complaints == []
    assert sideways(opened.page) == []


@pytest.mark.parametrize("kind", ["finished", "interrupted"])
def test_a_real_line_up_fits_every_screen_with_everything_open(open_page, example, kind):
    _, view = example(kind)
    with messages.speaking("ko"):
        opened = open_page(html.render(view))
    opened.page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    assert sideways(opened.page) == []
    assert opened.complaints == []
    charts = opened.page.locator("figure[data-chart]")
    assert charts.count() >= 12
    for place in range(charts.count()):
        charts.nth(place).scroll_into_view_if_needed()
    opened.page.wait_for_function(
        "() => document.querySelectorAll('.plot').length"
        " === document.querySelectorAll('.uplot').length"
    )
    boxes = [charts.nth(place).bounding_box() for place in range(charts.count())]
    assert all(box["width"] > 100 and box["height"] > 40 for box in boxes)


@pytest.mark.parametrize("language", messages.LANGUAGES)
@pytest.mark.parametrize("width", [390, 768])
def test_a_narrow_screen_shows_values_beside_their_names(open_page, example, language, width):
    _, view = example("finished")
    with messages.speaking(language):
        page = open_page(html.render(view), width).page
    shares = page.evaluate(
        """() => [...document.querySelectorAll(".heat")].map((table) =>
            table.querySelector("th").offsetWidth / table.parentElement.clientWidth)"""
    )
    assert len(shares) == 3
    assert max(shares) < 0.6
    heights = page.evaluate(
        "() => [...document.querySelectorAll('.records .state')].map((one) => one.offsetHeight)"
    )
    assert len(heights) > 3
    assert max(heights) < 40, "a badge is a line high"
    gaps = page.evaluate(
        """() => [...document.querySelectorAll(".records td .swatch")].map((swatch) => {
            const name = document.createRange();
            name.setStartAfter(swatch);
            name.setEndAfter(swatch.parentElement.lastChild);
            return name.getBoundingClientRect().left - swatch.getBoundingClientRect().right;
        })"""
    )
    assert len(gaps) > 6
    assert max(map(abs, gaps)) < 16, "a swatch stands beside its name"


def test_a_chart_has_the_times_of_the_text_wherever_it_is_read(open_page, example):
    _, view = example("finished")
    page = open_page(html.render(view), timezone_id="America/New_York").page
    plot = page.locator(".plot[data-kind=time]")
    plot.scroll_into_view_if_needed()
    plot.locator(".u-over").wait_for()
    plot.focus()
    page.keyboard.press("ArrowRight")
    assert page.locator("#tip").inner_text().startswith("10:0"), "in Seoul, as in the tables"


def test_the_language_changes_inside_the_file(open_page, drawn):
    """Without a request; what was opened stays open, and the way back is the same page."""
    opened = open_page(drawn["en"])
    page = opened.page
    asked = len(opened.requests)
    before = page.inner_text("main")
    page.locator("summary").first.click()
    page.get_by_role("button", name="한국어").click()
    page.wait_for_function("() => document.documentElement.lang === 'ko'")
    assert "진행 보고서" in page.title()
    assert "진행 보고서" in page.inner_text("h1")
    assert page.locator("details").first.get_attribute("open") is not None
    page.locator("summary").first.click()
    page.get_by_role("button", name="English").click()
    page.wait_for_function("() => document.documentElement.lang === 'en'")
    assert page.inner_text("main") == before
    assert opened.requests[asked:] == []
    assert opened.complaints == []


def test_twenty_runs_with_long_names_fit_too(open_page, make):
    runs = [
        make.toy_run()._replace(id=f"run-{number}", label=f"260101-0901-tiny-bart-{number:04d}")
        for number in range(20)
    ]
    assert sideways(open_page(html.render(build(runs, make.rest()))).page) == []


def test_hostile_text_is_shown_and_not_obeyed(open_page, make):
    run = make.cut_run()
    failed = Failed(at=make.noon + 500, kind="RunFailed", message=HOSTILE)
    bad = run._replace(
        events=(*run.events, failed), status=RunStatus.FAILED, label="<b onclick=x>" + HOSTILE[:300]
    )
    example = Example(
        id=HOSTILE[:90], dialogue=HOSTILE, references=(HOSTILE,),
        answers=((HOSTILE[:90], HOSTILE, 0.5),), why="worst",
    )  # fmt: skip
    view = build(
        [make.lead_run(), bad],
        make.rest(title=HOSTILE[:90], compared={make.basis: Compared(examples=(example,))}),
    )
    opened = open_page(html.render(view), width=390)
    assert opened.page.evaluate("window.pwned === undefined")
    ours = "[...document.scripts].filter(one => !one.type).length"
    assert opened.page.evaluate(ours) == len(SCRIPTS)
    assert opened.page.evaluate("document.images.length") == 0
    assert "window.pwned=1" in opened.page.inner_text("body")
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= 390
    assert opened.complaints == []


def test_hangul_is_drawn_and_not_boxed(open_page, drawn):
    """Two syllables of a real font differ in their pixels; two missing glyphs do not."""
    page = open_page(drawn["ko"]).page
    for place in ("h1", ".tracks th"):
        pictures = []
        for syllable in "값쀍":
            page.evaluate(
                "([place, letter]) => { document.querySelector(place).textContent = letter; }",
                [place, syllable],
            )
            pictures.append(page.locator(place).first.screenshot())
        assert pictures[0] != pictures[1]


CONTRAST = """colours => {
    const numbers = one => one.match(/[\\d.]+/g).map(Number);
    const light = one => numbers(one).slice(0, 3).map(v => v / 255)
        .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
        .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
    const [high, low] = colours.map(light).sort((a, b) => b - a);
    return (high + 0.05) / (low + 0.05);
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_dark_and_light_both_have_contrast(open_page, drawn, scheme):
    """WCAG AA for text: 4.5 to 1, for the page's ink and for the words in a chart."""
    page = open_page(drawn["en"], color_scheme=scheme).page
    ground = page.evaluate("getComputedStyle(document.querySelector('section')).backgroundColor")
    for place, what in (("h2", "color"), (".tracks th", "color"), ("small", "color")):
        ink = page.evaluate(
            "([place, what]) => getComputedStyle(document.querySelector(place))[what]",
            [place, what],
        )
        assert page.evaluate(CONTRAST, [ink, ground]) >= 4.5, place
    assert (page.evaluate(CONTRAST, [ground, "rgb(0, 0, 0)"]) > 10) == (scheme == "light")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.skipif(find_spec("axe_playwright_python") is None, reason="axe-core is not installed")
def test_axe_finds_nothing_serious(open_page, drawn, scheme):
    from axe_playwright_python.sync_playwright import Axe

    # axe is a script, which the page's own policy refuses: the context lets it in for this test.
    page = open_page(drawn["ko"], color_scheme=scheme, bypass_csp=True).page
    page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    found = Axe().run(page).response["violations"]
    assert [one["id"] for one in found if one["impact"] in {"serious", "critical"}] == []


def test_the_keyboard_reaches_every_link_opens_what_is_folded_and_shows_where_it_is(
    open_page, drawn
):
    page = open_page(drawn["en"]).page
    page.locator("summary").first.focus()
    page.keyboard.press("Enter")
    assert page.locator("details").first.get_attribute("open") is not None
    page.evaluate("document.activeElement.blur(); window.scrollTo(0, 0)")
    seen = (
        "[...document.querySelectorAll('a[href], summary, button, input, [tabindex]')]"
        ".filter(one => one.checkVisibility())"
    )
    wanted = page.evaluate(f"{seen}.length")
    page.locator("a.skip").focus()
    reached = {page.evaluate(f"{seen}.indexOf(document.activeElement)")}
    for _ in range(wanted):
        page.keyboard.press("Tab")
        reached.add(page.evaluate(f"{seen}.indexOf(document.activeElement)"))
        if len(reached) == wanted:
            break
    assert set(range(wanted)) <= reached
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_it_prints_without_its_navigation_and_with_what_is_folded(open_page, drawn):
    page = open_page(drawn["en"]).page
    assert page.pdf().startswith(b"%PDF")
    page.emulate_media(media="print")
    assert not page.locator("nav").is_visible()
    assert page.locator("#performance").is_visible()
    folded = page.locator("section", has=page.locator("#configuration")).locator("td").first
    assert folded.bounding_box()["height"] > 5


IMAGES = Path(__file__).parents[2] / "docs" / "images"


def test_pictures_of_the_docs_are_taken_where_that_is_asked_for(open_page, example):
    """YOYAK_PICTURES=1 takes them; they are small enough for a repository either way."""
    if os.environ.get("YOYAK_PICTURES") == "1":
        IMAGES.mkdir(exist_ok=True)
        for language in messages.LANGUAGES:
            for kind, scheme in (("finished", "light"), ("interrupted", "dark")):
                _, view = example(kind)
                with messages.speaking(language):
                    drawn = html.render(view)
                page = open_page(drawn, color_scheme=scheme).page
                page.set_viewport_size({"width": 1280, "height": 900})
                page.screenshot(path=IMAGES / f"{kind}-{language}.png")
                if kind == "finished":
                    section = page.locator("section", has=page.locator("#performance"))
                    section.screenshot(path=IMAGES / f"performance-{language}.png")
    sizes = [path.stat().st_size for path in IMAGES.glob("*.png")]
    assert len(sizes) == 6
    assert max(sizes) < 260_000
    assert sum(sizes) < 1_300_000

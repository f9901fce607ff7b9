"""Charts and the table of systems as a reader uses them, in a real browser."""

import csv
import io
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import msgspec
import pytest

from yoyak import messages
from yoyak.metrics.diagnostics.error_types import ErrorType
from yoyak.report.model.build import build
from yoyak.report.render import html

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("browser")]

NAME = "<b onclick=alert(1)>=1+1"


@pytest.fixture(scope="module")
def page(browser, make, tmp_path_factory):
    """One page for all tests: two trained systems, one of them with a hostile name."""
    toy = make.toy_run()._replace(summary_lengths=(40, 55, 58, 90))
    cut = make.cut_run()._replace(label=NAME)
    quality = msgspec.structs.replace(toy.quality, faults={ErrorType.EMPTY: 6})
    view = build([make.lead_run(), toy._replace(quality=quality), cut], make.rest())
    path = tmp_path_factory.mktemp("charts") / "index.html"
    with messages.speaking("en"):
        path.write_text(html.render(view), encoding="utf-8")
    context = browser.new_context(
        viewport={"width": 1280, "height": 900}, offline=True, accept_downloads=True
    )
    page = context.new_page()
    page.said = []
    page.asked = []
    page.on("console", lambda message: page.said.append(message.text))
    page.on("pageerror", lambda error: page.said.append(str(error)))
    page.on("request", lambda request: page.asked.append(request.url))
    page.goto(path.as_uri())
    page.system = cut.id
    yield page
    assert page.said == []
    assert [url for url in page.asked if not url.startswith(("file:", "data:", "blob:"))] == []
    context.close()


@pytest.fixture
def chart(page):
    def opened(key):
        found = page.locator(f"figure[data-chart={key}]")
        found.scroll_into_view_if_needed()
        if found.locator(".plot").count():
            found.locator(".u-over").wait_for()
        return found

    yield opened
    page.keyboard.press("Escape")
    page.mouse.move(0, 0)


def saved(page, figure, kind):
    with page.expect_download() as found:
        figure.get_by_role("button", name=f"Save as {kind.upper()}").click()
    assert found.value.suggested_filename.endswith(f".{kind}")
    return Path(found.value.path()).read_bytes()


def pixels(figure):
    """The picture of the plot, for comparing what is drawn."""
    return figure.locator("canvas").evaluate("one => one.toDataURL()")


def test_hovering_reads_the_values_of_every_system_with_intervals(page, chart):
    figure = chart("loss")
    figure.locator(".u-over").hover(position={"x": 200, "y": 60})
    tip = page.locator("#tip")
    assert "step" in tip.inner_text()
    assert "tiny-bart" in tip.inner_text()
    assert NAME in tip.inner_text(), "a name is text"
    figure = chart("dev-rouge")
    figure.locator(".u-over").hover(position={"x": 200, "y": 60})
    assert re.search(r"15\.33 \(13\.33–17\.33\)", tip.inner_text())
    page.mouse.move(0, 0)
    assert tip.is_hidden()


def test_dragging_zooms_and_a_button_shows_the_whole_again(page, chart):
    figure = chart("loss")
    whole = pixels(figure)
    box = figure.locator(".u-over").bounding_box()
    page.mouse.move(box["x"] + 100, box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + 250, box["y"] + 60, steps=4)
    page.mouse.up()
    reset = figure.locator("[data-tool=reset]")
    assert reset.is_visible()
    assert pixels(figure) != whole
    reset.click()
    assert reset.is_hidden()


def test_the_keyboard_reads_and_zooms(page, chart):
    figure = chart("grad-norm")
    figure.locator(".plot").focus()
    page.keyboard.press("ArrowRight")
    first = page.locator("#tip").inner_text()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert page.locator("#tip").inner_text() != first
    page.keyboard.press("+")
    assert figure.locator("[data-tool=reset]").is_visible()
    page.keyboard.press("Escape")
    assert figure.locator("[data-tool=reset]").is_hidden()


def test_smoothing_and_a_log_scale_change_the_picture_and_not_the_table(page, chart):
    figure = chart("loss")
    raw, table = pixels(figure), saved(page, figure, "csv")
    slider = figure.locator("[data-tool=smooth]")
    slider.fill("0.9")
    smooth = pixels(figure)
    assert smooth != raw
    figure.locator("[data-tool=log]").check()
    assert pixels(figure) not in {smooth, raw}
    assert saved(page, figure, "csv") == table
    svg = ElementTree.fromstring(saved(page, figure, "svg"))
    lines = [one for one in svg.findall(".//{*}path") if len(one.get("d")) > 100]
    opacities = [one.get("stroke-opacity") for one in lines]
    assert opacities == ["0.3", "1", "0.3", "1"], "each raw line is there, beside the smooth one"
    figure.locator("[data-tool=log]").uncheck()
    slider.fill("0")
    assert pixels(figure) == raw


def test_a_system_is_switched_off_in_all_charts_at_once(page, chart):
    figure, other = chart("loss"), chart("grad-norm")
    before = pixels(figure), pixels(other)
    button = figure.get_by_role("button", name=NAME, exact=True)
    assert button.get_attribute("aria-pressed") == "true"
    button.click()
    assert pixels(figure) != before[0]
    assert pixels(other) != before[1]
    twin = other.get_by_role("button", name=NAME, exact=True)
    assert twin.get_attribute("aria-pressed") == "false"
    twin.click()
    assert (pixels(figure), pixels(other)) == before


def test_a_curve_is_saved_as_table_and_pictures(page, chart):
    figure = chart("loss")
    rows = list(csv.reader(io.StringIO(saved(page, figure, "csv").decode("utf-8-sig"))))
    assert rows[0] == ["step", "tiny-bart", NAME]
    assert rows[1][:2] == ["1", "5"]
    assert len(rows) == 1 + 24
    svg = ElementTree.fromstring(saved(page, figure, "svg"))
    words = [one.text for one in svg.findall(".//{*}text")]
    assert {"Loss per supervised token", "tiny-bart", NAME, "step"} <= set(words)
    assert not svg.findall(".//{*}b")
    assert saved(page, figure, "png").startswith(b"\x89PNG")


@pytest.mark.parametrize(("key", "cell"), [("comparison", "tiny-bart"), ("faults", "empty")])
def test_tracks_and_heat_maps_are_saved_too(page, chart, key, cell):
    figure = chart(key)
    rows = list(csv.reader(io.StringIO(saved(page, figure, "csv").decode("utf-8-sig"))))
    assert cell in [row[0] for row in rows]
    svg = ElementTree.fromstring(saved(page, figure, "svg"))
    assert cell in [one.text for one in svg.findall(".//{*}text")]
    assert len(svg.findall(".//{*}rect")) > 3
    assert saved(page, figure, "png").startswith(b"\x89PNG")


def test_a_mark_says_its_values_and_a_cell_of_faults_leads_to_its_rows(page, chart):
    figure = chart("comparison")
    figure.locator("i.point").first.hover()
    assert re.search(r"23\.27 \(\d", page.locator("#tip").inner_text())
    figure = chart("faults")
    link = figure.get_by_role("link", name="25.0")
    link.focus()
    assert "6 of 24 rows, 95 % interval" in page.locator("#tip").inner_text()
    assert link.get_attribute("href").startswith("#rows?fault=empty&of=a&a=")


def test_points_of_a_live_page_are_appended_and_unknown_ones_given_back(page, chart):
    figure = chart("loss")
    before = pixels(figure)
    point = {"chart": "loss", "run": page.system, "x": 40, "y": 9.5}
    strange = {"chart": "loss", "run": "nobody", "x": 1, "y": 1}
    left = page.evaluate("points => yoyakCharts.update(points)", [point, strange])
    assert left == [strange]
    assert pixels(figure) != before
    rows = list(csv.reader(io.StringIO(saved(page, figure, "csv").decode("utf-8-sig"))))
    assert rows[-1] == ["40", "", "9.5"]
    page.evaluate("yoyakCharts.load(yoyakPage.data('chart-points')); yoyakPage.announce()")
    chart("loss")
    assert len(saved(page, figure, "csv").decode().splitlines()) == 1 + 24


def test_the_table_sorts_and_shows_the_columns_that_are_chosen(page):
    table = page.locator(".systems")
    names = table.locator("tbody th")
    best_first = names.all_inner_texts()
    heading = table.locator("thead th[data-column=mean]")
    assert heading.get_attribute("aria-sort") == "descending"
    heading.get_by_role("button").click()
    assert heading.get_attribute("aria-sort") == "ascending"
    scored = [name for name in names.all_inner_texts() if NAME not in name]
    assert scored == [name for name in reversed(best_first) if NAME not in name]
    assert NAME in names.all_inner_texts()[-1], "what has no value stays last"
    hidden = table.locator("thead th[data-column=sum]")
    assert hidden.is_hidden()
    page.locator(".choose summary").click()
    page.locator(".choose [data-column=sum]").check()
    assert hidden.is_visible()
    assert table.locator("tbody td[data-column=sum]").first.is_visible()
    page.get_by_role("button", name="한국어").click()
    page.wait_for_function("() => document.documentElement.lang === 'ko'")
    assert page.locator(".systems thead th[data-column=sum]").is_visible(), "a choice stays"
    assert (
        page.locator(".systems thead th[data-column=mean]").get_attribute("aria-sort")
        == "ascending"
    )
    page.get_by_role("button", name="English").click()
    page.wait_for_function("() => document.documentElement.lang === 'en'")
    heading.get_by_role("button").click()


@pytest.mark.parametrize("width", [390, 900, 1280])
def test_the_table_stays_a_table_with_its_first_column_in_sight(page, width):
    page.set_viewport_size({"width": width, "height": 900})
    table = page.locator(".systems")
    assert table.evaluate("one => getComputedStyle(one.rows[1]).display") == "table-row"
    side = page.locator(".sideways", has=table)
    side.evaluate("one => { one.scrollLeft = 10_000; }")
    first, box = table.locator("tbody th").first.bounding_box(), side.bounding_box()
    assert abs(first["x"] - box["x"]) < 2
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    side.evaluate("one => { one.scrollLeft = 0; }")
    page.set_viewport_size({"width": 1280, "height": 900})


def test_paper_gets_lines_and_the_screen_its_canvas_again(page, chart):
    """A printed chart is SVG in the colours of paper, of every chart, seen before or not."""
    page.emulate_media(color_scheme="dark", media="screen")
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    count = page.locator(".plot").count()
    pictures = page.locator(".plot > svg")
    assert pictures.count() == count
    assert pictures.first.locator("rect").first.get_attribute("fill") == "#ffffff"
    page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert pictures.count() == 0
    page.emulate_media(color_scheme="light", media="screen")


def test_three_systems_take_at_most_six_pages_of_paper(browser, example, tmp_path):
    _, view = example("finished")
    path = tmp_path / "index.html"
    with messages.speaking("ko"):
        path.write_text(html.render(view), encoding="utf-8")
    page = browser.new_page()
    page.goto(path.as_uri())
    paper = page.pdf(prefer_css_page_size=True, format="A4", path=tmp_path / "report.pdf")
    page.close()
    assert 1 <= len(re.findall(rb"/Type\s*/Page\b", paper)) <= 6

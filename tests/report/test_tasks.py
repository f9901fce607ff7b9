"""Ten tasks of the guide (docs/report.md), done by a reader in a real browser, action by action.

An action is a click, a choice or a field that is filled; reading and scrolling are none.
"""

import re
from pathlib import Path

import msgspec
import pytest

from yoyak import messages
from yoyak.config.load import resolve
from yoyak.metrics.diagnostics.entities import invented_names
from yoyak.metrics.scorecard import evaluate
from yoyak.report.model import groups
from yoyak.report.model.build import build
from yoyak.report.model.rows import RowColumn, RowSource, RowSystem
from yoyak.report.render import html
from yoyak.values import Dialogue, Prediction, Split, Turn

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("browser")]

ROWS = 12
PAGES = ("docs/report.md", "docs/report.ko.md")


def dialogue(at):
    turns = [
        Turn(speaker="#Person1#", text=f"내일 {at + 1}시에 회의가 있어요."),
        Turn(speaker="#Person2#", text="네, 자료를 준비할게요."),
    ] * (1 + at // 6)
    return Dialogue(
        id=f"dev_{at}", turns=tuple(turns), topic="회의 약속",
        references=(f"#Person1#과 #Person2#는 내일 {at + 1}시 회의를 이야기한다.",),
    )  # fmt: skip


def good(one):
    return one.references[0]


def poor(one):
    """Half of the answers name somebody who is not in the dialogue; the others are off too."""
    at = int(one.id.removeprefix("dev_"))
    return "김철수 씨는 점심을 먹는다." if at % 2 else "두 사람은 점심을 먹는다."


class Reader:
    """A page and the number of actions on it since the task began."""

    def __init__(self, page):
        self.page = page
        self.actions = 0

    def click(self, what):
        self.actions += 1
        what.click()

    def choose(self, what, value):
        self.actions += 1
        what.select_option(value)

    def fill(self, what, value):
        self.actions += 1
        what.fill(value)
        what.dispatch_event("change")


@pytest.fixture(scope="module")
def opened(browser, make, tmp_path_factory):
    split = Split(
        name="dev", dialogues=tuple(map(dialogue, range(ROWS))), fingerprint=make.basis.dev_sha256
    )
    runs, columns = [], []
    with messages.speaking("en"):
        for run, write in ((make.toy_run(), good), (make.lead_run(), poor)):
            answers = [Prediction(id=one.id, text=write(one), raw="") for one in split.dialogues]
            card = evaluate(answers, split, resamples=50)
            quality = groups.quality(card, split.fingerprint, f"{run.folder}/scores/dev.json")
            runs.append(run._replace(quality=quality))
            system = RowSystem(run=run.id, name=run.name, toy=False, mean=card.rouge.mean)
            columns.append(RowColumn(system, answers, card))
        source = RowSource("dev-0a1b2c3d", "sample", split, columns)
        view = build(runs, make.rest())
        counted = source.fault_counts()
        systems = tuple(
            msgspec.structs.replace(
                one, quality=msgspec.structs.replace(one.quality, faults=counted[one.run])
            )
            for one in view.systems
        )
        page = html.render(msgspec.structs.replace(view, systems=systems), [source])
    path = tmp_path_factory.mktemp("tasks") / "index.html"
    path.write_text(page, encoding="utf-8")
    context = browser.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    yield context, path.as_uri()
    context.close()


@pytest.fixture
def reader(opened):
    context, address = opened
    page = context.new_page()
    page.goto(address)
    yield Reader(page)
    page.close()


def counted_in_the_docs():
    """The number of actions of each task, as the table of both guides states them."""
    root = Path(__file__).parents[2]
    found = []
    for name in PAGES:
        lines = (root / name).read_text(encoding="utf-8").splitlines()
        rows = [re.match(r"\| (\d+)\. .*?\| (\d+) \|", line) for line in lines]
        found.append({int(row[1]): int(row[2]) for row in rows if row})
    assert found[0] == found[1]
    return found[0]


def test_1_which_system_is_best_and_is_it_above_the_baselines(reader):
    tiles = reader.page.locator(".tiles").inner_text()
    assert "tiny-bart" in tiles
    assert "above the best baseline" in tiles
    assert reader.actions == counted_in_the_docs()[1]


def test_2_which_slice_is_worst(reader):
    reader.click(reader.page.get_by_role("link", name="Where it is good and where not"))
    cells = reader.page.locator("figure[data-chart=slices] td")
    assert cells.first.is_visible()
    assert min(float(text) for text in cells.all_inner_texts()) < 50
    assert reader.actions == counted_in_the_docs()[2]


def test_3_the_rows_of_that_slice(reader):
    reader.click(reader.page.get_by_role("link", name="Where it is good and where not"))
    row = reader.page.locator("figure[data-chart=slices] tbody tr").first
    count = int(re.search(r"\((\d+)\)$", row.locator("th").inner_text())[1])
    reader.click(row.locator("td a").first)
    status = reader.page.locator(".xp-status")
    status.wait_for()
    reader.page.wait_for_function(
        "wanted => document.querySelector('.xp-status').innerText.startsWith(wanted)",
        arg=f"{count} of {ROWS}",
    )
    reader.page.wait_for_function(
        "() => document.getElementById('rows').getBoundingClientRect().top < innerHeight / 4"
    )
    assert reader.actions == counted_in_the_docs()[3]


def test_4_rows_where_a_beats_b_by_20_points_and_b_has_a_wrong_name(reader):
    page = reader.page
    wrong = sum(bool(invented_names(poor(one), one.text)) for one in map(dialogue, range(ROWS)))
    assert 0 < wrong < ROWS
    reader.click(page.get_by_role("navigation").get_by_role("link", name="Rows"))
    explorer = page.locator("#explorer")
    explorer.locator(".xp-grid").wait_for()
    fault, of_system, *_ = explorer.locator(".xp-filters select").all()
    reader.choose(fault, "invented_name")
    reader.choose(of_system, "b")
    gap = explorer.locator("fieldset", has_text="A − B in points").locator("input").first
    reader.fill(gap, "20")
    page.wait_for_function(
        "wanted => document.querySelector('.xp-status').innerText.startsWith(wanted)",
        arg=f"{wrong} of {ROWS}",
    )
    assert reader.actions == counted_in_the_docs()[4]


def test_5_this_curve_as_a_table(reader):
    with reader.page.expect_download() as found:
        figure = reader.page.locator("figure[data-chart=loss]")
        reader.click(figure.get_by_role("button", name="Save as CSV"))
    assert found.value.suggested_filename == "loss.csv"
    assert reader.actions == counted_in_the_docs()[5]


def test_6_smoothing_with_the_raw_line_in_sight(reader):
    figure = reader.page.locator("figure[data-chart=loss]")
    reader.fill(figure.locator("[data-tool=smooth]"), "0.9")
    assert figure.locator("canvas").is_visible()
    assert reader.actions == counted_in_the_docs()[6]


def test_7_all_charts_without_one_system(reader):
    figure = reader.page.locator("figure[data-chart=loss]")
    reader.click(figure.locator(".legend button").first)
    pressed = reader.page.locator(".legend button[aria-pressed=true]")
    names = {name.strip() for name in pressed.all_inner_texts()}
    assert "tiny-bart" not in names
    assert reader.actions == counted_in_the_docs()[7]


def test_8_is_the_difference_proven(reader):
    verdicts = reader.page.locator(".systems td[data-column=verdict]")
    assert any(text.strip() not in {"", "–"} for text in verdicts.all_inner_texts())
    assert reader.actions == counted_in_the_docs()[8]


def test_9_the_same_page_in_the_other_language(reader):
    reader.click(reader.page.get_by_role("button", name="한국어"))
    reader.page.wait_for_function("() => document.documentElement.lang === 'ko'")
    assert reader.actions == counted_in_the_docs()[9]


@pytest.mark.parametrize("page", PAGES)
def test_10_the_3b_with_two_epochs_is_one_command(page):
    text = (Path(__file__).parents[2] / page).read_text(encoding="utf-8")
    recipe, setting = re.search(r"`yoyak run (\S+) --set (train\.epochs=2)`", text).groups()
    assert resolve(recipe, sets=[setting]).recipe.train.epochs == 2
    assert counted_in_the_docs()[10] == 1

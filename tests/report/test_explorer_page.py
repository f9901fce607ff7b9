"""The row explorer in a real browser: every filter, key and mark against the rows themselves."""

import csv
import io
import json
import random
from importlib.util import find_spec

import pytest

from yoyak.metrics.diagnostics.error_types import ErrorType
from yoyak.metrics.scorecard import RowScore, Scorecard
from yoyak.report.model.build import build
from yoyak.report.model.rows import RowColumn, RowSource, RowSystem
from yoyak.report.render import html
from yoyak.report.render.explorer import rows_json, tables_json
from yoyak.values import Dialogue, Prediction, Rouge, Split, Turn

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("browser")]

ROWS = 60
NAMES = ("lead", "tiny-bart", "kobart")
HOSTILE = '</script><img src=x onerror="window.pwned=1"><b>굵게</b>\u202e'
TOPICS = ("식당 예약", "병원 예약", "여행 계획", None)


def _split(rows, name="dev"):
    chosen = random.Random(7)
    dialogues = []
    for place in range(rows):
        tags = [f"#Person{1 + number % (2 + place % 2)}#" for number in range(2 + place % 5)]
        meeting = ["회사", "회의"][place % 3 > 0]
        words = [meeting, "점심", "한국", "내일", "Bob", f"{place}시"]
        last = HOSTILE if place == 9 else "끝"
        turns = tuple(
            Turn(speaker=tag, text=" ".join((*chosen.choices(words, k=3), last))) for tag in tags
        )
        references = tuple(
            f"#Person1#이 {chosen.choice(words[:4])} {kind} {place}시에 합니다."
            for kind in ("이야기를", "약속을", "일정을")
        )
        dialogues.append(
            Dialogue(
                id=f"{name}_{place}", topic=TOPICS[place % 4], turns=turns,
                references=() if name == "test" else references,
            )
        )  # fmt: skip
    return Split(name=name, dialogues=tuple(dialogues), fingerprint=f"{name}{'a' * 60}")


def _answers(split, seed):
    chosen = random.Random(seed)
    for place, one in enumerate(split.dialogues):
        meeting = ["회사", "회의"][place % 3 > 0]
        words = ["#Person1#이", meeting, "점심", "이야기를", "약속을", f"{place}시에", "합니다."]
        text = " ".join(chosen.choices(words, k=6))
        if seed == 2 and place % 10 == 3:
            text = f"#Person7#이 Alice와 77시에 만납니다. {text}"
        if seed == 1 and place == 9:
            text = HOSTILE
        yield Prediction(id=one.id, text=text, raw=text)


def _source(rows=ROWS, name="dev", systems=NAMES):
    split = _split(rows, name)
    columns = []
    for seed, system in enumerate(systems):
        chosen = random.Random(100 + seed)
        card = None
        if name != "test":
            scores = [chosen.randrange(1000) / 1000 for _ in split.dialogues]
            rouge = [
                RowScore(id=one.id, rouge=Rouge(rouge1=score, rouge2=score / 2, rougeL=score))
                for one, score in zip(split.dialogues, scores, strict=True)
            ]
            card = _Card(rouge)
        head = RowSystem(run=f"run-{system}", name=system, toy=seed == 1, mean=None)
        columns.append(RowColumn(head, list(_answers(split, seed)), card))
    return RowSource(f"{name}-aaaaaaaa", "data", split, columns)


class _Card:
    """The part of a scorecard that rows read."""

    def __init__(self, rows: list[RowScore]) -> None:
        self.rows: Scorecard.rows = tuple(rows)


@pytest.fixture(scope="module")
def sources():
    return [_source(), _source(20, "test")]


@pytest.fixture(scope="module")
def rows(sources):
    return sources[0].rows()


@pytest.fixture(scope="module")
def file(tmp_path_factory, make, sources):
    view = build([make.lead_run(), make.toy_run()], make.rest())
    path = tmp_path_factory.mktemp("page") / "index.html"
    path.write_text(html.render(view, sources), encoding="utf-8")
    return path.as_uri()


@pytest.fixture(scope="module")
def context(browser):
    context = browser.new_context(
        viewport={"width": 1280, "height": 900}, offline=True, locale="en-US", bypass_csp=False
    )
    yield context
    context.close()


class Explorer:
    """A page with its explorer open, and all that it asked for and complained of."""

    def __init__(self, page, address):
        self.page = page
        self.address = address
        self.changes = 0
        self.requests: list[str] = []
        self.complaints: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def open(self, filters=""):
        """Open the page anew with these filters."""
        self.page.goto("about:blank")
        self.page.goto(f"{self.address}#rows?{filters}")
        self.page.wait_for_function("() => document.activeElement.role === 'grid'")
        return self

    def filter(self, filters):
        """Change the address of the open page; return how many rows are shown."""
        self.changes += 1
        return self.page.evaluate(
            """async ([filters, change]) => {
                const followed = new Promise((done) => {
                    addEventListener('hashchange', () => setTimeout(done), { once: true });
                });
                location.hash = `#rows?${filters}&change=${change}`;
                await followed;
                return explorer.shown;
            }""",
            [filters, self.changes],
        )

    @property
    def selected(self):
        return self.page.locator(".xp-row[aria-selected=true] > div").first.inner_text()

    def column(self, number):
        """The visible cells of a column, from the top."""
        return self.page.evaluate(
            """number => [...document.querySelectorAll('.xp-row')]
                .sort((a, b) => a.ariaRowIndex - b.ariaRowIndex)
                .map(row => row.children[number].textContent)""",
            number,
        )


@pytest.fixture(scope="module")
def explorer(context, file):
    return Explorer(context.new_page(), file).open()


def mean(answer):
    return 100 * answer.rouge.mean


def has(answer, kind):
    return kind in {fault.fault for fault in answer.faults}


def gap(row, one, other):
    return mean(row.answers[one]) - mean(row.answers[other])


def texts(row):
    return "\n".join(
        (row.id, row.topic or "", row.dialogue, *row.references, *(one.text for one in row.answers))
    ).lower()


NAME = ErrorType.INVENTED_NAME
CASES = {
    "": lambda row: True,
    "q=점심 회의": lambda row: "점심" in texts(row) and "회의" in texts(row),
    "q=ㅎㅇ": lambda row: "회의" in texts(row),
    "q=dev_1": lambda row: "dev_1" in texts(row),
    "q=bOB": lambda row: "bob" in texts(row),
    "q=(.*": lambda row: False,
    "fault=invented_name": lambda row: any(has(one, NAME) for one in row.answers),
    "fault=unknown_speaker&of=a&a=run-kobart": lambda row: has(
        row.answers[2], ErrorType.UNKNOWN_SPEAKER
    ),
    "fault=none&of=b&b=run-lead": lambda row: not row.answers[0].faults,
    "fault=some&of=a&a=run-tiny-bart": lambda row: bool(row.answers[1].faults),
    "topic=예약": lambda row: (row.topic or "").endswith("예약"),
    "topic=여행": lambda row: "여행" in (row.topic or ""),
    "speakers=3": lambda row: row.speakers == 3,
    "turns=3-4": lambda row: 3 <= row.turns <= 4,
    "turns=..2": lambda row: row.turns <= 2,
    "chars=60..": lambda row: len(row.dialogue) >= 60,
    "length=20..25&a=run-lead": lambda row: 20 <= len(row.answers[0].text) <= 25,
    "score=..25&a=run-kobart": lambda row: mean(row.answers[2]) <= 25,
    "difference=20..&a=run-kobart&b=run-lead": lambda row: gap(row, 2, 0) >= 20,
    "difference=-20..0&a=run-kobart&b=run-lead": lambda row: -20 <= gap(row, 2, 0) <= 0,
    "disagreement=70..": lambda row: round(1000 * row.disagreement) >= 700,
    "difference=20..&a=run-lead&b=run-kobart&fault=invented_name&of=b": lambda row: (
        gap(row, 0, 2) >= 20 and has(row.answers[2], NAME)
    ),
}


@pytest.mark.parametrize("filters", CASES)
def test_every_filter_shows_the_rows_that_it_names(explorer, rows, filters):
    wanted = [row for row in rows if CASES[filters](row)]
    assert explorer.filter(filters) == len(wanted)
    assert explorer.column(0) == [row.id for row in wanted][: len(explorer.column(0))]


def test_the_cases_are_neither_all_rows_nor_none(rows):
    trivial = {filters for filters, test in CASES.items() if sum(map(test, rows)) in {0, len(rows)}}
    assert trivial == {"", "q=(.*"}


def test_initials_find_hangul_and_syllables_stay_exact(explorer):
    found = explorer.page.evaluate(
        """pairs => pairs.map(([query, text]) =>
            explorer.matchers(query).every(test => test(text.toLowerCase())))""",
        [
            ["ㅎㅇ", "내일 회의"], ["ㅎㅇ", "회사"], ["회ㅇ", "회의"], ["회ㅇ", "화요일"],
            ["ㅋㅋ", "ㅋㅋ"], ["ㄲ", "까치"], ["ㄱ", "까치"], ["ㅎ", "힣"], ["ㄱ", "가"],
            ["ㄱ", "깋"],
        ],
    )  # fmt: skip
    assert found == [True, False, True, False, True, True, False, True, True, True]


def test_a_link_that_is_followed_at_once_is_not_overwritten_by_the_change_before(explorer):
    explorer.filter("q=회의")
    shown = explorer.page.evaluate(
        """() => new Promise((done) => {
            const input = document.querySelector('.xp-search');
            input.value = 'dev_1';
            input.dispatchEvent(new Event('input'));
            const began = performance.now();
            setTimeout(() => {
                location.hash = '#rows?speakers=3';
                while (performance.now() - began < 300);  // the change's own moment passes
            }, 50);
            addEventListener('hashchange', () => setTimeout(() => done(explorer.shown), 300), {
                once: true,
            });
        })"""
    )
    assert shown == explorer.filter("speakers=3")


def test_hits_are_highlighted_in_what_was_written_and_nowhere_else(explorer):
    explorer.filter("q=ㅎㅇ&row=dev_1")
    hits = explorer.page.evaluate(
        """[...CSS.highlights.get('explorer-hit')].map(hit => [
            hit.toString(),
            hit.startContainer.parentElement.closest('.xp-text, .turn, h3') !== null,
        ])"""
    )
    assert hits
    assert {text for text, _ in hits} == {"회의"}
    assert all(is_written for _, is_written in hits)


def test_a_phone_lists_rows_with_their_scores(explorer, context, file):
    explorer.page.set_viewport_size({"width": 390, "height": 900})
    explorer.filter("a=run-lead")
    heads = explorer.page.locator(".xp-head > div").all_inner_texts()
    explorer.page.set_viewport_size({"width": 1280, "height": 900})
    assert heads[:2] == ["row", "faults"]
    assert "A lead" in heads


def test_a_column_sorts_both_ways_and_back_with_the_file_order_for_equals(explorer, rows):
    explorer.filter("a=run-lead&b=run-kobart")
    head = explorer.page.locator(".xp-head button")
    for column, key in (
        (2, lambda row: row.turns),
        (7, lambda row: gap(row, 0, 2)),
    ):
        head.nth(column).click()
        wanted = sorted(rows, key=lambda row: -key(row))
        assert explorer.column(0) == [row.id for row in wanted][: len(explorer.column(0))]
        cell = explorer.page.locator(".xp-head > div").nth(column)
        assert cell.get_attribute("aria-sort") == "descending"
        head.nth(column).click()
        wanted = sorted(rows, key=key)
        assert explorer.column(0) == [row.id for row in wanted][: len(explorer.column(0))]
        head.nth(column).click()
        assert explorer.column(0)[:3] == ["dev_0", "dev_1", "dev_2"]


def test_the_keyboard_walks_searches_and_chooses_systems(explorer):
    explorer.filter("a=run-lead&b=run-kobart&row=dev_0")
    page = explorer.page
    page.locator(".xp-grid").focus()
    for key, row in (
        ("j", "dev_1"),
        ("j", "dev_2"),
        ("k", "dev_1"),
        ("End", "dev_59"),
        ("Home", "dev_0"),
        ("ArrowDown", "dev_1"),
    ):
        page.keyboard.press(key)
        assert explorer.selected == row, key
    # With a Hangul input method the J key is ㅓ.
    page.evaluate(
        """document.querySelector('.xp-grid').dispatchEvent(
            new KeyboardEvent('keydown', {key: 'ㅓ', code: 'KeyJ', bubbles: true}))"""
    )
    assert explorer.selected == "dev_2"
    page.keyboard.press("/")
    page.keyboard.type("dev_3")
    assert page.evaluate("window.explorer.shown") == 11
    page.keyboard.press("Escape")
    page.keyboard.press("2")
    page.keyboard.press("Shift+1")
    headings = page.locator(".xp-detail h4").all_inner_texts()
    assert headings[:2] == ["A tiny-bart*", "B lead"]


def test_an_address_leads_to_the_same_row_and_filter(explorer, context, file):
    explorer.filter("turns=3-4&a=run-kobart&sort=-difference")
    explorer.page.locator(".xp-grid").focus()
    explorer.page.keyboard.press("j")
    explorer.page.wait_for_function(
        "row => location.hash.includes(`row=${row}`)", arg=explorer.selected
    )
    address, row = explorer.page.url, explorer.selected
    other = Explorer(context.new_page(), file).open(address.partition("?")[2])
    assert other.selected == row
    assert other.page.evaluate("window.explorer.shown") == explorer.page.evaluate(
        "window.explorer.shown"
    )
    assert other.page.locator(".xp-detail h3").inner_text().startswith(row)
    other.page.close()


def common(one, other):
    """The length of the longest common subsequence, by the textbook."""
    table = [[0] * (len(other) + 1) for _ in range(len(one) + 1)]
    for i, left in enumerate(one):
        for j, right in enumerate(other):
            table[i + 1][j + 1] = (
                table[i][j] + 1 if left == right else max(table[i][j + 1], table[i + 1][j])
            )
    return table[-1][-1]


def test_a_diff_is_a_longest_common_subsequence(explorer):
    chosen = random.Random(3)
    pairs = [
        [" ".join(chosen.choices("가나다라마", k=chosen.randrange(9))) for _ in range(2)]
        for _ in range(300)
    ]
    found = explorer.page.evaluate("pairs => pairs.map(pair => explorer.diff(...pair))", pairs)
    for (reference, answer), runs in zip(pairs, found, strict=True):
        of = {
            kind: " ".join(text for one, text in runs if one in {"same", kind})
            for kind in ("reference", "answer")
        }
        assert of == {"reference": reference, "answer": answer}
        same = sum(len(text.split()) for kind, text in runs if kind == "same")
        assert same == common(reference.split(), answer.split())


def test_each_reference_has_its_own_diff_and_what_the_dialogue_lacks_is_marked(explorer, rows):
    explorer.filter("a=run-kobart&b=run-lead&row=dev_13")
    page = explorer.page
    assert page.locator(".xp-reference").count() == 3
    assert page.locator(".xp-reference .xp-diff").count() == 6
    for place, reference in enumerate(rows[13].references):
        words = page.locator(".xp-reference").nth(place).locator(".xp-diff").first
        kept = words.locator("span, del").all_inner_texts()
        assert " ".join(kept) == reference
    marked = page.locator(".xp-answer").first.locator("mark.xp-absent").all_inner_texts()
    assert {"#Person7#", "Alice", "77"} <= set(marked)
    assert page.locator(".xp-legend mark, .xp-legend ins, .xp-legend del").count() == 4


def test_hostile_text_is_shown_and_does_nothing(explorer):
    explorer.filter("row=dev_9&a=run-tiny-bart")
    page = explorer.page
    assert (
        page.locator(".xp-answer")
        .first.locator(".xp-text")
        .inner_text()
        .startswith("</script><img")
    )
    assert page.evaluate("window.pwned === undefined && document.images.length === 0")
    assert page.locator("#explorer b").all_inner_texts() == ["A ", "B "] * 3
    assert "\u202e" not in page.inner_text("#explorer")


def test_a_note_stays_in_the_browser_and_leaves_as_csv(explorer):
    page = explorer.page
    explorer.filter("row=dev_4")
    page.locator("#explorer textarea").fill('=1+1, "이름"이 틀림')
    page.locator(".xp-grid").focus()
    assert "browser" in page.locator("#explorer [role=status].quiet").inner_text()
    explorer.open("row=dev_4")
    assert page.locator("#explorer textarea").input_value() == '=1+1, "이름"이 틀림'
    with page.expect_download() as caught:
        page.get_by_role("button", name="Notes and ratings as CSV").click()
    content = caught.value.path().read_text("utf-8-sig")
    (line,) = [one for one in csv.DictReader(io.StringIO(content)) if one["row"] == "dev_4"]
    assert (line["kind"], line["text"]) == ("note", '\'=1+1, "이름"이 틀림')


def test_rows_leave_as_csv_as_filtered(explorer, rows):
    shown = explorer.filter("turns=3-4")
    with explorer.page.expect_download() as caught:
        explorer.page.get_by_role("button", name="Rows as CSV").click()
    lines = list(csv.DictReader(io.StringIO(caught.value.path().read_text("utf-8-sig"))))
    assert len(lines) == shown
    by_id = {row.id: row for row in rows}
    for line in lines:
        answer = by_id[line["id"]].answers[0]
        assert line["lead"].removeprefix("'") == answer.text
        assert float(line["lead mean"]) == pytest.approx(mean(answer), abs=0.002)


def test_a_blind_rating_hides_who_is_who_and_mixes_the_sides(explorer):
    page = explorer.page
    explorer.open("a=run-lead&b=run-kobart&row=dev_0")
    page.get_by_role("button", name="Rate A against B blindly").click()
    assert "name first" in page.inner_text("#explorer")
    page.get_by_label("your name").fill("민지")
    page.get_by_role("button", name="Rate A against B blindly").click()
    shown = page.inner_text(".xp-detail") + page.inner_text(".xp-grid")
    assert not any(name in shown for name in NAMES)
    assert not page.locator("#explorer fieldset").first.is_visible()
    for _ in range(12):
        page.keyboard.press("1")
    assert page.locator(".xp-choices .quiet").inner_text().startswith("12 of 60")
    page.keyboard.press("k")
    pressed = page.locator(".xp-choices button[aria-pressed=true]")
    assert pressed.all_inner_texts() == ["1 left is better"], "the choice on the row before is seen"
    page.locator(".language").click()
    page.wait_for_function("() => document.documentElement.lang === 'ko'")
    assert page.locator("#explorer button[aria-pressed=true]").count() == 2, "still blind"
    page.locator(".language").click()
    page.wait_for_function("() => document.documentElement.lang === 'en'")
    kept = json.loads(page.evaluate("localStorage.getItem('yoyak-ratings')"))
    rated = [one for one in kept if one["kind"] == "rating"]
    assert [one["row"] for one in rated] == [f"dev_{place}" for place in range(12)]
    assert {one["left"] for one in rated} == {"run-lead", "run-kobart"}
    assert {(one["rater"], one["choice"]) for one in rated} == {("민지", "left")}
    page.get_by_role("button", name="Rate A against B blindly").click()
    assert page.locator(".xp-detail h4").first.inner_text() == "A lead"


def test_test_rows_have_no_scores_and_no_reference(explorer):
    page = explorer.page
    explorer.filter("t=test-aaaaaaaa&q=test_1")
    page.wait_for_function("() => explorer.shown === 11")
    assert page.locator(".xp-reference").count() == 0
    heads = page.locator(".xp-head > div").all_inner_texts()
    assert "A − B" not in heads
    assert page.locator("fieldset:visible").count() == 4


def test_a_table_that_comes_late_does_not_replace_the_one_asked_for_since(context, file):
    page = context.new_page()
    page.add_init_script(
        """const held = new Promise((done) => { window.release = done; });
        const text = Response.prototype.text;
        let calls = 0;
        Response.prototype.text = async function () {
            const isFirst = calls++ === 0;
            const found = await text.call(this);
            if (isFirst) await held;
            return found;
        };"""
    )
    page.goto(f"{file}#rows?t=dev-aaaaaaaa")
    page.wait_for_function("() => document.querySelector('.xp-status')?.textContent")
    page.evaluate("location.hash = '#rows?t=test-aaaaaaaa'")
    page.wait_for_function("() => explorer.shown === 20")
    page.evaluate("() => { release(); return new Promise((done) => setTimeout(done)); }")
    assert page.evaluate("explorer.shown") == 20
    page.close()


def test_the_language_changes_and_the_row_stays(explorer):
    explorer.filter("turns=3-4&row=dev_6")
    page = explorer.page
    page.locator(".language").click()
    page.wait_for_function("() => document.documentElement.lang === 'ko'")
    assert page.locator("#rows").inner_text() == "행 탐색"
    assert "60행 중" in page.inner_text(".xp-status")
    assert explorer.selected == "dev_6"
    page.locator(".language").click()
    page.wait_for_function("() => document.getElementById('rows').textContent === 'Rows'")


@pytest.mark.parametrize("width", [390, 768, 1200, 1600])
def test_nothing_is_wider_than_the_screen(explorer, width):
    explorer.filter("row=dev_9&a=run-tiny-bart")
    explorer.page.set_viewport_size({"width": width, "height": 900})
    assert explorer.page.evaluate("document.documentElement.scrollWidth") <= width
    explorer.page.set_viewport_size({"width": 1280, "height": 900})


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.skipif(find_spec("axe_playwright_python") is None, reason="axe-core is not installed")
def test_axe_finds_nothing(browser, file, scheme):
    from axe_playwright_python.sync_playwright import Axe

    # axe is a script, which the page's own policy refuses: the context lets it in for this test.
    with browser.new_context(color_scheme=scheme, bypass_csp=True, offline=True) as context:
        explorer = Explorer(context.new_page(), file).open("a=run-kobart&row=dev_13&q=점심")
        options = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]}
        found = Axe().run(explorer.page, "section:has(> #explorer)", options).response["violations"]
    assert [(one["id"], [node["html"][:200] for node in one["nodes"]]) for one in found] == []


def test_the_page_asked_for_nothing_and_complained_of_nothing(explorer):
    files = {
        url.partition("#")[0] for url in explorer.requests if not url.startswith(("data:", "blob:"))
    }
    assert files <= {explorer.address, "about:blank"}
    assert explorer.complaints == []


# --- a table too large for a file, as the server answers it ---

MANY = 12_457


@pytest.fixture(scope="module")
def large(browser, make):
    """A live page whose server has a split as large as train, with short texts."""
    small = _source(200, systems=(*NAMES, "solar", "qwen"))
    head = json.loads(tables_json([small]))
    head["tables"][0]["rows"] = MANY
    known = json.loads(rows_json(small))

    def answer(route):
        address = route.request.url
        if "/api/rows/" in address:
            start = int(address.partition("start=")[2])
            page = [
                [f"dev_{place}", *known[place % 200][1:]]
                for place in range(start, min(start + 2500, MANY))
            ]
            route.fulfill(json=page)
        elif "/api/rows" in address:
            route.fulfill(json=head)
        elif "/api/ratings/summary" in address:
            route.fulfill(json=[HOSTILE])
        elif "/api/ratings" in address and route.request.method == "POST":
            posted = route.request.post_data_json
            refused = posted.get("text") == "refused"
            kept = {"error": "너무 깁니다"} if refused else posted | {"at": 1.0}
            route.fulfill(json=kept, status=400 if refused else 200)
        elif "/api/ratings" in address:
            note = {"kind": "note", "table": "dev-aaaaaaaa", "row": "dev_2", "at": 1.0}
            route.fulfill(json=[note | {"rater": "준호", "text": HOSTILE}])
        elif address.endswith(".js"):
            route.fulfill(body="", content_type="text/javascript")
        else:
            route.fulfill(body=page_text, content_type="text/html")

    view = build([make.lead_run(), make.toy_run()], make.rest())
    page_text = html.render(view, live=True)
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.route("**/*", answer)
    page = context.new_page()
    page.goto("http://127.0.0.1:9/#rows?")
    page.wait_for_function(f"() => window.explorer.shown === {MANY}", timeout=120_000)
    yield page
    context.close()


def test_the_number_of_elements_does_not_grow_with_the_rows(large):
    counts = []
    for share in (0, 0.3, 0.99, 0.5):
        large.evaluate(
            """share => { const grid = document.querySelector('.xp-grid');
                grid.scrollTop = share * grid.scrollHeight; }""",
            share,
        )
        large.wait_for_function(
            """([share, many]) => { const rows = [...document.querySelectorAll('.xp-row')];
                const grid = document.querySelector('.xp-grid').getBoundingClientRect();
                const middle = (grid.top + grid.bottom) / 2;
                return rows.some(row => { const box = row.getBoundingClientRect();
                    return box.top <= middle && middle <= box.bottom
                        && Math.abs(row.ariaRowIndex / many - share) < 0.02; }); }""",
            arg=[share, MANY],
        )
        counts.append(large.evaluate("document.querySelectorAll('.xp-grid *').length"))
    assert max(counts) < 1000
    assert max(counts) - min(counts) < 60


def test_a_search_through_all_rows_finds_the_last_one(large):
    large.locator(".xp-search").fill(f"dev_{MANY - 1}")
    assert large.evaluate("window.explorer.shown") == 1
    assert (
        large.locator(".xp-row[aria-selected=true] > div").first.inner_text() == f"dev_{MANY - 1}"
    )
    large.locator(".xp-search").fill("")
    assert large.evaluate("window.explorer.shown") == MANY


def test_notes_and_ratings_go_to_the_server_and_its_refusals_are_shown(large):
    note = large.locator("#explorer textarea")
    status = large.locator("#explorer [role=status].quiet")
    note.fill("제목이 틀림")
    large.locator(".xp-grid").focus()
    large.wait_for_function("() => document.body.innerText.includes('Saved in the workspace.')")
    note.fill("refused")
    large.locator(".xp-grid").focus()
    large.wait_for_function("() => document.body.innerText.includes('Not saved: 너무 깁니다')")
    large.get_by_label("your name").fill("민지")
    large.get_by_role("button", name="Rate A against B blindly").click()
    large.keyboard.press("3")
    large.wait_for_function("() => document.body.innerText.includes('1 of 12457')")
    assert status.inner_text() == "Saved in the workspace."
    assert large.locator(".xp-verdict li").count() == 0  # nobody is told while rating
    large.get_by_role("button", name="Rate A against B blindly").click()
    large.wait_for_function("() => document.querySelector('.xp-verdict li')")
    assert "<img" in large.locator(".xp-verdict li").inner_text()


def test_notes_of_others_are_shown_and_inert(large):
    large.evaluate("location.hash = '#rows?row=dev_2'")
    large.wait_for_function("() => document.querySelector('.xp-note p')")
    assert large.locator(".xp-note p").inner_text().startswith("준호: </script><img")
    assert large.evaluate("window.pwned === undefined")

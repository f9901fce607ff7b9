"""One file, no foreign script, no request; text of models stays text."""

import re
from html.parser import HTMLParser

import msgspec
import pytest

from yoyak import messages
from yoyak.events import Failed, RunStatus
from yoyak.metrics.sanity_checks import Alarm
from yoyak.report.model.build import Compared, build
from yoyak.report.model.report import Example
from yoyak.report.render import charts, html
from yoyak.report.render.assets import SCRIPTS
from yoyak.report.sections.page import sections
from yoyak.values import Severity

HOSTILE = (
    "</title></td><script>window.pwned=1</script><img src=x onerror=pwned()>\"'\u202e\x00&amp;"
)


class Page(HTMLParser):
    def __init__(self, page):
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.words: list[str] = []
        self.scripts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data):
        (self.scripts if self.cdata_elem == "script" else self.words).append(data)


@pytest.fixture
def hostile(make):
    run = make.cut_run()
    failed = Failed(at=make.noon + 500, kind="RunFailed", message=HOSTILE)
    bad = run._replace(
        events=(*run.events, failed), status=RunStatus.FAILED, label=HOSTILE,
    )  # fmt: skip
    example = Example(
        id=HOSTILE, dialogue=HOSTILE, references=(HOSTILE,), answers=((HOSTILE, HOSTILE, 0.5),),
        why="worst",
    )  # fmt: skip
    return build(
        [make.lead_run(), bad],
        make.rest(title=HOSTILE, compared={make.basis: Compared(examples=(example,))}),
    )


def test_the_page_asks_for_nothing_and_runs_only_its_own_scripts(view):
    drawn = html.render(view)
    page = Page(drawn)
    assert len(re.findall("<script>", drawn)) == len(SCRIPTS)
    assert not any(name.startswith("on") for name, _ in page.attributes)
    sources = [
        value for name, value in page.attributes if name in {"src", "href", "xlink:href"} and value
    ]
    ours = ("#", "../", "data:,", "report.", "systems.csv")
    assert [value for value in sources if not value.startswith(ours)] == []
    policy = next(value for name, value in page.attributes if value and "default-src" in value)
    assert policy.startswith("default-src 'none'")
    (allowed,) = re.findall("script-src ([^;]*)", policy)
    assert "unsafe" not in allowed
    assert "og:image" not in drawn
    assert "@import" not in drawn
    assert not re.search(r"url\((?!#)", drawn)


def test_hostile_text_is_shown_and_not_obeyed(hostile):
    drawn = html.render(hostile)
    page = Page(drawn)
    assert len(re.findall("<script>", drawn)) == len(SCRIPTS)
    assert [code for code in page.scripts if "<img" in code] == []
    assert "img" not in page.tags
    assert "window.pwned=1" in "".join(page.words)
    assert not any(name == "onerror" for name, _ in page.attributes)
    assert "\u202e" not in drawn
    assert "\x00" not in drawn


@pytest.mark.parametrize("language", messages.LANGUAGES)
def test_the_page_says_its_language_and_what_a_toy_is(view, language):
    with messages.speaking(language):
        page = Page(html.render(view))
    assert ("lang", language) in page.attributes
    assert {"en": "nothing about quality", "ko": "품질을 뜻하지 않습니다"}[language] in "".join(
        page.words
    )


def test_every_column_says_its_title_where_the_table_is_folded(view):
    page = Page(html.render(view))
    labels = [value for name, value in page.attributes if name == "data-label"]
    assert labels
    assert all(labels)


def test_ids_are_unique(view):
    page = Page(html.render(view))
    ids = [value for name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    inner = [value for name, value in page.attributes if name == "href" and value[:1] == "#"]
    assert {value[1:] for value in inner} <= set(ids)


def test_alarms_are_the_first_section_after_the_figures_that_name_them(make):
    alarm = Alarm(
        key="metrics.alarm-below-constant", severity=Severity.ERROR,
        evidence={"mean": "18.33", "floor": "27.01"},
    )  # fmt: skip
    toy = make.toy_run()
    doubted = toy._replace(quality=msgspec.structs.replace(toy.quality, alarms=(alarm,)))
    drawn, clear = (
        html.render(build([make.lead_run(), one], make.rest())) for one in (doubted, toy)
    )
    assert '<a href="#findings">1 error</a>' in drawn
    assert '<a href="#findings">' not in clear.partition("<nav")[0]
    assert drawn.index('class="tiles"') < drawn.index('class="needs"') < drawn.index('id="summary"')
    assert 'class="clear"' in clear
    for page in (drawn, clear):
        assert page.count('id="findings"') == page.count('class="tiles"') == 1


def test_a_system_has_one_colour_in_every_chart_and_beside_its_name(make):
    """The second system of the line-up has the second colour, also where it stands alone."""
    toy = make.toy_run()._replace(summary_lengths=(40, 55, 58, 90))
    view = build([make.lead_run(), toy], make.rest())
    swatch = r'<span class="swatch" style="background:([^"]+)"></span>\s*(?:<a [^>]*>)?([^<]+)'
    found = {(colour, name.strip()) for colour, name in re.findall(swatch, html.render(view))}
    first, second = "var(--s0)", "var(--s1)"
    assert found - {("var(--ink)", "disk"), ("var(--ink)", "VRAM")} == {
        (first, "lead"), (second, "tiny-bart*"), (second, "tiny-bart"),
    }  # fmt: skip
    points = charts.points(charts.draw(view, sections(view)))
    for key in ("loss", "dev-rouge", "lengths"):
        assert {line.colour for line in points.plots[key]} == {second}, key
    ranked = charts.CHARTS["comparison"](view, 0).rows
    assert {row.name: row.colour for row in ranked if row.colour} == {
        "lead": first, "tiny-bart": second,
    }  # fmt: skip


def test_a_setting_that_reads_like_the_name_of_a_system_has_no_colour(make):
    """The engine of the recipe ``lead`` is called lead too."""
    drawn = html.render(build([make.lead_run(), make.toy_run()], make.rest()))
    settings = drawn.partition('<h2 id="configuration">')[2].partition("</section>")[0]
    assert ">lead</td>" in settings
    assert "swatch" not in settings


def test_the_marks_in_answers_are_explained_once(make):
    example = Example(
        id="dev_0", dialogue="#Person1#: 점심?", references=("점심을 먹는다",),
        answers=(("lead", "저녁을 먹는다", 0.5),), why="worst",
    )  # fmt: skip
    compared = {make.basis: Compared(examples=(example, example))}
    drawn = html.render(build([make.lead_run()], make.rest(compared=compared)))
    assert drawn.count(messages.text("report.mark-legend")) == 1
    assert drawn.count("<mark>저녁을 </mark>") == 2

"""One file, no script, no request; text of models stays text."""

import re
from html.parser import HTMLParser

import pytest

from yoyak import messages
from yoyak.events import Failed, RunStatus
from yoyak.report.model.build import Compared, build
from yoyak.report.model.report import Example
from yoyak.report.render import charts, html

HOSTILE = (
    "</title></td><script>window.pwned=1</script><img src=x onerror=pwned()>\"'\u202e\x00&amp;"
)


class Page(HTMLParser):
    def __init__(self, page):
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.words: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data):
        self.words.append(data)


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


def test_the_page_asks_for_nothing_and_runs_nothing(view):
    drawn = html.render(view)
    page = Page(drawn)
    assert "script" not in page.tags
    assert not any(name.startswith("on") for name, _ in page.attributes)
    sources = [
        value for name, value in page.attributes if name in {"src", "href", "xlink:href"} and value
    ]
    ours = ("#", "../", "data:,", "report.", "systems.csv")
    assert [value for value in sources if not value.startswith(ours)] == []
    policy = next(value for name, value in page.attributes if value and "default-src" in value)
    assert policy.startswith("default-src 'none'")
    assert "script-src" not in policy
    assert "@import" not in drawn
    assert not re.search(r"url\((?!#)", drawn)


def test_hostile_text_is_shown_and_not_obeyed(hostile):
    drawn = html.render(hostile)
    page = Page(drawn)
    assert "script" not in page.tags
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


def test_without_the_extra_the_page_says_so(view, monkeypatch):
    monkeypatch.setattr(charts, "is_available", lambda: False)
    drawn = html.render(view)
    assert "<svg" not in drawn
    assert "yoyak[report]" in drawn

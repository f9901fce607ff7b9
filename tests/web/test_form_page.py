"""Pages with a form: each sentence is there in every language, and the scripts find it."""

import re
from html.parser import HTMLParser
from importlib.resources import files

import msgspec
import pytest

from yoyak import messages
from yoyak.errors import InputMissing
from yoyak.web.form_page import form_page

PAGES = {
    "try": {"systems": (), "topics": {}, "kinds": ("greedy", "beam", "sample")},
    "steer": {"recipes": ("lead",), "chosen": None, "gpus": ()},
}
LETTERS = re.compile(r"[^\W\d_]{2}")


class Page(HTMLParser):
    """What a page says, by key; ``unswitched`` is text that no switch of the language finds."""

    def __init__(self, html):
        super().__init__()
        self.said, self.unswitched, self.texts = {}, [], None
        self._open = []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        if tag not in {"meta", "link", "input"}:
            self._open.append((tag, given))
        if "data-label" in given:
            self.said[given["data-label"]] = given["aria-label"]

    def handle_endtag(self, tag):
        assert self._open.pop()[0] == tag

    def handle_data(self, data):
        tag, given = self._open[-1] if self._open else ("", {})
        if given.get("id") == "texts":
            self.texts = msgspec.json.decode(data)
        elif "data-text" in given:
            self.said[given["data-text"]] = data
        elif LETTERS.search(data) and tag != "title" and "data-language" not in given:
            self.unswitched.append(data.strip())


def page(name, language, **values):
    with messages.speaking(language):
        return Page(form_page(name, **PAGES[name] | values))


@pytest.mark.parametrize("name", PAGES)
def test_every_sentence_of_the_page_is_in_it_in_every_language(name):
    shown = {one: page(name, one) for one in messages.LANGUAGES}
    own = {"lead"} if name == "steer" else set()  # a recipe's name
    for language, found in shown.items():
        assert set(found.unswitched) <= own
        for one in messages.LANGUAGES:
            texts = found.texts[one]
            assert {key: texts[key] for key in found.said} == shown[one].said
        assert len(found.said) > 20, language


@pytest.mark.parametrize("name", PAGES)
def test_every_sentence_of_the_script_is_in_the_page(name):
    script = "".join(
        (files("yoyak.web") / file).read_text(encoding="utf-8")
        for file in ("form.js", f"{name}.js")
    )
    keys = set(re.findall(r'\b(?:said|fill|sentence)\("([\w-]+)"', script))
    assert len(keys) > 5
    assert keys <= page(name, "en").texts["ko"].keys()


def test_why_a_form_cannot_be_used_is_said_in_every_language():
    error = InputMissing("pages.try-busy", run="</script><img src=x>")
    found = page("try", "ko", trouble=error)
    assert "<img src=x>" in found.said["trouble"]
    assert re.search("[가-힣]", found.said["trouble"])
    assert "is running" in found.texts["en"]["trouble"]

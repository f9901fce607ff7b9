"""The pages to try systems and to steer runs, in a real browser."""

import contextlib
import re
import sys
import threading
import time
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType, SimpleNamespace

import msgspec
import pytest

from yoyak.config import load
from yoyak.config.project import Project
from yoyak.data import sample
from yoyak.data.contest import read_contest
from yoyak.data.corpus import read_corpus
from yoyak.events import Finished, Queued
from yoyak.prediction.resident_model import WARM_UP
from yoyak.runs.workspace import Workspace
from yoyak.values import Prediction
from yoyak.web.commands import Commands, CommandState
from yoyak.web.steer import SteerContext

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(find_spec("uvicorn") is None, reason="the [serve] extra is missing"),
]

HOSTILE = "<img src=x onerror='document.title=1'>"
WAIT = 60_000


class Slow:
    """Writes the last turn, and waits before its end until the test lets it finish."""

    gate = threading.Event()

    def generate(self, job):
        for dialogue in job.dialogues:
            text = f"{HOSTILE} {dialogue.turns[-1].text}"
            if dialogue.turns != WARM_UP.turns:
                job.on_text(dialogue.id, text[: len(HOSTILE) + 2])
                while not self.gate.wait(0.01) and not job.stop_asked():
                    continue
            kind = type(job.decode).__name__
            yield Prediction(id=dialogue.id, text=f"{text} {kind}", raw=text, tokens=7)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A server in a thread; ``started`` has the actions that were asked for instead of run."""
    import uvicorn

    from yoyak.web import app

    patch = pytest.MonkeyPatch()
    module = ModuleType("slow_engines")
    module.Slow = Slow
    patch.setitem(sys.modules, "slow_engines", module)
    patch.setenv("HF_HUB_OFFLINE", "1")
    corpus = read_corpus(sample.folder())
    workspace = Workspace(tmp_path_factory.mktemp("pages") / "workspace")
    for name in ("lead", "waits"):
        recipe = msgspec.structs.replace(
            load.resolve("lead").recipe, name=name, engine="slow_engines:Slow"
        )
        run = workspace.find_or_create(recipe, corpus, lambda: b"{}")
        run.emit(Queued(at=1.0, recipe=name))
        if name == "lead":
            run.emit(Finished(at=2.0, seconds=1.0))
    started, tokens = [], []

    def start(self, action):
        state = CommandState(
            id=len(started) + 1, command=self.shown(action), started_at=time.time(), code=0,
            output=HOSTILE,
        )  # fmt: skip
        started.append((action, state))
        return state

    patch.setattr(Commands, "start", start)
    patch.setattr(Commands, "states", lambda _: tuple(state for _, state in reversed(started)))
    context = SteerContext(Project(), lambda: corpus, lambda: read_contest(sample.folder()))
    pages = app.application(workspace, steer=context, announce=tokens.append)
    server = uvicorn.Server(uvicorn.Config(pages, port=0, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    pages.state.sessions.new_token()
    yield SimpleNamespace(url=f"http://127.0.0.1:{port}", tokens=tokens, started=started)
    Slow.gate.set()
    server.should_exit = True
    thread.join()
    patch.undo()


@pytest.fixture(scope="module")
def context(site, browser):
    context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    yield context
    context.close()


@contextlib.contextmanager
def without_errors(context):
    """A new page whose scripts raise nothing until it is closed."""
    page = context.new_page()
    complaints = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    page.close()
    assert complaints == []


@pytest.fixture
def page(context):
    with without_errors(context) as page:
        yield page


def violations(page):
    if find_spec("axe_playwright_python") is None:
        return []
    from axe_playwright_python.sync_playwright import Axe

    found = []
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        found += [one["id"] for one in Axe().run(page).response["violations"]]
    return found


def test_a_summary_is_streamed_scored_and_compared(site, page):
    from playwright.sync_api import expect

    Slow.gate.clear()
    page.goto(f"{site.url}/try")
    page.select_option("#topic", index=1)
    expect(page.locator("#dialogue")).not_to_have_value("")
    expect(page.locator("#reference")).not_to_have_value("")
    last = page.locator("#dialogue").input_value().splitlines()[-1].partition(": ")[2]
    page.fill("#reference", f"{last} 끝")
    page.click("#go")
    card = page.locator("#answers article")
    expect(card).to_contain_text("<img", timeout=WAIT)
    expect(card).to_contain_text("Writing")
    Slow.gate.set()
    expect(card).to_contain_text("ROUGE mean", timeout=WAIT)
    expect(card.locator("del")).to_have_text("끝")
    assert "Greedy" in " ".join(card.locator("ins").all_text_contents())
    assert page.locator("#answers img").count() == 0
    assert page.title() != "1"
    page.select_option("#decode", "beam")
    expect(page.locator("[data-kind=beam]")).to_be_visible()
    page.locator("#dialogue").press("Control+Enter")
    expect(card).to_contain_text("BeamSearch", timeout=WAIT)
    assert violations(page) == []


def test_an_answer_can_be_stopped_and_asked_again(site, page):
    from playwright.sync_api import expect

    Slow.gate.clear()
    page.goto(f"{site.url}/try")
    page.fill("#dialogue", "#Person1#: 세 시에 봐요.")
    page.click("#go")
    expect(page.locator("#answers article")).to_contain_text("Writing", timeout=WAIT)
    page.click("#stop")
    expect(page.locator("#go")).to_be_enabled()
    Slow.gate.set()
    page.click("#go")
    expect(page.locator("#answers article")).to_contain_text("tokens", timeout=WAIT)
    page.fill("#dialogue", "   .")
    page.fill("#dialogue", "#Person1#:")
    page.click("#go")
    expect(page.locator("#problem")).to_contain_text("no dialogue")


def test_a_pasted_chat_becomes_a_dialogue_of_its_last_day(site, page):
    from playwright.sync_api import expect

    page.goto(f"{site.url}/try")
    chat = (
        "2026. 7. 1. 오전 9:00, 김지수 : 010-1234-5678로 전화해\n"
        "2026. 7. 1. 오전 9:01, 박민호 : 지수야 알겠어\n"
        f"2026. 7. 2. 오전 9:02, 박민호 : {HOSTILE}\n"
    )
    page.evaluate("(text) => navigator.clipboard.writeText(text)", chat)
    page.focus("#dialogue")
    page.keyboard.press("Control+V")
    expect(page.locator("#dialogue")).to_have_value(f"#Person1#: {HOSTILE}")
    page.select_option("#day", "2026-07-01")
    masked = "#Person1#: #PhoneNumber#로 전화해\n#Person2#: #Person1#야 알겠어"
    expect(page.locator("#dialogue")).to_have_value(masked)
    expect(page.locator("#chat-note")).to_contain_text("2 turns of 2 speakers")
    page.uncheck("#mask")
    expect(page.locator("#dialogue")).to_have_value(
        "#Person1#: 010-1234-5678로 전화해\n#Person2#: 지수야 알겠어"
    )
    old = {"name": "talk.txt", "mimeType": "text/plain", "buffer": chat.encode("cp949")}
    page.set_input_files("#chat", old)
    expect(page.locator("#dialogue")).to_have_value(f"#Person1#: {HOSTILE}")
    page.evaluate("navigator.clipboard.writeText('#Person1#: 보통 글')")
    page.fill("#dialogue", "")
    page.focus("#dialogue")
    page.keyboard.press("Control+V")
    expect(page.locator("#dialogue")).to_have_value("#Person1#: 보통 글")


def test_runs_are_steered_after_signing_in(site, page, browser):
    from playwright.sync_api import expect

    page.context.clear_cookies()  # another test may have signed in, and started a run
    earlier = len(site.started)
    page.goto(f"{site.url}/steer")
    expect(page.locator("#sign-in")).to_be_visible()
    expect(page.locator("#signed-in")).to_be_hidden()
    assert violations(page) == []
    page.fill("#token", "wrong")
    page.keyboard.press("Enter")
    expect(page.locator("#problem")).to_contain_text("wrong or was used")
    token = site.tokens[-1]
    page.goto("about:blank")
    page.goto(f"{site.url}/steer#{token}")
    expect(page.locator("#signed-in")).to_be_visible(timeout=WAIT)
    assert page.url == f"{site.url}/steer"
    a_used_token_is_refused(site, browser, token)

    # A recipe, its plan and its command.
    page.select_option("#recipe", "qwen3-4b")
    expect(page.locator("#command")).to_have_text("yoyak run qwen3-4b", timeout=WAIT)
    page.select_option("#gpu", "RTX 3090")
    expect(page.locator("#figure-time")).to_contain_text("min", timeout=WAIT)
    page.fill("#find", "epochs")
    before = page.locator("#figure-time").inner_text()
    page.fill("[id='set-train.epochs']", "2")
    expect(page.locator("#command")).to_have_text("yoyak run --set=train.epochs=2 qwen3-4b")
    expect(page.locator("#figure-time")).not_to_have_text(before)
    expect(page.locator("[id='about-train.epochs']")).to_contain_text("≥ 0")
    page.click("#copy")
    expect(page.locator("#copied")).to_have_text("copied")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == "yoyak run --set=train.epochs=2 qwen3-4b"
    page.fill("[id='set-train.epochs']", "-2")
    expect(page.locator("#refusals")).to_contain_text("train.epochs", timeout=WAIT)
    expect(page.locator("#start")).to_be_disabled()
    page.fill("[id='set-train.epochs']", "2")
    expect(page.locator("#start")).to_be_enabled()
    page.click("#start")
    output = page.locator("#commands pre").first
    expect(output).to_have_text(HOSTILE, timeout=WAIT)
    assert page.locator("#commands img").count() == 0

    # Runs, prune with its preview, the checklist.
    page.get_by_role("button", name="Run next: ").click()
    expect(page.locator("#prune")).to_be_disabled()
    page.click("#preview")
    expect(page.locator("#prune")).to_be_enabled()
    page.click("#prune")
    expect(page.locator("#prune")).to_be_disabled()
    page.click("#check")
    expect(page.locator("#checklist")).to_contain_text("Answered all of test", timeout=WAIT)
    started = site.started[earlier:]
    assert [state.command.split()[1:3] for _, state in started] == [
        ["run", "--set=train.epochs=2"], ["prioritise", started[1][0].run],
        ["prune", "--dry-run"], ["prune"],
    ]  # fmt: skip
    assert violations(page) == []

    # A section that the recipe does not have comes in with its first setting.
    page.select_option("#recipe", "kobart")
    expect(page.locator("#command")).to_have_text("yoyak run kobart", timeout=WAIT)
    page.fill("#find", "align.method")
    page.select_option("[id='set-align.method']", "mrt")
    expect(page.locator("#command")).to_have_text("yoyak run --set=align.method=mrt kobart")
    expect(page.locator("#start")).to_be_enabled()

    # Signed in stays signed in, in another tab too; the cookie is not for scripts.
    other = page.context.new_page()
    other.goto(f"{site.url}/steer")
    expect(other.locator("#signed-in")).to_be_visible(timeout=WAIT)
    assert other.evaluate("document.cookie") == ""
    other.close()


def a_used_token_is_refused(site, browser, token):
    from playwright.sync_api import expect

    stranger = browser.new_page()
    stranger.goto(f"{site.url}/steer#{token}")
    expect(stranger.locator("#problem")).to_contain_text("used already", timeout=WAIT)
    expect(stranger.locator("#signed-in")).to_be_hidden()
    stranger.close()


def test_the_3b_starts_with_two_epochs_in_as_many_actions_as_the_guide_says(site, page):
    from playwright.sync_api import expect

    page.goto(f"{site.url}/steer#{site.tokens[-1]}")
    expect(page.locator("#command")).not_to_be_empty(timeout=WAIT)
    actions = (
        lambda: page.select_option("#recipe", "llama32-ko-3b"),
        lambda: page.fill("[id='set-train.epochs']", "2"),
        lambda: page.click("#start"),
    )
    commands = ("yoyak run llama32-ko-3b", "yoyak run --set=train.epochs=2 llama32-ko-3b")
    for act, command in zip(actions, (*commands, commands[-1]), strict=True):
        act()
        expect(page.locator("#command")).to_have_text(command, timeout=WAIT)
    expect(page.locator("#commands pre").first).to_have_text(HOSTILE, timeout=WAIT)
    assert site.started[-1][1].command == commands[-1]
    docs = Path(__file__).parents[2] / "docs"
    for name, words in (("report.md", "takes {} actions"), ("report.ko.md", "동작 {}번(레시피")):
        assert words.format(len(actions)) in (docs / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("width", [390, 1200])
@pytest.mark.parametrize("path", ["/try", "/steer"])
def test_no_page_is_wider_than_its_window(site, page, path, width):
    from playwright.sync_api import expect

    page.set_viewport_size({"width": width, "height": 900})
    page.goto(f"{site.url}{path}" + (f"#{site.tokens[-1]}" if path == "/steer" else ""))
    if path == "/steer":
        expect(page.locator("#command")).not_to_be_empty(timeout=WAIT)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.fixture
def reader(browser):
    """A page in a browser of its own, which remembers the language that its reader chooses."""
    with browser.new_context() as context, without_errors(context) as page:
        yield page


def test_the_language_changes_around_what_was_typed_and_written(site, reader):
    from playwright.sync_api import expect

    Slow.gate.set()
    page = reader
    page.goto(f"{site.url}/try")
    page.select_option("#topic", index=1)
    expect(page.locator("#reference")).not_to_have_value("")
    page.click("#go")
    card = page.locator("#answers article")
    expect(card).to_contain_text("ROUGE mean", timeout=WAIT)
    typed, written = page.input_value("#dialogue"), card.locator(".text").inner_text()
    page.get_by_role("button", name="한국어").click()
    expect(card).to_contain_text("ROUGE 평균")
    expect(page.locator("#example")).to_contain_text("번째")
    expect(page.get_by_role("button", name="English")).to_be_focused()
    assert page.title() == page.inner_text("h1") == "완료된 시스템 써 보기"
    assert page.input_value("#dialogue") == typed
    assert card.locator(".text").inner_text() == written
    page.fill("#dialogue", "#Person1#:")
    page.click("#go")
    expect(page.locator("#problem")).to_contain_text("대화 내용이 없습니다")
    assert violations(page) == []


@pytest.mark.parametrize("path", ["/", "/try", "/steer"])
def test_the_page_that_changed_its_language_is_the_page_in_that_language(site, reader, path):
    from playwright.sync_api import expect

    def shown():
        return (
            reader.inner_text("body"),
            reader.title(),
            reader.locator("html").get_attribute("lang"),
        )

    reader.goto(f"{site.url}{path}")
    english = shown()
    for name, language in (("한국어", "ko"), ("English", "en")):
        reader.get_by_role("button", name=name).click()
        expect(reader.locator("html")).to_have_attribute("lang", language)
        changed = shown()
        reader.reload()
        assert shown() == changed
        assert (changed == english) == (language == "en")


def test_steering_goes_on_in_the_other_language(site, reader):
    from playwright.sync_api import expect

    page = reader
    page.goto(f"{site.url}/steer#{site.tokens[-1]}")
    page.select_option("#recipe", "kobart", timeout=WAIT)
    expect(page.locator("#command")).to_have_text("yoyak run kobart", timeout=WAIT)
    page.click("#check")
    expect(page.locator("#checklist")).to_contain_text("Answered all of test", timeout=WAIT)
    page.fill("[id='set-train.epochs']", "2")  # its plan gives up the one of the other language
    about = page.locator("[id='about-train.epochs']")
    expect(about).to_contain_text("default")
    page.get_by_role("button", name="한국어").click()
    expect(about).to_contain_text("기본값", timeout=WAIT)
    expect(page.locator("#checklist")).to_contain_text("test를 모두 예측했고", timeout=WAIT)
    expect(page.locator("#runs")).to_contain_text("대기", timeout=WAIT)
    expect(page.locator("#figure-disk")).to_contain_text("여유", timeout=WAIT)
    expect(page.locator("#command")).to_have_attribute("aria-label", "명령")
    changed = "yoyak run --set=train.epochs=2 kobart"
    expect(page.locator("#command")).to_have_text(changed, timeout=WAIT)
    expect(page.locator("[id='set-train.epochs']")).to_have_value("2")
    assert re.search("[가-힣]", about.inner_text().splitlines()[0])
    assert violations(page) == []

"""The row explorer in Chromium: first paint, size, milliseconds per frame and per filter.

``python benchmarks/explorer.py`` needs Chromium and Playwright. Dialogues as long as the contest's:
499 rows × 5 and × 20 systems as files, 12,457 rows × 5 as a server sends them.
"""

import json
import os
import platform
import random
import shutil
import statistics
import tempfile
import time
from pathlib import Path

from yoyak.report.model.build import Rest, build
from yoyak.report.model.rows import RowColumn, RowSource, RowSystem
from yoyak.report.render import html
from yoyak.report.render.explorer import rows_json, tables_json
from yoyak.values import Dialogue, Prediction, Split, Turn

DIALOGUE, REFERENCE, SUMMARY = 400, 85, 85
"""Characters, as in the contest's dev split."""

SCROLL = """async () => {
    const grid = document.querySelector('.xp-grid');
    const frames = [], work = [];
    let last = await new Promise(requestAnimationFrame);
    for (let step = 0; step < 120; step++) {
        const began = performance.now();
        grid.scrollTop += 240;
        grid.dispatchEvent(new Event('scroll'));
        grid.getBoundingClientRect();
        document.querySelector('.xp-row').getBoundingClientRect();
        work.push(performance.now() - began);
        const now = await new Promise(requestAnimationFrame);
        frames.push(now - last);
        last = now;
    }
    return { frames, work };
}"""
FILTERS = """queries => queries.map((query) => {
    const input = document.querySelector('.xp-search');
    const began = performance.now();
    input.value = query;
    input.dispatchEvent(new Event('input'));
    document.querySelector('.xp-grid').getBoundingClientRect();
    return performance.now() - began;
})"""
QUERIES = ["회의", "ㅎㅇ", "ㅈㅅ 내일", "없는낱말", ""]
PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"


def source(rows, systems, seed=0):
    chosen = random.Random(seed)
    words = [
        "".join(chr(chosen.randrange(0xAC00, 0xD7A3)) for _ in range(chosen.randint(1, 4)))
        for _ in range(3000)
    ] + ["회의", "점심", "내일"] * 20

    def written(characters):
        found = []
        while sum(map(len, found)) + len(found) < characters:
            found.append(chosen.choice(words))
        return " ".join(found)

    dialogues = tuple(
        Dialogue(
            id=f"dev_{place}", topic="회의 예약", references=(written(REFERENCE),),
            turns=tuple(
                Turn(speaker=f"#Person{1 + turn % 2}#", text=written(DIALOGUE / 10))
                for turn in range(8)
            ),
        )
        for place in range(rows)
    )  # fmt: skip
    split = Split(name="dev", dialogues=dialogues, fingerprint="ab" * 32)
    columns = [
        RowColumn(
            RowSystem(run=f"run-{number}", name=f"system-{number}", toy=False, mean=None),
            [Prediction(id=one.id, text=written(SUMMARY), raw="") for one in dialogues],
            None,
        )
        for number in range(systems)
    ]
    return RowSource("dev-abababab", "data", split, columns)


def show(name, page):
    scrolled = page.evaluate(SCROLL)
    filtered = page.evaluate(FILTERS, QUERIES)
    work, frames = (sorted(scrolled[key]) for key in ("work", "frames"))
    late = work[int(0.95 * len(work))]
    print(
        f"{name:<22} scroll: {statistics.median(work):.1f} ms of work a frame, "
        f"95th percentile {late:.1f}; frame {statistics.median(frames):.1f} ms; "
        f"filter: {statistics.median(filtered):.0f} ms, slowest {max(filtered):.0f}; "
        f"{page.evaluate('document.querySelectorAll(`.xp-grid *`).length')} elements"
    )  # fmt: skip


def main():
    from playwright.sync_api import sync_playwright

    machine = f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores"
    print(f"row explorer, {machine}, load {os.getloadavg()[0]:.1f}")
    view = build([], Rest(title="bench", workspace="workspace", written_at=0.0))
    arguments = ["--no-sandbox", "--disable-gpu"]
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=arguments
        )
        for systems in (5, 20):
            began = time.perf_counter()
            text = html.render(view, [source(499, systems)])
            seconds = time.perf_counter() - began
            path = Path(folder) / "index.html"
            path.write_text(text, encoding="utf-8")
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.goto(path.as_uri())
            paint = page.wait_for_function(PAINT).json_value()
            page.goto("about:blank")
            page.goto(f"{path.as_uri()}#rows?")
            page.wait_for_function("() => window.explorer.shown === 499")
            page.wait_for_timeout(1000)
            print(
                f"499 × {systems}: {len(text.encode()) / 1e6:.2f} MB, rendered in {seconds:.1f} s, "
                f"first paint {paint:.0f} ms"
            )
            show(f"499 rows × {systems}", page)
            page.close()
        many(browser, html.render(view, live=True))
        browser.close()


def many(browser, text):
    """12,457 rows × 5, the rows of a small table again and again under their own ids."""
    rows, small = 12_457, source(500, 5)
    known, head = json.loads(rows_json(small)), json.loads(tables_json([small]))
    head["tables"][0]["rows"] = rows

    def answer(route):
        address = route.request.url
        if "/api/rows/" in address:
            start = int(address.partition("start=")[2])
            places = range(start, min(start + 2500, rows))
            route.fulfill(json=[[f"dev_{place}", *known[place % 500][1:]] for place in places])
        elif "/api/rows" in address:
            route.fulfill(json=head)
        elif "/api/" in address:
            route.fulfill(json=[])
        elif "/files/" in address:
            route.fulfill(body="", content_type="text/javascript")
        else:
            route.fulfill(body=text, content_type="text/html")

    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.route("**/*", answer)
    page.goto("http://127.0.0.1:9/#rows?")
    page.wait_for_function(f"() => window.explorer?.shown === {rows}", timeout=300_000)
    page.wait_for_timeout(5000)
    show("12,457 rows × 5", page)


if __name__ == "__main__":
    main()

"""Takes the docs' pictures of a report: ``python scripts/screenshots.py REPORT.html OUT.png``.

Needs Debian's Chromium and Playwright. The network is off: the page has to do without it.
"""

import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright


def main(page: Path, picture: Path) -> None:
    """Draws the page in a window of 1280 × 1500 pixels."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        context = browser.new_context(viewport={"width": 1280, "height": 1500}, offline=True)
        tab = context.new_page()
        tab.goto(page.resolve().as_uri())
        tab.screenshot(path=picture)
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

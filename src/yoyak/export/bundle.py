"""Pack the report and every record that it links to into one ZIP, in which its links work."""

import io
import zipfile
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

from yoyak.errors import BadData
from yoyak.files import atomic
from yoyak.report.render.write import Paths
from yoyak.runs.redact import secret_line
from yoyak.runs.workspace import Workspace

_MOMENT = (1980, 1, 1, 0, 0, 0)
"""Of every file in the archive, so that equal content is an equal archive."""


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.records: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take up the relative address of a record."""
        address = dict(attrs).get("href") if tag == "a" else None
        if address and address.startswith("../"):
            self.records.add(unquote(address[3:].partition("#")[0]))


def bundle(workspace: Workspace, report: Paths, target: Path) -> tuple[str, ...]:
    """Write ``target`` with the report's files and the records it links to; return their names.

    The page holds the dialogues and summaries of the data; the records hold neither.

    Raises:
        BadData: a record holds a secret.
        CannotWrite, DiskFull: as in ``atomic.write_bytes``.
    """
    page = report.html.read_text(encoding="utf-8")
    links = _Links()
    links.feed(page)
    root = workspace.folder.resolve()
    contents = {f"{report.html.parent.name}/{path.name}": path.read_bytes() for path in report}
    for record in sorted(links.records):
        path = (root / record).resolve()
        if path.is_relative_to(root) and path.is_file():
            contents[record] = _without_secret(path)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as packed:
        for name, content in contents.items():
            packed.writestr(zipfile.ZipInfo(name, _MOMENT), content, zipfile.ZIP_DEFLATED)
    atomic.write_bytes(target, archive.getvalue())
    return tuple(contents)


def _without_secret(path: Path) -> bytes:
    content = path.read_bytes()
    line = secret_line(content.decode("utf-8", "replace"))
    if line is not None:
        raise BadData("report.bundle-secret", path=path, line=line)
    return content

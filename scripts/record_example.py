"""Records a workspace as an example for the docs: ``python scripts/record_example.py FROM TO``.

Keeps what a report reads, and no weights: answers and scores byte for byte, because their hashes
are recorded. In all other files the clock starts at a moment of its own, and host, process ids and
paths are those of nobody. Every figure stays as it was. For our own sample only, never for a
contest's data.
"""

import json
import re
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path

START = 1_767_574_800.0  # 2026-01-05 10:00:00 in Seoul
KEPT = (
    "ledger.jsonl", "runs/*/identity.json", "runs/*/recipe.json", "runs/*/provenance.json",
    "runs/*/events.jsonl", "submissions/*/manifest.json",
)  # fmt: skip
VERBATIM = (
    "runs/*/predictions/*.jsonl", "runs/*/scores/*.json", "submissions/*/submission.csv",
)  # fmt: skip
MOMENTS = {"at", "created_at", "written_at"}
PACKAGES = ("torch", "transformers", "peft", "bitsandbytes", "numpy", "scipy", "python-mecab-ko")
PLAIN = {
    "host": "example", "pid": 1, "platform": "Linux", "data_folder": "sample",
    "command": ["yoyak", "run"], "environment": {}, "code": None,
}  # fmt: skip


def main(source: Path, target: Path) -> None:
    """Writes the records of ``source`` below ``target``, which is emptied first."""
    for folder in ("runs", "submissions"):
        shutil.rmtree(target / folder, ignore_errors=True)
    runs = sorted(path.name for path in (source / "runs").iterdir())
    names = {name: f"260105-1000-{name.split('-', 2)[2]}" for name in runs}
    first = min(
        json.loads(path.read_bytes().split(b"\n", 1)[0])["at"]
        for path in source.glob("runs/*/events.jsonl")
    )
    for path in sorted(one for kind in KEPT for one in source.glob(kind)):
        written = target / renamed(path.relative_to(source).as_posix(), names)
        written.parent.mkdir(parents=True, exist_ok=True)
        text = renamed(path.read_text(encoding="utf-8"), names)
        if path.suffix == ".jsonl":
            lines = (plain(json.loads(line), first) for line in text.splitlines())
            drawn = "".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in lines)
        else:
            drawn = json.dumps(plain(json.loads(text), first), ensure_ascii=False, indent=1) + "\n"
        written.write_text(drawn, encoding="utf-8")
    for path in sorted(one for kind in VERBATIM for one in source.glob(kind)):
        written = target / renamed(path.relative_to(source).as_posix(), names)
        written.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, written)


def renamed(text: str, names: dict[str, str]) -> str:
    """``text`` with the example's names of runs."""
    return re.sub("|".join(map(re.escape, names)), lambda found: names[found.group()], text)


def plain(value: object, first: float) -> object:
    """A record on the example's clock, without what tells of a machine or a person."""
    if isinstance(value, list):
        return [plain(one, first) for one in value]
    if not isinstance(value, dict):
        return value
    kept = {key: plain(one, first) for key, one in value.items()}
    for key in MOMENTS & kept.keys():
        kept[key] = moved(kept[key], first)
    if "packages" in kept:
        kept["packages"] = {name: kept["packages"][name] for name in PACKAGES}
    return kept | {key: one for key, one in PLAIN.items() if key in kept}


def moved(moment: float | str, first: float) -> float | str:
    """A moment, in seconds or as ISO 8601, on the example's clock."""
    if isinstance(moment, str):
        seconds = datetime.fromisoformat(moment).timestamp() - first + START
        return datetime.fromtimestamp(round(seconds), UTC).isoformat()
    return round(moment - first + START, 3)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

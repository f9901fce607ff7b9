"""Find the files of train, dev and test in a folder by what their names say.

A folder counts as one split if its own name says so and nothing in it says otherwise (AI Hub has
``Training/…`` and ``Validation/…`` with a file for each topic).
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from yoyak.data.contest import SplitFiles
from yoyak.data.corpus import EXTENSIONS
from yoyak.values import SPLITS, SplitName

ARCHIVES = (".zip", ".gz", ".xz", ".bz2", ".7z", ".tar", ".parquet", ".xlsx", ".xls")
"""Files that may hold data and have to be unpacked or converted first."""

_WORDS: Mapping[SplitName, frozenset[str]] = {
    "train": frozenset({"train", "training", "학습", "학습용", "훈련", "훈련용"}),
    "dev": frozenset({"dev", "valid", "validation", "val", "검증", "검증용"}),
    "test": frozenset({"test", "testing", "시험", "시험용", "테스트"}),
}
_NO_DATA = frozenset(
    {"submission", "submissions", "prediction", "predictions", "pred", "preds", "result",
     "results", "output", "outputs", "references"}
)  # fmt: skip
"""Words in the names of files that hold answers, not dialogues."""

_SKIPPED = frozenset({"workspace", "node_modules", "__pycache__", "venv"})
_DEEPEST = 5


class FoundFiles(NamedTuple):
    """What a folder holds; each split's candidates in order, the one with the usual name alone."""

    splits: Mapping[SplitName, tuple[Path, ...]]
    unnamed: tuple[Path, ...]
    """Data files whose name says no split."""
    archives: tuple[Path, ...]


def find_files(folder: Path) -> FoundFiles:
    """Return the data files below ``folder`` by split; hidden folders are left out."""
    entries = list(_entries(folder, _DEEPEST))
    splits: dict[SplitName, tuple[Path, ...]] = {}
    for name in SPLITS:
        named = tuple(path for split, path in entries if split == name)
        usual = tuple(path for path in named if path.stem == name)
        splits[name] = usual if len(usual) == 1 else named
    unnamed = [path for split, path in entries if split is None]
    return FoundFiles(
        splits,
        tuple(path for path in unnamed if path.suffix.lower() in EXTENSIONS),
        tuple(path for path in unnamed if path.suffix.lower() in ARCHIVES),
    )


def data_folder(paths: Sequence[Path]) -> Path:
    """Return the deepest folder that has all of ``paths`` below it."""
    return Path(os.path.commonpath([path.absolute().parent for path in paths]))


def declared_files(folder: Path, paths: Mapping[SplitName, Path]) -> SplitFiles:
    """Return what ``contest.toml`` in ``folder`` has to declare: paths of other names only."""
    named = {}
    for split, path in paths.items():
        usual = {folder / split, *(folder / f"{split}{end}" for end in EXTENSIONS)}
        if path.absolute() not in {one.absolute() for one in usual if one.exists()} or (
            sum(one.exists() for one in usual) > 1
        ):
            named[split] = os.path.relpath(path.absolute(), folder.absolute())
    return SplitFiles(**named)


def split_of(name: str) -> SplitName | None:
    """Return the split that a file's name says; ``None`` for none or several."""
    words = _words(name)
    said = [split for split, known in _WORDS.items() if words & known]
    return said[0] if len(said) == 1 and not words & _NO_DATA else None


def _words(name: str) -> set[str]:
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return set(re.findall(r"[a-z]+|[가-힣]+", apart.casefold()))


def _entries(folder: Path, depth: int) -> Iterator[tuple[SplitName | None, Path]]:
    """Yield data files, archives, and folders that are a split as a whole."""
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.name in _SKIPPED:
            continue
        if path.is_dir() and depth:
            inside = list(_entries(path, depth - 1))
            files = [one for _, one in inside if one.is_dir() or one.suffix.lower() in EXTENSIONS]
            split = split_of(path.name)
            if split and files and all(said in {None, split} for said, _ in inside):
                yield split, files[0] if len(files) == 1 else path
            else:
                yield from inside
        elif path.suffix.lower() in EXTENSIONS and not _words(path.name) & _NO_DATA:
            yield split_of(path.stem), path
        elif path.suffix.lower() in ARCHIVES:
            yield None, path

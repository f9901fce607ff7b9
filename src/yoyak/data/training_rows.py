"""The rows that a recipe trains on: train, changed as its ``[data]`` declares.

A pure function of corpus and settings. Generated rows are marked by their id, which begins with
what they are (``paraphrase:train_12``); they are never in dev, test or a held-out fold.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from yoyak.config.schema import DataSettings, ImportedRows
from yoyak.data.clean import SPEAKER
from yoyak.data.contest import read_contest
from yoyak.data.corpus import read_split, split_of
from yoyak.data.folds import assign_folds
from yoyak.data.near_duplicates import find_near_duplicates, letters_of
from yoyak.errors import BadData, InputMissing
from yoyak.files import atomic
from yoyak.messages import listed
from yoyak.values import Corpus, Dialogue, Split, Turn

VERSION = 1
"""Of the rules below; another version makes other rows of the same settings."""
MARK = ":"
AUGMENTED = "augmented"
SPEAKERS = 7
"""Speaker tags that the contest has: ``#Person1#`` to ``#Person7#``."""
FEWEST_TURNS = 2
LONGEST_SHARE = 0.5
"""Of the dialogue's characters; the contest's guide asks for a fifth at most."""

_UNCHANGED = DataSettings()


def training_split(corpus: Corpus, settings: DataSettings) -> Split:
    """Return the rows to train on; train itself where the settings change nothing.

    Raises:
        InputMissing: a file of generated rows is not there.
        BadData: it is not the declared one, cannot be read, or holds rows of dev or test.
    """
    if settings == _UNCHANGED:
        return corpus.train
    rows = _kept(corpus.train.dialogues, settings)
    own = [row for row, fold in zip(rows, _folds(rows, settings), strict=True) if not fold]
    held_out = {row.id for row in corpus.train.dialogues} - {row.id for row in own}
    if settings.with_dev:
        own += corpus.dev.dialogues
    made = [*_augmented(own, settings), *_imported(corpus, settings, held_out)]
    plain = msgspec.to_builtins(settings)
    digest = atomic.sha256_of(
        VERSION, corpus.train.fingerprint, corpus.dev.fingerprint, plain, *_hashes(corpus, settings)
    )
    return msgspec.structs.replace(
        corpus.train, dialogues=(*own, *made), fingerprint=digest, cleaned={}
    )


def held_out_split(train: Split, settings: DataSettings) -> Split | None:
    """Return the rows of the fold that is held out; ``None`` without folds."""
    if settings.folds is None:
        return None
    rows = _kept(train.dialogues, settings)
    held_out = tuple(row for row, out in zip(rows, _folds(rows, settings), strict=True) if out)
    digest = atomic.sha256_of(VERSION, train.fingerprint, msgspec.to_builtins(settings))
    return msgspec.structs.replace(train, dialogues=held_out, fingerprint=digest, cleaned={})


def rows_by_source(split: Split) -> dict[str, int]:
    """Count the rows of a training split: ``train``, and each kind of generated row."""
    return dict(Counter(source_of(row.id) for row in split.dialogues))


def source_of(row_id: str) -> str:
    """Return ``train`` or the kind of a generated row."""
    kind, mark, _ = row_id.partition(MARK)
    return kind if mark and kind in _KINDS else "train"


_KINDS = {AUGMENTED, "paraphrase", "back-translation", "synthetic"}


def _folds(rows: Sequence[Dialogue], settings: DataSettings) -> list[bool]:
    """Return whether each row is held out."""
    if settings.folds is None:
        return [False] * len(rows)
    folds = assign_folds(rows, settings.folds, settings.seed)
    return [fold == settings.fold for fold in folds]


# --- rows that are left out ----------------------------------------------------------------------


def _kept(rows: Sequence[Dialogue], settings: DataSettings) -> list[Dialogue]:
    kept = [row for row in rows if not any(_RULES[rule](row) for rule in settings.drop)]
    if settings.near_duplicates is None:
        return kept
    pairs = find_near_duplicates([row.text for row in kept], threshold=settings.near_duplicates)
    dropped: set[int] = set()
    for pair in pairs:  # the earlier first: what was dropped drops no other
        if pair.first not in dropped:
            dropped.add(pair.second)
    return [row for at, row in enumerate(kept) if at not in dropped]


def _names_unknown_speaker(row: Dialogue) -> bool:
    """Whether the summary names a speaker tag that the dialogue does not have."""
    return not set(re.findall(SPEAKER, row.references[0])) <= set(re.findall(SPEAKER, row.text))


def _is_unfinished(row: Dialogue) -> bool:
    """Whether the summary does not end as a sentence does."""
    return not re.search(r"[.!?…][\"'”’)\]]*\s*\Z", row.references[0])


def _is_long(row: Dialogue) -> bool:
    """Whether the summary is longer than half of the dialogue."""
    return len(row.references[0]) > LONGEST_SHARE * len(row.text)


_RULES = {
    "unknown-speaker": _names_unknown_speaker,
    "unfinished-summary": _is_unfinished,
    "long-summary": _is_long,
}


# --- augmented copies ----------------------------------------------------------------------------


def _augmented(rows: Sequence[Dialogue], settings: DataSettings) -> Iterator[Dialogue]:
    """Yield changed copies of rows, as often as their weight says; an equal one is none."""
    if settings.speakers is None and settings.drop_turns is None:
        return
    for row, copy in _weighted(rows, settings.augmented_weight, settings.seed):
        key = f"{settings.seed}/{copy}/{row.id}"
        changed = row
        if settings.drop_turns is not None:
            changed = _without_turns(changed, settings.drop_turns, key)
        if settings.speakers is not None:
            changed = _with_other_speakers(changed, settings.speakers == "rename", key)
        if changed != row:
            yield _marked(changed, AUGMENTED, copy)


def _with_other_speakers(row: Dialogue, renamed: bool, key: str) -> Dialogue:
    """Exchange the speaker tags of dialogue and summary, or draw others from seven."""
    tags = list(dict.fromkeys(re.findall(SPEAKER, row.text)))
    pool = [f"#Person{number}#" for number in range(1, SPEAKERS + 1)] if renamed else tags
    pool = [*pool, *(tag for tag in tags if tag not in pool)]
    drawn = sorted(pool, key=lambda tag: _draw(f"{key}/speaker/{tag}"))[: len(tags)]
    if drawn == tags and len(tags) > 1:
        drawn = [*drawn[1:], drawn[0]]
    new = dict(zip(tags, drawn, strict=True))

    def change(text: str) -> str:
        return re.sub(SPEAKER, lambda found: new.get(found[0], found[0]), text)

    turns = tuple(Turn(speaker=change(turn.speaker), text=change(turn.text)) for turn in row.turns)
    references = tuple(map(change, row.references))
    return msgspec.structs.replace(row, turns=turns, references=references)


def _without_turns(row: Dialogue, share: float, key: str) -> Dialogue:
    """Leave out a share of the turns, rounded down, of all but ``FEWEST_TURNS``."""
    count = min(int(share * len(row.turns)), max(0, len(row.turns) - FEWEST_TURNS))
    order = sorted(range(len(row.turns)), key=lambda at: _draw(f"{key}/turn/{at}"))
    dropped = set(order[:count])
    turns = tuple(turn for at, turn in enumerate(row.turns) if at not in dropped)
    return msgspec.structs.replace(row, turns=turns)


# --- imported rows -------------------------------------------------------------------------------


def _imported(corpus: Corpus, settings: DataSettings, held_out: set[str]) -> Iterator[Dialogue]:
    for kind, imported in settings.imported.items():
        path = _path(corpus, imported)
        rows = read_split("train", path, read_contest(Path(corpus.folder)))
        dialogues = split_of("train", rows).dialogues
        _refuse_evaluation_rows(corpus, path, dialogues)
        usable = [row for row in dialogues if _origin_id(row.id) not in held_out]
        for row, copy in _weighted(usable, imported.weight, settings.seed):
            yield _marked(row, kind, copy)


def _refuse_evaluation_rows(corpus: Corpus, path: Path, rows: Sequence[Dialogue]) -> None:
    """Refuse rows that were made from dev or test, by their id or their dialogue's letters."""
    further = () if corpus.dev2 is None else corpus.dev2.dialogues
    known = (*corpus.dev.dialogues, *corpus.test.dialogues, *further)
    ids = {row.id for row in known}
    letters = {letters_of(row.text) for row in known}
    found = [row.id for row in rows if _origin_id(row.id) in ids or letters_of(row.text) in letters]
    if found:
        raise BadData("data.generated-from-dev", file=path, count=len(found), ids=listed(found))


def _path(corpus: Corpus, imported: ImportedRows) -> Path:
    path = Path(corpus.folder) / imported.file
    if not path.is_file():
        raise InputMissing("data.no-generated-rows", file=path)
    if imported.sha256 is not None and atomic.sha256_file(path) != imported.sha256:
        raise BadData("data.other-generated-rows", file=path)
    return path


def _hashes(corpus: Corpus, settings: DataSettings) -> Iterable[str]:
    return (atomic.sha256_file(_path(corpus, each)) for each in settings.imported.values())


def with_file_hashes(settings: DataSettings, folder: Path) -> DataSettings:
    """Return the settings with the SHA-256 of each file of generated rows: other rows, other run.

    Raises:
        InputMissing: a file is not there.
    """
    fields = ("paraphrases", "back_translations", "synthetic")
    changed = {}
    for name in fields:
        imported = getattr(settings, name)
        if imported is not None and imported.sha256 is None:
            path = folder / imported.file
            if not path.is_file():
                raise InputMissing("data.no-generated-rows", file=path)
            digest = atomic.sha256_file(path)
            changed[name] = msgspec.structs.replace(imported, sha256=digest)
    return msgspec.structs.replace(settings, **changed)


# --- helpers -------------------------------------------------------------------------------------


def _origin_id(row_id: str) -> str:
    """Return the id of the row that a generated one was made from."""
    return row_id.partition("@")[0]


def _marked(row: Dialogue, kind: str, copy: int) -> Dialogue:
    suffix = f"@copy{copy + 1}" if copy else ""
    return msgspec.structs.replace(row, id=f"{kind}{MARK}{row.id}{suffix}")


def _weighted(rows: Sequence[Dialogue], weight: float, seed: int) -> Iterator[tuple[Dialogue, int]]:
    """Yield each row ``weight`` times with the number of the copy; a fraction picks rows."""
    whole, part = int(weight), weight - int(weight)
    for copy in range(whole + 1):
        for row in rows:
            if copy < whole or _draw(f"{seed}/weight/{row.id}") < part:
                yield row, copy


def _draw(key: str) -> float:
    """Return a number from 0 to 1 that depends on the key only."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8]) / 2**64

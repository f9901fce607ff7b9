"""Check the contest's rules, as far as code can, before anything is submitted.

No source that ``contest.toml`` forbids (data, or models trained on it), nothing of test in training
where it forbids that, and no input that test does not have. What is only declared by a name is
found by its name: this catches accidents, not intent.
"""

import re
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import get_args

from yoyak.config.schema import Recipe
from yoyak.data.contest import Contest, read_contest
from yoyak.errors import BadData
from yoyak.messages import fill
from yoyak.values import Corpus, SplitName, Value

_FIELD = re.compile(r"\{\s*(topic|summary|reference)s?\s*\}|\[topic\]", re.IGNORECASE)
_MODEL_FILES = ("README.md", "config.json", "adapter_config.json", "dataset_infos.json")
_SHOWN = 5
_DATA = frozenset({".csv", ".json", ".jsonl", ".tsv", ".parquet", ".arrow", ".txt"})


class ContestRuleBreach(Value, frozen=True, kw_only=True):
    """A rule that seems broken; its sentence is ``submission.guard-RULE``."""

    rule: str
    fields: dict[str, str]

    @property
    def text(self) -> str:
        """What was found, why it matters and what to do."""
        return fill(f"submission.guard-{self.rule}", self.fields)


def find_breaches(
    corpus: Corpus, recipes: Sequence[Recipe] = (), contest: Contest | None = None
) -> tuple[ContestRuleBreach, ...]:
    """Return every breach that data and recipes show, in the order of the rules above.

    Without ``contest`` only prompt fields that test does not have are looked for.
    """
    contest = contest or Contest()
    named = _pattern(contest.forbidden_sources)
    return (
        *_data_names(Path(corpus.folder), named),
        *(breach for recipe in recipes for breach in _base(recipe, named)),
        *(breach for recipe in recipes for breach in _generated_rows(recipe, named)),
        *(_test_in_training(corpus) if contest.forbid_test_in_training else ()),
        *(breach for recipe in recipes for breach in _fields(recipe)),
    )


def check_contest_rules(corpus: Corpus, recipes: Sequence[Recipe]) -> None:
    """Check data and recipes against the ``contest.toml`` of the data folder.

    Raises:
        BadData: a rule seems broken, and the message names each breach; or the file is wrong.
    """
    _refuse(find_breaches(corpus, recipes, read_contest(Path(corpus.folder))))


def check_generated_rows(corpus: Corpus, recipe: Recipe) -> None:
    """Check where a recipe's generated rows come from, before anything is trained on them.

    Raises:
        BadData: their file or origin names a source that the contest forbids.
    """
    if recipe.data.imported:
        named = _pattern(read_contest(Path(corpus.folder)).forbidden_sources)
        _refuse(tuple(_generated_rows(recipe, named)))


def _refuse(breaches: Sequence[ContestRuleBreach]) -> None:
    if breaches:
        shown = "\n".join(f"  {breach.text}" for breach in breaches[:_SHOWN])
        raise BadData("submission.breaks-rules", count=len(breaches), breaches=shown)


def _pattern(sources: Sequence[str]) -> re.Pattern[str] | None:
    """Match any of the names, its words together or apart, and not as the start of a longer word.

    ``"dialog sum"`` is found in ``DialogSum-ko`` and ``dialog_sum.csv``, not in
    ``dialog-summarization``.
    """
    names = [r"[\s_.-]?".join(map(re.escape, re.findall(r"[^\W_]+", name))) for name in sources]
    if not names:
        return None
    return re.compile(rf"(?:{'|'.join(names)})(?-i:(?![a-z]))", re.IGNORECASE)


def _data_names(folder: Path, named: re.Pattern[str] | None) -> Iterable[ContestRuleBreach]:
    if named is None or not folder.is_dir():
        return
    below = chain.from_iterable((folder / name).rglob("*") for name in get_args(SplitName))
    for path in sorted((*folder.iterdir(), *below)):
        if path.suffix in _DATA and (found := named.search(path.name)):
            yield ContestRuleBreach(
                rule="forbidden-data", fields={"file": str(path), "found": found[0]}
            )


def _base(recipe: Recipe, named: re.Pattern[str] | None) -> Iterable[ContestRuleBreach]:
    base = recipe.model.base
    if base is None or named is None:
        return
    if found := named.search(base):
        yield _base_breach(recipe, base, found[0])
        return
    for file in (Path(base) / name for name in _MODEL_FILES):
        if file.is_file() and (found := named.search(file.read_text("utf-8", "replace"))):
            yield _base_breach(recipe, str(file), found[0])


def _generated_rows(recipe: Recipe, named: re.Pattern[str] | None) -> Iterable[ContestRuleBreach]:
    if named is None:
        return
    for kind, rows in recipe.data.imported.items():
        if found := named.search(rows.file) or named.search(rows.origin):
            fields = {"recipe": recipe.name, "kind": kind, "found": found[0]}
            yield ContestRuleBreach(rule="forbidden-origin", fields=fields)


def _base_breach(recipe: Recipe, where: str, found: str) -> ContestRuleBreach:
    fields = {"recipe": recipe.name, "where": where, "found": found}
    return ContestRuleBreach(rule="forbidden-base", fields=fields)


def _test_in_training(corpus: Corpus) -> Iterable[ContestRuleBreach]:
    """Find test dialogues among train and dev, ignoring blanks and case."""
    test = {_words(dialogue.text): dialogue.id for dialogue in corpus.test.dialogues}
    for split in (corpus.train, corpus.dev):
        for dialogue in split.dialogues:
            twin = test.get(_words(dialogue.text))
            if twin is not None:
                fields = {"split": split.name, "id": dialogue.id, "test_id": twin}
                yield ContestRuleBreach(rule="test-in-training", fields=fields)
    for dialogue in corpus.test.dialogues:
        if dialogue.references:
            yield ContestRuleBreach(rule="test-labels", fields={"test_id": dialogue.id})


def _words(text: str) -> str:
    return "".join(text.split()).casefold()


def _fields(recipe: Recipe) -> Iterable[ContestRuleBreach]:
    for text in (recipe.prompt.system, recipe.prompt.instruction):
        if found := _FIELD.search(text):
            yield ContestRuleBreach(rule="field", fields={"recipe": recipe.name, "found": found[0]})

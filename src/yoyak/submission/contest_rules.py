"""The rules of the contest that code can check before anything is handed in.

No source that ``contest.toml`` forbids (data, or models trained on it), nothing of test in training
where it forbids that, and no input that test does not have. What is only declared by a name is
found by its name: this catches accidents, not intent.
"""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from yoyak.config.schema import Recipe
from yoyak.data.contest import Contest, read_contest
from yoyak.errors import BadData
from yoyak.messages import fill
from yoyak.values import Corpus, Value

_FIELD = re.compile(r"\{\s*(topic|summary|reference)s?\s*\}|\[topic\]", re.IGNORECASE)
_CARDS = ("README.md", "config.json", "adapter_config.json", "dataset_infos.json")
_SHOWN = 5
_DATA = frozenset({".csv", ".json", ".jsonl", ".tsv", ".parquet", ".arrow", ".txt"})


class Breach(Value, frozen=True, kw_only=True):
    """A rule that seems broken; the sentence is ``final.guard-RULE``."""

    rule: str
    fields: dict[str, str]

    @property
    def text(self) -> str:
        """What was found, why it matters and what to do."""
        return fill(f"submission.guard-{self.rule}", self.fields)


def find_breaches(
    corpus: Corpus, recipes: Sequence[Recipe] = (), contest: Contest | None = None
) -> tuple[Breach, ...]:
    """Return every breach that data and recipes show; the order is that of the rules above.

    Without ``contest`` only what test does not have is looked for.
    """
    contest = contest or Contest()
    named = _pattern(contest.forbidden_sources)
    return (
        *_data_names(Path(corpus.folder), named),
        *(breach for recipe in recipes for breach in _base(recipe, named)),
        *(_test_in_training(corpus) if contest.forbid_test_in_training else ()),
        *(breach for recipe in recipes for breach in _fields(recipe)),
    )


def check_contest_rules(corpus: Corpus, recipes: Sequence[Recipe]) -> None:
    """Hold data and recipes to the ``contest.toml`` of the data folder.

    Raises:
        BadData: a rule seems broken, and the message names each breach; or the file is wrong.
    """
    breaches = find_breaches(corpus, recipes, read_contest(Path(corpus.folder)))
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


def _data_names(folder: Path, named: re.Pattern[str] | None) -> Iterable[Breach]:
    if named is None or not folder.is_dir():
        return
    for path in sorted(folder.iterdir()):
        if path.suffix in _DATA and (found := named.search(path.name)):
            yield Breach(rule="forbidden-data", fields={"file": str(path), "found": found[0]})


def _base(recipe: Recipe, named: re.Pattern[str] | None) -> Iterable[Breach]:
    base = recipe.model.base
    if base is None or named is None:
        return
    if found := named.search(base):
        yield _base_breach(recipe, base, found[0])
        return
    for card in (Path(base) / name for name in _CARDS):
        if card.is_file() and (found := named.search(card.read_text("utf-8", "replace"))):
            yield _base_breach(recipe, str(card), found[0])


def _base_breach(recipe: Recipe, where: str, found: str) -> Breach:
    fields = {"recipe": recipe.name, "where": where, "found": found}
    return Breach(rule="forbidden-base", fields=fields)


def _test_in_training(corpus: Corpus) -> Iterable[Breach]:
    """Test dialogues, told by their words alone, among those that are learned from."""
    test = {_words(dialogue.text): dialogue.id for dialogue in corpus.test.dialogues}
    for split in (corpus.train, corpus.dev):
        for dialogue in split.dialogues:
            twin = test.get(_words(dialogue.text))
            if twin is not None:
                fields = {"split": split.name, "id": dialogue.id, "test_id": twin}
                yield Breach(rule="test-in-training", fields=fields)
    for dialogue in corpus.test.dialogues:
        if dialogue.references:
            yield Breach(rule="test-labels", fields={"test_id": dialogue.id})


def _words(text: str) -> str:
    return "".join(text.split()).casefold()


def _fields(recipe: Recipe) -> Iterable[Breach]:
    for text in (recipe.prompt.system, recipe.prompt.instruction):
        if found := _FIELD.search(text):
            yield Breach(rule="field", fields={"recipe": recipe.name, "found": found[0]})

"""Push an exported folder to the Hugging Face Hub, after its licence and its content were checked.

A repository is private unless ``public`` says otherwise. Only weights, tokenizer, settings, record
and model card leave the machine: no scores of single rows, no provenance, and nothing that has a
sentence of the data folder in it.
"""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from yoyak.config.schema import Recipe
from yoyak.data.contest import read_contest
from yoyak.data.corpus import read_corpus
from yoyak.errors import BadData, BadRecipe, CannotWrite, Unavailable
from yoyak.runs.run import Run
from yoyak.submission.contest_rules import check_contest_rules
from yoyak.values import Corpus

FREE_LICENCES = ("Apache-2.0", "MIT", "CC BY 4.0")
"""Licences of bases under which a changed model may be passed on, as recipes name them."""
PUSHED = (
    "README.md", "export.json", "recipe.json", "Modelfile", "*config*.json", "codec.json",
    "tokenizer*", "special_tokens_map.json", "chat_template.jinja", "*vocabulary.json", "vocab*",
    "merges.txt", "*.safetensors", "*.safetensors.index.json", "*.gguf", "*.onnx", "*.onnx.data",
    "model.bin", "base/*",
)  # fmt: skip
_TEXTS = (".md", ".json", ".jinja", "Modelfile")
_LONG = 20
"""Characters from which on a line of the data is taken for theirs alone."""
_LARGEST_TEXT = 1_000_000
"""Bytes of a file that is read: vocabularies are longer, and hold words, no sentences."""


class Pushed(NamedTuple):
    """Where a model was pushed to."""

    address: str
    commit: str


def check_licence(recipe: Recipe) -> None:
    """Check that a model made from the recipe's base may be passed on.

    Raises:
        BadRecipe: its licence is unknown or not among ``FREE_LICENCES``, or the hub gives the base
            only to who has accepted its terms.
    """
    if recipe.model.base is None:
        return
    licence = recipe.base.licence
    if recipe.base.gated:
        raise BadRecipe("export.push-gated", base=recipe.model.base)
    if licence not in FREE_LICENCES:
        known = ", ".join(FREE_LICENCES)
        raise BadRecipe(
            "export.push-licence", base=recipe.model.base, licence=licence or "–", known=known
        )


def check_data(run: Run, folder: Path, now: float) -> None:
    """Check the contest's rules, and that no file to be pushed holds a line of the data.

    Raises:
        BadData: the contest is not over, a rule seems broken, or a file holds a line of the data.
        InputMissing: the data folder is gone, so that nothing can be checked.
    """
    corpus = read_corpus(Path(run.identity.data_folder))
    check_contest_rules(corpus, [run.recipe])
    closes_at = read_contest(Path(corpus.folder)).closes_at
    if closes_at is not None and now < closes_at.timestamp():
        raise BadData("export.push-contest", closes=closes_at.isoformat())
    texts = {
        path: path.read_text("utf-8", "replace")
        for path in _files(folder)
        if path.name.endswith(_TEXTS) and path.stat().st_size < _LARGEST_TEXT
    }
    whole = "\n".join(texts.values())
    for name, line in _lines(corpus):
        for written in {line, json.dumps(line, ensure_ascii=False)[1:-1]}:
            if written in whole:
                file = next(path.name for path, text in texts.items() if written in text)
                raise BadData("export.push-data", file=file, id=name)


def _files(folder: Path) -> Iterator[Path]:
    """Yield the files that would be pushed."""
    for path in sorted(folder.rglob("*")):
        place = path.relative_to(folder)
        if path.is_file() and any(place.match(pattern) for pattern in PUSHED):
            yield path


def _lines(corpus: Corpus) -> Iterator[tuple[str, str]]:
    """Yield the id and each long line of every dialogue and summary."""
    for split in (corpus.train, corpus.dev, corpus.test):
        for dialogue in split.dialogues:
            for line in (*(turn.text for turn in dialogue.turns), *dialogue.references):
                if len(line) >= _LONG:
                    yield dialogue.id, line


def push(run: Run, folder: Path, repository: str, *, public: bool = False) -> Pushed:
    """Upload an exported folder in one commit.

    Args:
        run: that was exported.
        folder: of the export.
        repository: ``ORG/NAME``; created where it does not exist.
        public: whether everybody may read it.

    Raises:
        BadRecipe, BadData, InputMissing: as ``check_licence`` and ``check_data``.
        CannotWrite: the repository is public already, and ``public`` is not set.
        Unavailable: the hub cannot be reached or refuses.
    """
    check_licence(run.recipe)
    check_data(run, folder, time.time())
    try:
        from huggingface_hub import HfApi
        from huggingface_hub.errors import (
            HfHubHTTPError,
            HFValidationError,
            LocalTokenNotFoundError,
        )
    except ModuleNotFoundError as error:
        raise Unavailable("export.no-library", form="push", library=str(error.name)) from error
    api = HfApi()
    paths = [path.relative_to(folder).as_posix() for path in _files(folder)]
    try:
        api.create_repo(repository, private=not public, exist_ok=True)
        if not public and not api.model_info(repository).private:
            raise CannotWrite("export.push-public", repository=repository)
        commit = api.upload_folder(
            repo_id=repository,
            folder_path=folder,
            allow_patterns=paths,
            commit_message=f"{run.name}, exported by yoyak",
        )
    except (HfHubHTTPError, HFValidationError, LocalTokenNotFoundError, OSError) as error:
        problem = next(iter(str(error).splitlines()), type(error).__name__)
        raise Unavailable("export.push-failed", repository=repository, problem=problem) from error
    return Pushed(f"{api.endpoint}/{repository}", commit.oid)

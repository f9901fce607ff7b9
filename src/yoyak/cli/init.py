"""The verb init: from a folder of files to a folder where every other verb works.

On a terminal it asks; with ``--yes`` it takes what is clear and ends with an error where something
is not. What it writes was read and checked before, by the code that runs read data with.
"""

import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from yoyak.cli.context import DEFAULT_LINEUP, open_context, require_utf8
from yoyak.cli.questions import Questions
from yoyak.config.project import FILE as PROJECT
from yoyak.config.project import ResourceLimits
from yoyak.data.contest import FILE as CONTEST
from yoyak.data.corpus import EXTENSIONS, refuse_shared_ids
from yoyak.data.presets import PRESETS, Preset
from yoyak.errors import BadData, CannotWrite, InputMissing, UsageError, YoyakError
from yoyak.messages import listed, text
from yoyak.values import SPLITS, Corpus, SplitName

if TYPE_CHECKING:
    from yoyak.config.schema import Recipe
    from yoyak.data.corpus import ContestRows
    from yoyak.data.propose_columns import ColumnChoice
    from yoyak.data.rows import InputTable
    from yoyak.planning.gpu_catalogue import GpuSpec

HELD_OUT = "yoyak-data"
"""Where all splits are written if some of them are taken from train."""
HOLD_OUT_PERCENT = 10.0
MOST_PERCENT = 40.0


def _known_preset(name: str | None) -> Preset | None:
    found = next((preset for preset in PRESETS if preset == name), None)
    if found is None and name is not None:
        raise typer.BadParameter(text("init.bad-preset", known=", ".join(PRESETS)))
    return found


def _option(key: str, *names: str, **more: Any) -> Any:
    return typer.Option(*names, help=text(f"init.option-{key}"), show_default=False, **more)


_PRESET_HELP = text("init.option-preset", known=", ".join(PRESETS))
SplitPath = Annotated[Path | None, _option("split")]


def init(
    folder: Annotated[
        Path, typer.Argument(help=text("init.argument-folder"), show_default=False)
    ] = Path(),
    preset: Annotated[
        str | None, typer.Option(callback=_known_preset, help=_PRESET_HELP, show_default=False)
    ] = None,
    train: SplitPath = None,
    dev: SplitPath = None,
    test: SplitPath = None,
    ids: Annotated[str | None, _option("id", "--id")] = None,
    dialogue: Annotated[str | None, _option("dialogue")] = None,
    summary: Annotated[str | None, _option("summary")] = None,
    topic: Annotated[str | None, _option("topic")] = None,
    hold_out: Annotated[float | None, _option("hold-out", min=0.1, max=MOST_PERCENT)] = None,
    recipes: Annotated[str | None, _option("recipes")] = None,
    gpu: Annotated[str | None, typer.Option(help=text("cli.option-card"))] = None,
    yes: Annotated[bool, _option("yes", "--yes", "-y")] = False,
    force: Annotated[bool, _option("force", "--force")] = False,
) -> None:
    """Find the data, ask what is unclear, check all of it, then write the two files."""
    from yoyak.cli.system import gpu_spec
    from yoyak.data.find_splits import data_folder

    require_utf8(folder)
    ask = Questions(asks=not yes and sys.stdin.isatty())
    spec = gpu_spec(gpu)
    paths = _paths(ask, folder, {"train": train, "dev": dev, "test": test})
    percent = _percent(ask, folder, paths, hold_out)
    target = data_folder(tuple(paths.values())) if percent is None else Path(HELD_OUT).absolute()
    written = (Path(PROJECT), target / CONTEST, *(() if percent is None else (target,)))
    _refuse_existing(written, force=force)
    named = _Named(ids, dialogue, summary, topic)
    found = _read(ask, target, paths, percent, named, _known_preset(preset))
    _show(found, paths)
    names = _lineup(ask, found.corpus, spec, recipes)
    if not ask.asks and not yes:
        raise UsageError("init.no-terminal", command=shlex.join(["yoyak", *sys.argv[1:], "--yes"]))
    ask.confirm(text("init.ask-write", files=", ".join(map(_short, written[:2]))))
    _write(target, found, names)
    _show_plan(names, gpu)
    print("\n" + text("init.next-commands"), file=sys.stderr)


class _Named(NamedTuple):
    """The columns that options name."""

    id: str | None
    dialogue: str | None
    summary: str | None
    topic: str | None


class _Found(NamedTuple):
    """What was read: the corpus, its columns, and the text of its ``contest.toml``."""

    corpus: Corpus
    columns: "ColumnChoice"
    contest_text: str
    held_out: "Mapping[SplitName, ContestRows]"
    """All splits, if some are taken from train; they are to be written."""


# --- files ---------------------------------------------------------------------------------------


def _paths(
    ask: Questions, folder: Path, named: "Mapping[SplitName, Path | None]"
) -> dict[SplitName, Path]:
    """Return the files of the splits: those named, else those found; dev or test may be missing.

    Raises:
        InputMissing: there is none for train.
        BadData: there are only archives, or files of another format.
        UsageError: there are several and nobody to ask.
    """
    from yoyak.data.find_splits import find_files
    from yoyak.data.text_file import read_text_file

    for path in (folder, *filter(None, named.values())):
        if not path.exists():
            raise InputMissing("data.no-file", file=path)
    found = find_files(folder)
    candidates = dict(found.splits)
    if not candidates["train"] and not candidates["dev"]:
        candidates["train"] = found.unnamed
    paths = {
        split: chosen
        for split in SPLITS
        if (chosen := named[split] or _file(ask, split, candidates[split])) is not None
    }
    if "train" not in paths:
        if not paths and found.archives:
            read_text_file(found.archives[0])  # says what it is and how to unpack it
        if not paths:
            raise InputMissing("init.no-data", folder=_short(folder), ends=", ".join(EXTENSIONS))
        raise _missing(folder, ["train"], tuple(paths.values()))
    return paths


def _file(ask: Questions, split: SplitName, candidates: Sequence[Path]) -> Path | None:
    if not candidates:
        return None
    shown = [_short(each) for each in candidates]
    return ask.choose(
        text("init.ask-file", split=split),
        list(zip(shown, candidates, strict=True)),
        default=0 if len(candidates) == 1 else None,
        unclear=UsageError("init.several-files", split=split, found=listed(shown)),
    )


def _percent(
    ask: Questions, folder: Path, paths: "Mapping[SplitName, Path]", asked: float | None
) -> float | None:
    """Return how much of train each missing split gets; ``None`` if no split is missing.

    Raises:
        InputMissing: one is, no percentage was given, and there is nobody to ask.
    """
    missing = [split for split in SPLITS if split not in paths]
    if not missing:
        return None
    if asked is not None:
        return asked
    if not ask.asks:
        raise _missing(folder, missing, tuple(paths.values()))
    question = text("init.ask-hold-out", splits=", ".join(missing))
    return float(ask.enter(question, str(HOLD_OUT_PERCENT), _is_percentage))


def _is_percentage(typed: str) -> bool:
    return typed.replace(".", "", 1).isdecimal() and 0 < float(typed) <= MOST_PERCENT


def _missing(folder: Path, splits: Sequence[str], found: Sequence[Path]) -> InputMissing:
    options = ", ".join(f"--{split} FILE" for split in splits)
    if "train" not in splits:
        options += f" / --hold-out {HOLD_OUT_PERCENT:.0f}"
    return InputMissing(
        "init.missing-split",
        split=", ".join(splits),
        folder=_short(folder),
        found=listed([_short(path) for path in found]) or "–",
        options=options,
    )


def _refuse_existing(paths: Sequence[Path], *, force: bool) -> None:
    there = [path for path in paths if path.exists()]
    if there and not force:
        raise CannotWrite("init.exists", files=", ".join(map(_short, there)))


def _short(path: Path) -> str:
    """Return a path relative to the current folder if it lies below, else absolute."""
    full = path.absolute()
    return str(full.relative_to(Path.cwd())) if full.is_relative_to(Path.cwd()) else str(full)


# --- columns and rules ---------------------------------------------------------------------------


def _read(
    ask: Questions,
    target: Path,
    paths: "Mapping[SplitName, Path]",
    percent: float | None,
    named: _Named,
    preset: Preset | None,
) -> _Found:
    """Read and check all splits, with the columns and the rules that are named, clear or chosen."""
    from yoyak.data.contest import SplitFiles
    from yoyak.data.corpus import corpus_of, read_complete, read_corpus, read_split
    from yoyak.data.find_splits import declared_files
    from yoyak.data.hold_out import hold_out
    from yoyak.data.presets import detect_preset, starter_contest
    from yoyak.data.propose_columns import USUAL, declared_columns, has_known_columns

    tables = {split: read_complete(path) for split, path in paths.items()}
    train = tables["train"]
    is_known = not any(named) and all(
        has_known_columns(table, is_test=split == "test") for split, table in tables.items()
    )
    columns = USUAL if is_known else _columns(ask, train, named)
    declared = None if is_known else declared_columns(columns)
    dialogues = [row.cells.get(columns.dialogue, "") for row in train.rows]
    has_sample = (target / "sample_submission.csv").exists()
    likely = detect_preset(train.published_as, dialogues, has_sample=has_sample)
    chosen = _chosen_preset(ask, likely) if preset is None else preset
    files = SplitFiles() if percent is not None else declared_files(target, paths)
    starter = starter_contest(chosen, files, declared, dialogues)
    if percent is None:
        return _Found(read_corpus(target, starter.contest), columns, starter.text, {})
    rows = {split: read_split(split, path, starter.contest) for split, path in paths.items()}
    missing = [split for split in SPLITS if split not in paths]
    rows |= hold_out(rows["train"], missing, percent)
    refuse_shared_ids(tuple(rows.values()))
    starter = starter_contest(chosen, files, None, dialogues)
    corpus = corpus_of(target, rows["train"], rows["dev"], rows["test"])
    return _Found(corpus, columns, starter.text, rows)


def _chosen_preset(ask: Questions, likely: Preset) -> Preset:
    shown = [(f"{name}: {text(f'init.preset-{name}')}", name) for name in PRESETS]
    return ask.choose(text("init.ask-preset"), shown, default=PRESETS.index(likely))


def _columns(ask: Questions, table: "InputTable", named: _Named) -> "ColumnChoice":
    """Return the columns that are named, else those that are clear, else those that are chosen."""
    from yoyak.data.propose_columns import ColumnChoice, propose_columns, references

    found = propose_columns(table)
    summaries = references(found.summary)
    if len(summaries) > 1:
        summaries = (*summaries, found.summary)
    topics = found.topic[:1] if named.topic is None else (named.topic,)
    return ColumnChoice(
        id=_column(ask, table, "id", named.id, found.id[:1]),
        dialogue=_column(ask, table, "dialogue", named.dialogue, found.dialogue),
        summary=_summaries(ask, table, named.summary, summaries),
        topic=_column(ask, table, "topic", named.topic, topics) if topics else None,
    )


def _column(
    ask: Questions, table: "InputTable", role: str, named: str | None, candidates: Sequence[str]
) -> str:
    """Return the column of a role.

    Raises:
        UsageError: the named one is not there, or several fit and there is nobody to ask.
        BadData: none fits, and there is nobody to ask.
    """
    if named is not None:
        _refuse_unknown(table, role, (named,))
        return named
    place = {"file": _short(table.path), "role": role}
    unclear: YoyakError = UsageError(
        "init.several-columns", found=listed(candidates), both="", **place
    )
    if not candidates:
        unclear = BadData("init.no-column", found=listed(table.columns), **place)
    return ask.choose(
        text("init.ask-column", **place),
        [(name, name) for name in candidates or table.columns],
        default=0 if len(candidates) == 1 else None,
        unclear=unclear,
    )


def _summaries(
    ask: Questions, table: "InputTable", named: str | None, candidates: Sequence[tuple[str, ...]]
) -> tuple[str, ...]:
    """Return the columns of the summaries, one for each reference; the last candidate is all."""
    if named is not None:
        columns = (named,) if named in table.columns else tuple(named.split(","))
        _refuse_unknown(table, "summary", columns)
        return columns
    if not candidates:
        return (_column(ask, table, "summary", None, ()),)
    place = {"file": _short(table.path), "role": "summary"}
    everything = candidates[-1]
    both = text("init.both-references", all=",".join(everything))
    return ask.choose(
        text("init.ask-column", **place),
        [
            (one[0] if len(one) == 1 else text("init.all-of-them", all=", ".join(one)), one)
            for one in candidates
        ],
        default=0 if len(candidates) == 1 else None,
        unclear=UsageError("init.several-columns", found=listed(everything), both=both, **place),
    )


def _refuse_unknown(table: "InputTable", role: str, columns: Sequence[str]) -> None:
    for column in columns:
        if column not in table.columns:
            known = listed(table.columns)
            file = _short(table.path)
            raise UsageError(
                "init.unknown-column", file=file, role=role, column=column, found=known
            )


# --- recipes and plan ----------------------------------------------------------------------------


def _lineup(
    ask: Questions, corpus: Corpus, spec: "GpuSpec | None", named: str | None
) -> tuple[str, ...]:
    """Return the recipes that are named, else those that fit the GPU, changed if somebody asks."""
    from yoyak.config import load
    from yoyak.planning.propose_lineup import propose_lineup
    from yoyak.report.sections.blocks import Note
    from yoyak.terminal.render import show

    def resolve(typed: str) -> "list[Recipe]":
        return [load.resolve(name).recipe for name in _names(typed)]

    def is_lineup(typed: str) -> bool:
        try:
            return bool(resolve(typed))
        except YoyakError as error:
            print(error, file=sys.stderr)
            return False

    if named is not None:
        resolve(named)
        return _names(named)
    if spec is None:
        proposed: tuple[str, ...] = DEFAULT_LINEUP
        found = text("init.lineup-cpu", recipes=", ".join(proposed))
    else:
        proposed = propose_lineup(resolve(" ".join(load.names())), corpus, spec)
        found = text("init.lineup-gpu", recipes=", ".join(proposed), card=spec.name)
    print()
    show([Note(found)], sys.stdout)
    return _names(ask.enter(text("init.ask-recipes"), ",".join(proposed), is_lineup))


def _names(typed: str) -> tuple[str, ...]:
    return tuple(name for name in typed.replace(",", " ").split() if name)


def _show_plan(names: Sequence[str], gpu: str | None) -> None:
    """Print what the recipes will take; what refuses them is a note, because nothing runs yet."""
    from yoyak.cli.system import gpu_spec
    from yoyak.planning.plan import plan, target_here
    from yoyak.report.sections.blocks import Note
    from yoyak.terminal.render import show
    from yoyak.terminal.system import plan_end, plan_runs

    context = open_context(None, None)
    wanted = [one.recipe for one in context.resolve(names)]
    target = target_here(context.workspace, context.project.limits, gpu_spec(gpu))
    made = plan(wanted, context.corpus, target._replace(elsewhere=gpu is not None))
    print()
    show((*plan_runs(made), *plan_end(made)), sys.stdout)
    notes = (*made.refusals, *made.notes)
    show([Note(text("report.plan-notice", note=one.error)) for one in notes], sys.stdout)


# --- output --------------------------------------------------------------------------------------


def _show(found: _Found, paths: "Mapping[SplitName, Path]") -> None:
    from yoyak.terminal.init import example, found_splits
    from yoyak.terminal.render import show

    files = {split: _short(paths.get(split, paths["train"])) for split in SPLITS}
    columns = found.columns
    theirs = {
        "id": columns.id,
        "dialogue": columns.dialogue,
        "summary": ", ".join(columns.summary),
        "topic": columns.topic or "",
    }
    show(found_splits(found.corpus, files), sys.stdout)
    print()
    show(example(found.corpus.train.dialogues[0], theirs, files["train"]), sys.stdout)


def _write(target: Path, found: _Found, names: Sequence[str]) -> None:
    """Write the splits, if they are new, ``contest.toml`` and ``yoyak.toml``, each whole."""
    from yoyak.data.hold_out import write_splits
    from yoyak.files import atomic

    write_splits(target, found.held_out)
    atomic.write_text(target / CONTEST, found.contest_text)
    atomic.write_text(Path(PROJECT), _project_text(_short(target), names))
    print()
    for path in (target / CONTEST, Path(PROJECT)):
        print(text("init.wrote", path=_short(path)))


def _project_text(folder: str, names: Sequence[str]) -> str:
    """Return ``yoyak.toml``; its strings and lists are those of JSON."""
    free = ResourceLimits().disk_free_gb
    lines = (
        f"# {text('init.project-head')}",
        "[data]",
        f"folder = {json.dumps(folder, ensure_ascii=False)}",
        "",
        "[lineup]",
        f"recipes = {json.dumps(names, ensure_ascii=False)}  # {text('init.project-order')}",
        "",
        "[limits]",
        f"disk_free_gb = {free}  # {text('init.project-disk')}",
        "",
        f"# [recipes.{names[-1]}.train]",
        f"# learning_rate = 1e-4  # {text('init.project-recipe')}",
    )
    return "\n".join(lines) + "\n"

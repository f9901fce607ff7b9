"""Write what the documents take from the code and from each other; cog puts it in place.

``reference.py PAGE LANGUAGE`` prints one page's tables. Types, defaults, fields and exit codes are
read from the classes, the meanings from their docstrings, commands and options from the command
line itself. Korean comes from the message catalogue, and for docstrings from
``reference.ko.po``. The script fails and names each docstring or translation that is missing.
"""

import ast
import inspect
import os
import re
import sys
import textwrap
import types
import typing
from collections.abc import Iterator
from datetime import datetime
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec

CATALOGUE = Path(__file__).with_name("reference.ko.po")
DOCS = Path(__file__).parents[1] / "docs"
WORDS = {
    "ko": {
        "argument or option": "인자나 옵션",
        "default": "기본값",
        "meaning": "뜻",
        "setting": "설정",
        "type": "형식",
        "field": "항목",
        "code": "코드",
        "event": "이벤트",
        "fields": "항목",
        "required": "필수",
        "none": "없음",
        "text": "문자열",
        "path": "경로",
        "integer": "정수",
        "number": "수",
        "yes or no": "예/아니요",
        "list of {}": "{} 목록",
        "table": "표",
        "table of {}": "{} 표",
        "time": "시각",
        "file": "파일",
        "format": "형식 번호",
        "what it holds": "내용",
    }
}
language = "en"
_missing: list[str] = []


def word(english: str) -> str:
    """Return a word of the tables in the page's language."""
    return WORDS[language][english] if language in WORDS else english


# --- translation ---------------------------------------------------------------------------------


def translated(english: str) -> str:
    """Return a docstring in the page's language, or note that its translation is missing."""
    if language == "en" or not english:
        return _for_a_cell(english)
    found = _catalogue().get(english)
    if not found:
        _missing.append(f"{CATALOGUE.name} lacks a translation of: {english}")
    return _for_a_cell(found or english)


def _for_a_cell(text: str) -> str:
    return re.sub(r"(?<!\\)\|", r"\|", text)


@cache
def _catalogue() -> dict[str, str]:
    from babel.messages.pofile import read_po

    with CATALOGUE.open("rb") as file:
        return {str(one.id): str(one.string) for one in read_po(file) if one.id}


# --- classes -------------------------------------------------------------------------------------


def _sentence(docstring: str | None) -> str:
    """Return the first paragraph on one line, as Markdown."""
    first = textwrap.dedent(docstring or "").strip().partition("\n\n")[0]
    return re.sub(r"\s+", " ", first).replace("``", "`")


def meanings(kind: type) -> dict[str, str]:
    """Return the docstring of each attribute: the string that follows its annotation."""
    found = {}
    for base in reversed(kind.__mro__):
        if base.__module__.startswith("msgspec") or base is object:
            continue
        [body] = ast.parse(textwrap.dedent(inspect.getsource(base))).body
        for one, after in zip(body.body, body.body[1:], strict=False):
            if isinstance(one, ast.AnnAssign) and isinstance(after, ast.Expr):
                found[one.target.id] = _sentence(ast.literal_eval(after.value))
    return found


def shown_type(annotation: Any) -> str:
    """Return an annotation as a reader of TOML or JSON would say it."""
    origin, args = get_origin(annotation), get_args(annotation)
    match origin:
        case None:
            return _plain_type(annotation)
        case _ if origin is Annotated:
            return shown_type(args[0]) + "".join(_bounds(meta) for meta in args[1:])
        case _ if origin is Literal:
            return ", ".join(f"`{one}`" for one in args)
        case _ if origin is dict:
            return word("table of {}").format(shown_type(args[1]))
        case _ if origin in {types.UnionType, typing.Union}:
            return ", ".join(shown_type(one) for one in args)
    return word("list of {}").format(shown_type(args[0]))


PLAIN = {
    Path: "path",
    str: "text",
    int: "integer",
    float: "number",
    bool: "yes or no",
    type(None): "none",
    datetime: "time",
    Any: "text",
}


def _plain_type(annotation: Any) -> str:
    if annotation in PLAIN:
        return word(PLAIN[annotation])
    if issubclass(annotation, Enum):
        return ", ".join(f"`{one.value}`" for one in annotation)
    return word("table")


def _bounds(meta: Any) -> str:
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    bounds = [(sign, getattr(meta, name)) for name, sign in signs.items()]
    return "".join(f" {sign} {bound:g}" for sign, bound in bounds if bound is not None)


def _default(field: Any) -> str:
    if field.default_factory is not msgspec.NODEFAULT:
        return _value(field.default_factory())
    return word("required") if field.default is msgspec.NODEFAULT else _value(field.default)


def _value(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if value in ("", (), {}):
        return "–"
    return f"`{value}`"


def table(*heads: str) -> None:
    """Print the head of a table."""
    print(f"| {' | '.join(word(head) for head in heads)} |\n|{'---|' * len(heads)}")


def row(*cells: str) -> None:
    """Print a row of a table."""
    print(f"| {' | '.join(cells)} |")


def fields_of(kind: type, prefix: str = "") -> Iterator[tuple[str, str, str, str]]:
    """Yield name, type, default and meaning of each field; a section is left to its own table."""
    from yoyak.config.schema import SearchRange

    hints, said = typing.get_type_hints(kind, include_extras=True), meanings(kind)
    for field in msgspec.structs.fields(kind):
        if isinstance(field.default, msgspec.Struct):
            continue
        if SearchRange in get_args(hints[field.name]):
            said.setdefault(field.name, "The values that a study tries for this setting.")
        if field.name not in said:
            _missing.append(f"{kind.__name__}.{field.name} has no docstring")
        meaning = translated(said.get(field.name, ""))
        yield f"`{prefix}{field.name}`", shown_type(hints[field.name]), _default(field), meaning


def _section(title: str, kind: type, prefix: str) -> None:
    print(f"\n### `{title}`\n")
    print(translated(_sentence(kind.__doc__)) + "\n")
    table("setting", "type", "default", "meaning")
    for cells in fields_of(kind, prefix):
        row(*cells)


# --- pages ---------------------------------------------------------------------------------------


def settings() -> None:
    """Print every setting of a recipe."""
    from yoyak.config import schema

    sections = {
        "model": schema.ModelSettings,
        "model.scratch": schema.ScratchSettings,
        "base": schema.PublishedBase,
        "lora": schema.LoraSettings,
        "data": schema.DataSettings,
        "data.synthetic": schema.ImportedRows,
        "prompt": schema.PromptSettings,
        "train": schema.TrainSettings,
        "align": schema.AlignSettings,
        "evaluate": schema.EvaluateSettings,
        'decode (kind = "greedy")': schema.Greedy,
        'decode (kind = "beam")': schema.BeamSearch,
        'decode (kind = "sample")': schema.Sampling,
        "generate": schema.GenerateSettings,
        "search": schema.SearchSettings,
        "search.NAME": schema.SearchRange,
    }
    found = {schema.Recipe, *sections.values()}
    missing = [
        kind.__name__
        for kind in vars(schema).values()
        if inspect.isclass(kind) and issubclass(kind, schema.Settings) and kind not in found
    ]
    _missing.extend(f"no table shows {name}" for name in missing if name != "Settings")
    _section("recipe", schema.Recipe, "")
    for title, kind in sections.items():
        _section(title, kind, f"{title.partition(' ')[0]}.")


def project() -> None:
    """Print every setting of yoyak.toml."""
    from yoyak.config.project import Project

    for field in msgspec.structs.fields(Project):
        if isinstance(field.default, msgspec.Struct):
            _section(f"[{field.name}]", type(field.default), "")


def contest() -> None:
    """Print every key of contest.toml."""
    from yoyak.data.contest import Columns, Contest

    table("setting", "type", "default", "meaning")
    for cells in fields_of(Contest):
        row(*cells)
    print()
    _section("[columns]", Columns, "")


def commands() -> None:
    """Print every command with its arguments and options."""
    from yoyak.cli.app import ALIASES, VERBS, load_verb

    for name in VERBS:
        verb = load_verb(name)
        below = getattr(verb, "commands", None) or {"": verb}
        for sub, command in below.items():
            _command(f"{name} {sub}".strip(), command)
        for alias in (alias for alias, of in ALIASES.items() if of == name):
            print(f"\n`yoyak {alias}` = `yoyak {name}`")


def _command(name: str, command: Any) -> None:
    print(f"\n### yoyak {name}\n\n{command.help}\n")
    table("argument or option", "type", "default", "meaning")
    for parameter in command.params:
        if parameter.name == "help":
            continue
        named = "`, `".join(parameter.opts) if parameter.opts[0].startswith("-") else parameter.name
        kind = _parameter_type(parameter)
        default = word("required") if parameter.required else _value(_plain(parameter.default))
        row(f"`{named}`", kind, default, (parameter.help or "").replace("|", "\\|"))


def _plain(default: Any) -> Any:
    known = (str, int, float)
    return default if isinstance(default, known) and default is not False else None


def _parameter_type(parameter: Any) -> str:
    is_flag = getattr(parameter, "is_flag", False)
    return "–" if is_flag else shown_type(parameter.type_descriptor.annotation)


def exits() -> None:
    """Print every exit code."""
    from yoyak import errors

    table("code", "meaning")
    row("0", translated("Everything that was asked for is done."))
    kinds = [errors.YoyakError, *errors.YoyakError.__subclasses__()]
    for kind in kinds[1:]:
        row(str(kind.exit_code), translated(_sentence(kind.__doc__)))


def events() -> None:
    """Print every event of a log with its fields."""
    from yoyak.events import AnyEvent

    table("event", "meaning", "fields")
    for kind in get_args(AnyEvent):
        names = [field.encode_name for field in msgspec.structs.fields(kind) if field.name != "at"]
        fields = ", ".join(f"`{name}`" for name in names) or "–"
        row(f"`{kind.__struct_config__.tag}`", translated(_sentence(kind.__doc__)), fields)


def files() -> None:
    """Print every record on disk with its format number and fields."""
    from yoyak.files import format as formats
    from yoyak.prediction.output import BatchJob, BatchResult, SummaryRow
    from yoyak.runs.provenance import Provenance
    from yoyak.runs.ratings import PairRating
    from yoyak.runs.run import RunIdentity
    from yoyak.runs.workspace import WorkspaceSettings
    from yoyak.submission.ledger import Entry
    from yoyak.submission.manifest import SubmissionManifest
    from yoyak.values import Prediction

    records = (
        ("workspace.json", WorkspaceSettings, formats.WORKSPACE),
        ("runs/RUN/identity.json", RunIdentity, formats.RUN),
        ("runs/RUN/provenance.json", Provenance, None),
        ("runs/RUN/predictions/dev.jsonl", Prediction, None),
        ("ledger.jsonl", Entry, formats.LEDGER),
        ("ratings.jsonl", PairRating, formats.RATINGS),
        ("submissions/N/manifest.json", SubmissionManifest, formats.SUBMISSION),
        ("OUT/job.json", BatchJob, formats.BATCH),
        ("OUT/predictions.jsonl", SummaryRow, None),
        ("OUT/result.json", BatchResult, None),
    )
    table("file", "format", "what it holds", "fields")
    for name, kind, number in records:
        names = ", ".join(f"`{one.encode_name}`" for one in msgspec.structs.fields(kind))
        about = translated(_sentence(kind.__doc__))
        row(f"`{name}`", str(number.number) if number else "–", about, names)


def reliability() -> None:
    """Print docs/reliability.md, which the tests of faults write in English, cell by cell."""
    head, *sections = (DOCS / "reliability.md").read_text("utf-8").split("\n## ")
    for paragraph in head.strip().split("\n\n")[1:]:
        day = re.search(r"\d{4}-\d{2}-\d{2}", paragraph)
        english = _sentence(paragraph.replace(day[0], "{day}") if day else paragraph)
        print(translated(english).replace("{day}", day[0] if day else "") + "\n")
    for section in sections:
        title, *lines = section.splitlines()
        print(f"## {translated(title)}\n")
        _table_in(lines)
        print()


def architecture_packages() -> None:
    """Print the table of packages of docs/architecture.md."""
    _table_in(_section_of("architecture.md", "Packages, top to bottom"))


def architecture_places() -> None:
    """Print the table of docs/architecture.md that says where things are."""
    _table_in(_section_of("architecture.md", "Where is …?"))


def _section_of(page: str, title: str) -> list[str]:
    return (DOCS / page).read_text("utf-8").split(f"\n## {title}\n")[1].splitlines()


def _table_in(lines: list[str]) -> None:
    """Print the rows of a table in the page's language; other lines are left out."""
    for line in lines:
        if line.startswith("## "):
            return
        if line.startswith("| "):
            row(*(_cell(cell) for cell in line[2:-2].split(" | ")))
        elif line.startswith("|"):
            print(line)


def _cell(cell: str) -> str:
    """Translate a cell; of figures and results the words, and names of tests not at all."""
    if not cell.strip() or cell.startswith("`") or re.fullmatch(r"[\d#]+", cell):
        return cell
    if re.search(r": [\d.]+%?(;|$)", cell):
        pairs = [part.rpartition(": ") for part in cell.split("; ")]
        return "; ".join(f"{translated(label)}: {figure}" for label, _, figure in pairs)
    if re.fullmatch(r"(\w+ \(\d+\)(, )?)+", cell):
        return re.sub(r"\w+(?= \()", lambda outcome: translated(outcome[0]), cell)
    return translated(cell)


PAGES = (
    settings,
    project,
    contest,
    commands,
    exits,
    events,
    files,
    reliability,
    architecture_packages,
    architecture_places,
)


def main(page: str, chosen: str) -> None:
    """Print one page's tables in one language; fail if a meaning is missing."""
    global language  # noqa: PLW0603
    language = chosen
    print()
    {one.__name__: one for one in PAGES}[page]()
    print()
    if _missing:
        sys.exit("\n".join(_missing))


if __name__ == "__main__":
    os.environ["YOYAK_LANG"] = sys.argv[2]
    main(*sys.argv[1:])

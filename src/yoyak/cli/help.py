"""Help pages and usage errors in the language in use; Hangul takes two columns.

Typer writes its own words in English and measures letters, not columns.
"""

import re
import shutil
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from yoyak.messages import text

MOST_COLUMNS = 100
_NAME_COLUMNS = 30
_TYPES = {
    "int": "integer", "float": "number", "path": "path", "int range": "integer",
    "float range": "number",
}  # fmt: skip
"""Typer's names of types and the messages that name them; all others are text."""

_TYPER_WORDS = {
    "Show this message and exit.": "help",
    "Install completion for the current shell.": "install-completion",
    "Show completion for the current shell, to copy it or customize the installation.":
        "show-completion",
}  # fmt: skip

_PROBLEMS = tuple(
    (re.compile(pattern), key)
    for pattern, key in (
        (r"No such option: (?P<name>\S+)(?: .*: (?P<near>.*)\))?", "no-option"),
        (r"Option (?P<name>\S+) requires an argument\.", "no-value"),
        (r"Option (?P<name>\S+) does not take a value\.", "takes-no-value"),
        (r"Missing (?:argument|option|parameter) '?(?P<name>[^']+?)'?\.", "missing"),
        (r"Missing command\.", "no-verb"),
        (r"No such command '(?P<name>.*?)'\.(?: Did you mean (?P<near>.*)\?)?", "no-such-verb"),
        (r"Got unexpected extra argument\S* \((?P<name>.*)\)", "extra-argument"),
        (r"Invalid value for (?P<name>.*?): Input should be a valid integer.*", "not-integer"),
        (r"Invalid value for (?P<name>.*?): Input should be a valid number.*", "not-number"),
        (r"Invalid value for (?P<name>.*?): Input should be less than or equal to (?P<most>.*)",
         "too-large"),
        (r"Invalid value for (?P<name>.*?): Input should be greater than or equal to (?P<least>.*)",
         "too-small"),
        (r"Invalid value for (?P<name>.*?): (?P<problem>.*)", "bad-value"),
    )
)  # fmt: skip
"""Typer's sentences and the messages that say the same; the first that matches counts."""


class LocalCommand(TyperCommand):
    """A verb whose help page is ours."""

    def get_usage(self, ctx: Any) -> str:
        """Return the usage line."""
        return _usage(self, ctx)

    def get_help(self, ctx: Any) -> str:
        """Return the whole page."""
        return "\n\n".join(_parts(self, ctx))


class LocalGroup(TyperGroup):
    """A verb of several verbs whose help page is ours."""

    def get_usage(self, ctx: Any) -> str:
        """Return the usage line."""
        return _usage(self, ctx)

    def get_help(self, ctx: Any) -> str:
        """Return the whole page; the verbs come last."""
        found = ((name, self.get_command(ctx, name)) for name in self.list_commands(ctx))
        rows = [(name, one.help or "") for name, one in found if one and not one.hidden]
        return "\n\n".join((*_parts(self, ctx), *_section(text("help.commands"), rows)))


def _usage(command: TyperCommand | TyperGroup, ctx: Any) -> str:
    """Return the usage line: what must be given, and in brackets what may be."""
    pieces = " ".join(map(_piece, command.collect_usage_pieces(ctx)))
    return f"{text('help.usage')}: {ctx.command_path} {pieces}"


def _parts(command: TyperCommand | TyperGroup, ctx: Any) -> Iterator[str]:
    """Yield the usage line, what the command does, its arguments and its options."""
    yield _usage(command, ctx)
    yield "\n".join(f"  {line}" for line in _wrapped(command.help or "", _columns() - 2))
    records = [(one, one.get_help_record(ctx)) for one in command.get_params(ctx)]
    for kind in ("argument", "option"):
        rows = [
            (_name(record[0], kind), _explained(record[1]))
            for one, record in records
            if record is not None and one.param_type_name == kind
        ]
        yield from _section(text(f"help.{kind}s"), rows)


def usage_error(error: typer.TyperException) -> str:
    """Return what typer refuses, in the language in use, after the usage line."""
    context = getattr(error, "ctx", None)
    said = error.format_message()
    if context is None:
        return text("cli.error", error=translated(said))
    if said == context.get_help():
        return said
    hint = text("help.try", command=context.command_path)
    return f"{context.get_usage()}\n{text('cli.error', error=translated(said))} → {hint}"


def translated(said: str) -> str:
    """Return a sentence of typer's as a message of ours; an unknown one as it is."""
    for pattern, key in _PROBLEMS:
        found = pattern.fullmatch(said)
        if found:
            fields = {name: value or "" for name, value in found.groupdict().items()}
            near = fields.pop("near", "")
            fields = {name: value.strip("'") for name, value in fields.items()}
            meant = text("help.did-you-mean", near=near) if near else ""
            return text(f"help.{key}", **fields) + meant
    return said


def _piece(piece: str) -> str:
    """Return a piece of a usage line, names in capitals and without typer's braces."""
    if piece == "[OPTIONS]":
        return f"[{text('help.options-word')}]"
    if piece == "COMMAND [ARGS]...":
        return text("help.command-word")
    return re.sub(r"[{}]", "", piece).upper()


def _name(shown: str, kind: str) -> str:
    """Return the name of a parameter with its type in words; arguments need none."""
    if kind == "argument":
        return re.sub(r" <.*>$", "", shown).upper()
    return re.sub(
        r"<(?:list\[)?([A-Za-z ]+)\]?>",
        lambda found: text(f"help.type-{_TYPES.get(found[1].lower(), 'text')}"),
        shown,
    )


def _explained(said: str) -> str:
    known = _TYPER_WORDS.get(said)
    if known:
        return text(f"help.{known}")
    said = re.sub(r"\[required\]$", f"[{text('help.required')}]", said)
    return re.sub(r"\[default: ", f"[{text('help.default')}: ", said)


# --- layout --------------------------------------------------------------------------------------


def _columns() -> int:
    return min(shutil.get_terminal_size().columns, MOST_COLUMNS)


def _width(shown: str) -> int:
    """Return how many terminal columns a text takes."""
    return sum(1 + (unicodedata.east_asian_width(letter) in "WF") for letter in shown)


def _wrapped(said: str, columns: int) -> list[str]:
    """Return lines of at most ``columns``; a word that is longer has its own."""
    lines: list[str] = []
    for word in said.split():
        if lines and _width(lines[-1]) + 1 + _width(word) <= columns:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines or [""]


def _section(title: str, rows: Sequence[tuple[str, str]]) -> list[str]:
    """Return a heading with its rows, names beside their texts; nothing without rows."""
    if not rows:
        return []
    column = min(max(_width(name) for name, _ in rows), _NAME_COLUMNS) + 4
    lines = [f"{title}:"]
    for name, said in rows:
        first, *further = _wrapped(said, _columns() - column)
        gap = column - 2 - _width(name)
        lines += (
            [f"  {name}{' ' * gap}{first}"] if gap >= 2 else [f"  {name}", " " * column + first]
        )
        lines += [" " * column + line for line in further]
    return ["\n".join(lines)]

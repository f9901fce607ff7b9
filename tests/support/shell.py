"""Shell commands in documents, taken apart as a shell would, and held against yoyak's own."""

import re
import shlex
from collections.abc import Iterator

import typer

SEPARATORS = {"|", "||", "&&", ";", "&", "(", ")", "$("}
HEREDOC = re.compile(r"^(.*<<-?\s*['\"]?(\w+)['\"]?.*\n)(?:.*\n)*?\2$", re.MULTILINE)


def commands(script: str) -> Iterator[list[str]]:
    """The words of every simple command, without redirections and assignments before it."""
    script = HEREDOC.sub(r"\1", script).replace("\\\n", " ")
    for line in script.splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;()<>")
        lexer.whitespace_split = True
        words: list[str] = []
        for word in [*lexer, ";"]:
            if word not in SEPARATORS:
                words.append(word)
                continue
            yield from _simple(words)
            words = []


def _simple(words: list[str]) -> Iterator[list[str]]:
    """Leave out what is no part of the command; yield nothing where nothing is left."""
    kept: list[str] = []
    words = list(words)
    while words:
        word = words.pop(0)
        if set(word) <= set("<>&"):
            words[:1] = []  # the file of a redirection
            if kept and kept[-1].isdigit():
                kept.pop()
        elif kept or not re.fullmatch(r"[A-Z_]+=.*|do|then|nohup|time|uvx|if|while|until|!", word):
            kept.append(word)
    if kept:
        yield kept


def problem_of(words: list[str]) -> str:
    """What the command line has against a command of yoyak before it starts; empty for nothing."""
    from yoyak.cli.app import ALIASES, VERBS, load_verb

    called, *words = words
    if called != "yoyak":
        return ""
    name, *words = words[2:] if words[0] == "--lang" else words
    if name not in (*VERBS, *ALIASES):
        return f"no command {name}"
    command = load_verb(name)
    if hasattr(command, "commands"):
        name, *words = words
        command = command.commands.get(name)
        if command is None:
            return f"no command {name}"
    [usage_error] = typer.BadParameter.__bases__
    try:
        command.make_context(name, words)
    except usage_error as error:
        return error.format_message()
    return ""

"""Git, called so that nothing of the repository it is called in is run.

A repository that came from somebody else may name programs in its configuration: hooks, an
fsmonitor, filters, a credential helper. They are all switched off, connections are refused unless
the caller allows a protocol, and variables that point at another repository are not passed on.
"""

import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from yoyak.errors import CannotWrite, Unavailable
from yoyak.runs.redact import redact

_OFF = {
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.attributesFile": "/dev/null",
    "core.pager": "cat",
    "core.editor": "false",
    "commit.gpgSign": "false",
    "tag.gpgSign": "false",
    "diff.external": "",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "submodule.recurse": "false",
    "init.templateDir": "",
}
"""What is set over every configuration file; an empty value takes a program away."""

_LOCAL = (
    "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_COMMON_DIR", "GIT_CONFIG", "GIT_CONFIG_COUNT",
    "GIT_CONFIG_PARAMETERS", "GIT_DIR", "GIT_EXTERNAL_DIFF", "GIT_GRAFT_FILE",
    "GIT_IMPLICIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_NAMESPACE", "GIT_NO_REPLACE_OBJECTS",
    "GIT_OBJECT_DIRECTORY", "GIT_PREFIX", "GIT_REPLACE_REF_BASE", "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
)  # fmt: skip
"""Inside a hook these name another repository (``git rev-parse --local-env-vars``)."""

NO_PROTOCOL = ""
"""Nothing may be fetched or pushed; missing objects of a partial clone neither."""
PUSH_PROTOCOLS = "file:git:http:https:ssh"
"""What a remote's address may begin with: ``ext::`` would run a program."""


def git(
    folder: Path,
    *words: str,
    content: bytes | None = None,
    environment: Mapping[str, str] | None = None,
    protocols: str = NO_PROTOCOL,
    seconds: float = 300.0,
) -> bytes:
    """Return what git prints in ``folder``.

    Args:
        folder: the repository or a folder in it.
        words: the command and its arguments.
        content: what git reads.
        environment: further variables.
        protocols: with which git may connect, separated by colons.
        seconds: how long it may take.

    Raises:
        CannotWrite: git said no or took too long; the message holds its reason without secrets.
        Unavailable: git is not installed.
    """
    off = dict(_OFF)
    for name in _filters(folder):
        off |= {f"{name}.clean": "", f"{name}.smudge": "", f"{name}.process": ""}
        off |= {f"{name}.required": "false"}
    return _run(folder, words, _environment(off, protocols, environment or {}), content, seconds)


def git_or_none(folder: Path, *words: str, seconds: float = 300.0) -> str | None:
    """Return what git prints without the blanks around it, ``None`` where it says no."""
    try:
        return git(folder, *words, seconds=seconds).decode(errors="replace").strip()
    except CannotWrite:
        return None


def _filters(folder: Path) -> Iterator[str]:
    """Yield ``filter.NAME`` of each filter that is configured, for its programs to be taken away.

    Filters turn the files of a working tree into what git stores, whenever git compares them.
    """
    words = ("config", "--null", "--name-only", "--get-regexp", r"^filter\.")
    try:
        found = _run(folder, words, _environment(_OFF, NO_PROTOCOL, {}), None, 30.0)
    except CannotWrite:  # there is none
        return
    for name in {key.rpartition(".")[0] for key in found.decode("utf-8", "replace").split("\0")}:
        if name:
            yield name


def _environment(
    off: Mapping[str, str], protocols: str, further: Mapping[str, str]
) -> dict[str, str]:
    """Return git's variables; configuration that is set by them goes before every file's."""
    inherited = {name: value for name, value in os.environ.items() if name not in _LOCAL}
    set_over = {"GIT_CONFIG_COUNT": str(len(off))}
    for number, (key, value) in enumerate(off.items()):
        set_over |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    quiet = {"GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    connecting = {"GIT_ALLOW_PROTOCOL": protocols, "GIT_NO_LAZY_FETCH": "1"}
    return {**inherited, **set_over, **quiet, **connecting, **further}


def _run(
    folder: Path,
    words: tuple[str, ...],
    environment: Mapping[str, str],
    content: bytes | None,
    seconds: float,
) -> bytes:
    command = ("git", "--no-pager", "-C", str(folder), *words)
    try:
        done = subprocess.run(
            command, input=content or b"", capture_output=True, check=False, timeout=seconds,
            env=environment,
        )  # fmt: skip
    except FileNotFoundError as error:
        raise Unavailable("runs.no-git") from error
    except subprocess.TimeoutExpired as error:
        problem = f"{seconds:.0f} s"
        raise CannotWrite("runs.git-slow", command=words[0], seconds=problem) from error
    if done.returncode:
        said = redact(done.stderr.decode("utf-8", "replace").strip())
        problem = said or f"exit code {done.returncode}"
        raise CannotWrite("runs.git-failed", command=words[0], problem=problem)
    return done.stdout

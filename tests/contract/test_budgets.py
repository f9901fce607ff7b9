"""The house stays readable: sizes are measured on the syntax tree and printed."""

import ast
import statistics
import subprocess
import sys
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import grimp
import pytest

import yoyak

PACKAGE = Path(yoyak.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
HEAVY = (
    "torch", "transformers", "peft", "numpy", "scipy", "rapidfuzz", "pandas", "rich", "jinja2",
    "mecab", "psutil", "wandb", "starlette",
)  # fmt: skip


@cache
def trees() -> list[tuple[Path, ast.Module, int]]:
    return [
        (path, ast.parse(text), text.count("\n") + 1)
        for path in FILES
        if (text := path.read_text("utf-8"))
    ]


@cache
def nodes() -> list[tuple[Path, ast.AST]]:
    return [(path, node) for path, tree, _ in trees() for node in ast.walk(tree)]


@cache
def functions() -> list[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef, int]]:
    return [
        (f"{path.relative_to(PACKAGE)}:{node.name}", node, (node.end_lineno or 0) - node.lineno + 1)
        for path, node in nodes()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


def string_keys() -> int:
    return sum(
        isinstance(node, ast.Subscript)
        and isinstance(node.slice, ast.Constant)
        and isinstance(node.slice.value, str)
        for _, node in nodes()
    )


def test_sizes_stay_within_the_budget(say):
    lines = {str(path.relative_to(PACKAGE)): count for path, _, count in trees()}
    lengths = [length for _, _, length in functions()]
    long_share = sum(length > 60 for length in lengths) / len(lengths)
    keys_per_1000 = 1000 * string_keys() / sum(lines.values())
    say(
        f"{len(lines)} files, {sum(lines.values())} lines: file median "
        f"{statistics.median(lines.values()):.0f}, longest {max(lines.values())}; "
        f"{len(lengths)} functions: median {statistics.median(lengths):.0f} lines, "
        f"{long_share:.1%} over 60; {keys_per_1000:.1f} string keys per 1,000 lines"
    )
    assert statistics.median(lines.values()) <= 130
    assert statistics.median(lengths) <= 9
    assert long_share < 0.03
    assert keys_per_1000 < 10


def test_every_module_opens_with_what_it_is():
    assert [str(path) for path, tree, _ in trees() if not ast.get_docstring(tree)] == []


def arguments_of(node: ast.FunctionDef | ast.AsyncFunctionDef) -> list[ast.arg]:
    found = node.args
    rest = [each for each in (found.vararg, found.kwarg) if each is not None]
    return [*found.posonlyargs, *found.args, *found.kwonlyargs, *rest]


def test_every_function_is_annotated():
    bare = [
        name
        for name, node, _ in functions()
        if node.returns is None
        or any(
            argument.annotation is None and argument.arg not in {"self", "cls", "_"}
            for argument in arguments_of(node)
        )
    ]
    assert bare == []


def is_silent(node: ast.AST) -> bool:
    """An ``except`` with nothing in it, or a ``suppress`` of every exception there is."""
    if isinstance(node, ast.ExceptHandler):
        return all(isinstance(line, ast.Pass | ast.Continue) for line in node.body)
    return (
        isinstance(node, ast.Call)
        and ast.unparse(node.func).rpartition(".")[2] == "suppress"
        and bool({"Exception", "BaseException"} & {ast.unparse(each) for each in node.args})
    )


def test_no_exception_is_swallowed():
    silent = [
        f"{path.relative_to(PACKAGE)}:{getattr(node, 'lineno', 0)}"
        for path, node in nodes()
        if is_silent(node)
    ]
    assert silent == []


def test_no_module_imports_itself_by_a_round_about_way():
    graph = grimp.build_graph("yoyak", exclude_type_checking_imports=True, cache_dir=None)
    imports = {one: graph.find_modules_directly_imported_by(one) for one in graph.modules}
    TopologicalSorter(imports).prepare()  # a CycleError names the modules in their order


def test_no_file_is_called_utils():
    assert [
        path.name for path in FILES if path.stem in {"utils", "util", "helpers", "common"}
    ] == []


def modules_after(code: str) -> set[str]:
    listing = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print('\\n'.join(sys.modules))"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    return set(listing.stdout.split())


@pytest.mark.process
@pytest.mark.parametrize("module", ["yoyak.cli", "yoyak.scheduler.scheduler", "yoyak.engine"])
def test_light_modules_load_nothing_heavy(module):
    assert modules_after(f"import {module}") & set(HEAVY) == set()


HELP = """
from contextlib import redirect_stdout
from io import StringIO
from yoyak.cli import main
try:
    with redirect_stdout(StringIO()): main(['--help'])
except SystemExit: pass
"""


@pytest.mark.process
def test_help_imports_hardly_more_than_typer(say):
    """Count modules, because time depends on the machine: importing is what a start takes."""
    extra = modules_after(HELP) - modules_after("import typer")
    say(f"--help: {len(extra)} modules more than typer")
    ours = {name for name in extra if name.partition(".")[0] == "yoyak"}
    messages = {"yoyak.messages", "yoyak.korean"}
    assert (
        ours <= {"yoyak", "yoyak.cli", "yoyak.cli.app", "yoyak.cli.help", "yoyak.errors"} | messages
    )
    assert {"msgspec", "rich"} & extra == set()
    assert len(extra) < 40

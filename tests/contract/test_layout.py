"""The layout of the code is what its map says, and names mean one thing each."""

import ast
import re
from collections import defaultdict
from pathlib import Path

import yoyak

PACKAGE = Path(yoyak.__file__).parent
ROOT = Path(__file__).parents[2]
MAP = (ROOT / "docs" / "architecture.md").read_text("utf-8")
ROW = re.compile(r"^\| `([a-z_/]+)` \|", re.MULTILINE)
FILE = re.compile(r"`([a-z_/0-9]+\.(?:py|toml))`(?: \(`(\w+)`\))?")
EXEMPT = ROOT / "tests" / "contract" / "untested_modules.txt"


def modules() -> list[Path]:
    return [path.relative_to(PACKAGE) for path in sorted(PACKAGE.rglob("*.py"))]


def folders() -> set[str]:
    """Every folder of the package that holds code or recipes."""
    kept = {path.parent.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py")}
    recipes = {path.parent.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.toml")}
    return {one for one in kept | recipes if one != "." and not one.startswith("messages/")}


def test_every_package_is_on_the_map_and_nothing_else():
    assert set(ROW.findall(MAP)) - {"messages"} == folders() - {"messages", "planning/data"}


def test_every_file_that_the_map_names_is_there():
    named = FILE.findall(MAP)
    assert len(named) > 15
    assert [file for file, _ in named if not (PACKAGE / file).is_file()] == []
    for file, name in named:
        if name:
            assert f"class {name}" in (PACKAGE / file).read_text("utf-8"), (file, name)


def test_public_class_names_are_unique():
    places = defaultdict(list)
    for path in modules():
        for node in ast.parse((PACKAGE / path).read_text("utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(str(path))
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def test_every_module_has_its_test_file_or_a_reason():
    reasons = dict(
        line.split(": ", 1)
        for line in EXEMPT.read_text("utf-8").splitlines()
        if line and not line.startswith("#")
    )
    tests = {path.relative_to(ROOT / "tests").as_posix() for path in ROOT.glob("tests/**/*.py")}
    missing = []
    for path in modules():
        if path.name in {"__init__.py", "__main__.py"}:
            continue
        module = path.with_suffix("").as_posix()
        below = path.parent.as_posix()
        test = f"test_{path.stem}.py"
        places = {f"{below}/{test}".removeprefix("./")}
        if below.startswith("engine"):
            places.add(f"torch/{below.removeprefix('engine').strip('/')}/{test}".replace("//", "/"))
        if not places & tests and module not in reasons:
            missing.append(module)
    assert missing == []
    known = {path.with_suffix("").as_posix() for path in modules()}
    assert [module for module in reasons if module not in known] == []

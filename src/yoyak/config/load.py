"""Resolve a recipe from its layers, with the origin of every value.

Layers, later ones win: the bundled recipe (and what it ``extends``) < a recipe file of the user's
< ``[recipes.NAME]`` in ``./yoyak.toml`` < ``--set a.b=c``. Tables merge, anything else replaces.
"""

import difflib
import json
import math
import re
import tomllib
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple, get_args, get_origin

import msgspec

from yoyak.config.aliases import UNSUPPORTED, Renamed, with_current_names
from yoyak.config.schema import BROKEN_RULE, Recipe, Settings
from yoyak.config.toml_file import Table, parse_toml, read_toml
from yoyak.errors import BadRecipe, InputMissing
from yoyak.messages import text

RECIPES = files(__package__) / "recipes"
"""The folder of the bundled recipes."""

ABSTRACT = frozenset({"qlora-base"})
"""Bundled recipes that name no model and are there to be extended."""

NONE = "none"
"""The value that switches an optional setting off: TOML has no null."""

DEEPEST_EXTENDS = 32
"""A chain of ``extends`` that is longer than this was written by mistake."""

_OTHER_FORMATS = {".yaml": "YAML", ".yml": "YAML", ".json": "JSON"}
_LARGEST_INTEGER = 2**63 - 1
_MSGSPEC = {
    "type": re.compile(r"Expected `(?P<expected>[^`]+)`, got `(?P<found>[^`]+)`"),
    "bound": re.compile(r"Expected `\w+` (?P<bound>[<>]=? \S+)"),
    "word": re.compile(r"Invalid (?:enum )?value '(?P<found>.*)'"),
    "missing": re.compile(r"Object missing required field `(?P<name>[^`]+)`"),
    "unknown": re.compile(r"Object contains unknown field `(?P<name>[^`]+)`"),
}
"""What msgspec says of a value that its type does not allow."""
_PLACE = re.compile(r"at `\$\.([\w.]+)`")


class Resolved(NamedTuple):
    """A recipe, and the origin of each of its values.

    ``origins`` maps ``a.b`` to the name of its layer (``default`` where none gave it).
    ``renamed`` lists the settings that were given under another name, each with its layer.
    """

    recipe: Recipe
    origins: dict[str, str]
    renamed: tuple[tuple[str, Renamed], ...] = ()


def names() -> tuple[str, ...]:
    """Return the bundled recipes that can be run, in alphabetical order."""
    return tuple(name for name in _bundled() if name not in ABSTRACT)


def _bundled() -> list[str]:
    return sorted(entry.name.removesuffix(".toml") for entry in RECIPES.iterdir())


def recipe_name(name: str) -> str:
    """Return the name of the recipe ``name``, which may be the path of its file; NFC."""
    return unicodedata.normalize("NFC", Path(name).stem if name.endswith(".toml") else name)


def resolve(
    name: str, *, project: Mapping[str, Any] | None = None, sets: Iterable[str] = ()
) -> Resolved:
    """Resolve the recipe called ``name`` (or the TOML file at that path) with every layer.

    ``project`` is the parsed ``yoyak.toml``; ``sets`` are ``a.b=value`` with a TOML value.

    Raises:
        BadRecipe: unknown recipe or setting, wrong type, or settings that do not fit together.
        InputMissing: there is no such file.
    """
    merged: Table = {}
    origins: dict[str, str] = {}
    renamed: list[tuple[str, Renamed]] = []
    for origin, given in _layers(name, project or {}, sets):
        table, aliases = with_current_names(given)
        renamed += [(origin, alias) for alias in aliases]
        _check_table(table, Recipe, origin)
        if _names_other_base(table, merged):
            merged.pop("base", None)  # what was published of another one
            origins = {key: each for key, each in origins.items() if not key.startswith("base.")}
        _merge(merged, table, origins, origin)
    label = recipe_name(name)
    merged.setdefault("name", label)
    if name.endswith(".toml") or merged["name"] != label:
        merged["file"] = name
    merged.get("decode", {}).setdefault("kind", "greedy")  # what a recipe without [decode] does
    if "engine" not in merged:
        raise BadRecipe("config.no-engine", recipe=label)
    recipe = _convert(_without_none(merged), label, origins)
    found = {key: origins.get(key, "default") for key, _ in settings_of(recipe)}
    return Resolved(recipe, found, tuple(dict.fromkeys(renamed)))


def settings_of(value: Settings, prefix: str = "") -> Iterator[tuple[str, object]]:
    """Yield every ``a.b`` of a recipe with its value, in declaration order."""
    for field in msgspec.structs.fields(value):
        inner = getattr(value, field.name)
        if isinstance(inner, Settings):
            kind = inner.__struct_config__.tag
            if kind is not None:
                yield f"{prefix}{field.name}.kind", kind
            yield from settings_of(inner, f"{prefix}{field.name}.")
        else:
            yield f"{prefix}{field.name}", inner


# --- layers --------------------------------------------------------------------------------------


def _layers(
    name: str, project: Mapping[str, Any], sets: Iterable[str]
) -> Iterator[tuple[str, Table]]:
    yield from reversed(_chain(name))
    per_recipe = project.get("recipes", {}).get(recipe_name(name))
    if per_recipe:
        yield "yoyak.toml", per_recipe
    for spec in sets:
        yield f"--set {spec}", _parse_set(spec)


def _chain(name: str) -> list[tuple[str, Table]]:
    """Return the recipe's own table and those that it extends, the most basic one last."""
    found: list[tuple[str, Table]] = []
    chain: list[str] = []
    following: object = name
    while following is not None:
        if not isinstance(following, str):
            raise BadRecipe("config.bad-extends", origin=found[-1][0], value=following)
        chain.append(following)
        if following in chain[:-1] or len(chain) > DEEPEST_EXTENDS:
            shown = chain if following in chain[:-1] else [*chain[:3], "…", chain[-1]]
            key = "config.extends-itself" if shown is chain else "config.extends-too-deep"
            raise BadRecipe(key, recipe=name, chain=" > ".join(shown), most=DEEPEST_EXTENDS)
        origin, table = _read(following)
        following = table.pop("extends", None)
        found.append((origin, table))
    return found


def _read(name: str) -> tuple[str, Table]:
    if name.endswith(".toml"):
        path = Path(name)
        if not path.is_file():
            raise InputMissing("config.no-file", path=name)
        return name, read_toml(path)
    if Path(name).suffix in _OTHER_FORMATS:
        raise BadRecipe("config.other-format", path=name, format=_OTHER_FORMATS[Path(name).suffix])
    if name not in _bundled():
        close = difflib.get_close_matches(name, names(), n=1)
        meant = text("config.meant", near=close[0]) if close else ""
        raise BadRecipe("config.unknown", recipe=name, meant=meant, count=len(names()))
    origin = f"recipes/{name}.toml"
    return origin, parse_toml((RECIPES / f"{name}.toml").read_text(encoding="utf-8"), origin)


def _parse_set(spec: str) -> Table:
    key, equals, raw = spec.partition("=")
    if not equals or not key.strip():
        raise BadRecipe("config.bad-set", spec=spec)
    try:
        value = tomllib.loads(f"value = {raw}")["value"]
    except (tomllib.TOMLDecodeError, RecursionError):
        value = raw  # --set model.base=org/name: a bare word is text, as a shell user expects
    *sections, setting = key.strip().split(".")
    table: Table = {setting: value}
    for section in reversed(sections):
        table = {section: table}
    return table


def _merge(
    into: Table, table: Table, origins: dict[str, str], origin: str, prefix: str = ""
) -> None:
    for key, value in table.items():
        if not isinstance(value, dict):
            into[key] = value
            origins[f"{prefix}{key}"] = origin
            continue
        inner = into.get(key)
        if not isinstance(inner, dict):  # it was not given yet, or was switched off
            inner = into[key] = {}
        other_kind = value.get("kind", inner.get("kind")) != inner.get("kind")
        if not prefix and key == "decode" and other_kind:
            inner.clear()  # another kind of decoding has other settings
        _merge(inner, value, origins, origin, f"{prefix}{key}.")


def _names_other_base(table: Table, merged: Table) -> bool:
    base = table.get("model", {}).get("base")
    return base is not None and base != merged.get("model", {}).get("base")


def _without_none(table: Table) -> Table:
    return {
        key: _without_none(value) if isinstance(value, dict) else (None if value == NONE else value)
        for key, value in table.items()
    }


# --- checks of one layer, whose origin is known --------------------------------------------------


def _check_table(table: Table, kind: type[Settings], origin: str, prefix: str = "") -> None:
    known = {field.name: field.type for field in msgspec.structs.fields(kind)}
    for name, value in table.items():
        key = f"{prefix}{name}"
        if name not in known:
            raise _unknown(key, name, known, origin)
        sections = _sections(known[name])
        if sections and isinstance(value, dict):
            if len(sections) == 1:  # a union (decode) is checked by its tag in _convert
                _check_table(value, sections[0], origin, f"{key}.")
            else:
                _check_values(value, origin, f"{key}.")
        elif sections and value != NONE:
            raise BadRecipe("config.not-a-section", key=key, value=_shown(value), origin=origin)
        elif isinstance(value, dict) and dict not in _plain_types(known[name]):
            raise BadRecipe("config.no-section", key=key, origin=origin)
        else:
            _check_value(key, value, known[name], origin)


def _check_values(table: Table, origin: str, prefix: str) -> None:
    for name, value in table.items():
        if isinstance(value, dict):
            raise BadRecipe("config.no-section", key=f"{prefix}{name}", origin=origin)
        _check_value(f"{prefix}{name}", value, object, origin)


def _check_value(key: str, value: object, kind: Any, origin: str) -> None:
    """Refuse what JSON cannot hold, and words that the setting does not know."""
    if isinstance(value, float) and not math.isfinite(value):
        raise BadRecipe("config.not-finite", key=key, value=value, origin=origin)
    if isinstance(value, int) and abs(value) > _LARGEST_INTEGER:
        raise BadRecipe("config.not-finite", key=key, value=_shown(value), origin=origin)
    if isinstance(value, str) and not _is_text(value):
        raise BadRecipe("config.not-text", key=key, origin=ascii(origin))
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        _check_word(key, value, kind, origin)


def _check_word(key: str, value: object, kind: type[StrEnum], origin: str) -> None:
    words = [each.value for each in kind]
    if value in words:
        return
    by_lower = {word.lower(): word for word in words}
    close = difflib.get_close_matches(str(value).lower(), by_lower, n=1)
    meant = text("config.meant", near=by_lower[close[0]]) if close else ""
    known = ", ".join(words)
    raise BadRecipe(
        "config.unknown-word", key=key, value=value, meant=meant, known=known, origin=origin
    )


def _unknown(key: str, name: str, known: Mapping[str, Any], origin: str) -> BadRecipe:
    if key in UNSUPPORTED:
        return BadRecipe(UNSUPPORTED[key], key=key, origin=origin)
    close = difflib.get_close_matches(name, known, n=1)
    meant = text("config.meant", near=close[0]) if close else ""
    return BadRecipe("config.unknown-key", key=key, meant=meant, origin=origin)


def _sections(kind: Any) -> list[type[Settings]]:
    """Return the sections that a setting of that type may be; none for a plain value."""
    options = (kind, *get_args(kind))
    return [each for each in options if isinstance(each, type) and issubclass(each, Settings)]


def _plain_types(kind: Any) -> set[Any]:
    """Return the types of a setting without their parameters."""
    return {get_origin(each) or each for each in (kind, *get_args(kind))}


def _is_text(value: str) -> bool:
    """Return whether UTF-8 can hold it: an argument that is no UTF-8 has lone surrogates."""
    return not any("\ud800" <= character <= "\udfff" for character in value)


def _shown(value: object) -> str:
    shown = str(value)
    return shown if len(shown) <= 40 else f"{shown[:40]}…"


def _convert(values: Table, name: str, origins: Mapping[str, str]) -> Recipe:
    try:
        return msgspec.convert(values, Recipe)
    except msgspec.ValidationError as error:
        key = place[1] if (place := _PLACE.search(str(error))) else ""
        origin = origins.get(key)
        problem = _explained(str(error), key)
        problem = f"{problem} ({origin})" if origin else problem
        raise BadRecipe("config.invalid", recipe=name, problem=problem) from error


def _explained(said: str, key: str) -> str:
    """Return msgspec's words, and those of ``broken_rule``, in the language in use."""
    said = said.partition(" - at `$")[0]
    if said.startswith(BROKEN_RULE):
        rule, _, fields = said.partition(" ")
        return text(rule, **json.loads(fields))
    for name, pattern in _MSGSPEC.items():
        if found := pattern.fullmatch(said):
            return text(f"config.value-{name}", key=key, **found.groupdict())
    return f"{key}: {said}"

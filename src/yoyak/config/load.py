"""The bundled recipes, and how a recipe is resolved from its layers with each value's origin."""

import difflib
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from yoyak.config.aliases import Renamed, with_current_names
from yoyak.config.schema import Recipe, Settings, convert
from yoyak.errors import BadRecipe, InputMissing

RECIPES = files(__package__) / "recipes"
"""The folder of the bundled recipes."""

Table = dict[str, Any]

NONE = "none"
"""How an optional setting is switched off in TOML, which has no null."""


class Resolved(NamedTuple):
    """A recipe, and for each ``a.b`` of it the layer that said it (``default`` where none did).

    ``renamed`` lists the settings that were given under another name, each with its layer.
    """

    recipe: Recipe
    origins: dict[str, str]
    renamed: tuple[tuple[str, Renamed], ...] = ()


def names() -> tuple[str, ...]:
    """The bundled recipes that can be run, in alphabetical order (bases to extend left out)."""
    found = (entry.name.removesuffix(".toml") for entry in RECIPES.iterdir())
    return tuple(sorted(name for name in found if _is_recipe(name)))


def resolve(
    name: str, *, project: Mapping[str, Any] | None = None, sets: Iterable[str] = ()
) -> Resolved:
    """The recipe called ``name`` (or the TOML file at that path) with every layer applied.

    ``project`` is the parsed ``yoyak.toml``; ``sets`` are ``a.b=value`` with a TOML value.

    Raises:
        BadRecipe: unknown recipe or setting, wrong type, or settings that do not fit together.
    """
    merged: Table = {}
    origins: dict[str, str] = {}
    renamed: list[tuple[str, Renamed]] = []
    for origin, given in _layers(name, project or {}, sets):
        table, aliases = with_current_names(given)
        renamed += [(origin, alias) for alias in aliases]
        _check_keys(table, Recipe, origin)
        _merge(merged, table, origins, origin)
    label = Path(name).stem
    merged.setdefault("name", label)
    merged.get("decode", {}).setdefault("kind", "greedy")  # what a recipe without [decode] does
    if "engine" not in merged:
        raise BadRecipe("config.no-engine", recipe=label)
    recipe = convert(_without_none(merged), label)
    said = {key: origins.get(key, "default") for key, _ in settings_of(recipe)}
    return Resolved(recipe, said, tuple(renamed))


def settings_of(value: Settings, prefix: str = "") -> Iterator[tuple[str, object]]:
    """Every ``a.b`` of a recipe with its value, in declaration order."""
    for field in msgspec.structs.fields(value):
        inner = getattr(value, field.name)
        if isinstance(inner, Settings):
            kind = inner.__struct_config__.tag
            if kind is not None:
                yield f"{prefix}{field.name}.kind", kind
            yield from settings_of(inner, f"{prefix}{field.name}.")
        else:
            yield f"{prefix}{field.name}", inner


def _layers(
    name: str, project: Mapping[str, Any], sets: Iterable[str]
) -> Iterator[tuple[str, Table]]:
    yield from _chain(name, ())
    per_recipe = project.get("recipes", {}).get(Path(name).stem)
    if per_recipe:
        yield "yoyak.toml", per_recipe
    for spec in sets:
        yield f"--set {spec}", _parse_set(spec)


def _chain(name: str, below: tuple[str, ...]) -> Iterator[tuple[str, Table]]:
    if name in below:
        raise BadRecipe("config.extends-itself", recipe=name, chain=" > ".join((*below, name)))
    origin, table = _read(name)
    base = table.pop("extends", None)
    if base is not None:
        yield from _chain(base, (*below, name))
    yield origin, table


def _read(name: str) -> tuple[str, Table]:
    if name.endswith(".toml"):
        path = Path(name)
        if not path.is_file():
            raise InputMissing("config.no-file", path=name)
        return name, _parse(path.read_text(encoding="utf-8"), name)
    bundled = RECIPES / f"{name}.toml"
    if not bundled.is_file():
        close = difflib.get_close_matches(name, names(), n=1)
        hint = f"'{close[0]}'" if close else ", ".join(names())
        raise BadRecipe("config.unknown", recipe=name, suggestion=hint, known=", ".join(names()))
    return f"recipes/{name}.toml", _parse(bundled.read_text(encoding="utf-8"), name)


def _parse(text: str, where: str) -> Table:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadRecipe("config.not-toml", where=where, problem=str(error)) from error


def _parse_set(spec: str) -> Table:
    key, equals, raw = spec.partition("=")
    if not equals or not key.strip():
        raise BadRecipe("config.bad-set", spec=spec)
    try:
        value = tomllib.loads(f"value = {raw}")["value"]
    except tomllib.TOMLDecodeError:
        value = raw  # --set model.base=org/name: a bare word is text, as a shell user expects
    for part in reversed(key.strip().split(".")):
        value = {part: value}
    assert isinstance(value, dict)  # noqa: S101 -- at least one part was wrapped around it
    return value


def _merge(
    into: Table, table: Table, origins: dict[str, str], origin: str, prefix: str = ""
) -> None:
    for key, value in table.items():
        if isinstance(value, dict):
            inner = into.setdefault(key, {})
            if (
                prefix == ""
                and key == "decode"
                and value.get("kind", inner.get("kind")) != inner.get("kind")
            ):
                inner.clear()  # another kind of decoding has other settings
            _merge(inner, value, origins, origin, f"{prefix}{key}.")
        else:
            into[key] = value
            origins[f"{prefix}{key}"] = origin


def _without_none(table: Table) -> Table:
    return {
        key: _without_none(value) if isinstance(value, dict) else (None if value == NONE else value)
        for key, value in table.items()
    }


def _check_keys(table: Table, kind: type[Settings], origin: str, prefix: str = "") -> None:
    known = _keys(kind)
    for key, value in table.items():
        if f"{prefix}{key}" == "train.processes":
            raise BadRecipe("config.no-processes", origin=origin)
        if key not in known:
            close = difflib.get_close_matches(key, known, n=1)
            hint = close[0] if close else ", ".join(sorted(known))
            raise BadRecipe(
                "config.unknown-key", key=f"{prefix}{key}", suggestion=hint, origin=origin
            )
        section = _section(known[key])
        if isinstance(value, dict) and section is not None:
            _check_keys(value, section, origin, f"{prefix}{key}.")
        elif isinstance(known[key], type) and issubclass(known[key], StrEnum):
            _check_word(f"{prefix}{key}", value, known[key], origin)


def _check_word(key: str, value: object, kind: type[StrEnum], origin: str) -> None:
    """A setting that is one of a few words must be one of them."""
    words = [each.value for each in kind]
    if value in words:
        return
    by_lower = {word.lower(): word for word in words}
    close = difflib.get_close_matches(str(value).lower(), by_lower, n=1)
    hint = by_lower[close[0]] if close else words[0]
    known = ", ".join(words)
    raise BadRecipe(
        "config.unknown-word", key=key, value=value, suggestion=hint, known=known, origin=origin
    )


def _keys(kind: type[Settings]) -> dict[str, Any]:
    """The keys a section may hold, each with its type."""
    return {field.name: field.type for field in msgspec.structs.fields(kind)}


def _section(hint: Any) -> type[Settings] | None:
    """The section of that type, if it is one."""
    options = [
        option for option in (hint, *getattr(hint, "__args__", ())) if isinstance(option, type)
    ]
    sections = [option for option in options if issubclass(option, Settings)]
    # A union of sections (decode) is checked by its tag when the recipe is converted.
    return sections[0] if len(sections) == 1 else None


def _is_recipe(name: str) -> bool:
    return not name.startswith("_") and not name.endswith("-base")

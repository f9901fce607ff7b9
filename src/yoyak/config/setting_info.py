"""What a form needs to know of a recipe's settings: type, range, default, meaning, value, origin.

Types and ranges are the schema's. Meanings are those of the reference page of the documentation,
which is generated from the schema's docstrings, in the language in use.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import inspect

from yoyak import messages
from yoyak.config.load import Resolved
from yoyak.config.schema import Settings
from yoyak.values import Value

FACTS = ("name", "engine", "about", "file", "base", "search")
"""What a run of a recipe cannot vary, or what decides nothing that it computes."""

SettingKind = Literal["choice", "integer", "number", "yes-no", "text", "other"]

_ROW = re.compile(r"^\| `([\w.]+)` \|.*\| (.*) \|$", re.MULTILINE)


class SettingInfo(Value, frozen=True, kw_only=True):
    """One setting of a resolved recipe."""

    name: str
    section: str
    kind: SettingKind
    value: Any
    default: Any
    origin: str
    meaning: str
    choices: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    low_is_excluded: bool = False
    high_is_excluded: bool = False
    is_optional: bool = False
    """Whether it can be switched off with ``none``."""


def docs_folder() -> Path:
    """Return the folder of the documentation: in the installed package, else in the clone."""
    package = Path(__file__).parents[1]
    packaged = package / "docs"
    return packaged if packaged.is_dir() else package.parents[1] / "docs"


def meanings() -> Mapping[str, str]:
    """Return what each ``section.setting`` means, from the documentation in the language in use."""
    return _meanings(messages.language())


@cache
def _meanings(language: messages.Language) -> Mapping[str, str]:
    suffix = "" if language == "en" else f".{language}"
    path = docs_folder() / "reference" / f"settings{suffix}.md"
    found = _ROW.findall(path.read_text(encoding="utf-8"))
    return {name: meaning.replace("`", "").replace("\\|", "|") for name, meaning in found}


def describe(resolved: Resolved) -> tuple[SettingInfo, ...]:
    """Return every setting of a recipe that a run of it can vary, section by section."""
    return tuple(
        one
        for one in _described(resolved.recipe, resolved, "")
        if one.name.split(".")[0] not in FACTS
    )


def _described(section: Settings, resolved: Resolved, prefix: str) -> Iterator[SettingInfo]:
    fields = inspect.type_info(type(section))
    assert isinstance(fields, inspect.StructType)  # noqa: S101 -- what a Struct's info is
    for field in fields.fields:
        name, value = f"{prefix}{field.name}", getattr(section, field.name)
        if isinstance(value, Settings):
            yield from _described(value, resolved, f"{name}.")
        elif (section_kind := _section_of(field.type)) is not None:
            yield from _switched_off(section_kind, f"{name}.")
        else:
            yield _setting(name, value, field, resolved.origins[name])


def _section_of(kind: inspect.Type) -> inspect.StructType | None:
    options = kind.types if isinstance(kind, inspect.UnionType) else (kind,)
    return next((one for one in options if isinstance(one, inspect.StructType)), None)


def _switched_off(section: inspect.StructType, prefix: str) -> Iterator[SettingInfo]:
    """Yield the settings of a section that the recipe does not have; setting one brings it in."""
    for field in section.fields:
        name = f"{prefix}{field.name}"
        if name in meanings():
            found = _setting(name, None, field, "default")
            yield msgspec.structs.replace(found, is_optional=True)


def _setting(name: str, value: Any, field: inspect.Field, origin: str) -> SettingInfo:
    options = field.type.types if isinstance(field.type, inspect.UnionType) else (field.type,)
    plain = [one for one in options if not isinstance(one, inspect.NoneType)]
    kind, choices = _kind(plain[0])
    bounds = plain[0] if isinstance(plain[0], inspect.IntType | inspect.FloatType) else None
    low, high = (getattr(bounds, key, None) for key in ("ge", "le"))
    above, below = (getattr(bounds, key, None) for key in ("gt", "lt"))
    return SettingInfo(
        name=name,
        section=name.rpartition(".")[0],
        kind=kind,
        value=value,
        default=None if field.default is msgspec.NODEFAULT else field.default,
        origin=origin,
        meaning=meanings().get(name, ""),
        choices=choices,
        low=low if above is None else above,
        high=high if below is None else below,
        low_is_excluded=above is not None,
        high_is_excluded=below is not None,
        is_optional=len(plain) < len(options),
    )


def _kind(found: inspect.Type) -> tuple[SettingKind, tuple[str, ...]]:
    if isinstance(found, inspect.LiteralType):
        return "choice", tuple(map(str, found.values))
    if isinstance(found, inspect.EnumType):
        return "choice", tuple(str(one.value) for one in found.cls)
    return _PLAIN.get(type(found), "other"), ()


_PLAIN: dict[type[inspect.Type], SettingKind] = {
    inspect.BoolType: "yes-no",
    inspect.IntType: "integer",
    inspect.FloatType: "number",
    inspect.StrType: "text",
}

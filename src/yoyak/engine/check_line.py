"""A line of the proof card: what was found is a catalogue sentence, for readers of any language."""

from collections.abc import Sequence

from yoyak.events import CheckResult


def check(name: str, passed: bool, key: str, /, **fields: object) -> CheckResult:
    """One line of the card; its title is in the catalogue under ``proof-<name>``.

    Args:
        name: of the line.
        passed: whether what it claims is true.
        key: the sentence in the catalogue that says what was found.
        fields: what the sentence's placeholders stand for, the same in every language.
    """
    told = {field: str(value) for field, value in fields.items()}
    return CheckResult(name=name, passed=passed, key=key, fields=told)


def breakdown(name: str, error: Exception) -> CheckResult:
    """The red line of a check that broke off; of the error, its first line."""
    problem = next(iter(str(error).splitlines()), "")
    return check(name, False, "engine.found-breakdown", kind=type(error).__name__, problem=problem)


def close(name: str, distance: float, tolerance: float) -> CheckResult:
    """A line about two ways to the same numbers: how far apart they are, and may be."""
    shown = f"{distance:.1e}"
    passed = distance <= tolerance
    return check(name, passed, "engine.found-distance", distance=shown, tolerance=tolerance)


def listed(ids: Sequence[str]) -> str:
    """The first three of them and how many more there are; a dash for none."""
    if not ids:
        return "–"
    more = f" +{len(ids) - 3}" if len(ids) > 3 else ""
    return ", ".join(ids[:3]) + more

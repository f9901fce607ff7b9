"""Build check results: what was found is a message key with placeholders, for any language."""

from collections.abc import Sequence

from yoyak.events import CheckResult


def check_result(name: str, passed: bool, key: str, /, **fields: object) -> CheckResult:
    """Build the result of the check ``name``, whose title is the message ``proof-<name>``.

    Args:
        name: of the check.
        passed: whether its title is true.
        key: the message that says what was found.
        fields: its placeholders, the same in every language.
    """
    return CheckResult(
        name=name, passed=passed, key=key, fields={each: str(fields[each]) for each in fields}
    )


def error_result(name: str, error: Exception) -> CheckResult:
    """Build the failed result of a check that raised; it shows the first line of the error."""
    problem = next(iter(str(error).splitlines()), "")
    return check_result(
        name, False, "engine.found-breakdown", kind=type(error).__name__, problem=problem
    )


def distance_result(name: str, distance: float, tolerance: float) -> CheckResult:
    """Build the result of a check that compares two ways to compute the same numbers."""
    return check_result(
        name,
        distance <= tolerance,
        "engine.found-distance",
        distance=f"{distance:.1e}",
        tolerance=f"{tolerance:.1e}",
    )


def first_three(ids: Sequence[str]) -> str:
    """Join the first three and count the rest (``a, b, c +4``); a dash for none."""
    if not ids:
        return "–"
    more = f" +{len(ids) - 3}" if len(ids) > 3 else ""
    return ", ".join(ids[:3]) + more

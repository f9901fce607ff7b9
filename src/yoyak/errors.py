"""The tree of yoyak's errors, each with its exit code.

::

    YoyakError                 exit code
    ├── UsageError             2   the arguments of the command do not fit together
    ├── BadData                65  an input file breaks its contract
    ├── InputMissing           66  a file or run that was named is not there
    ├── Unavailable            69  a library, a model or a device is missing
    ├── RunFailed              70  a run ended without a result
    ├── CannotWrite            73  a folder cannot be written
    ├── DiskFull               74  the disk is, or would become, full
    ├── Interrupted            75  stopped with everything saved: start the same command again
    └── BadRecipe              78  a recipe or a setting is wrong

Each error has a message key and its fields. The message says what was found and where, why it
matters, and after ``→`` the exact next command.
"""

from yoyak import messages


class YoyakError(Exception):
    """Base of all errors that a person can act on.

    Args:
        key: of the message, such as ``data.duplicate-id``.
        fields: the values of its placeholders.
    """

    exit_code = 1

    def __init__(self, key: str, /, **fields: object) -> None:
        super().__init__(key)
        self.key = key
        self.fields = fields

    def __str__(self) -> str:
        return messages.fill(self.key, self.fields)

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.key, self.fields)


def _rebuild(kind: type[YoyakError], key: str, fields: dict[str, object]) -> YoyakError:
    return kind(key, **fields)


class UsageError(YoyakError):
    """The arguments of the command do not fit together."""

    exit_code = 2


class BadData(YoyakError):
    """An input file breaks its contract."""

    exit_code = 65


class InputMissing(YoyakError):
    """A file or a run that was named is not there."""

    exit_code = 66


class Unavailable(YoyakError):
    """A library, a model or a device is missing."""

    exit_code = 69


class RunFailed(YoyakError):
    """A run ended without a result."""

    exit_code = 70


class CannotWrite(YoyakError):
    """A folder cannot be written."""

    exit_code = 73


class DiskFull(YoyakError):
    """The disk is full, or would become full."""

    exit_code = 74


class Interrupted(YoyakError):
    """Stopped with everything saved: the same command goes on."""

    exit_code = 75


class BadRecipe(YoyakError):
    """A recipe or one of its settings is wrong."""

    exit_code = 78

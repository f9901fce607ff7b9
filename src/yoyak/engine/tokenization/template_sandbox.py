"""Run chat templates, which are programs from strangers, within limits of work and size.

Jinja's sandbox keeps a template from Python's internals and from files, but not from looping for
ever or building a string of gigabytes. Here every pass of a loop and every call counts as a step,
and every operation counts the characters that it could build at most, before it runs. Limits are
counted, not timed, so that a template is stopped at the same place on every machine. Otherwise
templates see what transformers' ``apply_chat_template`` shows them.
"""

import json
import math
import re
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import wraps
from typing import Any, Final

from jinja2 import Template, exceptions, ext, nodes, sandbox, utils, visitor  # noqa: TID253 -- this module is only imported where a chat is rendered

from yoyak.errors import BadRecipe

MAX_STEPS: Final = 100_000
"""Loop passes and calls of one rendering; published templates need about 20 for each message."""

MAX_CHARACTERS: Final = 100_000_000
"""Characters, summed over the operations of one rendering, that they could build at most."""

_ERRORS: Final = (
    exceptions.TemplateError, ArithmeticError, AttributeError, LookupError, MemoryError,
    RuntimeError, TypeError, ValueError,
)  # fmt: skip
"""What a template can end with; ``RuntimeError`` includes too deep a recursion."""


class TemplateLimitError(exceptions.TemplateRuntimeError):
    """A template did more than ``MAX_STEPS`` or built more than ``MAX_CHARACTERS``."""


class BoundedTemplate:
    """A compiled chat template whose renderings are limited.

    Raises:
        BadRecipe: the source is no valid template.
    """

    def __init__(self, source: str) -> None:
        self._environment = _Environment()
        try:
            self._template: Template = self._environment.from_string(source)
        except _ERRORS as error:
            raise _unusable(error, {}) from error

    def render(self, fields: Mapping[str, Any]) -> str:
        """Render the template with the given variables, ``messages`` among them.

        Raises:
            BadRecipe: the template refuses the messages, fails, or goes beyond a limit.
        """
        self._environment.spent.reset()
        try:
            return self._template.render(fields)
        except _ERRORS as error:
            raise _unusable(error, fields) from error


def _unusable(error: Exception, fields: Mapping[str, Any]) -> BadRecipe:
    roles = ", ".join(message["role"] for message in fields.get("messages", ())) or "–"
    problem = next(iter(str(error).splitlines()), "") or type(error).__name__
    return BadRecipe("engine.template-refuses", roles=roles, problem=problem)


class _Spent(threading.local):
    """Counts what one rendering of one thread has done."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.steps, self.characters = 0, 0.0

    def step(self, literal_characters: float) -> None:
        self.steps += 1
        if self.steps > MAX_STEPS:
            raise TemplateLimitError(f"more than {MAX_STEPS:,} loop passes and calls")
        self.build(literal_characters)

    def build(self, characters: float) -> None:
        self.characters += characters
        if self.characters > MAX_CHARACTERS:
            raise TemplateLimitError(f"more than {MAX_CHARACTERS:,} characters built")


class _CountSteps(visitor.NodeTransformer):
    """Insert a counting call into each loop and macro, and bound ``a ~ b`` and literals."""

    def visit_For(self, node: nodes.For | nodes.Macro | nodes.CallBlock) -> nodes.Node:
        self.generic_visit(node)
        literal = sum(len(data.data) for data in node.find_all(nodes.TemplateData))
        count = _call("count_step", [nodes.Const(literal, lineno=node.lineno)], node.lineno)
        node.body.insert(0, nodes.ExprStmt(count, lineno=node.lineno))
        return node

    visit_Macro = visit_CallBlock = visit_For

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        self.generic_visit(node)
        return _call("concatenate", node.nodes, node.lineno)

    def visit_List(self, node: nodes.List) -> nodes.Node:
        self.generic_visit(node)
        return _call("bound", [node], node.lineno)

    def visit_Dict(self, node: nodes.Dict) -> nodes.Node:
        self.generic_visit(node)
        return _call("bound", [node], node.lineno)

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Node:
        self.generic_visit(node)
        return _call("bound", [node], node.lineno) if node.ctx == "load" else node


def _call(method: str, arguments: list[nodes.Expr], line: int) -> nodes.Call:
    attribute = nodes.EnvironmentAttribute(method, lineno=line)
    return nodes.Call(attribute, arguments, [], None, None, lineno=line)


class _GenerationBlock(ext.Extension):
    """Parse ``{% generation %}``, which marks the answers for training, as its content."""

    tags = {"generation"}

    def parse(self, parser: Any) -> nodes.Node | list[nodes.Node]:
        next(parser.stream)
        content: list[nodes.Node] = parser.parse_statements(
            ("name:endgeneration",), drop_needle=True
        )
        return content


class _PlainNamespace(utils.Namespace):
    """A namespace without names that could stand in for Python's internals."""

    def __init__(self, *args: Any, **fields: Any) -> None:
        values = dict(*args, **fields)
        for name in values:
            _refuse_underscore(name)
        utils.Namespace.__init__(self, values)

    def __setitem__(self, name: str, value: object) -> None:
        _refuse_underscore(name)
        utils.Namespace.__setitem__(self, name, value)


def _refuse_underscore(name: object) -> None:
    if str(name).startswith("_"):
        raise exceptions.SecurityError(f"a namespace may not hold {name!r}")


class _Environment(sandbox.ImmutableSandboxedEnvironment):
    """Jinja's immutable sandbox with transformers' functions, counting work and size."""

    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def __init__(self) -> None:
        self.spent = _Spent()
        super().__init__(
            trim_blocks=True,
            lstrip_blocks=True,
            optimized=False,  # constants would be computed before any limit holds
            extensions=[_GenerationBlock, ext.loopcontrols],
            finalize=self.bound,
        )
        self.filters["tojson"] = _to_json
        self.filters = {name: self._bounded(each) for name, each in self.filters.items()}
        self.filters["format"] = lambda form, *shown: self.call_binop(None, "%", str(form), shown)
        del self.globals["lipsum"]
        functions: dict[str, Any] = {
            "range": self._bounded(range),
            "namespace": _PlainNamespace,
            "raise_exception": _raise_exception,
        }
        self.globals.update(functions)

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree: nodes.Template = _CountSteps().visit(super()._parse(source, name, filename))
        return tree

    def count_step(self, literal_characters: int) -> None:
        """Count one pass of a loop, whose body holds so many characters of literal text."""
        self.spent.step(literal_characters)

    def bound(self, value: object) -> object:
        """Return ``value``, counting its size."""
        self.spent.build(_size(value))
        return value

    def concatenate(self, *parts: object) -> str:
        """Return ``a ~ b``."""
        texts = [str(part) for part in parts]
        self.spent.build(sum(map(len, texts)))
        return "".join(texts)

    def call(self, context: Any, obj: Any, /, *args: Any, **fields: Any) -> Any:
        """Call a function or method, counting its arguments and its object."""
        if getattr(obj, "__self__", None) is self:
            return obj(*args)  # a call that _CountSteps inserted
        self.spent.step(_product([getattr(obj, "__self__", None), *args, *fields.values()]))
        return super().call(context, obj, *args, **fields)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """Compute ``left operator right`` if what it builds is within the limit."""
        if operator == "+":
            self.spent.build(_size(left) + _size(right))
        elif isinstance(left, int) and isinstance(right, int) and operator == "*":
            self.spent.build(left.bit_length() + right.bit_length())
        elif operator == "**":
            self.spent.build(float(_size(right)) * 64)
        elif operator == "%" and isinstance(left, str):
            shown = right if isinstance(right, tuple) else (right,)
            self.spent.build(_widths(left) + _product(shown))
        elif operator == "*":
            self.spent.build(_product((left, right)))
        return super().call_binop(context, operator, left, right)

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        """Return ``str.format`` of the sandbox, counting the widths in its format."""
        formatting = super().wrap_str_format(value)
        if formatting is None:
            return None

        def bounded(*args: Any, **fields: Any) -> str:
            self.spent.build(_widths(value.__self__))
            return formatting(*args, **fields)

        return bounded

    def _bounded(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function, updated=("__dict__",) if hasattr(function, "__dict__") else ())
        def counted(*args: Any, **fields: Any) -> Any:
            self.spent.step(_product([*args, *fields.values()]))
            return function(*args, **fields)

        return counted


def _product(values: Iterable[object]) -> float:
    """Return the product of sizes: more than any filter or method builds from such arguments."""
    return math.prod(float(_size(value)) for value in values)


def _size(value: object) -> int:
    """Return a number's value, since it may be a width or a count, or all that is in a value."""
    size, waiting, seen = 0, [value], 0
    while waiting:
        item = waiting.pop()
        seen += 1
        if seen > MAX_STEPS:
            return MAX_CHARACTERS + 1
        if isinstance(item, int):
            size += min(abs(item), MAX_CHARACTERS)
        elif isinstance(item, str | bytes | range):
            size += len(item)
        elif isinstance(item, Mapping):
            waiting += [*item.keys(), *item.values()]
        elif isinstance(item, Sequence):
            waiting += item
    return size + seen


def _widths(template: str) -> int:
    """Return the sum of all numbers in a format such as ``%99s`` or ``{:>99}``."""
    return sum(min(int(found), MAX_CHARACTERS) for found in re.findall(r"\d{1,20}", template))


def _raise_exception(message: str) -> None:
    raise exceptions.TemplateError(message)


def _to_json(value: Any, ensure_ascii: bool = False, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent)

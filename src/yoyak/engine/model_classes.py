"""What the installed transformers knows of a model type, read without importing it.

Importing its tables would import torch, which takes seconds. They are literals in its source, and
so are the defaults of a configuration class, which published ``config.json`` files leave out.
"""

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

Kind = Literal["seq2seq", "causal"]

_LITERAL = (
    ast.Constant, ast.List, ast.Tuple, ast.Set, ast.Dict, ast.UnaryOp, ast.USub, ast.expr_context,
)  # fmt: skip
_TABLES: Mapping[Kind, str] = {
    "seq2seq": "MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES",
    "causal": "MODEL_FOR_CAUSAL_LM_MAPPING_NAMES",
}


def is_installed() -> bool:
    """Return whether there is a transformers to read."""
    return _package() is not None


def class_name(model_type: str, kind: Kind) -> str | None:
    """Return the class that ``AutoModelForSeq2SeqLM`` or ``AutoModelForCausalLM`` would load."""
    return _table("modeling_auto.py", _TABLES[kind]).get(model_type)


def is_encoder(model_type: str) -> bool:
    """Return whether the type is an encoder that fills masks, such as BERT, and no generator."""
    masked = _table("modeling_auto.py", "MODEL_FOR_MASKED_LM_MAPPING_NAMES")
    return model_type in masked and class_name(model_type, "seq2seq") is None


def with_defaults(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a ``config.json`` completed by its class's defaults, nested configurations too.

    A setting that the class computes (``layer_types``) and an unknown type stay as they are.
    """
    defaults = _defaults(str(config.get("model_type")))
    complete = {**defaults, **config}
    for name, value in complete.items():
        if isinstance(value, dict) and "model_type" in value:
            complete[name] = with_defaults(value)
    return complete


@cache
def _defaults(model_type: str) -> dict[str, Any]:
    """Return the plain defaults of the configuration class of ``model_type``."""
    special = _table("auto_mappings.py", "SPECIAL_MODEL_TYPE_TO_MODULE_NAME")
    module = special.get(model_type, model_type.replace("-", "_"))
    package = _package()
    if package is None or not module.isidentifier():
        return {}
    path = package / "models" / module / f"configuration_{module}.py"
    for node in _statements(path):
        if isinstance(node, ast.ClassDef):
            found = dict(_literals(node.body))
            if found.get("model_type") == model_type:
                return found
    return {}


def _literals(body: list[ast.stmt]) -> Iterator[tuple[str, Any]]:
    """Yield the names that are assigned a literal, with or without an annotation."""
    for node in body:
        match node:
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                pass
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                pass
            case _:
                continue
        if all(isinstance(part, _LITERAL) for part in ast.walk(value)):
            yield name, ast.literal_eval(value)


@cache
def _table(file: str, name: str) -> dict[str, str]:
    """Return a table ``NAME = OrderedDict([(type, class), …])`` of transformers' auto package."""
    package = _package()
    if package is None:
        return {}
    for node in _statements(package / "models" / "auto" / file):
        match node:
            case ast.Assign(targets=[ast.Name(id=found)], value=ast.Call(args=[pairs])) if (
                found == name
            ):
                return dict(ast.literal_eval(pairs))
    return {}


@cache
def _statements(path: Path) -> tuple[ast.stmt, ...]:
    return tuple(ast.parse(path.read_text(encoding="utf-8")).body) if path.is_file() else ()


@cache
def _package() -> Path | None:
    spec = find_spec("transformers")
    return None if spec is None or spec.origin is None else Path(spec.origin).parent

"""Write the model card of an exported run: scores, how to use it, and origin.

Markdown with the metadata that model hubs read. Tests run its code and commands.
"""

import json
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from yoyak import __version__
from yoyak.config.schema import Decode, Recipe
from yoyak.engine.exported import PLACE, ExportedModel, FormCheck, FormScore
from yoyak.export.usage import usages
from yoyak.messages import text
from yoyak.metrics.scorecard import Scorecard
from yoyak.report.render.escape import markdown
from yoyak.report.sections import format
from yoyak.values import Rouge

LIBRARIES = {"adapters": "peft", "gguf": "gguf", "onnx": "onnx", "ctranslate2": "ctranslate2"}
RELATIONS = {"adapters": "adapter", "gguf": "quantized"}


class ExportedRun(NamedTuple):
    """What a model card describes; ``scorecard`` is ``None`` where the run was not scored."""

    recipe: Recipe
    exported: ExportedModel
    scorecard: Scorecard | None


def render(model: ExportedRun) -> str:
    """Return the card as Markdown in the language in use."""
    recipe, exported = model.recipe, model.exported
    lines = [
        *_metadata(model),
        f"# {markdown(recipe.name)}",
        "",
        text(
            f"export.card-{exported.form}",
            base=markdown(exported.base or ""),
            quantisation=exported.quantisation,
        ),
    ]
    if recipe.model.scratch is not None:
        lines += ["", f"**{text('report.toy-note')}**"]
    lines += ["", f"## {text('report.card-quality')}", "", *_quality(model.scorecard)]
    lines += ["", f"## {text('export.card-check')}", "", *_check(exported.check)]
    lines += ["", f"## {text('report.card-use')}", "", *_use(exported, recipe)]
    lines += ["", text("report.card-shown", tokens=recipe.prompt.max_source_tokens)]
    lines += ["", f"## {text('export.card-prompt')}", "", *_prompt(exported)]
    lines += ["", f"## {text('report.card-origin')}", "", *_origin(model)]
    return "\n".join(lines) + "\n"


def _use(exported: ExportedModel, recipe: Recipe) -> Iterator[str]:
    """Yield each way to run the model, under a heading of its own."""
    for usage in usages(exported, recipe):
        yield f"### {usage.program}"
        yield ""
        for language, code in usage.blocks:
            yield f"```{language}"
            yield code
            yield "```"
            yield ""


def _prompt(exported: ExportedModel) -> Iterator[str]:
    yield text("export.card-prompt-is", place=PLACE)
    yield ""
    yield "~~~text"
    yield exported.prompt_text
    yield "~~~"
    yield ""
    names = ", ".join(f"`{name}`" for name in exported.stop_tokens)
    yield text("export.card-stops", names=names)


def _check(check: FormCheck | None) -> Iterator[str]:
    """Yield the scores of the form beside the run's, and in how many rows they differ."""
    if check is None:
        yield text("export.card-unchecked")
        return
    verdict = "equal" if check.is_equal else "differs"
    yield text(
        f"export.card-{verdict}",
        rows=format.count(check.rows),
        answers=format.count(check.rows - check.equal_answers),
        prompts=format.count(check.rows - check.equal_prompts),
        difference=format.points_interval(check.difference),
    )
    yield ""
    yield from _table_head()
    for name, score in (("original", check.original), ("exported", check.exported)):
        yield _scored_row(text(f"export.card-row-{name}", runtime=check.runtime), score)
    yield ""
    yield text("export.card-decoding", decode=decoding(check.decode))
    if check.decode != check.run_decode:
        yield ""
        yield text("export.card-other-decoding", decode=decoding(check.run_decode))


def decoding(decode: Decode) -> str:
    """Return a decoding by its kind and the settings that are not the default."""
    kind = decode.__struct_config__.tag
    values = msgspec.to_builtins(decode)
    changed = {
        field.name: values[field.encode_name]
        for field in msgspec.structs.fields(decode)
        if getattr(decode, field.name) != field.default
    }
    settings = ", ".join(f"{name} {value}" for name, value in changed.items())
    return f"{kind} ({settings})" if settings else str(kind)


def _table_head() -> Iterator[str]:
    names = [text(f"report.column-{name}") for name in ("rouge1", "rouge2", "rougel")]
    columns = ["", *names, text("report.card-mean"), text("report.column-interval")]
    yield f"| {' | '.join(columns)} |"
    yield f"|---|{'---:|' * (len(columns) - 1)}"


def _scored_row(name: str, score: FormScore | Scorecard) -> str:
    low, high = format.score(score.interval.low), format.score(score.interval.high)
    return _row(name, score.rouge, f"{low}–{high}")


def _metadata(model: ExportedRun) -> Iterator[str]:
    weights, recipe = model.exported, model.recipe
    base = recipe.model.base if weights.base is None else weights.base
    known = {
        "language": ["ko"],
        "library_name": LIBRARIES.get(weights.form, "transformers"),
        "pipeline_tag": "summarization",
        "tags": ["dialogue-summarization", "yoyak"],
        "base_model": base,
        "base_model_relation": RELATIONS.get(weights.form, "finetune"),
    }
    yield "---"
    for key, value in known.items():
        if value is not None and not (key.startswith("base") and _is_local(base)):
            yield f"{key}: {json.dumps(value, ensure_ascii=False)}"
    yield "---"


def _is_local(base: str | None) -> bool:
    """Return whether a base is a folder, which a hub could not link to."""
    return base is None or base.startswith(("./", "/"))


def _quality(scorecard: Scorecard | None) -> Iterator[str]:
    if scorecard is None:
        yield text("report.nothing-scored")
        return
    yield from _table_head()
    yield _scored_row(text("report.card-this"), scorecard)
    for name in ("constant", "unrelated"):
        floor = getattr(scorecard.floors, name)
        if floor is not None:
            yield _row(text(f"report.floor-{name}"), floor, "")
    yield ""
    yield text("report.card-judged", rows=format.count(scorecard.n))
    yield ""
    yield f"`{scorecard.protocol.signature}`"


def _row(name: str, rouge: Rouge, interval: str) -> str:
    scores = map(format.score, (rouge.rouge1, rouge.rouge2, rouge.rougeL, rouge.mean))
    return f"| {' | '.join((name, *scores, interval))} |"


def _origin(model: ExportedRun) -> Iterator[str]:
    recipe = model.recipe
    train = recipe.train
    known = {
        "run": model.exported.run,
        "base": recipe.model.base or text("report.card-scratch"),
        "licence": recipe.base.licence or format.UNKNOWN,
        "epochs": f"{train.epochs}",
        "batch": f"{train.batch_size}",
        "rate": f"{train.learning_rate:g} ({train.lr_scheduler.value})",
        "lora": f"r {recipe.lora.r}, α {recipe.lora.lora_alpha}" if recipe.lora else format.UNKNOWN,
        "version": __version__,
    }
    yield "| | |"
    yield "|---|---|"
    for key, value in known.items():
        yield f"| {text(f'report.card-fact-{key}')} | {markdown(value)} |"
    yield ""
    yield text("report.card-records")
    yield ""
    yield text("report.card-rights")

"""Write the model card of an exported run: scores, usage code and origin.

Markdown with the metadata that model hubs read. The usage code needs transformers only and turns a
dialogue into a summary; a test runs it.
"""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from yoyak import __version__
from yoyak.config.schema import Recipe
from yoyak.engine.tokenization.chat_template import TEMPLATE_DATE
from yoyak.messages import text
from yoyak.metrics.scorecard import Scorecard
from yoyak.report.render.escape import markdown
from yoyak.report.sections import format
from yoyak.values import Rouge

if TYPE_CHECKING:
    from yoyak.engine.models.export import ExportedWeights  # it needs torch, a card does not

DIALOGUE = "#Person1#: 내일 몇 시에 만날까요?\n#Person2#: 세 시에 정문에서 만나요."


class ExportedRun(NamedTuple):
    """What a model card describes; ``scorecard`` is ``None`` where nothing was scored."""

    run: str
    recipe: Recipe
    weights: "ExportedWeights"
    scorecard: Scorecard | None


def render(exported: ExportedRun) -> str:
    """Return the card as Markdown in the language in use."""
    recipe = exported.recipe
    lines = [
        *_metadata(exported),
        f"# {markdown(recipe.name)}",
        "",
        text(f"report.card-{exported.weights.form}", base=markdown(exported.weights.base or "")),
    ]
    if recipe.model.scratch is not None:
        lines += ["", f"**{text('report.toy-note')}**"]
    lines += ["", f"## {text('report.card-quality')}", "", *_quality(exported.scorecard)]
    lines += ["", f"## {text('report.card-use')}", "", "```python", *_code(exported), "```", ""]
    lines += [text("report.card-shown", tokens=recipe.prompt.max_source_tokens)]
    lines += ["", f"## {text('report.card-origin')}", "", *_origin(exported)]
    return "\n".join(lines) + "\n"


def _metadata(exported: ExportedRun) -> Iterator[str]:
    weights, recipe = exported.weights, exported.recipe
    base = recipe.model.base if weights.form == "whole" else weights.base
    known = {
        "language": ["ko"],
        "library_name": "peft" if weights.form == "adapters" else "transformers",
        "pipeline_tag": "summarization",
        "tags": ["dialogue-summarization", "yoyak"],
        "base_model": base,
        "base_model_relation": "adapter" if weights.form == "adapters" else "finetune",
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
    names = [text(f"report.column-{name}") for name in ("rouge1", "rouge2", "rougel")]
    columns = ["", *names, text("report.card-mean"), text("report.column-interval")]
    yield f"| {' | '.join(columns)} |"
    yield f"|---|{'---:|' * (len(columns) - 1)}"
    low, high = format.score(scorecard.interval.low), format.score(scorecard.interval.high)
    yield _row(text("report.card-this"), scorecard.rouge, f"{low}–{high}")
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


def _code(exported: ExportedRun) -> Iterator[str]:
    """Yield Python lines that load the model and summarise one dialogue."""
    weights, recipe = exported.weights, exported.recipe
    causal = recipe.prompt.style == "chat"
    kind = "AutoModelForCausalLM" if causal else "AutoModelForSeq2SeqLM"
    four_bit = recipe.model.quantisation is not None
    if four_bit:
        yield "import torch"
    if weights.form == "adapters":
        yield "from peft import PeftModel"
    quantised = ", BitsAndBytesConfig" if four_bit else ""
    yield f"from transformers import AutoTokenizer, {kind}{quantised}, GenerationConfig"
    yield ""
    yield 'folder = "."'
    yield "tokenizer = AutoTokenizer.from_pretrained(folder)"
    yield from _load_lines(exported, kind)
    if weights.form == "adapters":
        yield "model = PeftModel.from_pretrained(model, folder)"
    yield "settings = GenerationConfig.from_pretrained(folder)"
    yield ""
    yield f"dialogue = {DIALOGUE!r}"
    yield from _prompt_lines(recipe, weights.line_break)
    yield "output = model.generate(input_ids=ids.to(model.device), generation_config=settings)"
    answer = "output[0, ids.shape[1]:]" if causal else "output[0]"
    yield f"print(tokenizer.decode({answer}, skip_special_tokens=True).strip())"


def _base_expression(weights: "ExportedWeights") -> str:
    if weights.base is None:
        return "folder"
    return (
        f'f"{{folder}}/{weights.base[2:]}"' if weights.base.startswith("./") else repr(weights.base)
    )


def _load_lines(exported: ExportedRun, kind: str) -> Iterator[str]:
    revision = exported.weights.revision
    options = "" if revision is None else f", revision={revision!r}"
    if exported.recipe.model.quantisation is not None:
        yield "four_bit = BitsAndBytesConfig("
        yield '    load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,'
        yield "    bnb_4bit_compute_dtype=torch.bfloat16,"
        yield ")"
        options += ", dtype=torch.bfloat16, quantization_config=four_bit"
    yield f"model = {kind}.from_pretrained({_base_expression(exported.weights)}{options})"


def _prompt_lines(recipe: Recipe, line_break: str) -> Iterator[str]:
    prompt = recipe.prompt
    if line_break != "\n":
        yield f'dialogue = dialogue.replace("\\n", {line_break!r})'
    if prompt.style == "source":
        lines = [line for line in (prompt.system, prompt.instruction) if line]
        before = "".join(f"{line}{line_break}" for line in lines)
        shown = f"{before!r} + dialogue" if before else "dialogue"
        yield f'ids = tokenizer({shown}, return_tensors="pt").input_ids'
        return
    before = f"{prompt.instruction}\n\n" if prompt.instruction else ""
    yield "messages = ["
    if prompt.system:
        yield f'    {{"role": "system", "content": {prompt.system!r}}},'
    yield f'    {{"role": "user", "content": {before!r} + dialogue}},'
    yield "]"
    yield "ids = tokenizer.apply_chat_template("
    yield '    messages, add_generation_prompt=True, return_tensors="pt", return_dict=True,'
    yield f"    date_string={TEMPLATE_DATE!r}, enable_thinking=False,"
    yield ").input_ids"


def _origin(exported: ExportedRun) -> Iterator[str]:
    recipe = exported.recipe
    train = recipe.train
    known = {
        "run": exported.run,
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

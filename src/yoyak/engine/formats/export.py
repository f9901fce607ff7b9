"""Export a trained model in one of the formats, and let the result answer dialogues again."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from yoyak.config.schema import BeamSearch, Decode, Greedy, Recipe, shared_settings
from yoyak.data.clean import summary_of
from yoyak.data.prompt import render
from yoyak.engine.base_facts import KINDS
from yoyak.engine.device import limit_threads, silence_libraries
from yoyak.engine.exported import FILE, PLACE, ExportedModel, ExportForm
from yoyak.engine.formats import ctranslate2, gguf, onnx
from yoyak.engine.formats.pretrained import TransformersRuntime, write_merged
from yoyak.engine.formats.runtime import Runtime
from yoyak.engine.inference.merge_lora import load_whole
from yoyak.engine.models import weights
from yoyak.engine.models.export import (
    GENERATION_CONFIG,
    export_weights,
    generation_config,
    save_standalone_template,
    suppressed_token_ids,
)
from yoyak.engine.models.model import ModelBundle
from yoyak.engine.tokenization.tokenizer import ModelTokenizer, load_tokenizer
from yoyak.errors import BadRecipe, InputMissing, RunFailed, YoyakError
from yoyak.files import atomic
from yoyak.values import Dialogue, Source, Turn

QUANTISATIONS: Mapping[str, Sequence[str]] = {
    "merged": ("bfloat16",),
    "gguf": gguf.QUANTISATIONS,
    "onnx": onnx.QUANTISATIONS,
    "ctranslate2": ctranslate2.QUANTISATIONS,
}
"""Number formats of each format that is converted to; the first one is the default."""


class ExportRequest(NamedTuple):
    """What is exported.

    ``form`` is ``None`` for the weights as they were trained, ``quantisation`` for the format's
    default. ``llama_cpp`` is a checkout of llama.cpp, whose converter then writes the GGUF.
    """

    run: str
    engine_folder: Path
    recipe: Recipe
    form: ExportForm | None = None
    quantisation: str | None = None
    llama_cpp: Path | None = None


class FormAnswer(NamedTuple):
    """The summary of a dialogue by an exported form; ``prompt_equal``: it read training's ids."""

    id: str
    text: str
    prompt_equal: bool


class FormAnswers(NamedTuple):
    """What a runtime, by name and version, answered."""

    runtime: str
    rows: list[FormAnswer]


def form_decode(form: ExportForm, kind: str, decode: Decode) -> Decode:
    """Return the decoding of a form: the recipe's, without what its runtime does not have.

    None has a length cap by the dialogue's length. Repeated n-grams are banned in encoder-decoders
    only: elsewhere other libraries count the dialogue's, too.
    """
    greedy_only = form in {"gguf", "onnx"}
    if greedy_only or (form == "ctranslate2" and not isinstance(decode, Greedy | BeamSearch)):
        decode = Greedy(**shared_settings(decode))
    decode = msgspec.structs.replace(decode, length_cap_quantile=None)
    if kind == "causal" or greedy_only:
        decode = msgspec.structs.replace(decode, no_repeat_ngram_size=0)
    return decode


def write_export(request: ExportRequest, target: Path) -> ExportedModel:
    """Write weights, tokenizer, settings and the record into the folder ``target``.

    Raises:
        InputMissing: there are no whole weights, or none of that form.
        Unavailable: a library that the format needs is not installed.
        BadRecipe: the format cannot hold this architecture, tokenizer or number format, or has the
            one of training alone.
    """
    silence_libraries()
    limit_threads(request.recipe)
    write = _write_trained if request.form in {None, "adapters"} else _write_converted
    record = write(request, target)
    atomic.write_value(target / FILE, record)
    return record


def _write_trained(request: ExportRequest, target: Path) -> ExportedModel:
    recipe = request.recipe
    if request.quantisation is not None:
        raise BadRecipe("export.trained-quantisation", found=request.quantisation)
    saved = weights.read(request.engine_folder / weights.FOLDER)
    if request.form == "adapters" and saved is not None and saved.form != "adapters":
        raise InputMissing("export.no-adapters", run=request.run)
    written = export_weights(request.engine_folder, recipe, target)
    tokenizer = load_tokenizer(str(request.engine_folder / weights.FOLDER), recipe)
    return _record(
        request,
        tokenizer,
        form=written.form,
        base=written.base,
        revision=written.revision,
        quantisation=_trained_format(target, recipe),
        model_type=written.model_type,
        max_new_tokens=written.max_new_tokens,
        suppress_tokens=written.suppress_tokens,
    )


def _trained_format(target: Path, recipe: Recipe) -> str:
    """Return the number format of the first tensor that was trained, else that of the base."""
    from safetensors import safe_open

    for path in sorted(target.glob("*.safetensors")):
        with safe_open(path, "pt") as tensors:
            return str(tensors.get_tensor(next(iter(tensors.keys()))).dtype).removeprefix("torch.")
    return recipe.model.quantisation or "bfloat16"


def _write_converted(request: ExportRequest, target: Path) -> ExportedModel:
    form, recipe = request.form or "merged", request.recipe
    known = QUANTISATIONS[form]
    quantisation = request.quantisation or known[0]
    if quantisation not in known:
        raise BadRecipe(
            "export.unknown-quantisation", form=form, found=quantisation, known=", ".join(known)
        )
    bundle, saved = load_whole(request.engine_folder, KINDS[recipe.engine], recipe)
    model: Any = bundle.model
    save_tokenizer(bundle.tokenizer, target)
    _write_model(request, bundle, target, quantisation)
    decode = form_decode(form, bundle.kind, recipe.decode)
    suppressed = suppressed_token_ids(bundle.tokenizer, model.config.get_text_config().vocab_size)
    settings = generation_config(bundle.tokenizer, decode, saved.max_new_tokens, suppressed)
    atomic.write_value(target / GENERATION_CONFIG, settings)
    return _record(
        request,
        bundle.tokenizer,
        suppress_tokens=suppressed,
        form=form,
        base=None,
        revision=None,
        quantisation=quantisation,
        model_type=model.config.model_type,
        max_new_tokens=saved.max_new_tokens,
    )


def _write_model(
    request: ExportRequest, bundle: ModelBundle, target: Path, quantisation: str
) -> None:
    match request.form:
        case "merged":
            write_merged(bundle, target)
        case "onnx":
            onnx.write_onnx(bundle, target)
        case "ctranslate2":
            ctranslate2.write_ctranslate2(bundle, target, quantisation)
        case "gguf" if request.llama_cpp is not None:
            with tempfile.TemporaryDirectory(dir=target.parent) as whole:
                save_tokenizer(bundle.tokenizer, Path(whole))
                write_merged(bundle, Path(whole))
                gguf.convert_with_llama_cpp(request.llama_cpp, Path(whole), target, quantisation)
        case _:
            template = bundle.tokenizer.template.standalone if bundle.kind == "causal" else ""
            gguf.write_gguf(bundle, target, quantisation, template)


def save_tokenizer(tokenizer: ModelTokenizer, target: Path) -> None:
    """Write the tokenizer, with a chat template that needs no arguments."""
    tokenizer.save(target)
    save_standalone_template(tokenizer, target)


def _record(request: ExportRequest, tokenizer: ModelTokenizer, **known: Any) -> ExportedModel:
    recipe = request.recipe
    kind = KINDS[recipe.engine]
    return ExportedModel(
        kind=kind,
        run=request.run,
        prompt=recipe.prompt,
        chat_template=tokenizer.template.standalone if kind == "causal" else None,
        prompt_text=_prompt_text(tokenizer, recipe),
        special_tokens=tokenizer.special_tokens,
        stop_tokens=tuple(map(tokenizer.id_to_token, tokenizer.stop_ids)),
        decode=form_decode(known["form"], kind, recipe.decode),
        tags_are_tokens=tokenizer.tags_are_tokens,
        **known,
    )


def _prompt_text(tokenizer: ModelTokenizer, recipe: Recipe) -> str:
    dialogue = Dialogue(id="", turns=(Turn(speaker="", text=PLACE),))
    settings = msgspec.structs.replace(recipe.prompt, turn_format="lines")
    return tokenizer.render(render(dialogue, settings))


def answer_rows(
    request: ExportRequest, folder: Path, exported: ExportedModel, dialogues: Sequence[Dialogue]
) -> FormAnswers:
    """Load the exported folder in its own runtime and let it summarise each dialogue.

    Raises:
        Unavailable: the runtime is not installed.
        RunFailed: it cannot load what was written, or fails on a row.
    """
    trained = load_tokenizer(str(request.engine_folder / weights.FOLDER), request.recipe)
    sources = [prompt_of(dialogue, trained, exported) for dialogue in dialogues]
    expected = [tuple(trained.encode_source(source)) for source in sources]
    longest = max(map(len, expected), default=0)
    with runtime_errors("export.not-loaded", form=exported.form):
        runtime = load_runtime(folder, exported, request.recipe, longest)
        answers = list(runtime.answer(sources))
    rows = [
        FormAnswer(
            dialogue.id,
            summary_of(answer.text, tags_are_tokens=exported.tags_are_tokens),
            answer.prompt_ids == ids,
        )
        for dialogue, ids, answer in zip(dialogues, expected, answers, strict=True)
    ]
    return FormAnswers(runtime.name, rows)


@contextmanager
def runtime_errors(key: str, **fields: object) -> Iterator[None]:
    """Turn whatever another program raises into the sentence ``key``, which has its ``problem``.

    Raises:
        RunFailed: it raised.
    """
    try:
        yield
    except YoyakError:
        raise
    except Exception as error:
        problem = next(iter(str(error).splitlines()), type(error).__name__)
        raise RunFailed(key, problem=problem, **fields) from error


def load_runtime(folder: Path, exported: ExportedModel, recipe: Recipe, longest: int) -> Runtime:
    """Load an exported folder in the runtime of its form; a prompt has at most ``longest`` tokens.

    Raises:
        Unavailable: the runtime is not installed.
    """
    match exported.form:
        case "ctranslate2":
            return ctranslate2.CTranslate2Runtime(folder, exported)
        case "onnx":
            return onnx.OnnxRuntime(folder, exported)
        case "gguf":
            return gguf.LlamaCppRuntime(folder, exported, longest)
        case _:
            return TransformersRuntime(folder, exported, recipe)


def prompt_of(dialogue: Dialogue, tokenizer: ModelTokenizer, exported: ExportedModel) -> Source:
    """Return the prompt of a dialogue, shortened as in training."""

    def count_tokens(source: Source) -> int:
        return len(tokenizer.encode_source(source))

    return render(dialogue, exported.prompt, count_tokens=count_tokens)

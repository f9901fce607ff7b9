"""Average the weights of several fine-tunes of one base: a model soup (Wortsman 2022).

Models that were trained whole are averaged parameter by parameter. Of adapters the *update* is
averaged: PEFT's ``cat`` concatenates the factors, so that the product of the result is the mean of
the products. PEFT's ``linear`` averages both factors and multiplies afterwards, which adds cross
terms that no model was trained with, and doubles two equal adapters. PEFT makes the new factors in
the base's dtype, so that over a bfloat16 base they are rounded to 8 bits.

The soup of one run's checkpoints averages along its training path (SWA, Izmailov 2018).
"""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

import torch  # noqa: TID253 -- this module is only ever imported by an engine at work
from yoyak.config.schema import Recipe
from yoyak.engine.base_facts import KINDS
from yoyak.engine.device import silence_libraries
from yoyak.engine.model_classes import Kind
from yoyak.engine.models import weights
from yoyak.engine.models.load import SCRATCH
from yoyak.engine.models.model import ModelBundle
from yoyak.engine.models.weights import SavedWeights
from yoyak.engine.training.checkpoint import TENSORS
from yoyak.errors import BadData, BadRecipe, InputMissing
from yoyak.files import atomic

Tensors = dict[str, torch.Tensor]


def average_weights(
    folders: Sequence[Path], recipe: Recipe, target: Path, *, step: int | None = None
) -> None:
    """Write the average of several runs, or of one run's checkpoints, to ``target/weights``.

    Weights that are already there are kept. With ``step``, write that checkpoint of the first run
    instead of an average.

    Raises:
        BadRecipe: models of this engine have no weights.
        InputMissing, BadData: as ``soup_of_runs`` and ``soup_of_checkpoints``.
    """
    kind = KINDS.get(recipe.engine)
    if kind is None:
        raise BadRecipe("engine.no-soup", engine=recipe.engine, known=", ".join(KINDS))
    if weights.read(target / weights.FOLDER) is not None:
        return
    silence_libraries()
    if step is not None:
        soup_of_checkpoints(folders[0], kind, recipe, target, step=step)
    elif len(folders) > 1:
        soup_of_runs(folders, kind, recipe, target)
    else:
        soup_of_checkpoints(folders[0], kind, recipe, target)


def soup_of_runs(folders: Sequence[Path], kind: Kind, recipe: Recipe, target: Path) -> None:
    """Write the average of several runs' weights to ``target/weights``.

    Args:
        folders: the engine folders of the runs, two or more.
        kind: of their models.
        recipe: of the first run.
        target: an engine folder of its own.

    Raises:
        InputMissing: a run has no whole weights.
        BadData: they are not fine-tunes of one base in the same form.
        BadRecipe: they have DoRA's magnitudes, for which there is no average of the update.
    """
    described = _alike(folders)
    bundle, _ = weights.load(folders[0], kind, recipe)
    if described.form == "adapters":
        if recipe.lora is not None and recipe.lora.use_dora:
            raise BadRecipe("engine.no-dora-soup")
        _average_adapters(bundle.model, folders)
    else:
        each = [weights.read_tensors(folder / weights.FOLDER) for folder in folders]
        _load_into(bundle.model, mean_of(each))
    _write(target, folders[0], described, bundle)


def soup_of_checkpoints(
    folder: Path, kind: Kind, recipe: Recipe, target: Path, *, step: int | None = None
) -> None:
    """Write the average of a run's checkpoints, or the one of ``step``, to ``target/weights``.

    Raises:
        InputMissing: the run has no whole weights, fewer than two whole checkpoints, or none of
            ``step``.
        BadRecipe: PiSSA's checkpoints belong to a base that only the run had.
    """
    described = _alike([folder])
    if recipe.lora is not None and recipe.lora.init_lora_weights is not None:
        raise BadRecipe("engine.no-pissa-checkpoints", folder=folder)
    found = sorted(path for path in (folder / "checkpoints").glob("step-*"))
    whole = [path for path in found if atomic.verify_folder(path) is not None]
    if step is not None:
        known = ", ".join(str(_step_of(path)) for path in whole) or "–"
        whole = [path for path in whole if _step_of(path) == step]
        if not whole:
            raise InputMissing("engine.no-checkpoint", folder=folder, step=step, known=known)
    elif len(whole) < 2:
        raise InputMissing("engine.few-checkpoints", folder=folder, count=len(whole))
    bundle, _ = weights.load(folder, kind, recipe)
    _load_into(bundle.model, mean_of([_load(path / TENSORS) for path in whole]))
    described = msgspec.structs.replace(described, step=step or described.step)
    _write(target, folder, described, bundle)


def _step_of(checkpoint: Path) -> int:
    return int(checkpoint.name.removeprefix("step-"))


def mean_of(states: Sequence[Tensors]) -> Tensors:
    """Average the tensors of each name in float32; integer tensors are the first state's.

    Raises:
        BadData: the states do not have the same names and shapes.
    """
    first = states[0]
    for other in states[1:]:
        unlike = [
            name
            for name in sorted(first.keys() | other.keys())
            if name not in first or name not in other or first[name].shape != other[name].shape
        ]
        if unlike:
            raise BadData("engine.unlike-weights", count=len(unlike), name=unlike[0])
    return {name: _mean([state[name] for state in states]) for name in first}


def _mean(tensors: Sequence[torch.Tensor]) -> torch.Tensor:
    if not tensors[0].is_floating_point():
        return tensors[0]
    return torch.stack([tensor.float() for tensor in tensors]).mean(dim=0).to(tensors[0].dtype)


def _alike(folders: Sequence[Path]) -> SavedWeights:
    """Return the description of the first run's weights; all must share base and form."""
    found = []
    for folder in folders:
        described = weights.read(folder / weights.FOLDER)
        if described is None:
            raise InputMissing("engine.no-weights", folder=folder / weights.FOLDER)
        found.append(described)
    bases = {
        (one.base_sha256, one.form, _scratch(folder))
        for one, folder in zip(found, folders, strict=True)
    }
    if len(bases) > 1 or found[0].form == "base":
        names = ", ".join(folder.name for folder in folders)
        raise BadData("engine.unlike-bases", runs=names)
    return found[0]


def _scratch(folder: Path) -> tuple[str, ...]:
    """Return the checksums of a base from scratch; its base_sha256 has only names and sizes."""
    return tuple(
        atomic.sha256_file(path) for path in sorted((folder / SCRATCH).glob("*.safetensors"))
    )


def _average_adapters(model: Any, folders: Sequence[Path]) -> None:
    """Replace the model's adapters by one, ``default``: the mean of the runs' updates."""
    names = []
    for at, folder in enumerate(folders):
        names.append(f"member-{at}")
        model.load_adapter(folder / weights.FOLDER, adapter_name=names[-1])
    model.set_adapter(names[0])
    model.delete_adapter("default")
    shares = [1 / len(names)] * len(names)
    # PEFT gives the result the first one's config: its factors hold their scale already.
    model.peft_config[names[0]].use_rslora = False
    model.add_weighted_adapter(names, shares, adapter_name="default", combination_type="cat")
    model.set_adapter("default")
    for name in names:
        model.delete_adapter(name)


def _load_into(model: torch.nn.Module, tensors: Tensors) -> None:
    unknown = tensors.keys() - model.state_dict().keys()
    if unknown:
        raise BadData("engine.unlike-weights", count=len(unknown), name=min(unknown))
    model.load_state_dict(tensors, strict=False)


def _load(path: Path) -> Tensors:
    from safetensors.torch import load_file

    return load_file(path)


def _write(target: Path, source: Path, described: SavedWeights, bundle: ModelBundle) -> None:
    """Write the averaged weights, and copy the base from scratch that adapters need."""
    if described.base == SCRATCH and described.form == "adapters":
        shutil.copytree(source / SCRATCH, target / SCRATCH, dirs_exist_ok=True)
    about = msgspec.structs.replace(described, dev_value=None, averaged=False)
    weights.write(target / weights.FOLDER, about, bundle)

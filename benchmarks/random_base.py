"""Write a base model of a published architecture with random weights, for machines without a hub.

    python benchmarks/random_base.py RECIPE FOLDER --tokenizer TOKENIZER [--tiny]
    yoyak run RECIPE --set model.base=FOLDER

``RECIPE`` names the architecture. ``TOKENIZER`` is a folder with the tokenizer's files; they are
copied. On a CUDA machine the weights are drawn there, 4B parameters in a few seconds.
"""

import argparse
import shutil
from pathlib import Path

import fullsize
import transformers  # noqa: TID253 -- a benchmark loads what it measures

import torch  # noqa: TID253 -- as above
from yoyak.config.load import resolve
from yoyak.planning.model_shapes import ModelShape, shape_of


def write_base(shape: ModelShape, folder: Path) -> None:
    """Write configuration and random weights as ``from_pretrained`` reads them; bfloat16 if LLM."""
    config = fullsize.config_of(shape)
    torch.manual_seed(42)
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        if shape.family == "bart":
            model = transformers.BartForConditionalGeneration(config)
        else:
            model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    model.save_pretrained(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("recipe")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--tiny", action="store_true", help="two narrow layers")
    chosen = parser.parse_args()
    shape = shape_of(resolve(chosen.recipe).recipe)
    if shape is None:
        parser.error(f"{chosen.recipe} has no published shape")
    write_base(fullsize.tiny(shape, shape.vocabulary) if chosen.tiny else shape, chosen.folder)
    for path in chosen.tokenizer.iterdir():
        if "token" in path.name or path.suffix == ".jinja":
            shutil.copy(path, chosen.folder / path.name)


if __name__ == "__main__":
    main()

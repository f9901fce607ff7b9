"""How fast koBART's shape is decoded here and by CTranslate2, one CPU thread, the same ids?

    python benchmarks/beams.py [--rows N] [--new N] [--tiny]

The published architecture with random weights (fullsize.py) on rows of random ids with the lengths
of the contest's dialogues; every answer is ``--new`` tokens long, since random weights do not end.
Random weights also tie more often than learnt ones: what is the same here is a lower bound.
One JSON line a decoding. Needs the extras [train] and [fast], and ``PYTHONPATH=src``.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

os.environ.setdefault("OMP_NUM_THREADS", "1")

import fullsize
import history
from plain import machine

import torch  # noqa: TID253 -- a benchmark loads what it compares
from yoyak.config.load import resolve
from yoyak.config.schema import BeamSearch, Greedy
from yoyak.engine.device import detect, silence_libraries
from yoyak.engine.inference import generate
from yoyak.engine.inference.batch_memory import batch_memory, make_batches
from yoyak.engine.inference.ctranslate2 import CTranslate2Decoder
from yoyak.engine.models.model import ModelBundle
from yoyak.engine.tokenization.encode import EncodedRow
from yoyak.planning.model_shapes import shape_of

DECODINGS = {"greedy": Greedy(), "beam 4": BeamSearch(num_beams=4)}


def timed(
    batches: list[list[EncodedRow]], work: Callable[[list[EncodedRow]], list[list[int]]]
) -> tuple[list[list[int]], float]:
    started = time.perf_counter()
    found = [ids for batch in batches for ids in work(batch)]
    return found, time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=24)
    parser.add_argument("--new", type=int, default=38, help="tokens of each answer")
    parser.add_argument("--tiny", action="store_true", help="at a size for tests")
    chosen = parser.parse_args()
    silence_libraries()
    torch.set_num_threads(1)
    recipe, hardware = resolve("kobart").recipe, detect()
    shape = shape_of(recipe)
    assert shape is not None
    if chosen.tiny:
        shape, chosen.rows, chosen.new = fullsize.tiny(shape), 6, 8
    tokenizer = SimpleNamespace(
        **fullsize.IDS._asdict(), stop_ids=(1,), bos_id=3, unknown_id=3, vocab_size=shape.vocabulary
    )
    model = fullsize.build(shape, recipe, hardware).eval()
    bundle = ModelBundle(model, tokenizer, "seq2seq", hardware.device)
    rows = fullsize.draw_rows(shape, chosen.rows, shrink=8 if chosen.tiny else 1)
    with tempfile.TemporaryDirectory() as folder:
        translator = CTranslate2Decoder(bundle, Path(folder))
    for name, decoding in DECODINGS.items():
        work = generate.DecodeJob(bundle, decoding, chosen.new, (tokenizer.stop_id,))
        batches = make_batches(rows, chosen.new, batch_memory(bundle, decoding))
        ours, seconds = timed(batches, lambda batch, work=work: generate.decoded(work, batch))
        theirs, other = timed(batches, lambda batch, work=work: translator(work, batch))
        line = {
            "machine": machine(),
            "decoding": name,
            "rows": len(rows),
            "new_tokens": chosen.new,
            "ours_seconds": seconds,
            "ctranslate2_seconds": other,
            "ratio": seconds / other,
            "equal_rows": sum(one == two for one, two in zip(ours, theirs, strict=True)),
        }
        print(json.dumps(line, ensure_ascii=False), flush=True)
        if not chosen.tiny:
            history.record(f"beams.ctranslate2, {name}", seconds / other, spread=None)


if __name__ == "__main__":
    main()

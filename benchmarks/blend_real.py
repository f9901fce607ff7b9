"""Consensus on the contest's own files: what is it worth against the best single system?

    python benchmarks/blend_real.py [WORKSPACE]

Reads the contest files below ``$YOYAK_SHARED`` (default: ``../shared``). Trains two small
encoder-decoders from scratch on train.csv (minutes on one core; done is done), decodes each in five
ways and the mean of its checkpoints in one, takes in dev predictions of a koBART and four zero-shot
outputs of Solar, and judges blends of them by nested halves of dev. Ends with an error where a
blend is worse than the best system beyond noise, where a control is better than that, or where
``vote`` is better than the blend.
"""

import os
import platform
import subprocess
import sys
import time
from pathlib import Path

from yoyak.data.corpus import read_corpus
from yoyak.ensemble.candidates import candidates
from yoyak.ensemble.cross_validation import cross_validate
from yoyak.ensemble.member_selection import dev_scores
from yoyak.report.sections import ensemble
from yoyak.runs.workspace import Workspace
from yoyak.terminal.render import console, render

HERE = Path(__file__).parent
SMALL = ("small-bart", "wide-bart")
DECODES = "beam4,sample*3"
SOLAR = ("summary_solar_filter", "re_summary_solar_filter", "summary_solar", "re_summary_solar")
CONTROLS = ("longest", "random")
"""``vote`` is a consensus itself, with nothing learned: it may beat the best system too."""


def yoyak(*words):
    print("$ yoyak", *(word.name if isinstance(word, Path) else word for word in words), flush=True)
    subprocess.run([sys.executable, "-m", "yoyak", *map(str, words)], check=True)


def gather(shared, folder):
    """Everything that answers dev, in a workspace, by the words that a person would type."""
    data, given = shared / "data" / "contest", shared / "data" / "predictions"
    place = ("--data", data, "--workspace", folder)
    yoyak("run", *(HERE / f"{name}.toml" for name in SMALL), *place)
    for name in SMALL:
        yoyak("tune", "decode", name, "--decodes", DECODES, *place)
        yoyak("tune", "soup", name, "--decodes", "greedy", *place)
    yoyak("import", "kobart", given / "dev_pred_kobart_13gi_nlp5.csv", *place)
    for column in SOLAR:
        name = column.replace("summary_", "").replace("_", "-")
        solar = given / "dev_solar_zeroshot_13gi_nlp5.csv"
        yoyak("import", name, solar, "--column", column, *place)
    return Workspace(folder), read_corpus(data)


def report(title, found, corpus, out):
    began = time.perf_counter()
    nested = cross_validate(dev_scores(found, corpus.dev))
    out.print(f"\n== {title}: {len(found)} candidates, {time.perf_counter() - began:.1f} s ==\n")
    out.print(render(ensemble.candidates(found)))
    out.print("")
    out.print(render(ensemble.cross_validation(nested)))
    assert nested.blend.interval.high >= 0, "blending is worse than the best system beyond noise"
    better = [one.name for one in nested.controls if one.interval.low > 0 and one.name in CONTROLS]
    assert not better, f"controls are better than the best system: {better}"
    assert not nested.vote_over_blend.proven, "a consensus that learns nothing is better"


def main():
    began = time.perf_counter()
    root = HERE.parent
    shared = Path(os.environ.get("YOYAK_SHARED", root.parent / "shared"))
    folder = Path(sys.argv[1]) if sys.argv[1:] else root / "workspace" / "blend-real"
    workspace, corpus = gather(shared, folder)
    out = console(sys.stdout)
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores")
    everything = candidates(workspace, corpus)
    report("everything", everything, corpus, out)
    peers = [one for one in everything if one.lineage.system != "kobart"]
    report("without the koBART", peers, corpus, out)
    small = [one for one in peers if one.recipe is not None]
    report("the two small models, five decodings and a soup each", small, corpus, out)
    print(f"\n{(time.perf_counter() - began) / 60:.0f} minutes in all")


if __name__ == "__main__":
    main()

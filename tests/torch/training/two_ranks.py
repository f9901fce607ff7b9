"""Run by ``torch.distributed.run``: trains on two ranks, whole and crashed, and notes what it got.

two_ranks.py FOLDER
"""

import hashlib
import importlib.util
import json
import sys
from pathlib import Path

from yoyak import events
from yoyak.config.load import resolve
from yoyak.engine import TrainJob
from yoyak.engine.pipeline import finetune
from yoyak.engine.training import trainer
from yoyak.engine.world import join
from yoyak.errors import Interrupted

HERE = Path(__file__).parent
SETS = (
    "train.max_steps=6", "train.epochs=9", "evaluate.every_epochs=1", "evaluate.rows=2",
    "lora.lora_dropout=0.0",
)  # fmt: skip


def module(name, path):
    spec = importlib.util.spec_from_file_location(name, path)
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


parent, own = module("parent", HERE.parent / "conftest.py"), module("own", HERE / "conftest.py")


class Crash(Exception):
    pass


def context(form, folder, emit=lambda event: None, stop=lambda: False):
    name, sets = own.FORMS[form]
    rows = [parent.make_dialogue(number) for number in range(32)]
    job = TrainJob(
        recipe=resolve(name, sets=(*own.SMALL, *sets, *SETS)).recipe,
        train=own.as_split("train", rows[:15]),
        dev=own.as_split("dev", rows[20:26]),
        folder=folder,
        emit=emit,
        stop_asked=stop,
    )
    kind = "seq2seq" if form == "bart" else "causal"
    made = finetune.plan(job, finetune.prepare(job, kind))
    for each in made.optimizer.bundle.model.modules():
        if isinstance(getattr(each, "dropout", None), float):
            each.dropout = 0.0
    return made


def bits(optimizer):
    digest = hashlib.sha256()
    for name, value in sorted(optimizer.named.items()):
        digest.update(name.encode() + value.detach().numpy().tobytes())
    return digest.hexdigest()


def trained(form, folder):
    losses = []

    def emit(event):
        if isinstance(event, events.TrainStep):
            losses.append(event.loss)

    made = context(form, folder, emit)
    trainer.train(made)
    return {"bits": bits(made.optimizer), "losses": losses}


def crashed(form, folder, at):
    def emit(event):
        if isinstance(event, events.TrainStep) and event.step == at:
            raise Crash

    try:
        trainer.train(context(form, folder, emit))
    except Crash:
        return trained(form, folder)


def stopped(form, folder):
    """Only one rank hears the signal."""
    asked = iter([False, False, join().rank == 1])
    try:
        trainer.train(context(form, folder, stop=lambda: next(asked, False)))
    except Interrupted:
        return trained(form, folder)


def main(folder):
    rank = join().rank
    found = {}
    for form in ("bart", "nf4"):
        found[form] = {
            "whole": trained(form, folder / f"{form}-whole"),
            "crashed": crashed(form, folder / f"{form}-crashed", 5),
            "stopped": stopped(form, folder / f"{form}-stopped"),
        }
    (folder / f"rank-{rank}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""Process that decodes a run's weights in other ways.

``python -m yoyak.scheduler.decode_worker RUN DATA PARENT sweep|store|soup|checkpoint [WORDS]``.

``store`` answers dev and test in every decoding that is named, and scores dev; ``soup`` and
``checkpoint`` do so with other weights of the run; ``sweep`` searches one half of dev for a better
decoding than the run's. Every answer is kept as a variant of the run
(``predictions/dev@beam-4-lp1.jsonl``), so neither a second search nor an ensemble decodes again.
"""

import os
import signal
import sys
import time
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import msgspec

from yoyak import engine as engines
from yoyak.config.schema import BeamSearch, Decode, Greedy, shared_settings
from yoyak.data.training_rows import training_split
from yoyak.engine import Engine, GenerateJob
from yoyak.engine.launch import die_with_parent
from yoyak.ensemble.candidates import name_of
from yoyak.ensemble.decode_search import VariantAnswers, search_decodes
from yoyak.errors import Interrupted, RunFailed, YoyakError
from yoyak.files import atomic
from yoyak.messages import text
from yoyak.metrics.scorecard import evaluate
from yoyak.runs.redact import redact, redact_streams
from yoyak.runs.run import Run
from yoyak.runs.stage_records import (
    StageInputs,
    discard_edited_predictions,
    predict_inputs,
    record_stage,
    score_inputs,
    weights_fingerprint,
)
from yoyak.scheduler.decode_jobs import OWN, SWEEP, parse_decodes
from yoyak.scheduler.stages import FLUSH_ROWS
from yoyak.scheduler.worker import StopFlag, corpus_of
from yoyak.values import Corpus, Dialogue, Prediction, Split


class VariantDecoder(NamedTuple):
    """Decodes with one run's weights, or a soup, and keeps every answer.

    ``folder`` is the engine's; ``prefix`` begins the names of its variants.
    """

    run: Run
    corpus: Corpus
    engine: Engine
    stop: StopFlag
    folder: Path
    prefix: str = ""

    def variant(self, split: Split, decode: Decode) -> str | None:
        """Return the name of this decoding's variant; ``None`` for the run's own decoding.

        The run's own predictions are reused.
        """
        note = self.run.predictions_path(split.name).with_suffix(".sha256")
        own = note.is_file() and (
            note.read_text(encoding="utf-8") == self.inputs(split, decode).fingerprint
        )
        return None if own else f"{self.prefix}{name_of(decode)}"

    def decode_rows(self, split: Split, decode: Decode, rows: Sequence[Dialogue]) -> VariantAnswers:
        """Return the answers to ``rows``; only missing ones are decoded.

        ``seconds`` adds up what each answer took when it was decoded, as far as it was measured.
        """
        variant = self.variant(split, decode)
        discard_edited_predictions(self.run, self.run.state(), split.name, variant)
        inputs = self.inputs(split, decode).fingerprint
        known = self.run.begin_predictions(split.name, inputs, variant)
        there = {one.id: one for one in known}
        missing = [row for row in rows if row.id not in there]
        if missing:
            self._print_progress(split, variant or name_of(decode), len(missing))
            self._decode(split, decode, missing, variant)
            there = {one.id: one for one in self.run.predictions(split.name, variant)}
        found = [there[row.id] for row in rows if row.id in there]
        return VariantAnswers(found, sum(one.seconds for one in found if one.seconds is not None))

    def _decode(
        self, split: Split, decode: Decode, rows: Sequence[Dialogue], variant: str | None
    ) -> None:
        job = GenerateJob(
            recipe=self.run.recipe,
            decode=decode,
            dialogues=rows,
            train=training_split(self.corpus, self.run.recipe.data),
            folder=self.folder,
            emit=self.run.emit,
        )
        waiting: list[Prediction] = []
        for prediction in chain(self.engine.generate(job), (None,)):
            if prediction is not None:
                waiting.append(prediction)
            if prediction is None or len(waiting) >= FLUSH_ROWS:
                self.run.add_predictions(split.name, waiting, variant)
                waiting.clear()
            if self.stop():
                raise Interrupted("scheduler.decoding-stopped", run=self.run.name)

    def inputs(self, split: Split, decode: Decode) -> StageInputs:
        """Hash what answers in this decoding depend on."""
        return predict_inputs(weights_fingerprint(self.folder), self.run.recipe, decode, split)

    def _print_progress(self, split: Split, variant: str, rows: int) -> None:
        said = text(
            "scheduler.decoding", run=self.run.name, decode=variant, split=split.name, rows=rows
        )
        sys.stderr.write(f"{said}\n")


def store_variant(decoder: VariantDecoder, decodes: Sequence[Decode]) -> None:
    """Decode dev and test in every way and score dev, so that each is a candidate."""
    run, corpus = decoder.run, decoder.corpus
    for decode in decodes:
        for split in (corpus.dev, corpus.test):
            began = time.monotonic()
            answers = decoder.decode_rows(split, decode, split.dialogues)
            if len(answers.predictions) != len(split.dialogues):
                raise RunFailed("scheduler.answers-missing", run=run.name, split=split.name)
            variant, inputs = decoder.variant(split, decode), decoder.inputs(split, decode)
            seconds = time.monotonic() - began
            record_stage(run, f"predict-{split.name}", inputs, seconds, variant)
            if split.name == "dev":
                began = time.monotonic()
                run.write_scorecard("dev", evaluate(list(answers.predictions), split), variant)
                scored = score_inputs(run, corpus, variant)
                record_stage(run, "score", scored, time.monotonic() - began, variant)


def search(decoder: VariantDecoder) -> None:
    """Search for a better decoding than the run's and write the result to ``sweep.json``."""
    now, dev = decoder.run.recipe.decode, decoder.corpus.dev
    shared = shared_settings(now)
    others: tuple[Decode, ...] = (Greedy(**shared), BeamSearch(**shared))
    starts = [decode for decode in others if type(decode) is not type(now)]
    found = search_decodes(
        dev, now, lambda decode, rows: decoder.decode_rows(dev, decode, rows), starts=starts
    )
    encoded = msgspec.json.format(msgspec.json.encode(found), indent=1)
    atomic.write_bytes(decoder.run.folder / SWEEP, encoded)


def main(run_folder: Path, data: Path, parent: int, words: Sequence[str]) -> int:
    """Carry out the command in ``words`` and return the exit code."""
    stop = StopFlag()
    stop.install()
    die_with_parent(signal.SIGTERM)
    stop.is_set |= os.getppid() != parent  # the parent died before PR_SET_PDEATHSIG was set
    run = Run(run_folder)
    try:
        with run.lock():
            _execute(run, corpus_of(run, data), stop, words)
    except YoyakError as error:
        sys.stderr.write(f"{redact(str(error))}\n")
        return error.exit_code
    return 0


def _execute(run: Run, corpus: Corpus, stop: StopFlag, words: Sequence[str]) -> None:
    engine = engines.load(run.recipe.engine)
    decoder = VariantDecoder(run, corpus, engine, stop, run.engine_folder)
    began = time.monotonic()
    what, *named = words
    if what == "sweep":
        search(decoder)
    else:
        own = run.recipe.decode
        decodes = parse_decodes(named[0], own) if named[0] != OWN else (own,)
        if what == "soup":
            decoder = _soup(decoder, [Run(Path(folder)) for folder in named[1:]])
        elif what == "checkpoint":
            decoder = _checkpoint(decoder, int(named[1]))
        store_variant(decoder, decodes)
    done = text("scheduler.decoded", run=run.name, seconds=f"{time.monotonic() - began:.0f}")
    sys.stderr.write(f"{done}\n")


def _soup(decoder: VariantDecoder, others: Sequence[Run]) -> VariantDecoder:
    """Return a decoder of the average of runs, or of one run's checkpoints; record its members."""
    from yoyak.engine.training.soup import average_weights

    runs = [decoder.run, *others]
    manifests = [atomic.read_manifest(run.engine_folder / "weights") for run in runs]
    members = [
        (run.name, one and one.fingerprint) for run, one in zip(runs, manifests, strict=True)
    ]
    digest = atomic.sha256_of(sorted(members))[:6]
    folder = decoder.run.folder / "soups" / digest
    folder.mkdir(parents=True, exist_ok=True)
    atomic.write_bytes(folder / "members.json", msgspec.json.encode(members))
    average_weights([run.engine_folder for run in runs], decoder.run.recipe, folder)
    return decoder._replace(folder=folder, prefix=f"soup-{digest}-")


def _checkpoint(decoder: VariantDecoder, step: int) -> VariantDecoder:
    """Return a decoder of the run's checkpoint at ``step``."""
    from yoyak.engine.training.soup import average_weights

    folder = decoder.run.folder / "soups" / f"step-{step}"
    folder.mkdir(parents=True, exist_ok=True)
    average_weights([decoder.run.engine_folder], decoder.run.recipe, folder, step=step)
    return decoder._replace(folder=folder, prefix=f"step-{step}-")


if __name__ == "__main__":
    redact_streams()
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4:]))

"""Engines that do on purpose what real ones do by accident."""

import math
import os
import signal
import sys
import time

from yoyak.errors import Interrupted, RunFailed
from yoyak.events import Evaluated, Prepared, Stopped, TrainStep
from yoyak.files import atomic
from yoyak.values import Interval, Prediction, Rouge

STEPS = int(os.environ.get("DOUBLES_STEPS", "60"))


class Steady:
    """Learns nothing, keeps weights, answers every dialogue in order at a known pace."""

    def train(self, job):
        job.emit(
            Prepared(
                at=time.time(), rows=8, rows_shortened=0, steps=3, steps_per_epoch=3,
                tokens_per_epoch=80, supervised_tokens_per_epoch=9, parameters=4,
                trainable_parameters=4,
            )
        )  # fmt: skip
        with atomic.whole_folder(job.folder / "weights") as folder:
            (folder / "weights.bin").write_bytes(job.recipe.learning_hash.encode())

    def generate(self, job):
        pause = float(os.environ.get("DOUBLES_PAUSE", "0"))
        weights = (job.folder / "weights" / "weights.bin").read_text()[:4]
        for dialogue in job.dialogues:
            time.sleep(pause)
            text = f"{weights} {job.decode.no_repeat_ngram_size} {dialogue.text[:40]}"
            yield Prediction(id=dialogue.id, text=text, raw=text, seconds=time.monotonic())


class Failing(Steady):
    """Fails in training, with a secret in the message."""

    def train(self, job):
        sys.stderr.write("about to fail\n")
        raise RuntimeError(f"could not log in with {os.environ.get('DOUBLES_TOKEN', 'nothing')}")


class Doomed(Steady):
    """Is killed the first time."""

    def train(self, job):
        mark = job.folder / "was-here"
        if not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        super().train(job)


class Leaving(Doomed):
    """Is killed the first time, and leaves a process behind that has all its open files."""

    def train(self, job):
        left = job.folder / "left-behind"
        if not left.exists():
            pid = os.fork()
            if pid == 0:
                time.sleep(3600)
                os._exit(0)
            left.write_text(str(pid))
        super().train(job)


class Crashing(Steady):
    """Crashes as a broken driver does, without a word."""

    def train(self, job):
        os.abort()


class Patient(Steady):
    """Trains in many small steps and goes on where it was stopped."""

    def train(self, job):
        path = job.folder / "progress"
        done = int(path.read_text()) if path.exists() else 0
        for step in range(done + 1, STEPS + 1):
            time.sleep(0.02)
            path.write_text(str(step))
            job.emit(
                TrainStep(
                    at=time.time(), step=step, epoch=0.0, loss=1.0, learning_rate=1e-4,
                    grad_norm=1.0, tokens=1, supervised_tokens=1, rows=1, seconds=0.02,
                )
            )  # fmt: skip
            if job.stop_asked():
                job.emit(Stopped(at=time.time(), step=step, reason="train"))
                raise Interrupted("scheduler.stopped", run=job.folder.name, stage="train")
        super().train(job)


class Deaf(Steady):
    """Hears no request to stop."""

    def train(self, job):
        job.emit(Stopped(at=time.time(), step=0, reason="only to say that it is here"))
        time.sleep(3600)


class Frozen(Steady):
    """Is stopped by the kernel, so that no signal handler of it runs."""

    def train(self, job):
        os.kill(os.getpid(), signal.SIGSTOP)


class Forgetful(Steady):
    """Leaves the last dialogue of test out."""

    def generate(self, job):
        yield from list(super().generate(job))[: -1 if job.dialogues[0].id[:4] == "test" else None]


class Hungry(Steady):
    """Has memory for two rows at a time."""

    def train(self, job):
        rows = job.recipe.train.micro_batch_size or job.recipe.train.batch_size
        if rows > 2:
            raise MemoryError(f"{rows} rows")
        super().train(job)


class Starving(Steady):
    """Has memory for nothing."""

    def train(self, job):
        raise MemoryError("one row")


class Mortal(Steady):
    """Is killed whenever it trains."""

    def train(self, job):
        os.kill(os.getpid(), signal.SIGKILL)


class Poisoned(Steady):
    """Meets a row that it cannot digest."""

    def train(self, job):
        raise RunFailed("scheduler.worker-died", found="NaN", log="train row 7")


class Slow(Steady):
    """Notes on which card it works, and takes its time."""

    def train(self, job):
        (job.folder / "card").write_text(os.environ.get("CUDA_VISIBLE_DEVICES", "none"))
        time.sleep(0.7)
        super().train(job)


class Meeting(Patient):
    """Trains only while another run is in training too: each waits until it sees the other."""

    def train(self, job):
        (job.folder / "arrived").touch()
        until = time.monotonic() + 120
        while len(list(job.folder.parent.glob("*/arrived"))) < 2:
            if time.monotonic() > until:
                raise TimeoutError("no other run came")
            time.sleep(0.01)
        super().train(job)


class Rated(Steady):
    """Is the better the nearer its learning rate is to 1e-3, and evaluates that three times.

    Far off it waits at its first evaluation to be stopped, so that it can only be.
    """

    def train(self, job):
        quality = _quality(job.recipe)
        for step in (1, 2, 3):
            job.emit(
                Evaluated(
                    at=time.time(), step=step, epoch=step, rows=4, signature="", seconds=0.0,
                    rouge=Rouge(rouge1=quality, rouge2=quality, rougeL=quality), best=step == 1,
                    interval=Interval(low=quality - 0.01, high=quality + 0.01),
                )
            )  # fmt: skip
            until = time.monotonic() + (120 if quality < 0.3 else 0)
            while time.monotonic() < until and not job.stop_asked():
                time.sleep(0.01)
            if job.stop_asked():
                job.emit(Stopped(at=time.time(), step=step, reason="train"))
                raise Interrupted("scheduler.stopped", run=job.folder.name, stage="train")
        super().train(job)

    def generate(self, job):
        share = _quality(job.recipe)
        for dialogue in job.dialogues:
            words = (dialogue.references or (dialogue.text,))[0].split()
            text = " ".join(words[: max(1, round(share * len(words)))])
            yield Prediction(id=dialogue.id, text=text, raw=text, seconds=0.01)


def _quality(recipe):
    luck = (recipe.train.seed % 7) / 1000
    return max(0.05, 0.9 - abs(math.log10(recipe.train.learning_rate / 1e-3)) / 2.5 + luck)

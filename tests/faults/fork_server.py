"""Imports everything a worker needs once; then forks one worker for every line it reads.

A line is a JSON list: run folder, data folder. It answers with the worker's pid, and after another
line with its exit code once it has ended (negative for a signal).
"""

import json
import os
import sys
from pathlib import Path

import bitsandbytes  # noqa: F401, TID253 -- a server that exists to hold them
import peft  # noqa: F401, TID253 -- as above
import transformers  # noqa: TID253 -- as above

import torch  # noqa: TID253 -- as above
from yoyak.engine import load
from yoyak.metrics import tokenizers
from yoyak.scheduler.worker import main


def carry_out(folder, data):
    log = os.open(folder / "worker.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.dup2(log, 1)
    os.dup2(log, 2)
    return main(folder, data, os.getppid())


def serve():
    torch.set_num_threads(1)
    transformers.AutoModelForSeq2SeqLM, transformers.AutoModelForCausalLM  # noqa: B018
    load("seq2seq")
    load("qlora")
    tokenizers.load()
    print("ready", flush=True)
    while line := sys.stdin.readline():
        folder, data = map(Path, json.loads(line))
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                code = carry_out(folder, data)
            finally:
                os._exit(code)
        print(pid, flush=True)
        sys.stdin.readline()  # until then its pid stays its own, so that the right one is killed
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


if __name__ == "__main__":
    serve()
    os._exit(0)  # to let go of all that was imported takes seconds, and nobody waits for it

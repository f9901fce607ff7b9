"""The control: a stock ``transformers.Trainer`` with checkpoints, forked for every line it reads.

Same protocol as fork_server.py; a line is a JSON list with the folder of the run. The recipe is
that of any tutorial: save every two steps, keep two, resume from the last checkpoint.
"""

import json
import os
import sys
from pathlib import Path

import transformers  # noqa: TID253 -- a server that exists to hold it

import torch  # noqa: TID253 -- as above

STEPS = 16


class Rows(torch.utils.data.Dataset):
    def __len__(self):
        return 64

    def __getitem__(self, place):
        generator = torch.Generator().manual_seed(place)
        words = torch.randint(3, 1000, (96,), generator=generator)
        return {"input_ids": words, "labels": words[:24].clone()}


def train(folder):
    transformers.set_seed(42)
    config = transformers.BartConfig(
        vocab_size=1000, d_model=64, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=256, decoder_ffn_dim=256,
        max_position_embeddings=128,
    )  # fmt: skip
    settings = transformers.TrainingArguments(
        output_dir=str(folder), max_steps=STEPS, per_device_train_batch_size=4, save_steps=2,
        save_total_limit=2, report_to="none", use_cpu=True, disable_tqdm=True, seed=42,
    )  # fmt: skip
    trainer = transformers.Trainer(
        model=transformers.BartForConditionalGeneration(config),
        args=settings,
        train_dataset=Rows(),
    )
    last = transformers.trainer_utils.get_last_checkpoint(str(folder))
    trainer.train(resume_from_checkpoint=last)
    trainer.save_model(str(folder / "final"))


def carry_out(folder):
    folder.mkdir(exist_ok=True)
    log = os.open(folder / "worker.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.dup2(log, 1)
    os.dup2(log, 2)
    train(folder)
    return 0


def serve():
    torch.set_num_threads(1)
    transformers.Trainer, transformers.BartForConditionalGeneration  # noqa: B018
    print("ready", flush=True)
    while line := sys.stdin.readline():
        folder = Path(json.loads(line)[0])
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                code = carry_out(folder)
            except Exception as error:  # noqa: BLE001 -- that it crashed is the finding
                os.write(2, f"{type(error).__name__}: {error}\n".encode())
            finally:
                os._exit(code)
        print(pid, flush=True)
        sys.stdin.readline()
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


if __name__ == "__main__":
    serve()
    os._exit(0)  # as in fork_server.py

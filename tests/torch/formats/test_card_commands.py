"""The commands of model cards, on another port, in the programs that they are for.

vLLM, llama.cpp's server and Ollama are looked for on the PATH: none of them is an extra of ours.
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

import pytest

from yoyak.data.corpus import parse_turns
from yoyak.engine.formats.export import prompt_of
from yoyak.engine.tokenization.tokenizer import load_tokenizer
from yoyak.export.usage import DIALOGUE, MODELFILE, modelfile
from yoyak.values import Dialogue

pytestmark = [pytest.mark.torch, pytest.mark.process, pytest.mark.slow]
CARD_PORT = "8080"
START_SECONDS = 300
ARCHITECTURES = ["qwen3", "llama"]


def needs(*programs):
    """Skip by name what is not installed."""
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not on the PATH (CONTRIBUTING.md)")


def commands(form, program):
    """The shell commands that the card has for a program."""
    _, found = form.card().split(f"### {program}\n")
    section = re.split("^#+ ", found, maxsplit=1, flags=re.MULTILINE)[0]
    return re.findall(r"^```sh\n(.*?)\n```$", section, re.DOTALL | re.MULTILINE)


class Shell:
    """Runs a card's commands in the exported folder, on a port that is free."""

    def __init__(self, form, log):
        self.form, self._log = form, log
        self._server = None
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            self.port = str(taken.getsockname()[1])
        self._how = {
            "shell": True,
            "cwd": form.folder,
            "env": {
                **os.environ,
                "NO_PROXY": "127.0.0.1",
                "HOME": str(log.parent),
                "OLLAMA_HOST": f"127.0.0.1:{self.port}",
                "VLLM_CPU_KVCACHE_SPACE": "1",
                "VLLM_NO_USAGE_STATS": "1",
            },
        }

    def start(self, command, path):
        """Start a server; return once it answers at a path."""
        command = command.replace(CARD_PORT, self.port)
        with self._log.open("wb") as log:
            self._server = subprocess.Popen(
                command, stdout=log, stderr=log, start_new_session=True, **self._how
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._answers(path):
            assert self._server.poll() is None, self._log.read_text("utf-8", "replace")
            assert time.monotonic() < deadline, self._log.read_text("utf-8", "replace")
            time.sleep(0.2)

    def _answers(self, path):
        try:
            return self.ask(path)[0] == 200
        except (urllib.error.URLError, ConnectionError):
            return False

    def ask(self, path, body=None):
        """The status and the content of an answer."""
        data = None if body is None else json.dumps(body).encode()
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"http://127.0.0.1:{self.port}{path}", data) as response:
            return response.status, response.read()

    def run(self, command):
        """What a command prints."""
        command = command.replace(CARD_PORT, self.port)
        done = subprocess.run(command, capture_output=True, check=False, timeout=120, **self._how)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()

    def stop(self):
        """End the server with all that it started."""
        if self._server is not None:
            os.killpg(self._server.pid, signal.SIGTERM)
            self._server.wait(timeout=60)


@pytest.fixture
def shell(exported, tmp_path):
    """Opens a shell in an exported folder."""
    opened = []

    def make(*form):
        opened.append(Shell(exported(*form), tmp_path / "server.txt"))
        return opened[-1]

    yield make
    for each in opened:
        each.stop()


def expected(form, dialogue=DIALOGUE):
    """The number of tokens in the prompt of the dialogue, and the summary."""
    row = Dialogue(id="card", turns=parse_turns(dialogue))
    weights = form.request.engine_folder / "weights"
    tokenizer = load_tokenizer(str(weights), form.request.recipe)
    prompt = tokenizer.encode_source(prompt_of(row, tokenizer, form.record))
    return len(prompt), form._replace(rows=[row]).answers()[0][0]


def answered(printed):
    """The number of tokens in the prompt, and the summary, of an answer in OpenAI's format."""
    found = json.loads(printed)
    content = found["choices"][0]["message"]["content"]
    return found["usage"]["prompt_tokens"], content.strip()


@pytest.mark.parametrize(("architecture", "row"), [("qwen3", 0), ("llama", 2)])
def test_vllm_answers_as_transformers(architecture, row, shell):
    """Of a row in whose summary no word leads by less than 0.3: both compute in bfloat16."""
    needs("vllm", "curl")
    opened = shell(architecture, "merged")
    start, ask = commands(opened.form, "vLLM")
    dialogue = opened.form.rows[row].text
    body = [json.dumps(text, ensure_ascii=False)[1:-1] for text in (DIALOGUE, dialogue)]
    opened.start(start, "/health")
    assert answered(opened.run(ask.replace(*body))) == expected(opened.form, dialogue)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_llama_server_answers_as_the_engine(architecture, shell):
    needs("llama-server", "curl")
    opened = shell(architecture, "gguf", "F32")
    start, ask = commands(opened.form, "llama.cpp")
    opened.start(start, "/health")
    assert answered(opened.run(ask)) == expected(opened.form)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_ollama_answers_as_the_engine(architecture, shell):
    needs("ollama")
    opened = shell(architecture, "gguf", "F32")
    (opened.form.folder / MODELFILE).write_text(modelfile(opened.form.record), "utf-8")
    opened.start("ollama serve", "/api/version")
    (printed,) = map(opened.run, commands(opened.form, "Ollama"))
    tokens, summary = expected(opened.form)
    assert printed.strip() == summary
    body = {"model": architecture, "prompt": DIALOGUE, "stream": False}
    counted = json.loads(opened.ask("/api/generate", body)[1])
    assert (counted["prompt_eval_count"], counted["response"].strip()) == (tokens, summary)

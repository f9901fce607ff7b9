"""``yoyak serve`` as a user types it: the page, the API, keys, a stop that answers first, kills."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager

import pytest

from yoyak.data import sample
from yoyak.data.corpus import read_corpus
from yoyak.runs.workspace import Workspace

pytest.importorskip("uvicorn")

KEY = "0123456789abcdef"


@contextmanager
def serving(folder, *words):
    """The command and the port that it listens on."""
    process = subprocess.Popen(
        [sys.executable, "-m", "yoyak", "serve", "--port", "0", *map(str, words)],
        cwd=folder, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "YOYAK_LANG": "en", "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    said = ""
    while (line := process.stderr.readline()) and "Ctrl-C" not in line:
        said += line
    found = re.search(r"http://[\d.]+:(\d+)", said)
    assert found, said + line
    try:
        yield process, int(found[1])
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def ask(port, dialogue, key=None):
    """The status and the body of an answer; ``None`` where the connection broke."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {"Content-Type": "application/json"}
    if key is not None:
        headers["Authorization"] = f"Bearer {key}"
    try:
        connection.request("POST", "/v1/summaries", json.dumps({"dialogue": dialogue}), headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


@pytest.fixture(scope="module")
def own(road):
    """What the finished run said of test, by dialogue."""
    (run,) = Workspace(road.folder / "workspace").runs()
    texts = {dialogue.id: dialogue.text for dialogue in read_corpus(sample.folder()).test.dialogues}
    return {texts[one.id]: one.text for one in run.predictions("test")}


def test_a_served_run_answers_as_it_did_test_and_the_page_is_beside_it(road, own, tmp_path):
    (tmp_path / "keys").write_text(f"# ours\n\n{KEY}\n", encoding="utf-8")
    with serving(road.folder, "--run", "lead", "--keys", tmp_path / "keys") as (process, port):
        dialogue, expected = next(iter(own.items()))
        assert ask(port, dialogue)[0] == 401
        status, body = ask(port, dialogue, KEY)
        assert (status, body["summary"]) == (200, expected)
        connection = http.client.HTTPConnection("127.0.0.1", port)
        connection.request("GET", "/")
        assert "<title>" in connection.getresponse().read().decode()
        connection.close()
        process.terminate()
        assert process.wait(timeout=60) == 0


def test_callers_lose_nothing_when_the_server_is_stopped_or_killed(road, own):
    dialogues = list(own) * 4
    answers, lock = {}, threading.Lock()
    ports, restarted = [], threading.Condition()

    def call(mine):
        for dialogue in mine:
            while True:
                with restarted:
                    seen = len(ports)
                    port = ports[-1]
                found = ask(port, dialogue)
                if found is not None and found[0] == 200:
                    break
                with restarted:
                    restarted.wait_for(lambda seen=seen: len(ports) > seen, timeout=60)
            with lock:
                answers.setdefault(dialogue, []).append(found[1]["summary"])

    callers = [threading.Thread(target=call, args=(dialogues[n::8],)) for n in range(8)]
    for number, stop in enumerate((signal.SIGKILL, signal.SIGTERM, None)):
        with serving(road.folder, "--run", "lead") as (process, port):
            with restarted:
                ports.append(port)
                restarted.notify_all()
            if number == 0:
                for caller in callers:
                    caller.start()
            if stop is None:
                for caller in callers:
                    caller.join()
                continue
            process.send_signal(stop)
            process.wait(timeout=60)
    assert {dialogue: set(said) for dialogue, said in answers.items()} == {
        dialogue: {text} for dialogue, text in own.items()
    }
    assert sum(map(len, answers.values())) == len(dialogues)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--host", "0.0.0.0"], 2, "--run RUN"),
        (["--host", "0.0.0.0", "--run", "lead"], 2, "--keys FILE"),
        (["--run", "lead", "--keys", "nowhere"], 66, "nowhere"),
        (["--run", "lead", "--keys", "empty"], 65, "no key"),
        (["--run", "lead", "--keys", "short"], 65, "line 2"),
        (["--run", "nosuch"], 66, "nosuch"),
    ],
)
def test_a_server_that_would_be_open_or_empty_does_not_start(road, words, code, said):
    (road.folder / "empty").write_text("# none\n", encoding="utf-8")
    (road.folder / "short").write_text("\nsecret\n", encoding="utf-8")
    ended = road("serve", *words, check=False)
    assert ended.returncode == code
    assert said in ended.stderr

"""The real command line, in a folder of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture
def yoyak(tmp_path: Path):
    """Runs ``yoyak WORDS`` as a user would and returns the finished process."""

    def call(*words: object, check: bool = True, **environment: str):
        done = subprocess.run(
            [sys.executable, "-m", "yoyak", *map(str, words)],
            cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False,
            env={**os.environ, "YOYAK_LANG": "en", "OMP_NUM_THREADS": "1", **environment},
        )  # fmt: skip
        if check and done.returncode:
            pytest.fail(f"exit {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    return call

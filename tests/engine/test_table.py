"""The table of engines: what is not there is said, with the command that brings it."""

import subprocess
import sys

import pytest

from yoyak import engine
from yoyak.errors import BadRecipe, Unavailable

WITHOUT_TORCH = """
import sys
from yoyak import engine, errors, messages
sys.modules["torch"] = None
try:
    with messages.speaking("en"):
        engine.load(sys.argv[1])
except errors.Unavailable as error:
    print(error)
    sys.exit(error.exit_code)
"""


@pytest.mark.process
@pytest.mark.parametrize("name", sorted(engine.ENGINES.keys() - {"lead"}))
def test_an_engine_says_which_library_it_lacks(name):
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, name], capture_output=True, text=True, check=False
    )
    assert done.returncode == Unavailable.exit_code == 69
    assert "needs torch" in done.stdout
    assert "pip install" in done.stdout


@pytest.mark.parametrize(
    "name", ["seq3seq", "no.such.module:Engine", "yoyak.engine.backends.lead:Leed"]
)
def test_an_unknown_engine_is_answered_with_the_known_ones(name):
    with pytest.raises(BadRecipe, match="lead"):
        engine.load(name)

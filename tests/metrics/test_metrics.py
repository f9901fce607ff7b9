"""The package offers its entry points by name and loads them only when they are used."""

import subprocess
import sys

import pytest

from yoyak import metrics


def test_every_exported_name_is_there():
    assert sorted(metrics._MODULES) == sorted(metrics.__all__)
    assert all(getattr(metrics, name) is not None for name in metrics.__all__)
    with pytest.raises(AttributeError, match="no attribute 'bleu'"):
        metrics.bleu  # noqa: B018 -- the access is what is tested


@pytest.mark.process
def test_importing_the_package_loads_none_of_its_modules():
    code = "import sys, yoyak.metrics; print([m for m in sys.modules if 'yoyak.metrics.' in m])"
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert found.stdout.strip() == "[]"

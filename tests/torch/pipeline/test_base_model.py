"""Find the base of a recipe: built from scratch, a local folder, or what is missing."""

import pytest

from support.hub import UNUSABLE, UNUSABLE_ON_DISK, write_base

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")
from yoyak.engine.pipeline.base_model import find_base  # noqa: E402
from yoyak.errors import BadRecipe, InputMissing, YoyakError  # noqa: E402
from yoyak.files import atomic  # noqa: E402


@pytest.mark.parametrize(
    ("form", "architecture"),
    [("bart", "bart"), ("nf4", "llama"), ("nf4", "qwen2"), ("nf4", "qwen3")],
)
def test_a_base_from_scratch_has_the_same_bytes_each_time(form, architecture, job, tmp_path):
    found = []
    for name in ("one", "two"):
        asked = job(form, f"model.scratch.architecture={architecture}", folder=tmp_path / name)
        find_base(asked.recipe, asked.train, asked.folder)
        found.append(atomic.verify_folder(tmp_path / name / "base").files)
    assert found[0] == found[1]


def test_a_base_that_is_not_there_is_named(job, tmp_path):
    asked = job("nf4", "model.scratch=none", f"model.base={tmp_path / 'nowhere'}")
    with pytest.raises(InputMissing, match="nowhere"):
        find_base(asked.recipe, asked.train, asked.folder)
    nothing = job("nf4", "model.scratch=none")
    with pytest.raises(BadRecipe, match="names neither"):
        find_base(nothing.recipe, nothing.train, nothing.folder)


@pytest.mark.parametrize("case", [*UNUSABLE, *UNUSABLE_ON_DISK])
def test_a_worker_refuses_what_doctor_plan_and_run_refuse(job, tmp_path, case):
    files, key, code = (UNUSABLE | UNUSABLE_ON_DISK)[case]
    base = write_base(tmp_path / "bad", files)
    asked = job("nf4", "model.scratch=none", f"model.base={base}")
    with pytest.raises(YoyakError) as caught:
        find_base(asked.recipe, asked.train, asked.folder)
    assert (caught.value.key, caught.value.exit_code) == (f"bases.{key}", code)


def test_a_local_folder_is_a_base(job):
    asked = job("nf4")
    found = find_base(asked.recipe, asked.train, asked.folder)
    other = job(
        "nf4", "model.scratch=none", f"model.base={found.name_or_path}", folder=asked.folder / "b"
    )
    again = find_base(other.recipe, other.train, other.folder)
    assert (again.name_or_path, again.sha256) == (found.name_or_path, found.sha256)

"""Weights that are written whole, read back, and refused when damaged."""

import pytest

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")
from yoyak.engine.models import weights  # noqa: E402
from yoyak.engine.models.model import ModelBundle  # noqa: E402
from yoyak.engine.models.weights import SavedWeights  # noqa: E402
from yoyak.errors import InputMissing  # noqa: E402


def saved(form):
    return SavedWeights(
        form=form, base="org/name", revision=None, base_sha256="0", learning_hash="1",
        data_sha256="2", step=7, max_new_tokens=60,
    )  # fmt: skip


@pytest.fixture
def written(toy, adapted, tmp_path):
    """Weights of a form, written to ``tmp_path/weights``."""

    def make(form):
        made = adapted("llama") if form == "adapters" else toy("bart")
        bundle = ModelBundle(made.model, made.tokenizer, made.kind, made.device)
        folder = tmp_path / weights.FOLDER
        weights.write(folder, saved(form), bundle)
        return folder, made

    return make


@pytest.mark.parametrize("form", ["whole", "adapters", "base"])
def test_what_is_written_is_read_back(form, written):
    folder, _ = written(form)
    assert weights.read(folder) == saved(form)
    files = {path.name for path in folder.glob("*.safetensors")}
    expected = {"whole": {"model.safetensors"}, "adapters": {"adapter_model.safetensors"}}
    assert files == expected.get(form, set())


def test_a_whole_model_is_loaded_with_its_weights_and_its_tokenizer(written):
    folder, made = written("whole")
    bundle, described = weights.load(folder.parent, "seq2seq", made.recipe)
    assert described == saved("whole")
    assert not bundle.model.training
    assert bundle.tokenizer.fingerprint == made.tokenizer.fingerprint
    theirs = made.model.state_dict()
    assert all(
        torch.equal(value, theirs[name]) for name, value in bundle.model.state_dict().items()
    )


def test_damaged_and_missing_weights_are_none_and_are_not_loaded(written, tmp_path):
    folder, made = written("whole")
    assert weights.read(tmp_path / "nowhere") is None
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert weights.read(folder) is None
    with pytest.raises(InputMissing, match="no complete weights"):
        weights.load(folder.parent, "seq2seq", made.recipe)

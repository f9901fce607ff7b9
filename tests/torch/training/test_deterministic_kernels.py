import pytest

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")
from yoyak.engine.training.deterministic_kernels import deterministic_kernels  # noqa: E402


def test_kernels_without_a_deterministic_form_are_off_inside_and_on_again_after():
    with deterministic_kernels(enabled=True):
        assert torch.are_deterministic_algorithms_enabled()
        assert not torch.is_deterministic_algorithms_warn_only_enabled()
        assert torch.backends.cudnn.deterministic
        assert not torch.backends.cuda.cudnn_sdp_enabled()
        assert torch.backends.cuda.flash_sdp_enabled()
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.backends.cuda.cudnn_sdp_enabled()


def test_the_settings_are_restored_after_an_error():
    with pytest.raises(RuntimeError), deterministic_kernels(enabled=True):
        raise RuntimeError
    assert not torch.are_deterministic_algorithms_enabled()


def test_nothing_changes_where_it_is_not_enabled():
    with deterministic_kernels(enabled=False):
        assert not torch.are_deterministic_algorithms_enabled()
        assert torch.backends.cuda.cudnn_sdp_enabled()

import pytest

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")
from support.architectures import CAUSAL, SEQ2SEQ  # noqa: E402
from yoyak.config.schema import TrainSettings  # noqa: E402
from yoyak.engine.models.collate import collate  # noqa: E402
from yoyak.engine.models.loss import loss_sum, supervised_logits  # noqa: E402
from yoyak.engine.models.model import ModelBundle  # noqa: E402
from yoyak.engine.tokenization.encode import encode_rows  # noqa: E402
from yoyak.engine.training.optimizer import ModelOptimizer  # noqa: E402

ARCHITECTURES = (*SEQ2SEQ, *CAUSAL)


@pytest.fixture
def scene(toy, dialogues):
    """A toy, its rows, and the batch of them all."""

    def make(architecture, count=6):
        model = toy(architecture)
        rows = encode_rows(
            model.tokenizer, dialogues[:count], model.recipe.prompt, with_answers=True
        )
        return model, rows, collate(rows, model.tokenizer, model.kind, model.device)

    return make


def by_transformers(model, rows):
    """Loss summed over supervised tokens, by the model's own forward pass with labels and masks."""
    total = 0.0
    for row in rows:
        source, answer = list(row.source_ids), list(row.answer_ids)
        if model.kind == "seq2seq":
            shown = [model.tokenizer.decoder_start_id, *answer[:-1]]
            inputs = {"input_ids": [source], "decoder_input_ids": [shown], "labels": [answer]}
        else:
            inputs = {"input_ids": [source + answer], "labels": [[-100] * len(source) + answer]}
        tensors = {name: torch.tensor(value) for name, value in inputs.items()}
        total += model.model(**tensors).loss.item() * len(answer)
    return total


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_padded_batch_with_a_gathered_head_has_the_loss_of_each_row_alone(architecture, scene):
    model, rows, batch = scene(architecture)
    ours = loss_sum(model.model, batch).item()
    assert ours == pytest.approx(by_transformers(model, rows), rel=2e-6)


@pytest.mark.parametrize("architecture", ["bart", "qwen3"])
def test_the_head_sees_supervised_places_only(architecture, scene):
    model, rows, batch = scene(architecture)
    logits = supervised_logits(model.model, batch)
    assert logits.shape[0] == sum(len(row.answer_ids) for row in rows)
    assert logits.dtype == torch.float32


@pytest.mark.parametrize("architecture", ["bart", "llama"])
def test_what_the_padding_holds_does_not_matter(architecture, scene):
    model, _, batch = scene(architecture)
    before = supervised_logits(model.model, batch)
    ids = batch.input_ids.clone()
    ids[ids == model.tokenizer.pad_id] = 11
    assert torch.equal(supervised_logits(model.model, batch._replace(input_ids=ids)), before)


def test_smoothing_is_that_of_transformers(scene):
    from transformers.trainer_pt_utils import LabelSmoother

    model, _, batch = scene("qwen3")
    logits = supervised_logits(model.model, batch)
    theirs = LabelSmoother(epsilon=0.1)({"logits": logits}, batch.targets)
    ours = loss_sum(model.model, batch, 0.1) / len(batch.targets)
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-6)


@pytest.mark.parametrize("architecture", ["bart", "qwen3"])
def test_the_gradient_does_not_depend_on_how_a_step_is_cut(architecture, scene):
    model, rows, _ = scene(architecture, count=8)
    model.model.config.dropout = 0.0
    for module in model.model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        if hasattr(module, "dropout") and isinstance(module.dropout, float):
            module.dropout = 0.0
    bundle = ModelBundle(model.model, model.tokenizer, model.kind, model.device)
    optimizer = ModelOptimizer(bundle, TrainSettings())
    found = []
    for parts in (1, 2, 4, 8):
        size = len(rows) // parts
        loss = optimizer.gradient([rows[start : start + size] for start in range(0, 8, size)])
        found.append((loss, {name: value.grad.clone() for name, value in optimizer.named.items()}))
        optimizer.zero_grad()
    whole_loss, whole = found[0]
    for loss, gradient in found[1:]:
        assert loss == pytest.approx(whole_loss, rel=1e-6)
        length = torch.stack([value.norm() for value in whole.values()]).norm()
        for name, value in gradient.items():
            # Of a key's bias the exact gradient is zero, and what is left of it is rounding.
            bound = 1e-5 * whole[name].norm() + 1e-7 * length
            assert (value - whole[name]).norm() < bound, name

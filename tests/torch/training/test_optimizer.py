import pytest

from yoyak.config.schema import TrainSettings
from yoyak.errors import BadRecipe, RunFailed

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")
from yoyak.engine.training.optimizer import ModelOptimizer  # noqa: E402


def test_weights_of_another_model_are_refused_and_nothing_is_copied(context, bits):
    made = context("bart")
    before = bits(made.optimizer)
    tensors = {name: value.detach() + 1 for name, value in made.optimizer.named.items()}
    first = min(tensors)
    tensors[first] = tensors[first][..., :1]
    with pytest.raises(
        RunFailed, match=f"1 tensors of the checkpoint do not fit the model, {first}"
    ):
        made.optimizer.load(tensors)
    assert bits(made.optimizer) == before


RDROP = ("train.rdrop_alpha=2.0", "train.label_smoothing=0.1")


def half_losses(made, rows):
    """The two halves of R-Drop's forward pass, as probabilities and cross entropies, by hand."""
    from yoyak.engine.models.collate import collate
    from yoyak.engine.models.loss import supervised_logits

    bundle = made.optimizer.bundle
    bundle.model.train()
    torch.manual_seed(3)
    batch = collate([*rows, *rows], bundle.tokenizer, bundle.kind, bundle.device)
    logits = supervised_logits(bundle.model, batch)
    one, other = logits.softmax(-1).chunk(2)
    targets = batch.targets.chunk(2)[0]
    return one, other, targets


def test_r_drop_is_both_cross_entropies_and_both_divergences(context):
    made = context("lora", *RDROP, "lora.lora_dropout=0.3", "train.kernels=torch")
    for name, value in made.optimizer.named.items():
        if ".lora_B." in name:
            torch.nn.init.normal_(value, std=0.1)
    rows = made.rows[:3]
    one, other, targets = half_losses(made, rows)
    smooth = torch.full_like(one, 0.1 / one.shape[1])
    smooth[torch.arange(len(targets)), targets] += 0.9
    cross = sum(-(smooth * half.log()).sum() for half in (one, other)) / 2
    apart = ((one * (one / other).log()).sum() + (other * (other / one).log()).sum()) / 2
    torch.manual_seed(3)
    found = made.optimizer.gradient([rows])
    assert found == pytest.approx(float((cross + 2.0 * apart).detach()) / len(targets), rel=1e-4)
    assert apart.detach() > 0


def test_r_drop_counts_a_row_twice_in_a_forward_pass(context):
    from yoyak.engine.pipeline.start import start_state
    from yoyak.engine.training.recovery import micro_batch_limits

    made = context("lora", "train.rdrop_alpha=1.0", "train.micro_batch_tokens=1000")
    assert micro_batch_limits(made, start_state(made))[:2] == (1, 500)


@pytest.mark.parametrize(("form", "sets"), [("lora", ["lora.lora_dropout=0"]), ("bart", [])])
def test_r_drop_without_dropout_is_refused(form, sets, context):
    with pytest.raises(BadRecipe, match="both are equal"):
        context(form, "train.rdrop_alpha=1.0", *sets)


def test_r_drop_takes_dropout_that_is_no_layer(context):
    from yoyak.engine.models.loss import refuse_without_dropout

    made = context("bart")
    for part in made.optimizer.bundle.model.modules():
        if isinstance(getattr(part, "dropout", None), float):
            part.dropout = 0.1
    refuse_without_dropout(made.optimizer.bundle, made.rows[0])


def test_every_part_is_in_training_mode_however_it_was_left(adapted, dialogues):
    from yoyak.engine.models.model import ModelBundle
    from yoyak.engine.tokenization.encode import encode_rows

    made = adapted("bart")
    rows = encode_rows(made.tokenizer, dialogues[:1], made.recipe.prompt, with_answers=True)
    bundle = ModelBundle(made.model, made.tokenizer, made.kind, made.device)
    optimizer = ModelOptimizer(bundle, TrainSettings())
    made.model.eval()
    made.model.training = True  # as PEFT leaves a base that was loaded
    optimizer.gradient([rows])
    assert all(part.training for part in made.model.modules())

"""Noise on embeddings, against transformers' hook."""

import pytest

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")
from yoyak.engine.models.collate import collate  # noqa: E402
from yoyak.engine.models.loss import supervised_logits  # noqa: E402
from yoyak.engine.models.neftune import noisy_embeddings  # noqa: E402


def embedded(made, rows, alpha, *, packed=False):
    """The embeddings that the model's first block gets, with seed 5."""
    bundle = made.optimizer.bundle
    source = bundle.model.get_encoder() if bundle.kind == "seq2seq" else bundle.model
    found = []
    batch = collate(rows, bundle.tokenizer, bundle.kind, bundle.device, packed=packed)
    torch.manual_seed(5)
    bundle.model.train()
    with noisy_embeddings(bundle, rows, batch, alpha):
        hook = source.get_input_embeddings().register_forward_hook(
            lambda _part, _given, output: found.append(output.detach().clone())
        )
        supervised_logits(bundle.model, batch)
        hook.remove()
    return found[0]


@pytest.mark.parametrize("form", ["bart", "lora"])
def test_one_row_gets_the_noise_of_transformers(form, context):
    from transformers.integrations.neftune import neftune_post_forward_hook

    made = context(form)
    row = made.rows[:1]
    plain, noisy = (embedded(made, row, alpha) for alpha in (None, 5.0))
    module = torch.nn.Identity()
    module.neftune_noise_alpha = 5.0
    torch.manual_seed(5)
    theirs = neftune_post_forward_hook(module.train(), None, plain)
    torch.testing.assert_close(noisy, theirs)
    assert not torch.equal(noisy, plain)


def test_noise_depends_on_a_row_s_own_length_padded_or_packed(context):
    made = context("lora")
    rows = sorted(made.rows, key=lambda row: len(row.source_ids))[:: len(made.rows) - 1]
    lengths = [len(row.source_ids) + len(row.answer_ids) - 1 for row in rows]
    width = made.optimizer.bundle.model.config.hidden_size
    noise = embedded(made, rows, 5.0) - embedded(made, rows, None)
    packed = embedded(made, rows, 5.0, packed=True) - embedded(made, rows, None, packed=True)
    parts = packed[0].split(lengths)
    for index, length in enumerate(lengths):
        largest = 5.0 / (length * width) ** 0.5
        for each in (noise[index], parts[index]):
            assert 0.95 * largest < each.abs().max() <= largest * (1 + 1e-4)


def test_the_decoder_of_a_t5_gets_no_noise():
    from types import SimpleNamespace

    import transformers

    from yoyak.engine.models.collate import Batch
    from yoyak.engine.models.model import ModelBundle

    model = transformers.T5ForConditionalGeneration(
        transformers.T5Config(
            vocab_size=40, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2,
            decoder_start_token_id=0,
        )
    ).train()  # fmt: skip
    rows = [SimpleNamespace(source_ids=(4, 5, 6), answer_ids=(7, 1))]
    ids, start = torch.tensor([[4, 5, 6]]), torch.tensor([[0, 7]])
    batch = Batch(ids, torch.ones_like(ids), start, torch.tensor([0, 1]), torch.tensor([7, 1]))
    bundle = ModelBundle(model, None, "seq2seq", torch.device("cpu"))
    given = []
    model.get_decoder().block[0].register_forward_pre_hook(
        lambda _part, args, kwargs: given.append((args or (kwargs["hidden_states"],))[0].detach()),
        with_kwargs=True,
    )
    model.get_decoder().dropout.p = 0.0
    with noisy_embeddings(bundle, rows, batch, 5.0):
        supervised_logits(model, batch)
    assert torch.equal(given[0], model.shared(start).detach())


def test_training_draws_noise_and_evaluation_does_not(context):
    made = context("bart", "train.neftune_noise_alpha=5.0")
    quiet = context("bart")
    for each in (made, quiet):
        for part in each.optimizer.bundle.model.modules():
            if hasattr(part, "dropout") and isinstance(part.dropout, float):
                part.dropout = part.activation_dropout = 0.0
    rows = made.rows[:2]
    losses = []
    for each, seed in ((made, 1), (made, 2), (quiet, 1), (quiet, 2)):
        torch.manual_seed(seed)
        losses.append(each.optimizer.gradient([rows]))
    assert losses[0] != losses[1]
    assert losses[2] == losses[3]
    assert [made.evaluator().loss, made.evaluator().loss] == [quiet.evaluator().loss] * 2

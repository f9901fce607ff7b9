"""CTranslate2 beside our own decoders: the same ids, or it does not speak."""

import copy
import sys

import pytest

import torch  # noqa: TID253 -- pytest leaves this folder alone where torch is not wanted
from yoyak import events
from yoyak.config.schema import BeamSearch, Greedy, Sampling
from yoyak.engine.inference import ctranslate2, generate
from yoyak.engine.tokenization.encode import encode_rows
from yoyak.errors import Unavailable

pytestmark = pytest.mark.torch
pytest.importorskip("ctranslate2", reason="the [fast] extra is not installed")

NEW = 24


@pytest.fixture
def scene(taught, dialogues, tmp_path):
    """Works of a taught BART by decoding, its rows, a folder and the list of what is told."""
    model = taught("bart")
    model = model._replace(model=copy.deepcopy(model.model).float())
    rows = encode_rows(model.tokenizer, dialogues, model.recipe.prompt, with_answers=False)
    told = []

    def agree(decoding, blocked=()):
        work = generate.DecodeJob(model, decoding, NEW, tuple(blocked))
        return work, ctranslate2.ctranslate2_decoder(work, rows, tmp_path / "run", told.append)

    agree.rows, agree.told, agree.folder, agree.model = rows, told, tmp_path / "run", model
    return agree


def log_probability(work, row, ids):
    """Of an answer, summed over its ids; ``ids`` end with EOS or at the limit."""
    source, told = torch.tensor([row.source_ids]), torch.tensor([ids])
    start = torch.tensor([[work.bundle.tokenizer.decoder_start_id]])
    with torch.no_grad():
        logits = work.bundle.model(
            input_ids=source, decoder_input_ids=torch.cat([start, told[:, :-1]], dim=-1)
        ).logits
    return logits.log_softmax(-1).gather(-1, told[..., None]).sum().item()


def scores_of(work, rows, decoder):
    """What our answer to each row scores, and what the decoder's does; equal ids, equal scores."""
    penalty = getattr(work.decode, "length_penalty", 1.0)
    ours, theirs = generate.decoded(work, rows), decoder(work, rows)
    return [
        tuple(log_probability(work, row, ids) / len(ids) ** penalty for ids in pair)
        for row, *pair in zip(rows, ours, theirs, strict=True)
    ]


def tied(pair):
    return pair[0] == pytest.approx(pair[1], rel=1e-3)


@pytest.mark.parametrize("decoding", [Greedy(), BeamSearch(num_beams=2, length_penalty=0.6)])
def test_it_says_what_transformers_says(decoding, scene):
    """The same ids, or where two candidates tie, one as good."""
    work = generate.DecodeJob(scene.model, decoding, NEW, ())
    pairs = scores_of(work, scene.rows, ctranslate2.CTranslate2Decoder(scene.model, scene.folder))
    assert sum(map(tied, pairs)) >= (1.0 if isinstance(decoding, Greedy) else 0.75) * len(pairs)
    assert not (scene.folder / ctranslate2.FOLDER).exists(), "the converted model does not stay"


def test_where_it_ends_its_search_early_it_finds_nothing_better(scene):
    work = generate.DecodeJob(scene.model, BeamSearch(num_beams=4), NEW, ())
    pairs = scores_of(work, scene.rows, ctranslate2.CTranslate2Decoder(scene.model, scene.folder))
    assert [pair for pair in pairs if pair[0] < pair[1] and not tied(pair)] == []


@pytest.mark.parametrize(("equal", "speaks"), [(20, True), (19, True), (18, False)])
def test_it_speaks_where_19_of_20_rows_are_equal(equal, speaks, scene, monkeypatch):
    def planted(self, work, batch):
        """Our answers, but for some rows."""
        ours = generate.decoded(work._replace(decoder=None), batch)
        return [ids if place < equal else [*ids, 5] for place, ids in enumerate(ours)]

    monkeypatch.setattr(ctranslate2.CTranslate2Decoder, "__call__", planted)
    _, decoder = scene(Greedy())
    assert (decoder is not None) is speaks
    compared, *warned = scene.told
    assert isinstance(compared, events.BackendParityChecked)
    assert compared.check.passed is speaks
    assert [event.fields["equal"] for event in warned] == ([] if speaks else ["18"])


def test_what_is_blocked_is_not_written(scene):
    work = generate.DecodeJob(scene.model, Greedy(), NEW, ())
    free = {token for ids in generate.decoded(work, scene.rows[:6]) for token in ids}
    stops = scene.model.tokenizer.stop_ids
    blocked = sorted(free - set(stops))[::2]
    work = generate.DecodeJob(scene.model, Greedy(), NEW, tuple(blocked))
    decoder = ctranslate2.CTranslate2Decoder(scene.model, scene.folder)
    written = {token for ids in decoder(work, scene.rows[:6]) for token in ids}
    assert blocked
    assert not written & set(blocked)


def test_what_it_cannot_do_is_named(scene, adapted, tmp_path):
    _, decoder = scene(Sampling())
    assert decoder is None
    (warned,) = scene.told
    assert (warned.key, warned.fields) == (
        "engine.ctranslate2-cannot", {"what": "decode.kind = sample"},
    )  # fmt: skip


def test_adapters_on_an_encoder_decoder_are_merged_into_a_copy(scene, adapted, tmp_path):
    model = adapted("bart")
    model.model.eval()
    for name, value in model.model.named_parameters():
        if ".lora_B." in name:
            torch.nn.init.normal_(value, std=0.3)
    work = generate.DecodeJob(model, Greedy(), NEW, ())
    pairs = scores_of(work, scene.rows[:8], ctranslate2.CTranslate2Decoder(model, tmp_path))
    assert all(map(tied, pairs))
    assert any(".lora_B." in name for name, _ in model.model.named_parameters())


def test_a_library_that_is_missing_is_named_with_the_command(scene, monkeypatch):
    monkeypatch.setitem(sys.modules, "ctranslate2", None)
    with pytest.raises(Unavailable, match=r"yoyak\[fast\]"):
        scene(Greedy())

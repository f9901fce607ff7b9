"""CTranslate2 beside our own decoders: the same ids, or it does not speak."""

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
    rows = encode_rows(model.tokenizer, dialogues, model.recipe.prompt, with_answers=False)
    told = []

    def agree(decoding, blocked=()):
        work = generate.DecodeJob(model, decoding, NEW, tuple(blocked))
        return work, ctranslate2.agreed(work, rows, tmp_path / "run", told.append)

    agree.rows, agree.told, agree.folder, agree.model = rows, told, tmp_path / "run", model
    return agree


def said(work, rows, decoder=None):
    answers = generate.generate(
        work.bundle, rows, work.decode, max_new_tokens=NEW, blocked=work.blocked, decoder=decoder
    )
    return {answer.id: (answer.raw, answer.tokens, answer.stop) for answer in answers}


@pytest.mark.parametrize(
    "decoding", [BeamSearch(num_beams=4), BeamSearch(num_beams=2, length_penalty=0.6)]
)
def test_it_says_what_transformers_says(scene, decoding):
    work, decoder = scene(decoding)
    ours, theirs = said(work, scene.rows), said(work, scene.rows, decoder)
    # Beams of a half-taught toy often tie; on twenty rows of these the gate asks for 19.
    assert sum(ours[id_] == theirs[id_] for id_ in ours) >= 0.9 * len(ours)
    (told,) = scene.told
    assert isinstance(told, events.BackendParityChecked)
    assert told.check.passed
    assert not (scene.folder / ctranslate2.FOLDER).exists(), "the converted model does not stay"


def test_greedy_is_the_same_to_the_last_id(scene):
    work, decoder = scene(Greedy())
    assert said(work, scene.rows, decoder) == said(work, scene.rows)


def test_what_is_blocked_is_not_written(scene):
    work, _ = scene(Greedy())
    free = {token for ids in generate.new_ids(work, scene.rows[:6]) for token in ids}
    stops = scene.model.tokenizer.stop_ids
    blocked = sorted(free - set(stops))[::2]
    work, decoder = scene(Greedy(), blocked)
    written = {token for ids in decoder(work, scene.rows[:6]) for token in ids}
    assert blocked
    assert not written & set(blocked)


def test_a_decoding_it_does_in_another_way_falls_out(scene):
    """A high length penalty: CTranslate2 ends its search as soon as it has enough answers."""
    _, decoder = scene(BeamSearch(num_beams=4, length_penalty=2.0))
    assert decoder is None
    compared, warned = scene.told
    assert not compared.check.passed
    assert warned.key == "engine.ctranslate2-differs"
    assert int(warned.fields["equal"]) < 19


def test_what_it_cannot_do_is_named(scene, adapted, tmp_path):
    _, decoder = scene(Sampling())
    assert decoder is None
    (warned,) = scene.told
    assert (warned.key, warned.fields) == (
        "engine.ctranslate2-cannot", {"what": "decode.kind = sample"},
    )  # fmt: skip


def test_adapters_on_an_encoder_decoder_are_merged_into_a_copy(scene, adapted, tmp_path):
    model = adapted("bart")
    for name, value in model.model.named_parameters():
        if ".lora_B." in name:
            torch.nn.init.normal_(value, std=0.3)
    work = generate.DecodeJob(model, Greedy(), NEW, ())
    translator = ctranslate2.Translator(model, tmp_path)
    assert translator(work, scene.rows[:8]) == generate.new_ids(work, scene.rows[:8])
    assert any(".lora_B." in name for name, _ in model.model.named_parameters())


def test_a_library_that_is_missing_is_named_with_the_command(scene, monkeypatch):
    monkeypatch.setitem(sys.modules, "ctranslate2", None)
    with pytest.raises(Unavailable, match=r"yoyak\[fast\]"):
        scene(Greedy())

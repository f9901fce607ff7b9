"""A proposed line-up fits the card and the night, and gives a first score soon."""

import pytest

from support.corpora import write_corpus
from yoyak.config import load
from yoyak.data.corpus import read_corpus
from yoyak.planning.gpu_catalogue import GPUS, GpuSpec
from yoyak.planning.plan import PlanTarget, plan
from yoyak.planning.propose_lineup import MODELS, NIGHT_SECONDS, propose_lineup


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return read_corpus(write_corpus(tmp_path_factory.mktemp("data"), "dialogsum", train=200))


@pytest.fixture(scope="module")
def recipes():
    return [load.resolve(name).recipe for name in load.names()]


@pytest.mark.parametrize("card", ["RTX 3090", "RTX 4090", "H100"])
def test_the_plan_accepts_what_is_proposed(card, corpus, recipes, offline):
    names = propose_lineup(recipes, corpus, GPUS[card])
    assert names[:2] == ("lead", "kobart")
    assert len(names) == 1 + MODELS
    chosen = [one for one in recipes if one.name in names]
    assert all(one.base.gated is False for one in chosen if one.engine != "lead")
    assert len({one.base.family for one in chosen}) == len(chosen)
    made = plan(chosen, corpus, PlanTarget(GPUS[card], 1000.0, 0.0, elsewhere=True))
    assert made.refusals == ()
    assert made.time.high_seconds <= NIGHT_SECONDS


def test_more_rows_mean_smaller_models(corpus, recipes):
    many = corpus.train.dialogues * 100
    larger = propose_lineup(recipes, corpus, GPUS["RTX 3090"])
    long_corpus = type(corpus)(
        folder=corpus.folder,
        train=type(corpus.train)(name="train", dialogues=many, fingerprint="x"),
        dev=corpus.dev,
        test=corpus.test,
    )
    smaller = propose_lineup(recipes, long_corpus, GPUS["RTX 3090"])
    sizes = {one.name: one.base.parameters or 0 for one in recipes}
    assert max(map(sizes.get, smaller)) < max(map(sizes.get, larger))


def test_a_small_or_unknown_card_gets_small_models(corpus, recipes):
    small = propose_lineup(recipes, corpus, GpuSpec(name="old", memory_gb=6.0))
    sizes = {one.name: one.base.parameters or 0 for one in recipes}
    assert max(map(sizes.get, small)) < 1e9
    assert propose_lineup(recipes, corpus, GpuSpec(name="none", memory_gb=0.5)) == ("lead",)

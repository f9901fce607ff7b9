"""Other decodings: named, decoded once by a process of their own, frozen, and redone by a run."""

import json

import msgspec
import pytest

from yoyak.config.project import Project, ResourceLimits
from yoyak.config.schema import BeamSearch, Greedy, Sampling
from yoyak.ensemble.candidates import candidates
from yoyak.ensemble.decode_search import DecodeSearch
from yoyak.errors import InputMissing, RunFailed, UsageError
from yoyak.scheduler.create_runs import create_runs
from yoyak.scheduler.decode_jobs import SWEEP, decode_in_process, freeze, parse_decodes
from yoyak.scheduler.local_machine import LocalMachine
from yoyak.scheduler.scheduler import RunResult, Scheduler


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "blocked.toml"
    path.write_text('engine = "decoding:Blocked"\n', encoding="utf-8")
    return str(path)


@pytest.fixture
def finished(workspace, corpus, recipe):
    """A run that is brought to its end; with settings it is prepared and brought there again."""

    def make(*sets):
        [run] = create_runs(workspace, corpus, [recipe], Project(), sets)
        line = Scheduler(corpus, lambda *_: None, ResourceLimits(), LocalMachine((None,)))
        assert line.run_all([run])[0].result in {RunResult.FINISHED, RunResult.ALREADY_DONE}
        return run

    return make


def answered(run) -> int:
    return len((run.folder / "answered").read_text().splitlines())


def test_decodings_are_named_as_people_say_them():
    like = Greedy(max_new_tokens=48, no_repeat_ngram_size=3)
    cap = {"max_new_tokens": 48, "no_repeat_ngram_size": 3}
    assert parse_decodes("greedy, beam4,sample*2", like) == (
        like,
        BeamSearch(num_beams=4, **cap),
        Sampling(seed=42, **cap),
        Sampling(seed=43, **cap),
    )


@pytest.mark.parametrize("words", ["", "beam", "beam1", "sample*0", "greedy,,beam2", "top-k"])
def test_what_is_no_decoding_is_refused(words):
    with pytest.raises(UsageError, match="no decoding"):
        parse_decodes(words, Greedy())


@pytest.mark.process
def test_a_run_without_scores_is_not_tuned(runs_of, data):
    [run] = runs_of("Steady")
    with pytest.raises(InputMissing, match="yoyak run"):
        decode_in_process(run, data, "sweep")


@pytest.mark.slow
def test_stored_decodings_are_candidates_and_are_not_decoded_again(
    finished, workspace, corpus, data
):
    run = finished()
    before, rows = answered(run), len(corpus.dev.dialogues) + len(corpus.test.dialogues)
    decode_in_process(run, data, "store", "greedy,beam2,sample*2")
    assert answered(run) == before + 3 * rows  # greedy is what the run itself has said
    decode_in_process(run, data, "store", "beam2")
    assert answered(run) == before + 3 * rows
    found = candidates(workspace, corpus)
    assert {one.lineage.decode for one in found} == {
        "greedy", "beam-2-lp1", "sample-t0.7-p0.9-s42", "sample-t0.7-p0.9-s43",
    }  # fmt: skip
    assert all(one.test is not None for one in found)
    assert {one.lineage.recipe_sha256 for one in found} == {run.recipe.full_hash}


@pytest.mark.process
def test_a_proven_winner_is_frozen_and_the_next_run_redoes_what_depends_on_it(finished, data):
    run = finished()
    decode_in_process(run, data, "sweep")
    found = msgspec.json.decode((run.folder / SWEEP).read_bytes(), type=DecodeSearch)
    assert found.winner.no_repeat_ngram_size == 3
    assert found.worth_freezing
    tried = answered(run)
    decode_in_process(run, data, "sweep")
    assert answered(run) == tried
    before = run.scorecard("dev").rouge.mean
    freeze(run, found.winner)
    again = finished()
    assert again.folder == run.folder
    assert again.recipe.decode == found.winner
    assert again.scorecard("dev").rouge.mean > before
    assert finished("decode.no_repeat_ngram_size=2").recipe.decode.no_repeat_ngram_size == 2


@pytest.mark.torch
@pytest.mark.filterwarnings("default")
def test_a_soup_of_an_engine_without_weights_is_refused(finished, data, capfd):
    run = finished()
    with pytest.raises(RunFailed, match="code 78"):
        decode_in_process(run, data, "soup", "own")
    assert "no weights to average" in capfd.readouterr().err
    [noted] = json.loads(next(run.folder.glob("soups/*/members.json")).read_text())
    assert noted[0] == run.name

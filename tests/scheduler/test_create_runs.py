"""From names to runs: everything is checked before anything is written."""

import pytest

from yoyak.config.project import Project
from yoyak.errors import BadRecipe, Interrupted
from yoyak.events import Queued
from yoyak.scheduler.create_runs import create_runs


def test_runs_come_in_the_order_of_their_names_and_are_found_again(runs_of):
    runs = runs_of("Steady", "Patient")
    assert [run.recipe.name for run in runs] == ["steady", "patient"]
    assert [run.folder for run in runs_of("Patient", "Steady")] == [
        run.folder for run in reversed(runs)
    ]
    assert [type(event) for event in runs[0].events()] == [Queued]


@pytest.mark.parametrize(
    ("names", "sets"),
    [
        (["lead", "no-such-recipe"], ()),
        (["lead", "lead"], ()),
        (["lead"], ("train.epoch=3",)),
        (["lead"], ("engine=no-such-engine",)),
        (["lead"], ("model.base=https://me:" + "pass-word@host/model",)),
        (["lead"], ("prompt.system=hf_" + "a1B" * 10,)),
    ],
)
def test_one_mistake_and_nothing_is_written(workspace, corpus, names, sets):
    with pytest.raises(BadRecipe) as caught:
        create_runs(workspace, corpus, names, Project(), sets)
    assert caught.value.exit_code == 78
    assert "pass-word" not in str(caught.value)
    assert not workspace.folder.exists()


def test_the_decoding_of_a_run_at_work_is_not_changed_under_it(runs_of):
    (run,) = runs_of("Steady")
    before = run.recipe
    sets = ("decode.kind=beam", "decode.num_beams=2")
    with run.lock(), pytest.raises(Interrupted):
        runs_of("Steady", sets=sets)
    assert run.recipe == before
    runs_of("Steady", sets=sets)
    assert run.recipe != before


def test_the_project_file_speaks_for_its_recipe(workspace, corpus):
    project = Project(recipes={"lead": {"train": {"seed": 7}}})
    (run,) = create_runs(workspace, corpus, ["lead"], project, ())
    assert run.recipe.train.seed == 7

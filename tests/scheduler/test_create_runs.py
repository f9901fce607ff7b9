"""From names to runs: everything is checked before anything is written."""

import pytest

from yoyak.config.project import Project
from yoyak.errors import BadRecipe, Interrupted
from yoyak.events import DataAudited, DataFinding, Finished, Queued
from yoyak.scheduler.create_runs import create_runs, record_audit
from yoyak.values import Severity

pytestmark = pytest.mark.process


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


def test_the_audit_is_recorded_once_for_each_run_that_is_not_done(runs_of):
    running, done = runs_of("Steady", "Patient")
    done.emit(Finished(at=1.0, seconds=1.0))
    finding = DataFinding(name="leak", severity=Severity.WARNING, key="data.found-leak", rows=3)
    for _ in range(2):
        record_audit((running, done), (finding,), ("one-summary",))
    recorded = running.state().audit
    assert recorded is not None
    assert (recorded.findings, recorded.allowed) == ((finding,), ("one-summary",))
    assert sum(isinstance(event, DataAudited) for event in running.events()) == 1
    assert done.state().audit is None
    record_audit((running,), (), ())
    assert running.state().audit.findings == ()

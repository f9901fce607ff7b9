"""Submissions and provenance of a workspace, each with the record it was read from."""

import shutil
from pathlib import Path

import msgspec
import pytest

from yoyak.errors import BadData, InputMissing
from yoyak.report.model import sources
from yoyak.report.model.load import gather
from yoyak.runs.workspace import Workspace
from yoyak.submission.ledger import Leaderboard, record_result

EXAMPLE = Path(__file__).parents[3] / "docs" / "example" / "finished"


@pytest.fixture
def handed_in(tmp_path):
    """The recorded workspace of the docs, in which one submission was written."""
    return Workspace(shutil.copytree(EXAMPLE, tmp_path / "workspace"))


def edit(run, **changes):
    """Write the run's provenance with other values."""
    path = run.folder / "provenance.json"
    known = msgspec.json.decode(path.read_bytes())
    path.write_bytes(msgspec.json.encode({**known, **changes}))
    return known


def test_every_record_of_the_view_is_on_disk(workspace, corpus):
    view = gather(workspace)
    records = {system.record for system in view.systems} | {
        fact.record for fact in view.provenance if fact.record
    }
    assert all((workspace.folder / record).is_file() for record in records)


def test_a_submission_has_the_leaderboards_score_only_once_a_person_noted_it(handed_in):
    (before,) = sources.submissions(handed_in)
    assert before.public_score is None
    record_result(handed_in.ledger_path, 1, Leaderboard.PRIVATE, 39.5, now=2e9)
    (other,) = sources.submissions(handed_in)
    assert other.public_score is None, "the private board is another one"
    record_result(handed_in.ledger_path, 1, Leaderboard.PUBLIC, 41.25, now=2e9)
    (after,) = sources.submissions(handed_in)
    assert after.public_score == 0.4125


def test_a_submission_is_called_by_its_recipe_and_leads_to_its_files(handed_in):
    (one,) = sources.submissions(handed_in)
    assert (one.number, one.system) == ("1", "tiny-bart")
    assert one.record == "submissions/1/manifest.json"
    manifest = msgspec.json.decode((handed_in.folder / one.record).read_bytes())
    assert (one.sha256, one.rows) == (manifest["sha256"], manifest["rows"])


def test_members_of_one_recipe_are_called_by_their_own_names(handed_in):
    path = handed_in.folder / "submissions" / "1" / "manifest.json"
    manifest = msgspec.json.decode(path.read_bytes())
    (member,) = manifest["members"]
    twin = {**member, "system": "260105-1000-tiny-bart-twin"}
    foreign = {**member, "system": "colleague", "recipe": None}
    path.write_bytes(msgspec.json.encode({**manifest, "members": [member, twin, foreign]}))
    (one,) = sources.submissions(handed_in)
    assert one.system == f"{member['system']} + 260105-1000-tiny-bart-twin + colleague"


def test_without_a_ledger_submissions_are_still_listed(handed_in):
    handed_in.ledger_path.unlink()
    (one,) = sources.submissions(handed_in)
    assert one.public_score is None


def test_a_fact_that_all_runs_share_is_said_once_and_others_with_their_run(handed_in):
    runs = handed_in.runs()
    edit(runs[1], platform="a second machine")
    facts = list(sources.provenance(handed_in, runs))
    assert len({(fact.label, fact.value) for fact in facts}) == len(facts)
    platforms = {fact.value: fact.record for fact in facts if fact.label == "platform"}
    assert list(platforms.values()) == [
        f"runs/{runs[0].name}/provenance.json", f"runs/{runs[1].name}/provenance.json",
    ]  # fmt: skip
    assert platforms["a second machine"] == f"runs/{runs[1].name}/provenance.json"


def test_what_is_unknown_is_left_out_and_only_packages_that_can_matter_are_named(handed_in):
    run = handed_in.runs()[0]
    edit(run, code=None, gpus=[], environment={}, packages={"torch": "2.9.0", "rich": "14.1"})
    facts = {fact.label: fact.value for fact in sources.provenance(handed_in, [run])}
    assert not {"commit", "dirty", "gpus", "environment"} & facts.keys()
    assert facts["packages"] == "torch 2.9.0"
    assert facts["seed"] == str(run.recipe.train.seed)


def test_provenance_that_is_missing_or_broken_is_an_error_that_names_the_file(handed_in):
    path = handed_in.runs()[0].folder / "provenance.json"
    path.write_bytes(b"{")
    with pytest.raises(BadData, match=r"provenance\.json"):
        list(sources.provenance(handed_in, handed_in.runs()))
    path.unlink()
    with pytest.raises(InputMissing, match=r"provenance\.json"):
        list(sources.provenance(handed_in, handed_in.runs()))

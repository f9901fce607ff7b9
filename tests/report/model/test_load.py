"""From a workspace on disk to its report: what is recorded is shown, what is doubtful is named."""

import csv
import shutil
from pathlib import Path

import msgspec
import pytest

from yoyak import messages
from yoyak.config import load
from yoyak.data import sample
from yoyak.data.corpus import read_corpus
from yoyak.errors import YoyakError
from yoyak.events import Queued, RunStatus, StageDone, Started
from yoyak.messages import text
from yoyak.report.model.load import gather, submissions
from yoyak.report.render import markdown
from yoyak.report.sections import format
from yoyak.runs.stage_records import file_sha256
from yoyak.runs.workspace import Workspace
from yoyak.scheduler import provenance as recorded
from yoyak.scheduler.stages import StageContext, run_stages
from yoyak.submission.ledger import Leaderboard, record_result


@pytest.mark.process
def test_the_report_holds_what_the_judge_stored(workspace, corpus):
    view = gather(workspace)
    card = workspace.runs()[0].scorecard()
    (group,) = view.groups
    ((system, quality),) = view.ranked(group)
    assert system.status.value == "finished"
    assert quality.rouge == card.rouge
    assert quality.mean.interval == card.interval
    assert quality.rouge1.interval.low < card.rouge.rouge1 < quality.rouge1.interval.high
    assert quality.basis.signature == card.protocol.signature
    assert quality.basis.dev_sha256 == corpus.dev.fingerprint
    assert (workspace.folder / quality.record).is_file()
    assert [floor.name for floor in group.floors] == ["constant", "unrelated", "lead"]
    assert view.findings == ()
    assert len({example.id for example in group.examples}) == len(group.examples) > 3


def test_data_that_changed_or_went_needs_checking(workspace, tmp_path):
    run = workspace.runs()[0]
    path = run.folder / "identity.json"
    other = msgspec.structs.replace(run.identity, dev_sha256="0" * 64)
    path.write_bytes(msgspec.json.encode(other))
    assert [one.rule for one in gather(workspace).findings] == ["data-changed"]
    gone = msgspec.structs.replace(run.identity, data_folder=str(tmp_path / "gone"))
    path.write_bytes(msgspec.json.encode(gone))
    view = gather(workspace)
    assert [one.rule for one in view.findings] == ["data-gone"]
    assert [group.examples for group in view.groups] == [()]


def test_a_log_with_a_broken_line_needs_checking(workspace, corpus):
    log = workspace.runs()[0].log_path
    log.write_bytes(b'{"event": "stepp\n' + log.read_bytes())
    view = gather(workspace)
    (finding,) = view.findings
    assert finding.rule == "garbled-log"
    assert "events.jsonl#L" not in markdown.render(view), "the lines' numbers are not the events'"


def test_a_second_dev_set_is_a_group_of_its_own(workspace, corpus):
    run = workspace.runs()[0]
    dev2 = msgspec.structs.replace(
        corpus.dev, name="dev2", dialogues=corpus.dev.dialogues[:6], fingerprint="2" * 64
    )
    run_stages(StageContext(run, msgspec.structs.replace(corpus, dev2=dev2), lambda: False))
    view = gather(workspace)
    (group,) = view.groups
    (system,) = view.systems
    assert (system.quality.rows, system.second.rows) == (len(corpus.dev.dialogues), 6)
    assert group.basis == system.quality.basis != system.second.basis
    assert system.second.basis.dev_sha256 == "2" * 64
    assert (workspace.folder / system.second.record).is_file()
    shown = markdown.render(view)
    assert format.score(system.second.mean.value) in shown.split(text("report.second-title"))[1]
    path = run.scorecard_path("dev2")
    path.write_bytes(path.read_bytes().replace(b"0", b"1", 1))
    assert gather(workspace).systems[0].second is None


@pytest.mark.parametrize("compared", [False, True])
def test_damaged_records_are_named_and_the_rest_is_shown(workspace, compared):
    (good,) = workspace.runs()
    shutil.copytree(good.folder, workspace.runs_folder / "bad")
    (workspace.runs_folder / "bad" / "identity.json").write_bytes(b"{")
    workspace.ledger_path.write_bytes(b"no record\n")
    (workspace.studies_folder / "train-x").mkdir(parents=True)
    (workspace.studies_folder / "train-x" / "study.json").write_bytes(b"{")
    view = gather(workspace, compared=compared)
    assert [system.run for system in view.systems] == [good.name]
    found = {one.rule: one.what.text for one in view.findings}
    assert set(found) == {"damaged-run", "damaged-ledger", "damaged-study"}
    assert "bad/identity.json" in found["damaged-run"]


@pytest.mark.process
def test_two_runs_of_one_recipe_are_told_apart(workspace, corpus):
    recipe = load.resolve("lead", sets=["train.seed=7"]).recipe
    record = msgspec.json.encode(recorded.gather(corpus))
    run = workspace.find_or_create(recipe, corpus, lambda: record)
    run.emit(Queued(at=1.0, recipe="lead"))
    names = [system.name for system in gather(workspace).systems]
    assert len(set(names)) == 2
    assert names[1] == run.name


def contents(folder):
    return {
        path.relative_to(folder): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("compared", [True, False])
def test_looking_at_a_workspace_changes_nothing_in_it(workspace, compared):
    before = contents(workspace.folder)
    gather(workspace, compared=compared)
    assert contents(workspace.folder) == before


def test_the_figures_of_status_are_those_of_the_report_without_its_statistics(workspace):
    quick, whole = gather(workspace, compared=False), gather(workspace)
    ((_, shown),), ((_, judged),) = (one.ranked(one.groups[0]) for one in (quick, whole))
    assert shown.rouge == judged.rouge
    assert shown.rouge1.interval is None
    assert judged.rouge1.interval is not None
    assert (quick.groups[0].examples, quick.groups[0].pairs, quick.provenance) == ((), (), ())


@pytest.mark.parametrize("compared", [True, False])
def test_lines_that_cannot_be_read_and_events_of_tomorrow_are_counted_apart(workspace, compared):
    log = workspace.runs()[0].log_path
    garbled = b'{"event": "stepp\n' * 3
    unknown = b'{"event": "teleported", "at": 3.0}\n' * 2
    log.write_bytes(garbled + unknown + log.read_bytes())
    counts = {
        one.rule: one.what.fields["lines"] for one in gather(workspace, compared=compared).findings
    }
    assert counts == {"garbled-log": "3", "unknown-events": "2"}


@pytest.mark.parametrize("language", messages.LANGUAGES)
def test_a_finding_on_the_data_names_the_run_and_its_record(workspace, tmp_path, language):
    run = workspace.runs()[0]
    gone = msgspec.structs.replace(run.identity, data_folder=str(tmp_path / "gone"))
    (run.folder / "identity.json").write_bytes(msgspec.json.encode(gone))
    (finding,) = gather(workspace).findings
    with messages.speaking(language):
        assert run.name in finding.what.text
        assert str(tmp_path / "gone") in finding.what.text
    assert (workspace.folder / finding.record).is_file()


@pytest.mark.process
def test_a_run_whose_worker_is_gone_is_not_shown_as_running(workspace, corpus):
    recipe = load.resolve("tiny-bart").recipe
    record = msgspec.json.encode(recorded.gather(corpus))
    run = workspace.find_or_create(recipe, corpus, lambda: record)
    run.emit(Queued(at=1.0, recipe="tiny-bart"))
    run.emit(Started(at=2.0, pid=1, host="box", attempt=1))
    assert gather(workspace).systems[1].status is RunStatus.INTERRUPTED
    with run.lock():
        assert gather(workspace).systems[1].status is RunStatus.RUNNING


def test_costs_of_generation_are_counted_only_where_every_row_was_measured(workspace):
    """Seconds per 100 rows from all rows; tokens per Hangul syllable from those with tokens."""
    run = workspace.runs()[0]
    rows = run.predictions("dev")
    timed = [msgspec.structs.replace(row, raw="가나다 ab", tokens=6, seconds=0.5) for row in rows]
    path = run.predictions_path("dev")
    lines = path.read_bytes().splitlines(keepends=True)
    head = lines[: len(lines) - len(rows)]

    def write(changed):
        path.write_bytes(b"".join(head) + b"".join(msgspec.json.encode(r) + b"\n" for r in changed))
        run.emit(
            StageDone(
                at=3.0, stage="predict-dev", fingerprint="f", seconds=1.0,
                output_sha256=file_sha256(path),
            )
        )  # fmt: skip

    write(timed)
    cost = gather(workspace).systems[0].cost
    assert cost.decode_seconds_per_100 == pytest.approx(50.0)
    assert cost.tokens_per_character == pytest.approx(2.0)
    write([msgspec.structs.replace(timed[0], seconds=None), *timed[1:]])
    assert gather(workspace).systems[0].cost.decode_seconds_per_100 is None


def test_a_workspace_that_is_not_there_yet_is_an_empty_view(tmp_path):
    view = gather(Workspace(tmp_path / "none" / "workspace"))
    assert (view.systems, view.findings) == ((), ())
    assert view.title == "workspace"
    assert not (tmp_path / "none").exists()


EXAMPLE = Path(__file__).parents[3] / "docs" / "example" / "finished"


def finished(workspace, folder):
    """A finished run of the first turns on the data of ``folder``."""
    corpus = read_corpus(folder)
    record = msgspec.json.encode(recorded.gather(corpus))
    run = workspace.find_or_create(load.resolve("lead").recipe, corpus, lambda: record)
    run.emit(Queued(at=1.0, recipe="lead"))
    run.emit(Started(at=2.0, pid=1, host="box", attempt=1))
    run_stages(StageContext(run, corpus, lambda: False))
    return run


def other_data(folder, column):
    """The sample's data with one column of dev moved on by a row: the same ids, another meaning."""
    shutil.copytree(sample.folder(), folder)
    path = folder / "dev.csv"
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    moved = [rows[-1][column], *(row[column] for row in rows[:-1])]
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows({**row, column: text} for row, text in zip(rows, moved, strict=True))
    return folder


@pytest.mark.process
@pytest.mark.parametrize("column", ["dialogue", "summary"])
def test_two_data_sets_with_the_same_ids_are_never_shown_or_ranked_together(
    workspace, tmp_path, column
):
    """Whether the dialogues or the references differ, each system stands with its own data only."""
    other = finished(workspace, other_data(tmp_path / "other", column))
    view = gather(workspace)
    first, second = workspace.runs()
    assert [group.runs for group in view.groups] == [(second.name,), (first.name,)]
    assert (view.tiles.best, view.tiles.best_data) == (other.name, "other")
    assert [one.tied_with_best for one in view.systems] == [None, None], "copies are no models"
    for group, run in zip(view.groups, (second, first), strict=True):
        assert (group.pairs, group.baseline) == ((), None)
        dialogues = {
            row.id: row for row in read_corpus(Path(run.identity.data_folder)).dev.dialogues
        }
        answers = {one.id: one.text for one in run.predictions("dev")}
        assert len(group.examples) > 3
        for example in group.examples:
            assert example.dialogue == dialogues[example.id].text
            assert example.references == dialogues[example.id].references
            ((_, answer, _),) = example.answers
            assert answer == answers[example.id]
    said = markdown.render(view)
    assert said.count("Data ") == 2 * 2, "completed and performance, each in two tables"


@pytest.mark.process
@pytest.mark.parametrize("output", ["dev", "score"])
def test_a_file_that_another_run_wrote_is_named_and_its_content_is_not_shown(
    workspace, tmp_path, output
):
    """Two well-formed files swapped between runs: only the recorded hashes tell them apart."""
    runs = [*workspace.runs(), finished(workspace, other_data(tmp_path / "other", "summary"))]
    one, other = (
        run.scorecard_path("dev") if output == "score" else run.predictions_path("dev")
        for run in runs
    )
    if output == "dev":
        other.write_bytes(one.read_bytes() + b" ")
    else:
        one_bytes = one.read_bytes()
        one.write_bytes(other.read_bytes())
        other.write_bytes(one_bytes)
    view = gather(workspace)
    found = {one.what.fields["run"] for one in view.findings if one.rule == "edited-output"}
    assert runs[1].name in found
    assert (runs[0].name in found) is (output == "score")
    shown = {run for group in view.groups for run in group.runs}
    assert shown == {run.name for run in runs} - found


def test_a_score_that_was_cut_off_is_named_and_left_out(workspace):
    (run,) = workspace.runs()
    path = run.scorecard_path("dev")
    path.write_bytes(path.read_bytes()[:100])
    view = gather(workspace)
    assert [one.rule for one in view.findings] == ["edited-output"]
    assert [system.quality for system in view.systems] == [None]


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
    (before,) = submissions(handed_in)
    assert before.public_score is None
    record_result(handed_in.ledger_path, 1, Leaderboard.PRIVATE, 39.5, now=2e9)
    (other,) = submissions(handed_in)
    assert other.public_score is None, "the private board is another one"
    record_result(handed_in.ledger_path, 1, Leaderboard.PUBLIC, 41.25, now=2e9)
    (after,) = submissions(handed_in)
    assert after.public_score == 0.4125


def test_a_submission_whose_file_changed_needs_checking(handed_in):
    def found():
        findings = gather(handed_in).findings
        return [one for one in findings if one.rule == "changed-submission"]

    assert found() == []
    path = handed_in.submissions_folder / "1" / "submission.csv"
    path.write_bytes(b"fname,summary\n")
    (finding,) = found()
    assert "submission 1" in finding.what.text
    assert finding.record == "submissions/1/manifest.json"


def test_a_submission_is_called_by_its_recipe_and_leads_to_its_files(handed_in):
    (one,) = submissions(handed_in)
    assert (one.number, one.system) == ("1", "tiny-bart*"), "a toy is marked"
    assert one.record == "submissions/1/manifest.json"
    manifest = msgspec.json.decode((handed_in.folder / one.record).read_bytes())
    assert (one.sha256, one.rows) == (manifest["sha256"], manifest["rows"])


def test_members_of_one_recipe_are_called_by_their_own_names(handed_in):
    path = handed_in.folder / "submissions" / "1" / "manifest.json"
    manifest = msgspec.json.decode(path.read_bytes())
    (member,) = manifest["members"]
    twin = {**member, "system": "260105-1000-tiny-bart-twin"}
    foreign = {**member, "system": "colleague", "recipe": None, "toy": False}
    path.write_bytes(msgspec.json.encode({**manifest, "members": [member, twin, foreign]}))
    (one,) = submissions(handed_in)
    assert one.system == f"{member['system']}* + 260105-1000-tiny-bart-twin* + colleague"


def test_without_a_ledger_submissions_are_still_listed(handed_in):
    handed_in.ledger_path.unlink()
    (one,) = submissions(handed_in)
    assert one.public_score is None


def test_a_fact_that_all_runs_share_is_said_once_and_others_with_their_run(handed_in):
    runs = handed_in.runs()
    edit(runs[1], platform="a second machine")
    facts = gather(handed_in).provenance
    assert len({(fact.label, fact.value) for fact in facts}) == len(facts)
    platforms = {fact.value: fact.record for fact in facts if fact.label == "platform"}
    assert list(platforms.values()) == [
        f"runs/{runs[0].name}/provenance.json", f"runs/{runs[1].name}/provenance.json",
    ]  # fmt: skip
    assert platforms["a second machine"] == f"runs/{runs[1].name}/provenance.json"


def test_what_is_unknown_is_left_out_and_only_packages_that_can_matter_are_named(handed_in):
    run = handed_in.runs()[0]
    edit(run, code=None, gpus=[], environment={}, packages={"torch": "2.9.0", "rich": "14.1"})
    found = gather(handed_in).provenance
    facts = {fact.label: fact.value for fact in found if run.name in fact.record}
    assert not {"commit", "dirty", "gpus", "environment"} & facts.keys()
    assert facts["packages"] == "torch 2.9.0"
    assert facts["seed"] == str(run.recipe.train.seed)


def test_provenance_that_is_missing_or_broken_is_named_and_its_run_is_shown(handed_in):
    whole = gather(handed_in)
    run = handed_in.runs()[0]
    path = run.folder / "provenance.json"
    for damage in (lambda: path.write_bytes(b"{"), path.unlink):
        damage()
        view = gather(handed_in)
        assert [one.run for one in view.systems] == [one.run for one in whole.systems]
        (finding,) = (one for one in view.findings if one.rule == "damaged-provenance")
        assert finding.record == f"runs/{run.name}/provenance.json"
        assert finding.record in finding.what.text
        with messages.speaking("ko"):
            with pytest.raises(YoyakError) as raised:
                _ = run.provenance
            assert str(raised.value) in finding.what.text
        assert finding.record in {fact.record for fact in whole.provenance}
        assert finding.record not in {fact.record for fact in view.provenance}
        shared = {fact.label for fact in view.provenance}
        assert {"workspace", "python", "platform", "packages"} <= shared


@pytest.mark.parametrize("language", messages.LANGUAGES)
def test_the_sample_is_called_by_what_it_is(workspace, language):
    run = workspace.runs()[0]
    path = run.folder / "identity.json"
    named = msgspec.structs.replace(run.identity, data_folder="/x/yoyak/sample-0123456789ab")
    path.write_bytes(msgspec.json.encode(named))
    with messages.speaking(language):
        assert gather(workspace).title == text("cli.sample-data")

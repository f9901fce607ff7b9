"""From a workspace on disk to its view: what is recorded is shown, what is doubtful is named."""

import msgspec
import pytest

from yoyak import messages
from yoyak.config import load
from yoyak.events import Queued, RunStatus, Started
from yoyak.report.model.load import gather
from yoyak.report.render import markdown
from yoyak.runs.workspace import Workspace
from yoyak.scheduler import provenance


def test_the_report_holds_what_the_judge_stored(workspace, corpus):
    view = gather(workspace)
    card = workspace.runs()[0].scorecard()
    ((system, quality),) = view.scored
    assert system.status.value == "finished"
    assert quality.rouge == card.rouge
    assert quality.mean.interval == card.interval
    assert quality.rouge1.interval.low < card.rouge.rouge1 < quality.rouge1.interval.high
    assert quality.signature == card.protocol.signature
    assert (workspace.folder / quality.record).is_file()
    assert {floor.name for floor in view.floors} == {"constant", "unrelated"}
    assert view.findings == ()
    assert len({example.id for example in view.examples}) == len(view.examples) > 3


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
    assert view.examples == ()


def test_a_log_with_a_broken_line_needs_checking(workspace, corpus):
    log = workspace.runs()[0].log_path
    log.write_bytes(b'{"event": "stepp\n' + log.read_bytes())
    view = gather(workspace)
    (finding,) = view.findings
    assert finding.rule == "garbled-log"
    assert "events.jsonl#L" not in markdown.render(view), "the lines' numbers are not the events'"


def test_two_runs_of_one_recipe_are_told_apart(workspace, corpus):
    recipe = load.resolve("lead", sets=["train.seed=7"]).recipe
    record = msgspec.json.encode(provenance.gather(corpus))
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
    ((_, shown),), ((_, judged),) = quick.scored, whole.scored
    assert shown.rouge == judged.rouge
    assert shown.rouge1.interval is None
    assert judged.rouge1.interval is not None
    assert (quick.examples, quick.pairs, quick.provenance) == ((), (), ())


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


def test_a_run_whose_worker_is_gone_is_not_shown_as_running(workspace, corpus):
    recipe = load.resolve("tiny-bart").recipe
    record = msgspec.json.encode(provenance.gather(corpus))
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

"""The view says what the records say, and where each number was read."""

import json
import math
from itertools import pairwise

import msgspec

from yoyak import messages
from yoyak.config import load
from yoyak.data import sample
from yoyak.data.corpus import read_corpus
from yoyak.events import Planned, Queued, RunStatus, Started, SystemMetrics
from yoyak.planning import gpu_catalogue
from yoyak.planning.plan import PlanTarget, plan
from yoyak.report.model.build import build
from yoyak.report.model.history import thinned
from yoyak.report.model.load import gather
from yoyak.report.model.report import Report
from yoyak.runs.workspace import Workspace
from yoyak.scheduler import provenance
from yoyak.scheduler.create_runs import record_plans


def test_tiles_answer_the_first_four_questions(view):
    tiles = view.tiles
    assert (tiles.done, tiles.total, tiles.best) == (2, 3, "lead")
    assert tiles.disk_free_gb == 40.0
    assert tiles.vram_free_gb == 24.0 - 14.5
    assert tiles.left is not None
    assert 14.0 < tiles.left.p50_seconds < 16.0, "7 steps of 2 s, and what saves take"
    assert tiles.without_pace == 0


def test_models_from_scratch_are_toys_and_unknowns_stay_unknown(view):
    lead, toy, cut = view.systems
    assert (lead.toy, toy.toy, cut.toy) == (False, True, True)
    assert lead.parameters is None
    assert lead.cost.train_seconds is None
    assert toy.cost.train_seconds == 61.0
    assert toy.cost.decode_seconds_per_100 == 100 * 2.0 / 24
    assert cut.quality is None


def test_an_interrupted_run_says_at_which_step_and_what_is_safe(view):
    (incident,) = view.incidents
    assert incident.step == 17
    assert "step 17" in incident.what.text
    assert "step 10 is complete" in incident.what.text
    assert view.next_steps[0].command.startswith("yoyak run tiny-qlora --set train.")


def test_a_second_start_counts_the_steps_that_were_done_again(make):
    run = make.cut_run()
    again = make.training(24, 24, start=make.noon + 200)
    # the second attempt goes on from the checkpoint of step 10
    second = [Started(at=make.noon + 200, pid=8, host="box", attempt=2)]
    second += [event for event in again if getattr(event, "step", 0) > 10]
    run = run._replace(events=run.events + tuple(second), status=RunStatus.RUNNING)
    view = build([run], make.rest())
    (incident,) = view.incidents
    assert incident.lost_steps == 7
    assert view.progress[0].rows_seen == 24 * 8, "rows done again count once"
    assert [span.kind for span in view.timeline] == ["worked", "running", "planned"]


def test_every_record_points_at_the_line_it_was_read_from(make):
    run = make.cut_run()
    view = build([run], make.rest())
    path, _, line = view.incidents[0].record.partition("#L")
    assert path == f"{run.folder}/events.jsonl"
    assert run.events[int(line) - 1].at == view.incidents[0].at


def test_a_running_run_has_a_band_and_a_queued_one_nothing(make):
    running = make.cut_run()._replace(status=RunStatus.RUNNING)
    queued = make.cut_run()._replace(
        id="q", status=RunStatus.QUEUED, events=(Queued(at=make.noon, recipe="tiny-qlora"),)
    )
    view = build([running, queued], make.rest())
    assert view.tiles.left is not None
    assert view.tiles.left.p50_seconds > 7 * 2.0 - 0.1
    assert view.progress[1].forecast is None
    assert view.tiles.without_pace == 1
    assert {span.run for span in view.timeline} == {running.id}


def planned(make, low, high):
    return Planned(at=make.noon, low_seconds=low, high_seconds=high)


def test_what_is_to_come_stands_behind_what_runs_each_with_a_band(make):
    """The running run first, then the one that was cut off, then those the plan knows."""
    queued = make.cut_run()._replace(
        id="q", status=RunStatus.QUEUED, events=(planned(make, 60.0, 90.0),)
    )
    running = make.cut_run()._replace(id="r", status=RunStatus.RUNNING)
    failed = make.cut_run()._replace(id="f", status=RunStatus.FAILED)
    view = build([queued, failed, make.cut_run(), running], make.rest())
    coming = [span for span in view.timeline if span.kind == "planned"]
    assert [span.run for span in coming] == ["r", make.cut_run().id, "q"]
    for sooner, later in pairwise(coming):
        assert later.start == sooner.end
        assert later.late_end - sooner.late_end >= later.end - sooner.end
    assert coming[0].start == running.events[-1].at
    assert coming[-1].end - coming[-1].start == 60.0
    total = sum(span.end - span.start for span in coming)
    assert math.isclose(view.tiles.left.p50_seconds, total)
    assert view.tiles.without_pace == 0


def test_after_a_run_without_a_pace_nothing_is_promised(make):
    queued = [
        make.cut_run()._replace(id=name, status=RunStatus.QUEUED, events=events)
        for name, events in (("q1", ()), ("q2", (planned(make, 60.0, 90.0),)))
    ]
    assert build(queued, make.rest()).timeline == ()


def test_an_empty_workspace_is_a_view_too(make):
    view = build([], make.rest(floors=()))
    assert view.systems == ()
    assert [step.command for step in view.next_steps] == ["yoyak run"]


def test_the_view_survives_json(view):
    text = msgspec.json.encode(view)
    assert msgspec.json.decode(text, type=Report) == view
    assert json.loads(text)


def test_thinning_keeps_ends_and_peaks():
    points = list(range(10_000))
    heights = {7_123: 5.0}
    kept = thinned(points, lambda point: heights.get(point, 0.0), 200)
    assert len(kept) == 200
    assert (kept[0], kept[-1]) == (0, 9_999)
    assert 7_123 in kept
    assert list(kept) == sorted(kept)


def test_samples_of_a_machine_without_a_gpu_say_nothing_of_vram(make):
    run = make.lead_run()
    run = run._replace(events=(*run.events[:2], SystemMetrics(at=make.noon, disk_free_gb=1.5)))
    view = build([run], make.rest())
    assert view.systems[0].cost.peak_vram_gb is None
    assert view.tiles.vram_free_gb is None


def test_the_proof_card_is_shown_and_a_red_line_is_said_in_the_status(make):
    import io

    from yoyak.engine.check_result import check_result
    from yoyak.events import PreflightPassed
    from yoyak.report.render import markdown
    from yoyak.terminal import status

    run = make.cut_run()
    card = PreflightPassed(
        at=make.noon + 101,
        checks=(
            check_result("stop-supervised", True, "engine.found-tags", tags=15, lost="–"),
            check_result("my-own-check", False, "engine.found-prefix", rows=3, unlike="train_7"),
        ),
    )
    view = build([run._replace(events=(*run.events[:4], card, *run.events[4:]))], make.rest())
    (proof,) = view.proofs
    assert proof.record.endswith("events.jsonl#L5")
    said = markdown.render(view)
    assert "EOS is supervised, once per row | ✔ 15 kinds of tags, lost: –" in said
    assert "my-own-check | ✖ 3 rows rendered again, unlike: train\\_7" in said
    stream = io.StringIO()
    status.status(view, status.console(stream))
    assert "✖ my-own-check: 3 rows rendered again, unlike: train_7" in stream.getvalue()
    assert "EOS is" not in stream.getvalue()
    with messages.speaking("ko"):
        said = markdown.render(view)
        status.status(view, status.console(stream))
    assert "EOS를 행마다 정확히 한 번 지도합니다 | ✔ 태그 15종, 손실: –" in said
    assert "✖ my-own-check: 3행을 다시 렌더링, 불일치: train_7" in stream.getvalue()


def test_how_another_way_to_generate_compared_is_a_line_of_the_card(make):
    import msgspec

    from yoyak.config.schema import GenerateSettings
    from yoyak.engine.check_result import check_result
    from yoyak.events import BackendParityChecked
    from yoyak.report.render import markdown

    run = make.cut_run()
    line = check_result(
        "parity-merged", False, "engine.found-distance", distance=0.7, tolerance=0.5
    )
    run = run._replace(
        events=(*run.events[:4], BackendParityChecked(at=make.noon + 101, check=line))
    )
    assert build([run], make.rest()).proofs == (), "the recipe does not ask for it any more"
    generate = GenerateSettings(weights="merged")
    asked = run._replace(recipe=msgspec.structs.replace(run.recipe, generate=generate))
    said = markdown.render(build([asked], make.rest()))
    assert "trained model's logits | ✖ distance 0.7, at most 0.5" in said


def test_a_run_that_has_not_begun_is_forecast_by_the_plan_where_the_card_is_known(
    tmp_path, monkeypatch
):
    """The tile and the timeline say the plan's own span; a toy's time the plan does not know."""
    corpus = read_corpus(sample.folder())
    workspace = Workspace(tmp_path / "workspace")
    record = msgspec.json.encode(provenance.gather(corpus))
    for name in ("qwen3-4b", "tiny-qlora"):
        run = workspace.find_or_create(load.resolve(name).recipe, corpus, lambda: record)
        run.emit(Queued(at=1.0, recipe=name))
    card = gpu_catalogue.find_spec("RTX 3090")
    monkeypatch.setattr(gpu_catalogue, "installed_gpus", lambda: (card,))
    record_plans(workspace.runs(), corpus, workspace)
    record_plans(workspace.runs(), corpus, workspace)
    assert [len(run.events()) for run in workspace.runs()] == [2, 2], "said once"
    view = gather(workspace)
    span = plan([workspace.runs()[0].recipe], corpus, PlanTarget(card, None, 0.0)).time
    (coming,) = view.timeline
    assert coming.kind == "planned"
    assert math.isclose(coming.end - coming.start, span.low_seconds, abs_tol=1e-3)
    assert math.isclose(coming.late_end - coming.start, span.high_seconds, abs_tol=1e-3)
    assert view.tiles.without_pace == 1

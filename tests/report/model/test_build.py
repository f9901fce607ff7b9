"""The view says what the records say, and where each number was read."""

import json
import re

import msgspec

from yoyak import messages
from yoyak.events import DataAudited, DataFinding, SystemMetrics
from yoyak.report.model.build import build
from yoyak.report.model.report import Report
from yoyak.report.render import html, markdown
from yoyak.values import Severity


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


def test_an_empty_workspace_is_a_view_too(make):
    view = build([], make.rest())
    assert view.systems == ()
    assert [step.command for step in view.next_steps] == ["yoyak run"]


def test_the_view_survives_json(view):
    text = msgspec.json.encode(view)
    assert msgspec.json.decode(text, type=Report) == view
    assert json.loads(text)


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
    from yoyak.report.sections.page import status
    from yoyak.terminal.render import show

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
    show(status(view), stream)
    assert re.search(r"my-own-check +✖ 3 rows rendered again, unlike: train_7", stream.getvalue())
    assert "EOS is" not in stream.getvalue()
    with messages.speaking("ko"):
        said = markdown.render(view)
        show(status(view), stream)
    assert "EOS를 행마다 정확히 한 번 지도합니다 | ✔ 태그 15종, 손실: –" in said
    assert re.search(r"my-own-check +✖ 3행을 다시 렌더링, 불일치: train_7", stream.getvalue())


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


def test_what_the_audit_found_in_the_data_is_an_alarm_of_the_report_said_once(make):
    finding = DataFinding(
        name="missing-value", severity=Severity.ERROR, key="data.found-missing-value",
        fields={"split": "dev", "rows": "9", "of": "12", "ids": "dev_0"}, splits=("dev",), rows=9,
    )  # fmt: skip
    audited = DataAudited(at=make.noon, findings=(finding,), allowed=("missing-value",))
    runs = [
        run._replace(events=(run.events[0], audited, *run.events[1:]), data="contest")
        for run in (make.lead_run(), make.toy_run())
    ]
    view = build(runs, make.rest())
    (issue,) = view.data_issues
    assert (issue.data, issue.finding) == ("contest", finding)
    assert issue.record == f"{runs[0].log}#L2"
    for language in messages.LANGUAGES:
        with messages.speaking(language):
            said, page, sound = (
                markdown.render(view), html.render(view), messages.text("report.nothing-found"),
            )  # fmt: skip
            wanted = finding.found.split("(")[0]
        assert wanted.replace("#", "") in said.replace("\\", "").replace("#", "")
        assert said.index("contest") < said.index("\n## ", said.index("\n## ") + 1)
        assert page.index('class="tiles"') < page.index('class="needs"')
        assert '<a href="#findings">' in page
        assert sound not in said + page

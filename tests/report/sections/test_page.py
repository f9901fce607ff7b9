"""The sections of the report and of the terminal: one order, and each says what it shows."""

import re

import msgspec
import pytest
from rich.cells import cell_len  # noqa: TID253 -- the oracle for widths

from yoyak import messages
from yoyak.events import Queued, RunStatus, TrainStep, Warned
from yoyak.metrics.sanity_checks import Alarm, Severity
from yoyak.report.model.build import build
from yoyak.report.model.report import Example, Fact, Pair, SubmissionSummary
from yoyak.report.render import escape, html, markdown
from yoyak.report.sections import page
from yoyak.report.sections.blocks import Chart, Note, SampleBlock, SystemTable, Table
from yoyak.report.sections.page import SECTIONS, sections
from yoyak.report.sections.scorecard import alarm_table
from yoyak.submission.format_rules import Location
from yoyak.submission.validate import ValidationFault

NOON = 1_767_225_600.0


@pytest.fixture
def five(make):
    """Two finished runs, one cut off, one that failed, one that waits."""
    failed = make.cut_run()._replace(id="f", label="broken", status=RunStatus.FAILED)
    queued = make.cut_run()._replace(
        id="q", label="waiting", status=RunStatus.QUEUED,
        events=(Queued(at=make.noon, recipe="tiny-qlora"),),
    )  # fmt: skip
    return build([queued, make.lead_run(), failed, make.toy_run(), make.cut_run()], make.rest())


def systems(blocks):
    """The names in the first column of the only table."""
    (table,) = [block for block in blocks if isinstance(block, Table)]
    return [getattr(row[0], "shown", row[0]).rstrip("*") for row in table.rows]


def test_each_run_stands_in_the_section_of_its_status_and_in_no_other(five):
    assert systems(page.completed(five)) == ["lead", "tiny-bart"]
    assert systems(page.current(five)) == ["broken", "tiny-qlora"]
    assert systems(page.pending(five)) == ["waiting"]


def test_the_quality_table_has_every_system_the_best_first_and_the_floors_below(five):
    (whole,) = [block for block in page.performance(five) if isinstance(block, SystemTable)]
    quality, _, cost = whole.narrow
    shown = [getattr(row[0], "shown", row[0]).rstrip("*") for row in quality.rows]
    assert shown[:2] == ["lead", "tiny-bart"]
    assert sorted(shown[2:5]) == ["broken", "tiny-qlora", "waiting"]
    assert len(shown) == 5 + len(five.groups[0].floors)
    assert len(cost.rows) == 5


def test_finished_runs_show_no_time_left_and_others_do(make):
    asked = messages.text("report.tile-done")
    done = build([make.lead_run(), make.toy_run()], make.rest())
    assert asked not in [tile.question for tile in page.tiles(done)]
    going = build([make.toy_run(), make.cut_run()], make.rest())
    (tile,) = [tile for tile in page.tiles(going) if tile.question == asked]
    assert "left" in tile.note
    assert tile.share == 0.5


def test_the_first_figures_say_what_is_best_wrong_and_next(make):
    alarm = Alarm(
        key="metrics.alarm-below-constant", severity=Severity.ERROR,
        evidence={"mean": "18.33", "floor": "27.01"},
    )  # fmt: skip
    toy = make.toy_run()
    doubted = toy._replace(quality=msgspec.structs.replace(toy.quality, alarms=(alarm,)))
    best, floor, wrong, submission, following = page.tiles(
        build([make.lead_run(), doubted], make.rest())
    )
    assert best.answer == "lead"
    assert "23.27" in best.note
    assert (floor.kind, floor.answer) == ("danger", "−3.75"), "below one fixed sentence"
    assert (wrong.kind, wrong.answer, wrong.anchor) == ("danger", "1 error", "findings")
    assert "18.33" in wrong.note
    assert submission.answer == "–"
    assert following.kind == "command"
    assert following.answer.startswith("yoyak ")


@pytest.mark.parametrize("language", messages.LANGUAGES)
def test_the_summary_counts_the_runs_of_each_status_by_name(five, language):
    with messages.speaking(language):
        _, standing = page.summary(five)
    finished, interrupted, failed, queued = standing.items
    assert finished.startswith("✔")
    assert finished.endswith("2/5: lead, tiny-bart*")
    assert interrupted.endswith("1/5: tiny-qlora*")
    assert failed.startswith("✖")
    assert failed.endswith("1/5: broken*")
    assert queued.endswith("1/5: waiting*")


@pytest.mark.parametrize("language", messages.LANGUAGES)
def test_an_empty_workspace_says_what_to_do_instead_of_a_list(make, language):
    with messages.speaking(language):
        _, said = page.summary(build([], make.rest()))
    assert isinstance(said, Note)
    assert "yoyak run" in said.text


def test_before_anything_is_scored_no_chart_compares_scores(make):
    blocks = list(page.performance(build([make.cut_run()], make.rest())))
    assert not [block for block in blocks if isinstance(block, Chart)]
    scored = list(page.performance(build([make.lead_run()], make.rest())))
    assert [block.key for block in scored if isinstance(block, Chart)] == ["comparison"]


def test_curves_are_drawn_only_of_what_was_trained(make):
    assert list(page.curves(build([make.lead_run()], make.rest()))) == []
    assert Chart("loss") in page.curves(build([make.toy_run()], make.rest()))


def unlike(make, **changes):
    """The lead and the toy, scored on bases of which one part differs."""
    basis = msgspec.structs.replace(make.basis, **changes)
    toy = make.toy_run()
    other = toy._replace(
        quality=msgspec.structs.replace(toy.quality, basis=basis), difference=None, data="other"
    )
    return build([make.lead_run()._replace(data="contest"), other], make.rest())


@pytest.mark.parametrize("changes", [{"signature": "rouge|v:2"}, {"dev_sha256": "f" * 8}])
def test_scores_on_two_bases_never_stand_in_one_table_or_chart(make, changes):
    view = unlike(make, **changes)
    assert [group.runs for group in view.groups] == [(view.systems[1].run,), (view.systems[0].run,)]
    for section, count in ((page.completed, 1), (page.performance, 2)):
        blocks = list(section(view))
        tables = [block for block in blocks if isinstance(block, Table)]
        tables += [
            one for block in blocks if isinstance(block, SystemTable) for one in block.narrow
        ]
        firsts = [[getattr(row[0], "shown", "").rstrip("*") for row in one.rows] for one in tables]
        assert [one[0] for one in firsts] == ["tiny-bart"] * count + ["lead"] * count
        assert not any({"tiny-bart", "lead"} <= set(one) for one in firsts)
    shown = [block for block in page.performance(view) if isinstance(block, Chart)]
    assert [(one.key, one.part) for one in shown] == [("comparison", 0), ("comparison", 1)]
    titles = [block.text for block in page.performance(view) if isinstance(block, Note)]
    assert ["other" in titles[0], "contest" in titles[1]] == [True, True]
    assert (view.tiles.best, view.tiles.best_data) == ("tiny-bart", "other"), "the newest data's"


def test_pairs_say_the_gain_in_points_and_the_share_of_the_rows(view):
    pairs = tuple(
        Pair(one="lead", other=f"s{at}", oracle_gain=0.0213, other_better=0.25) for at in range(99)
    )
    group = msgspec.structs.replace(view.groups[0], pairs=pairs)
    blocks = page.ensemble(msgspec.structs.replace(view, groups=(group,)))
    (table,) = [block for block in blocks if isinstance(block, Table)]
    assert table.rows[0] == ("lead + s0", "+2.13", "25% (s0)")
    assert len(table.rows) < len(pairs), "nobody reads a hundred pairs"
    assert list(page.ensemble(view)) == []


def test_toys_are_no_candidates_for_the_small_models(view):
    assert [block for block in page.small(view) if isinstance(block, Table)] == []


@pytest.fixture
def full(view):
    """A view with more to say than the runs alone."""
    example = Example(
        id="dev_0", dialogue="#Person1#: hello", references=("a greeting",),
        answers=(("lead", "a greeting", 1.0),), why="best",
    )  # fmt: skip
    pair = Pair(one="lead", other="tiny-bart", oracle_gain=0.02, other_better=0.25)
    fact = Fact(label="python", value="3.12", record="runs/a/provenance.json")
    group = msgspec.structs.replace(view.groups[0], examples=(example,), pairs=(pair,))
    return msgspec.structs.replace(view, groups=(group,), provenance=(fact,))


def test_what_needs_checking_and_the_summary_come_first_and_provenance_last():
    keys = list(SECTIONS)
    assert keys[:2] == ["findings", "summary"]
    assert keys[-1] == "provenance"
    assert keys.index("performance") < keys.index("risks") < keys.index("next")


def test_the_sections_of_a_view_keep_the_order_and_none_is_empty(full):
    drawn = [section.key for section in sections(full)]
    assert drawn == [key for key in SECTIONS if key in drawn]
    assert {"ensemble", "examples", "provenance", "incidents"} <= set(drawn)
    assert all(section.blocks for section in sections(full))
    assert "submissions" not in drawn, "nothing was handed in"


@pytest.mark.parametrize("language", messages.LANGUAGES)
def test_the_contents_of_the_page_lead_to_each_section_once_in_order(full, language):
    with messages.speaking(language):
        said, expected = html.render(full), [one.key for one in sections(full)]
    contents = said[said.index("<nav") : said.index("</nav>")]
    assert re.findall(r'href="#([^"]+)"', contents) == [*expected, "rows"]
    assert re.findall(r'<h2 id="([^"]+)"', said) == [*expected, "rows"]


@pytest.mark.parametrize("language", messages.LANGUAGES)
def test_the_headings_of_the_markdown_are_unlike_so_that_each_can_be_linked(full, language):
    """Charts and dialogues stay out of it; a section of nothing else has no heading."""
    with messages.speaking(language):
        said = markdown.render(full)
        expected = [
            one.title
            for one in sections(full)
            if not all(isinstance(block, Chart | SampleBlock) for block in one.blocks)
        ]
    heads = re.findall(r"^## (.+)$", said, re.MULTILINE)
    assert heads == [escape.markdown(title) for title in expected]
    assert len(set(heads)) == len(heads)


BELOW = Alarm(
    key="metrics.alarm-below-constant",
    severity=Severity.WARNING,
    evidence={"mean": "18.33", "floor": "27.01"},
)
IDENTICAL = Alarm(
    key="metrics.alarm-identical",
    severity=Severity.ERROR,
    evidence={"rows": "24", "percent": "100.0", "most": "24"},
    rows=("dev_0",),
)


@pytest.fixture
def alarmed(make):
    toy = make.toy_run()
    quality = msgspec.structs.replace(toy.quality, alarms=(BELOW, IDENTICAL))
    return build([make.lead_run(), toy._replace(quality=quality)], make.rest())


@pytest.mark.parametrize("language", messages.LANGUAGES)
def test_alarms_are_the_first_thing_of_the_page_errors_before_warnings(alarmed, language):
    with messages.speaking(language):
        html_page, said = html.render(alarmed), markdown.render(alarmed)
        sound = messages.text("report.nothing-found")
        below, identical = BELOW.sentence, IDENTICAL.sentence
    assert sound not in html_page + said
    assert (
        said.index(identical[:20])
        < said.index(below[:20])
        < said.index("\n## ", said.index("\n## ") + 1)
    )
    assert 'class="needs"' in html_page
    assert html_page.index(identical[:20]) < html_page.index('id="summary"')


def test_a_page_without_alarms_says_that_the_records_support_it(view):
    said = markdown.render(view)
    assert "No inconsistencies found" in said
    assert 'class="clear"' in html.render(view)


def test_the_end_of_a_run_shows_the_alarms_with_the_toy_mark(drawn, alarmed):
    shown = " ".join(drawn(page.run_end(alarmed)).split())
    assert "✖ ERROR tiny-bart* 24 rows" in shown
    assert "◆ WARNING tiny-bart*" in shown


def test_warnings_of_a_submission_name_no_summary(view):
    fault = ValidationFault(
        rule="repetition",
        severity=Severity.WARNING,
        places=(Location(row=1, id="test_0", found="비밀비밀비밀"),),
        fields={
            "share": "70.8%",
            "base": "0.0%",
            "p": "8e-08",
            "basis": "references",
        },
    )
    summary = SubmissionSummary(
        number="1", system="lead", method="single", rows=24, sha256="0" * 64,
        path="submissions/1/submission.csv", dev_mean=0.2, signature="s", public_score=None,
        warnings=(fault,), record="submissions/1/manifest.json",
    )  # fmt: skip
    (table,) = page.alarms(msgspec.structs.replace(view, submissions=(summary,)))
    ((badge, link, sentence),) = table.rows
    assert (badge.kind, link.shown) == ("watch", "submission 1")
    assert "비밀" not in sentence
    assert "비밀" in fault.text


@pytest.mark.parametrize("rows", [(), ((Severity.ERROR, "lead", "all rows are empty", ()),)])
def test_a_table_of_alarms_is_there_only_where_there_are_some(rows):
    assert len(alarm_table(rows)) == len(rows)


@pytest.mark.parametrize("language", messages.LANGUAGES)
def test_the_notes_explain_exactly_what_the_tables_show(make, language):
    with messages.speaking(language):
        bare, full = (
            page.notes(view.groups[0], view.systems)
            for view in (
                build([make.lead_run()], make.rest()),
                build([make.lead_run(), make.toy_run()], make.rest()),
            )
        )
    assert len(bare) == 2, "the floors and the protocol"
    assert len(full) == 4
    assert full[0].startswith("* ")
    assert (full[1], full[-1]) == tuple(bare)


@pytest.mark.parametrize("language", ["en", "ko"])
def test_tables_fit_80_columns_and_numbers_stand_below_each_other(drawn, view, language):
    with messages.speaking(language):
        lines = [line.rstrip() for line in drawn(page.run_end(view)).splitlines()]
    quality = [line for line in lines if re.match(r"\S.* \d\d\.\d\d +\d+\.\d\d ", line)]
    assert len(quality) == 4, "two systems and two floors"
    ends = {tuple(columns(line))[:4] for line in quality}
    assert len(ends) == 1, "the same column ends in the same cell of every row"
    assert max(cell_len(line) for line in quality) <= 80


def columns(line):
    """The terminal cells where the numbers of a row end."""
    return [cell_len(line[: match.end()]) for match in re.finditer(r"\d+\.\d\d(?= )", line)]


def test_toys_are_marked_and_explained_and_the_floors_stand_beside(drawn, view):
    said = " ".join(drawn(page.run_end(view)).split())
    assert "tiny-bart*" in said
    assert "lead*" not in said
    assert "Its scores say nothing about quality" in said
    assert "one fixed" in said
    assert "27.01" in said
    assert "0–100" in said
    assert "0–300" in said
    assert "worse (p < 0.001)" in said
    assert "rouge|profile:official" not in said, "the report has it"


def test_systems_scored_on_other_data_stand_in_tables_of_their_own(drawn, make):
    said = drawn(page.run_end(unlike(make, dev_sha256="f" * 8)))
    apart = said.index("Data contest")
    assert said.index("Data other") < said.index("tiny-bart*") < apart < said.rindex("lead ")
    assert said.count("27.01") == 2, "each with its own floors"


def test_status_keeps_scores_on_other_data_in_tables_of_their_own(make):
    blocks = list(page.status(unlike(make, dev_sha256="f" * 8)))
    assert [isinstance(block, Note) for block in blocks[:4]] == [True, False] * 2
    assert [len(block.rows) for block in blocks[1:4:2]] == [1, 1]


def test_status_says_where_a_run_was_cut_off_and_what_to_type(drawn, view):
    said = drawn(page.status(view))
    assert "17/24 (71%)" in said
    assert "interrupted" in said
    assert "yoyak run tiny-qlora " in said


def test_no_colour_codes_reach_a_file(drawn, view):
    assert "\x1b" not in drawn(page.run_end(view)) + drawn(page.status(view))


def test_an_empty_workspace_says_what_to_type(drawn, make):
    view = build([], make.rest())
    assert "yoyak run " in drawn(page.status(view))
    assert "→ yoyak status" in drawn(page.run_end(view))


def test_hostile_names_cannot_reach_the_terminal(drawn, view):
    bad = msgspec.structs.replace(view.systems[0], name="\x1b]0;pwned\x07[red]lead[/red]")
    said = drawn(page.run_end(msgspec.structs.replace(view, systems=(bad, *view.systems[1:]))))
    assert "\x1b" not in said
    assert "[red]lead" in "".join(said.split()), "markup is text"


def test_status_says_how_a_run_runs_how_long_it_still_takes_and_when_all_ends(drawn, make):
    stuck = Warned(at=NOON, key="scheduler.stuck", fields={"minutes": "9"})
    run = make.cut_run()
    paces = [
        msgspec.structs.replace(event, seconds=3.0 - event.step % 2)
        if isinstance(event, TrainStep) else event
        for event in run.events
    ]  # fmt: skip
    alive = run._replace(status=RunStatus.RUNNING, events=(*paces, stuck))
    said = drawn(page.status(build([alive], make.rest())), 120)
    assert "stuck" in said
    assert re.search(r"\d+ s – \d+ s", said)
    assert "Expected to finish " in said
    still = drawn(page.status(build([run], make.rest())), 120)
    assert "interrupted" in still
    assert "Expected to finish" not in still, "nobody works on it"


def test_the_end_of_a_run_leaves_the_alarms_of_a_baseline_to_the_report(drawn, alarmed):
    (lead,) = (one for one in alarmed.systems if one.recipe == "lead")
    quality = msgspec.structs.replace(lead.quality, alarms=(BELOW,))
    lead = msgspec.structs.replace(lead, quality=quality)
    others = tuple(one for one in alarmed.systems if one.recipe != "lead")
    both = msgspec.structs.replace(alarmed, systems=(lead, *others))
    assert "WARNING lead" not in " ".join(drawn(page.run_end(both)).split())
    untrained = (msgspec.structs.replace(one, parameters=None) for one in others)
    alone = msgspec.structs.replace(alarmed, systems=(lead, *untrained))
    assert "WARNING lead" in " ".join(drawn(page.run_end(alone)).split())


def test_the_end_of_a_run_shows_ten_alarms_and_counts_the_rest(drawn, alarmed):
    systems = [
        one if one.parameters is None or one.quality is None
        else msgspec.structs.replace(
            one, quality=msgspec.structs.replace(one.quality, alarms=(BELOW,) * 11 + (IDENTICAL,))
        )
        for one in alarmed.systems
    ]  # fmt: skip
    shown = drawn(page.run_end(msgspec.structs.replace(alarmed, systems=tuple(systems))))
    assert shown.count("WARNING") + shown.count("ERROR") == 10
    assert "2 more alarms in the report" in shown

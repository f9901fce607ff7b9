"""Where the line-up stands: each run in the section of its status, and scores with their notes."""

import msgspec
import pytest

from yoyak import messages
from yoyak.events import Queued, RunStatus
from yoyak.report.model.build import build
from yoyak.report.model.report import Pair
from yoyak.report.sections import results
from yoyak.report.sections.blocks import Chart, Note, Table


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
    assert systems(results.completed(five)) == ["lead", "tiny-bart"]
    assert systems(results.current(five)) == ["broken", "tiny-qlora"]
    assert systems(results.pending(five)) == ["waiting"]


def test_the_performance_table_has_every_system_and_the_floors_below_them(five):
    shown = systems(results.performance(five))
    assert shown[:5] == ["waiting", "lead", "broken", "tiny-bart", "tiny-qlora"]
    assert len(shown) == 5 + len(five.groups[0].floors)


@pytest.mark.parametrize("language", messages.LANGUAGES)
def test_the_summary_counts_the_runs_of_each_status_by_name(five, language):
    with messages.speaking(language):
        _, standing = results.summary(five)
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
        _, said = results.summary(build([], make.rest()))
    assert isinstance(said, Note)
    assert "yoyak run" in said.text


def test_before_anything_is_scored_no_chart_compares_scores(make):
    blocks = list(results.performance(build([make.cut_run()], make.rest())))
    assert not [block for block in blocks if isinstance(block, Chart)]
    scored = list(results.performance(build([make.lead_run()], make.rest())))
    assert [block.key for block in scored if isinstance(block, Chart)] == ["comparison", "lengths"]


def test_curves_are_drawn_only_of_what_was_trained(make):
    assert list(results.curves(build([make.lead_run()], make.rest()))) == []
    assert Chart("loss") in results.curves(build([make.toy_run()], make.rest()))


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
    for section in (results.completed, results.performance):
        tables = [block for block in section(view) if isinstance(block, Table)]
        firsts = [[getattr(row[0], "shown", "").rstrip("*") for row in one.rows] for one in tables]
        assert [one[0] for one in firsts] == ["tiny-bart", "lead"]
        assert not any({"tiny-bart", "lead"} <= set(one) for one in firsts)
    shown = [block for block in results.performance(view) if isinstance(block, Chart)]
    assert [(one.key, one.part) for one in shown] == [
        ("comparison", 0), ("lengths", 0), ("comparison", 1), ("lengths", 1),
    ]  # fmt: skip
    titles = [block.text for block in results.performance(view) if isinstance(block, Note)]
    assert ["other" in titles[0], "contest" in titles[1]] == [True, True]
    assert (view.tiles.best, view.tiles.best_data) == ("tiny-bart", "other"), "the newest data's"


def test_pairs_say_the_gain_in_points_and_the_share_of_the_rows(view):
    pairs = tuple(
        Pair(one="lead", other=f"s{at}", oracle_gain=0.0213, other_better=0.25) for at in range(99)
    )
    group = msgspec.structs.replace(view.groups[0], pairs=pairs)
    blocks = results.ensemble(msgspec.structs.replace(view, groups=(group,)))
    (table,) = [block for block in blocks if isinstance(block, Table)]
    assert table.rows[0] == ("lead + s0", "+2.13", "25% (s0)")
    assert len(table.rows) < len(pairs), "nobody reads a hundred pairs"
    assert list(results.ensemble(view)) == []


def test_toys_are_no_candidates_for_the_small_models(view):
    assert [block for block in results.small(view) if isinstance(block, Table)] == []

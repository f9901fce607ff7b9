"""Lines have the values of the records, in the units of their axes."""

import msgspec
import pytest

from support.studies import scored_study
from yoyak.events import Evaluated
from yoyak.metrics.diagnostics.copied_text import CopiedRun
from yoyak.report.model.build import build
from yoyak.report.model.report import CopiedText
from yoyak.report.model.studies import summarise
from yoyak.report.render.charts import CHARTS


def line(plot, place=0):
    return list(zip(plot.series[place].x, plot.series[place].y, strict=True))


def test_dev_loss_starts_at_step_0_and_stands_only_where_it_was_measured(make):
    run = make.toy_run()
    (place, first), (_, second) = run.of(Evaluated)
    changed = msgspec.structs.replace
    before, last = changed(first, step=0, epoch=0.0, loss=7.9), changed(second, loss=3.5)
    unmeasured = changed(second, step=30, epoch=2.5, loss=None)
    again = changed(first, loss=4.0)  # a step that was lost with its evaluation and done again
    events = (*run.events[:place], before, *run.events[place:], again, last, unmeasured)
    view = build([run._replace(events=events)], make.rest())
    assert line(CHARTS["dev-loss"](view, 0)) == [(0.0, 7.9), (1.0, 4.0), (2.0, 3.5)]
    rouge = CHARTS["dev-rouge"](view, 0)
    assert [x for x, _ in line(rouge)] == [0.0, 1.0, 2.0, 2.5]
    (series,) = rouge.series
    assert all(
        low < y < high for low, y, high in zip(series.low, series.y, series.high, strict=True)
    )
    assert CHARTS["dev-loss"](build([run], make.rest()), 0) is None


def test_a_study_is_drawn_beside_what_chance_would_give(view):
    study = summarise(scored_study(0.3, 0.35, 0.33), "studies/train-x/study.json")
    plot = CHARTS["study"](msgspec.structs.replace(view, studies=(study,)), 0)
    found, chance = plot.series
    assert list(found.y) == pytest.approx([30.0, 35.0, 35.0])
    assert chance.y[0] == pytest.approx(30.0)
    assert all(
        low <= y <= high for low, y, high in zip(chance.low, chance.y, chance.high, strict=True)
    )
    assert CHARTS["study"](view, 1) is None


def test_shares_of_a_distribution_add_up_and_end_in_an_empty_bin(make):
    run = make.toy_run()._replace(summary_lengths=(40, 55, 58, 90))
    plot = CHARTS["lengths"](build([run], make.rest()), 0)
    assert line(plot) == [(0, 0), (20, 0), (40, 75), (60, 0), (80, 25), (100, 0)]


def test_copied_runs_stand_beside_those_of_the_references(view):
    runs = (CopiedRun(words=2, position=0.05), CopiedRun(words=0, position=None))
    group = msgspec.structs.replace(
        view.groups[0],
        copied=(CopiedText(run=None, runs=runs), CopiedText(run=view.systems[1].run, runs=runs)),
    )
    changed = msgspec.structs.replace(view, groups=(group,))
    words = CHARTS["copied-words"](changed, 0)
    assert [one.name for one in words.series] == ["references", "tiny-bart"]
    assert line(words) == [(0, 50), (1, 0), (2, 50), (3, 0)]
    assert line(CHARTS["copied-position"](changed, 0))[0] == (0, 100)

"""The sheet for people holds the view's figures, and no cell of it is a formula."""

import csv
import io
import math

import msgspec

from yoyak.metrics.sanity_checks import Alarm
from yoyak.report.model.build import build
from yoyak.report.render import csv as csv_
from yoyak.values import Severity


def rows_of(view):
    return list(csv.DictReader(io.StringIO(csv_.render(view), newline="")))


def test_every_run_is_a_row_and_every_figure_is_the_views(view):
    rows = rows_of(view)
    assert [row["run"] for row in rows] == [one.run for one in view.systems]
    toy, cut = rows[1], rows[2]
    quality = view.systems[1].quality
    assert math.isclose(float(toy["mean"]), 100 * quality.mean.value, rel_tol=1e-5)
    assert math.isclose(float(toy["mean_low"]), 100 * quality.mean.interval.low, rel_tol=1e-5)
    assert [row["toy"] for row in rows] == ["False", "True", "True"]
    assert (toy["rows"], toy["verdict"], toy["train_seconds"]) == ("24", "worse", "61")
    assert (cut["status"], cut["mean"], cut["p"], cut["peak_vram_gb"]) == (
        "interrupted",
        "",
        "",
        "",
    )


def test_no_cell_is_a_formula_and_numbers_stay_numbers(make):
    run = make.toy_run()._replace(id="=HYPERLINK(1)\x1b[31m")
    (row,) = rows_of(build([run], make.rest()))
    assert row["run"] == "'=HYPERLINK(1)[31m"
    assert float(row["difference"]) < 0


def test_alarms_stand_beside_the_score_that_they_doubt(make):
    toy = make.toy_run()
    alarm = Alarm(key="metrics.alarm-identical", severity=Severity.ERROR, evidence={})
    doubted = msgspec.structs.replace(toy.quality, alarms=(alarm,))
    rows = rows_of(build([make.lead_run(), toy._replace(quality=doubted)], make.rest()))
    assert [row["alarms"] for row in rows] == ["", "metrics.alarm-identical"]

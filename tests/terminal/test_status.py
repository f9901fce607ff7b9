"""The terminal's tables line up, fit 80 columns, and say what a toy is."""

import io
import re

import msgspec
import pytest
from rich.cells import cell_len  # noqa: TID253 -- the oracle for widths

from yoyak import messages
from yoyak.events import RunStatus, TrainStep, Warned
from yoyak.report.model.build import build
from yoyak.terminal import status

NOON = 1_767_225_600.0


def drawn(show, view, width=80, language="en"):
    stream = io.StringIO()
    with messages.speaking(language):
        show(view, status.console(stream, width=width))
    return stream.getvalue()


@pytest.mark.parametrize("language", ["en", "ko"])
def test_tables_fit_80_columns_and_numbers_stand_below_each_other(view, language):
    lines = [
        line.rstrip() for line in drawn(status.comparison, view, language=language).splitlines()
    ]
    quality = [line for line in lines if re.match(r"\S.* \d\d\.\d\d +\d+\.\d\d ", line)]
    assert len(quality) == 4, "two systems and two floors"
    ends = {tuple(columns(line))[:4] for line in quality}
    assert len(ends) == 1, "the same column ends in the same cell of every row"
    assert max(cell_len(line) for line in quality) <= 80


def columns(line):
    """The terminal cells where the numbers of a row end."""
    return [cell_len(line[: match.end()]) for match in re.finditer(r"\d+\.\d\d(?= )", line)]


def test_toys_are_marked_and_explained_and_the_floors_stand_beside(view):
    said = drawn(status.comparison, view)
    assert "tiny-bart*" in said
    assert "lead*" not in said
    assert "Its scores say nothing about quality" in said
    assert "one fixed sentence" in said
    assert "27.01" in said
    assert "0–100" in said
    assert "0–300" in said
    assert "worse (p < 0.001)" in said
    assert "rouge|profile:official" in said


def test_systems_scored_on_other_data_stand_in_tables_of_their_own_with_their_own_floors(make):
    basis = msgspec.structs.replace(make.basis, dev_sha256="f" * 8)
    toy = make.toy_run()
    other = toy._replace(
        quality=msgspec.structs.replace(toy.quality, basis=basis), difference=None, data="other"
    )
    said = drawn(
        status.comparison, build([make.lead_run()._replace(data="contest"), other], make.rest())
    )
    apart = said.index("Data contest")
    assert said.index("Data other") < said.index("tiny-bart*") < apart < said.rindex("lead ")
    assert said.count("27.01") == 2


def test_status_says_where_a_run_was_cut_off_and_what_to_type(view):
    said = drawn(status.status, view)
    assert "17/24 (71%)" in said
    assert "interrupted" in said
    assert "→ yoyak run tiny-qlora" in said


def test_no_colour_codes_reach_a_file(view):
    assert "\x1b" not in drawn(status.comparison, view) + drawn(status.status, view)


def test_an_empty_workspace_says_what_to_type(make):
    view = build([], make.rest())
    assert "→ yoyak run" in drawn(status.status, view)
    assert "→ yoyak status" in drawn(status.comparison, view)


def test_hostile_names_cannot_reach_the_terminal(view):
    bad = msgspec.structs.replace(view.systems[0], name="\x1b]0;pwned\x07[red]lead[/red]")
    said = drawn(status.comparison, msgspec.structs.replace(view, systems=(bad, *view.systems[1:])))
    assert "\x1b" not in said
    assert "[red]lead" in "".join(said.split()), "markup is text"


def test_status_says_how_a_run_runs_how_long_it_still_takes_and_when_all_ends(make):
    stuck = Warned(at=NOON, key="scheduler.stuck", fields={"minutes": "9"})
    run = make.cut_run()
    paces = [
        msgspec.structs.replace(event, seconds=3.0 - event.step % 2)
        if isinstance(event, TrainStep) else event
        for event in run.events
    ]  # fmt: skip
    alive = run._replace(status=RunStatus.RUNNING, events=(*paces, stuck))
    said = drawn(status.status, build([alive], make.rest()), width=120)
    assert "stuck" in said
    assert re.search(r"\d+ s – \d+ s", said)
    assert "Everything left should finish between" in said
    still = drawn(status.status, build([run], make.rest()), width=120)
    assert "interrupted" in still
    assert "should finish" not in still, "nobody works on it"

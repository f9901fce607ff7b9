"""The verb export: which format is asked for, what is printed of the check, what is refused."""

from pathlib import Path

import msgspec
import pytest

from support.exports import record_of
from yoyak.cli import main
from yoyak.config import load
from yoyak.config.schema import Greedy
from yoyak.engine.exported import FormCheck, FormScore
from yoyak.export import run as exporter
from yoyak.values import Interval, Rouge

RECIPE = load.resolve("kobart").recipe
SCORE = FormScore(
    rouge=Rouge(rouge1=0.5, rouge2=0.3, rougeL=0.4), interval=Interval(low=0.3, high=0.5)
)


def check_of(equal_answers):
    return FormCheck(
        runtime="a runtime 1.0", rows=20, decode=Greedy(), run_decode=Greedy(), equal_prompts=20,
        equal_answers=equal_answers, original=SCORE, exported=SCORE,
        difference=Interval(low=-0.02, high=0.01), protocol="rouge",
    )  # fmt: skip


@pytest.fixture
def export(monkeypatch, tmp_path):
    """Runs the verb with an exporter that only records what it is asked; gives the exit code."""
    monkeypatch.chdir(tmp_path)

    class Known:
        name, recipe = "run-1", RECIPE

    monkeypatch.setattr("yoyak.cli.context.CommandContext.run", lambda self, name: Known())

    def export_model(run, target, options, emit):
        do.asked = options
        record = record_of(RECIPE, form=options.form or "whole")
        return exporter.Exported(target, msgspec.structs.replace(record, check=do.check))

    monkeypatch.setattr(exporter, "export_model", export_model)

    def do(*words):
        with pytest.raises(SystemExit) as ended:
            main(["export", *words])
        return ended.value.code or 0

    do.check, do.asked = None, None
    return do


def test_format_quantisation_and_rows_reach_the_exporter(export):
    assert export("run-1", "--to", "out", "--format", "gguf", "--quantisation", "Q8_0") == 0
    assert export.asked == exporter.ExportOptions("gguf", "Q8_0", None, 100)
    words = ("--format", "adapter", "--check-rows", "7", "--llama-cpp", "llama.cpp")
    assert export("run-1", "--to", "out", *words) == 0
    assert export.asked == exporter.ExportOptions("adapters", None, Path("llama.cpp"), 7)
    assert export("run-1", "--to", "out") == 0
    assert export.asked == exporter.AS_TRAINED


def test_a_form_that_differs_is_marked_on_stderr_and_an_equal_one_is_not(export, capsys):
    export.check = check_of(17)
    assert export("run-1", "--to", "out") == 0
    said = capsys.readouterr()
    assert "a runtime 1.0: ROUGE mean 40.00 over 20 dialogues" in said.out
    assert "another summary in 3 of 20 rows" in said.err
    assert "−2.00 … +1.00" in said.err
    export.check = check_of(20)
    assert export("run-1", "--to", "out") == 0
    assert capsys.readouterr().err == ""
    export.check = None
    assert export("run-1", "--to", "out") == 0
    assert "was not checked" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("run-1", "--to", "out", "--format", "pdf"), "ctranslate2"),
        (("--to", "answers.csv", "--push", "team/x"), "--push"),
        (("run-1", "--to", "out", "--push", "team/x"), "CC BY-NC"),
    ],
)
def test_what_cannot_be_asked_is_refused_before_any_work(words, says, export, monkeypatch, capsys):
    unfree = load.resolve("kobart", sets=['base.licence="CC BY-NC 4.0"']).recipe
    monkeypatch.setattr("yoyak.cli.context.CommandContext.run", lambda self, name: Run(unfree))
    assert export(*words) != 0
    assert says in capsys.readouterr().err
    assert export.asked is None


class Run:
    name = "run-1"

    def __init__(self, recipe):
        self.recipe = recipe

"""Actions of the page are commands of the terminal: arguments, process, output."""

import re
import shlex
from types import SimpleNamespace

import msgspec
import pytest
import typer

from yoyak import messages
from yoyak.cli.app import load_verb
from yoyak.config import load
from yoyak.data import sample
from yoyak.data.corpus import read_corpus
from yoyak.events import Queued
from yoyak.web.commands import (
    Action,
    Commands,
    PrioritiseRun,
    Prune,
    ResumeRun,
    StartRun,
    StopRun,
    Submit,
    _Started,
    arguments,
    shown,
)
from yoyak.web.responses import Refused

ACTIONS = {
    StartRun(recipe="lead"): "yoyak run lead",
    StartRun(recipe="a b", sets=("train.epochs=2", "model.base=org/x y")): (
        "yoyak run --set=train.epochs=2 '--set=model.base=org/x y' 'a b'"
    ),
    StopRun(): "yoyak stop",
    StopRun(run="r"): "yoyak stop r",
    PrioritiseRun(run="r"): "yoyak prioritise r",
    Prune(): "yoyak prune --dry-run",
    Prune(preview=False, hub=True): "yoyak prune --hub",
    Submit(): "yoyak submit",
    Submit(systems=("a", "b"), blend="mbr"): "yoyak submit --blend=mbr a b",
}


@pytest.mark.parametrize(("action", "command"), ACTIONS.items(), ids=ACTIONS.values())
def test_the_command_that_is_shown_is_the_one_that_is_run(action, command, workspace):
    assert shown(action, workspace, ()) == command
    verb, *typed = shlex.split(command)[1:]
    parsed = [_parsed(verb, given) for given in (typed, arguments(action, workspace)[1:])]
    assert parsed[0] == parsed[1]


def _parsed(verb, given):
    """Return what the command line makes of arguments."""
    command = load_verb(verb)
    return command.make_context(verb, list(given), resilient_parsing=True).params


def test_another_workspace_is_named(workspace):
    assert shown(StopRun(run="r"), workspace, ("--workspace", "w s")) == (
        "yoyak stop --workspace 'w s' r"
    )


@pytest.mark.parametrize("name", ["--help", "-h", "--data=/etc", "--set=a.b=c"])
def test_what_a_browser_names_is_never_an_option(name, workspace):
    for action in (StartRun(recipe=name), StopRun(run=name), Submit(systems=(name,))):
        verb, *given = arguments(action, workspace)
        found = _parsed(verb, given)
        assert [name] in [list(each) for each in found.values() if isinstance(each, list | tuple)]
        assert shlex.split(shown(action, workspace, ()))[1:] == [verb, *given]
    found = _parsed("run", arguments(StartRun(recipe="lead", sets=(name,)), workspace)[1:])
    assert (list(found["sets"]), list(found["recipe"])) == ([name], ["lead"])


def test_a_run_is_resumed_with_its_settings(workspace):
    recipe = load.resolve("tiny-bart", sets=["train.epochs=3", "train.seed=7"]).recipe
    run = workspace.find_or_create(recipe, read_corpus(sample.folder()), lambda: b"{}")
    run.emit(Queued(at=1.0, recipe="tiny-bart"))
    given = arguments(ResumeRun(run=run.name), workspace)
    sets = [one.removeprefix("--set=") for one in given if one.startswith("--set=")]
    assert load.resolve(given[-1], sets=sets).recipe == recipe
    with pytest.raises(Refused, match="nosuch"):
        arguments(ResumeRun(run="nosuch"), workspace)


@pytest.mark.parametrize("raw", ['{"type":"shell","run":"x"}', '{"type":"stop","argv":[]}', "{}"])
def test_there_are_no_other_actions(raw):
    with pytest.raises(msgspec.DecodeError):
        msgspec.json.decode(raw, type=Action)


@pytest.mark.process
def test_a_command_runs_by_itself_and_its_output_is_text(workspace, tmp_path):
    workspace.runs_folder.mkdir(parents=True)
    made = Commands(workspace, ())
    with messages.speaking("ko"):
        state = made.start(StopRun(run="\x1b[31m<b>"))
    process = made._started[state.id].process
    assert process.wait(timeout=300) == 66
    (found,) = made.states()
    assert (found.id, found.code) == (state.id, 66)
    assert "<b>" in found.output
    assert re.search("[가-힣]", found.output)
    assert "\x1b" not in found.output


def test_commands_can_be_listed_while_another_starts(workspace, tmp_path):
    made = Commands(workspace, ())
    output = tmp_path / "output.txt"
    output.write_bytes(b"done")

    def poll():
        number = len(made._started) + 1
        made._started[number] = _Started(number, "c", 0.0, SimpleNamespace(poll=poll), output)
        return 0

    poll()
    poll()
    assert [(one.id, one.code, one.output) for one in made.states()] == [
        (2, 0, "done"), (1, 0, "done"),
    ]  # fmt: skip


def test_typer_is_the_command_line_that_is_compared():
    assert isinstance(load_verb("stop"), typer.core.TyperCommand)

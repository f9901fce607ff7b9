"""Each next step is a command that does what it says, typed as it stands."""

import shlex

import msgspec

from yoyak.config import load
from yoyak.events import RunStatus
from yoyak.report.model.next_steps import changes, next_steps


def run_of(make, status, name="tiny-bart", sets=()):
    recipe = load.resolve(name, sets=sets).recipe
    return make.cut_run()._replace(id="-".join((name, *sets)), recipe=recipe, status=status)


def test_the_command_of_a_changed_run_finds_the_very_run_again(make):
    sets = ("train.seed=5", "train.lr_scheduler=constant", "train.learning_rate=1e30")
    run = run_of(make, RunStatus.FAILED, sets=sets)
    (step,) = next_steps([run], has_submission=False)
    verb, name, *options = shlex.split(step.command)[1:]
    assert (verb, name) == ("run", "tiny-bart")
    assert options[::2] == ["--set"] * 3
    again = load.resolve(name, sets=options[1::2]).recipe
    assert again.learning_hash == run.recipe.learning_hash


def test_words_with_blanks_and_quotes_survive_the_shell(make):
    said = "대화를 'a b'로 요약 $HOME"
    recipe = load.resolve("tiny-qlora", sets=[f'prompt.system="{said}"']).recipe
    words = shlex.split(" ".join(changes(recipe)))
    assert load.resolve("tiny-qlora", sets=words[1::2]).recipe == recipe


def test_runs_that_one_command_takes_up_share_it(make):
    runs = [run_of(make, RunStatus.QUEUED, name) for name in ("tiny-bart", "tiny-qlora")]
    runs.append(run_of(make, RunStatus.QUEUED, sets=("train.seed=5",)))
    steps = list(next_steps(runs, has_submission=False))
    assert [step.command for step in steps] == [
        "yoyak run tiny-bart tiny-qlora",
        "yoyak run tiny-bart --set train.seed=5",
    ]


def test_a_recipe_whose_file_is_not_here_is_named_as_it_was(make):
    recipe = msgspec.structs.replace(load.resolve("lead").recipe, name="mine")
    assert changes(recipe) == ()


def test_a_comparison_is_proposed_only_where_two_systems_can_be_compared(make):
    lead, toy = make.lead_run(), make.toy_run()
    basis = msgspec.structs.replace(make.basis, dev_sha256="f" * 8)
    other = toy._replace(quality=msgspec.structs.replace(toy.quality, basis=basis))
    proposed = [
        [step.command for step in next_steps([lead, one], has_submission=True)]
        for one in (toy, other)
    ]
    assert proposed == [["yoyak compare"], []]

"""Prompts from a file or by edits, as settings that the recipe takes."""

import msgspec
import pytest

from support.studies import DrawnRuns, Records, context_of
from yoyak.config import load
from yoyak.errors import BadRecipe, UsageError
from yoyak.experiments.prompt_study import (
    PromptCandidate,
    budget_of,
    edits_of,
    new_study,
    read_candidates,
    run_study,
    trials_of,
)
from yoyak.runs.study import TrialState

FILE = """
[[prompt]]
label = "짧게"
instruction = "요약: \\"핵심\\"만"
length_hint = "한 문장으로."

[[prompt]]
system = ""
turn_format = "numbered"
speaker_names = "words"
"""


@pytest.fixture
def qwen():
    return load.resolve("qwen3-4b").recipe


def test_a_file_of_prompts_becomes_trials_beside_the_recipe_as_it_is(tmp_path, qwen):
    path = tmp_path / "prompts.toml"
    path.write_text(FILE, encoding="utf-8")
    first, short, numbered = trials_of(qwen, read_candidates(path))
    assert (first.sets, first.label) == ((), "")
    assert short.label == "짧게"
    tried = load.resolve("qwen3-4b", sets=short.sets).recipe.prompt
    assert tried.instruction == '요약: "핵심"만 한 문장으로.'
    assert tried.system == qwen.prompt.system
    tried = load.resolve("qwen3-4b", sets=numbered.sets).recipe.prompt
    assert (tried.system, tried.turn_format, tried.speaker_names) == ("", "numbered", "words")


def test_a_file_that_is_no_prompts_is_refused_by_its_path(tmp_path):
    path = tmp_path / "prompts.toml"
    path.write_text('[[prompt]]\nturns = "x"\n')
    with pytest.raises(BadRecipe, match=r"prompts\.toml.*turns"):
        read_candidates(path)


@pytest.mark.parametrize("name", ["qwen3-4b", "kobart"])
def test_every_edit_is_another_prompt_that_the_recipe_takes(name):
    recipe = load.resolve(name).recipe
    trials = trials_of(recipe, list(edits_of(recipe.prompt)))
    prompts = set()
    for one in trials:
        sets = (*one.sets, "train.epochs=0")
        prompts.add(load.resolve(name, sets=sets).recipe.prompt)
    assert len(prompts) == len(trials) > 5
    assert any("examples" in one.label for one in trials) == (recipe.prompt.style == "chat")


def test_what_is_the_recipes_own_prompt_is_no_candidate(qwen):
    same = PromptCandidate(system=qwen.prompt.system, instruction=qwen.prompt.instruction)
    with pytest.raises(UsageError, match="no prompt differs"):
        trials_of(qwen, [same])
    short = PromptCandidate(instruction="요약")
    assert len(trials_of(qwen, [same, short, short])) == 2


def test_a_better_prompt_is_found_and_proven(qwen, corpus):
    trials = trials_of(qwen, [PromptCandidate(instruction=text) for text in "가나다"])
    budget = budget_of(len(trials), steps=50, seeds=3, width=1)
    study = new_study(qwen, corpus, trials, budget, name="x", steps=50)
    runs = DrawnRuns(lambda _: 0.0)

    def better(jobs):
        results = []
        for job, found in zip(jobs, runs(jobs), strict=True):
            gain = 0.08 * (job.trial.candidate == 2)
            scores = {row: one + gain for row, one in found.scores.items()}
            results.append(found._replace(scores=scores))
        return results

    context = context_of(better, Records(study))
    found = run_study(study, trials, context, steps=50, base_seed=42)
    assert found.trial(found.verdict.winner).candidate == 2
    assert found.verdict.comparison.proven
    assert all(one.state is TrialState.FINISHED for one in found.trials)
    changed = msgspec.structs.replace(trials[1], sets=("prompt.system='x'",))
    other = new_study(qwen, corpus, [trials[0], changed], budget, name="x", steps=50)
    assert other.sha256 != study.sha256

"""Which dialogues are shown: the best system's extremes and where systems differ, each once."""

from pathlib import Path

import msgspec
import pytest

from yoyak.data import sample
from yoyak.data.corpus import read_corpus
from yoyak.report.model.examples import EACH, Answered, examples
from yoyak.runs.workspace import Workspace
from yoyak.values import Prediction, Rouge

EXAMPLE = Path(__file__).parents[3] / "docs" / "example" / "finished"


@pytest.fixture(scope="module")
def corpus():
    return read_corpus(sample.folder())


@pytest.fixture(scope="module")
def card():
    return Workspace(EXAMPLE).runs()[0].scorecard("dev")


def answered(name, card, means):
    """A system that answered the rows of ``means`` (id to mean), and was judged so."""
    rows = tuple(
        msgspec.structs.replace(card.rows[0], id=key, rouge=Rouge(rouge1=m, rouge2=m, rougeL=m))
        for key, m in means.items()
    )
    whole = sum(means.values()) / len(means)
    rouge = Rouge(rouge1=whole, rouge2=whole, rougeL=whole)
    predictions = [Prediction(id=key, text=f"{name}: {key}", raw="") for key in means]
    return Answered(name, predictions, msgspec.structs.replace(card, rows=rows, rouge=rouge))


def rising(corpus, low=0.3):
    """A mean for each row of dev, a little higher from row to row."""
    return {row.id: low + 0.01 * at for at, row in enumerate(corpus.dev.dialogues)}


def test_the_best_systems_lowest_and_highest_rows_are_shown(corpus, card):
    keys = [row.id for row in corpus.dev.dialogues]
    weak = dict.fromkeys(keys, 0.1)
    found = examples(
        corpus, [answered("weak", card, weak), answered("strong", card, rising(corpus))]
    )
    by_why = {why: {one.id for one in found if one.why == why} for why in ("worst", "best")}
    assert by_why == {"worst": set(keys[:EACH]), "best": set(keys[-EACH:])}


def test_rows_on_which_the_systems_differ_most_are_shown_too(corpus, card):
    keys = [row.id for row in corpus.dev.dialogues]
    one = rising(corpus)
    other = one | {keys[10]: 0.0, keys[12]: 0.01}
    found = examples(corpus, [answered("a", card, one), answered("b", card, other)])
    unlike = [each.id for each in found if each.why == "unlike"]
    assert unlike[:2] == [keys[12], keys[10]], "0.41 apart, then 0.40"


def test_no_dialogue_is_shown_twice_where_reasons_meet(corpus, card):
    keys = [row.id for row in corpus.dev.dialogues]
    one = rising(corpus)
    other = one | {keys[0]: 0.0}
    found = examples(corpus, [answered("a", card, one), answered("b", card, other)])
    assert len({each.id for each in found}) == len(found)
    (first,) = [each for each in found if each.id == keys[0]]
    assert first.why == "worst"


def test_with_fewer_rows_than_places_each_row_is_shown_once(corpus, card):
    few = dict(list(rising(corpus).items())[: EACH + 1])
    found = examples(corpus, [answered("a", card, few)])
    assert sorted(each.id for each in found) == sorted(few)


def test_equal_scores_are_ordered_by_id_so_that_a_report_repeats(corpus, card):
    means = {row.id: 0.5 for row in corpus.dev.dialogues}
    backwards = dict(reversed(list(means.items())))
    one, other = (examples(corpus, [answered("a", card, of)]) for of in (means, backwards))
    assert [each.id for each in one] == [each.id for each in other]


def test_an_example_shows_the_dialogue_the_references_and_every_answer_with_its_score(corpus, card):
    means = rising(corpus)
    dialogues = {row.id: row for row in corpus.dev.dialogues}
    for one in examples(corpus, [answered("a", card, means)]):
        assert one.dialogue == dialogues[one.id].text
        assert one.references == dialogues[one.id].references
        ((name, answer, mean),) = one.answers
        assert (name, answer) == ("a", f"a: {one.id}")
        assert mean == pytest.approx(means[one.id])


def test_a_system_that_did_not_answer_a_row_is_left_out_of_that_row_only(corpus, card):
    whole = rising(corpus)
    first = next(iter(whole))
    part = {key: mean - 0.1 for key, mean in whole.items() if key != first}
    found = examples(corpus, [answered("whole", card, whole), answered("part", card, part)])
    names = {one.id: [name for name, _, _ in one.answers] for one in found}
    assert names.pop(first) == ["whole"]
    assert all(both == ["whole", "part"] for both in names.values())


def test_rows_that_the_data_do_not_have_are_not_shown(corpus, card):
    assert examples(corpus, [answered("a", card, {"gone_1": 0.1, "gone_2": 0.9})]) == ()
    assert examples(corpus, []) == ()

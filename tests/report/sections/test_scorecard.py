"""What a terminal shows of scores: scales named, columns straight, nothing said by colour alone."""

import re

import msgspec
import pytest
from rich.cells import cell_len  # noqa: TID253 -- the oracle of column widths

from yoyak import messages
from yoyak.data import sample
from yoyak.data.corpus import read_corpus
from yoyak.metrics import scorecard, significance
from yoyak.report.sections import scorecard as shown_scores


@pytest.fixture(scope="module")
def dev():
    return read_corpus(sample.folder()).dev


@pytest.fixture(scope="module")
def files(dev):
    first = {row.id: row.references[0] for row in dev.dialogues}
    return {
        "reference": first,
        "반쪽 요약": {key: text[: len(text) // 2] for key, text in first.items()},
        "empty-handed": first | {"dev_0": "", "dev_1": "#Person1#은 [bold]会議[/bold]에 간다."},
    }


@pytest.fixture(scope="module")
def cards(files, dev):
    return {name: scorecard.evaluate(texts, dev, resamples=500) for name, texts in files.items()}


def without_alarms(cards):
    """The sentences of alarms are words, which wrap."""
    return {name: msgspec.structs.replace(card, alarms=()) for name, card in cards.items()}


def compared(cards, **names):
    group = significance.ScorecardGroup(cards)
    return shown_scores.comparison(significance.compare(group), group, names=names)


@pytest.mark.parametrize("lang", messages.LANGUAGES)
def test_the_floors_stand_below_the_systems_in_a_comparison(drawn, cards, lang):
    with messages.speaking(lang):
        lines = drawn(compared(cards), 120).splitlines()
        floors = [
            messages.text(f"report.floor-{name}") for name in ("constant", "unrelated", "lead")
        ]
    places = [next(at for at, line in enumerate(lines) if line.startswith(one)) for one in floors]
    systems = [next(at for at, line in enumerate(lines) if line.startswith(one)) for one in cards]
    assert max(systems) < min(places)
    constant = next(iter(cards.values())).floors.constant
    assert f"{100 * constant.mean:.2f}" in lines[places[0]]


@pytest.mark.parametrize("lang", messages.LANGUAGES)
@pytest.mark.parametrize("width", [80, 120])
def test_every_table_is_straight_in_cells(drawn, cards, lang, width):
    quiet = without_alarms(cards)
    with messages.speaking(lang):
        shown = drawn(compared(quiet), width)
        shown += drawn(shown_scores.scorecard(quiet["반쪽 요약"], "반쪽 요약"), width)
    rows = straight_rows(shown)
    # Line-up and floors 6, pairs 3, measures 3, floors 5; then at least.
    least = (6, 3, 3, 5, 20, 6)
    assert [min(count, cap) for count, cap in zip(rows, least, strict=True)] == list(least)
    assert all(cell_len(line) <= width for line in shown.splitlines())


def straight_rows(shown):
    """Of each table, the rows that end in the very column where the rule under its head ends."""
    counts, wide = [], 0
    for line in shown.splitlines():
        if line and set(line) == {"─"}:
            counts.append(0)
            wide = cell_len(line)
        elif counts and cell_len(line) == wide and re.search(r"[0-9–%]$", line):
            counts[-1] += 1
    return counts


@pytest.mark.parametrize("width", [80, 100])
@pytest.mark.parametrize("lang", messages.LANGUAGES)
def test_no_figure_is_cut_off(drawn, cards, lang, width):
    with messages.speaking(lang):
        shown = drawn(compared(without_alarms(cards)), width)
    assert not re.search(r"\d…(?!\s)|…\n", shown)
    assert f"{100 * cards['empty-handed'].rouge.mean:.2f}" in shown


def test_both_scales_stand_with_their_names(drawn, cards):
    shown = drawn(shown_scores.scorecard(cards["empty-handed"], "ours"), 200)
    rouge = cards["empty-handed"].rouge
    assert re.search(rf"0–100, the contest's final result\): {100 * rouge.mean:.2f}", shown)
    assert re.search(rf"0–300, never comparable with a mean\): {100 * rouge.sum:.2f}", shown)


def test_mean_and_max_are_both_shown_with_several_references(drawn, dev):
    rows = [row for row in dev.dialogues if len(row.references) == 3]
    answers = {row.id: row.references[1] for row in rows}
    references = {row.id: row.references[::2] for row in rows}
    judged = scorecard.evaluate_texts(answers, references, resamples=200)
    shown = drawn(shown_scores.scorecard(judged, "second"), 200)
    assert "averaged over each row's references" in shown
    assert "best of each row's references" in shown


def test_alarms_carry_a_word_and_a_sign_and_name_their_rows(drawn, cards):
    shown = drawn(shown_scores.scorecard(cards["empty-handed"], "ours"), 200)
    assert re.search(r"✖ ERROR +1 predictions are empty", shown)
    assert "rows: dev_0" in shown
    quiet = msgspec.structs.replace(cards["reference"], alarms=())
    assert "no alarm" in drawn(shown_scores.scorecard(quiet, "reference"), 200)


def test_the_signature_is_always_there(drawn, cards):
    shown = drawn(shown_scores.scorecard(cards["reference"], "reference"), 400)
    assert cards["reference"].protocol.signature in shown
    assert significance.compare(cards).signature in drawn(compared(cards), 400)


def test_not_proven_is_said_in_words(drawn, cards, dev, files):
    nearly = files["반쪽 요약"] | {"dev_3": files["reference"]["dev_3"]}
    pair = {"half": cards["반쪽 요약"], "nearly": scorecard.evaluate(nearly, dev, resamples=500)}
    shown = drawn(compared(pair), 200)
    assert "proven to be worse by less than 0.5 points" in shown, "one row better, none worse"
    mixed = nearly | {"dev_4": "이야기합니다."}
    pair["nearly"] = scorecard.evaluate(mixed, dev, resamples=500)
    shown = drawn(compared(pair), 200)
    assert "not proven" in shown
    assert "does not mean equal" in shown


def test_a_card_from_a_file_is_drawn_the_same(drawn, cards):
    again = msgspec.json.decode(msgspec.json.encode(cards["reference"]), type=scorecard.Scorecard)
    shown = [drawn(shown_scores.scorecard(one, "x")) for one in (again, cards["reference"])]
    assert shown[0] == shown[1]

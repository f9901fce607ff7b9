"""The judge on the contest's own files: golden figures, and agreement with four packages."""

import csv
import json
import re
import subprocess
import sys
from pathlib import Path

import fast_rouge
import numpy as np  # noqa: TID253 -- a test loads what it compares
import pytest
from rouge import Rouge
from rouge_score import rouge_scorer

from yoyak.metrics import protocol, rouge
from yoyak.metrics.token_codes import TokenCodes
from yoyak.metrics.tokenizers import load

pytestmark = pytest.mark.real
METRICS = ("rouge1", "rouge2", "rougeL")
CONSTANT = "#Person1#과 #Person2#는 이야기합니다."
LONG_CONSTANT = (
    "#Person1#과 #Person2#는 대화에 대해 이야기하고, #Person1#은 #Person2#에게 도움을 제안합니다."
)
HUNDREDTH = 0.01


def column(path, name="summary"):
    with path.open(encoding="utf-8", newline="") as file:
        return {row["fname"]: row[name] for row in csv.DictReader(file)}


@pytest.fixture(scope="module")
def data(shared):
    return shared / "data"


@pytest.fixture(scope="module")
def expected(data):
    return json.loads((data / "predictions" / "EXPECTED_SCORES.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def dev(data):
    return column(data / "contest" / "dev.csv")


@pytest.fixture(scope="module")
def systems(data, dev):
    """Predictions for the dev rows, in the order of dev.csv."""
    kobart = column(data / "predictions" / "dev_pred_kobart_13gi_nlp5.csv")
    solar = column(data / "predictions" / "dev_solar_zeroshot_13gi_nlp5.csv", "re_summary_solar")
    dialogues = column(data / "contest" / "dev.csv", "dialogue")
    references = list(dev.values())
    return {
        "kobart": [kobart[key] for key in dev],
        "solar": [solar[key] for key in dev],
        "old": [column(data / "old_translation" / "dev_old_a.csv")[key] for key in dev],
        "other": [*references[1:], references[0]],
        "lead1": [_lead(text, 1) for text in dialogues.values()],
        "lead3": [_lead(text, 3) for text in dialogues.values()],
        "constant": [CONSTANT] * len(dev),
        "long constant": [LONG_CONSTANT] * len(dev),
    }


def _lead(dialogue, turns):
    return " ".join(dialogue.split("\n")[:turns])


def points(texts, references, wish):
    """The three F1 and their mean, times 100."""
    chosen = protocol.parse(wish)
    pairs = [(text,) if isinstance(text, str) else text for text in references]
    f1 = 100 * rouge.corpus_mean(rouge.score_rows(texts, pairs, chosen), chosen)[:, 2]
    return [*f1.tolist(), float(f1.mean())]


KOBART = "dev_pred_kobart_13gi_nlp5.csv"
OLD = "old_translation/dev_old_a.csv summaries vs dev.csv"


def same(found, golden):
    assert found == pytest.approx([*(golden[m] for m in METRICS), golden["mean"]], abs=HUNDREDTH)
    assert sum(found[:3]) == pytest.approx(golden["sum"], abs=0.01)


def test_golden_figures_under_both_definitions(systems, dev, expected):
    kobart = systems["kobart"]
    same(points(kobart, dev.values(), "official"), expected["official"][KOBART])
    same(points(kobart, dev.values(), "rouge101"), expected["rouge101"][KOBART])
    same(points(systems["old"], dev.values(), "official"), expected["official"][OLD])


def test_the_golden_rouge101_figure_of_the_old_translation_paired_rows_by_position(
    data, systems, dev, expected
):
    """Its two files hold the same ids in another order: unlike what it says, it ignored them."""
    by_position = list(column(data / "old_translation" / "dev_old_a.csv").values())
    same(points(by_position, dev.values(), "rouge101"), expected["rouge101"][OLD])
    aligned = points(systems["old"], dev.values(), "rouge101")
    assert aligned[:3] == pytest.approx([65.36, 47.07, 61.46], abs=HUNDREDTH)


def test_the_constant_sentence_under_both_definitions(systems, dev, expected):
    floor = expected["official"]["constant_floor"]
    assert floor["text"] == expected["rouge101"]["constant_floor_mecab"]["text"] == CONSTANT
    found = points(systems["constant"], dev.values(), "official")
    assert found == pytest.approx([*floor["scores"], floor["mean"]], abs=HUNDREDTH)
    found = points(systems["constant"], dev.values(), "rouge101")[:3]
    golden = expected["rouge101"]["constant_floor_mecab"]["scores"]
    assert found == pytest.approx(golden, abs=HUNDREDTH)


@pytest.mark.parametrize(
    ("name", "wish"),
    [
        ("whitespace_raw", "rouge101,tok=space"),
        ("whitespace_tokens_spaced", "baseline-notebook"),
        ("char", "rouge101,tok=char"),
        ("mecab_without_speaker_tokens", "rouge101,tags=strip"),
        ("kiwi_raw", "rouge101,tok=kiwi-hashtag"),
        ("kiwi_speaker_spaced", "rouge101,tok=kiwi-hashtag,tags=spaced"),
    ],
)
def test_golden_figures_of_every_other_tokenisation(systems, dev, expected, name, wish):
    golden = expected["rouge101"]["other_tokenisations_of_dev_pred_kobart_13gi_nlp5"][name]
    assert points(systems["kobart"], dev.values(), wish)[:3] == pytest.approx(golden, abs=HUNDREDTH)


def test_golden_figures_of_the_default_that_drops_hangul(systems, dev, expected):
    """rouge-score's own tokenizer on morphemes; our counting agrees with it on what is left."""
    cut = load("mecab").tokens
    sides = [
        [re.findall("[a-z0-9]+", " ".join(text).lower()) for text in cut(list(texts))]
        for texts in (systems["kobart"], dev.values())
    ]
    rows = rouge.score_tokens(sides[0], [(text,) for text in sides[1]])
    found = (100 * rouge.corpus_mean(rows)[:, 2]).tolist()
    others = expected["rouge101"]["other_tokenisations_of_dev_pred_kobart_13gi_nlp5"]
    assert found == pytest.approx(others["rouge_score_default_on_hangul"], abs=HUNDREDTH)


@pytest.mark.parametrize(
    ("system", "golden"),
    [
        ("kobart", [52.138226, 32.097166, 42.855143]),
        ("other", [32.539273, 16.381247, 27.185829]),
        ("lead1", [23.968939, 10.702639, 21.158619]),
        ("lead3", [33.236596, 13.997289, 24.614564]),
    ],
)
def test_golden_figures_to_six_digits(systems, dev, system, golden):
    found = points(systems[system], dev.values(), "official")[:3]
    assert found == pytest.approx(golden, abs=1e-6)


@pytest.mark.parametrize(
    ("wish", "golden"),
    [
        ("official,tok=space", [15.99, 5.46, 14.97]),
        ("official,tok=char", [60.89, 46.36, 50.82]),
        ("official,tok=kiwi", [54.05, 33.68, 44.09]),
        ("official,tok=kiwi-hashtag", [43.08, 18.17, 35.00]),
        ("official,tags=atomic", [45.12, 20.03, 36.38]),
        ("official,tags=strip", [41.86, 18.14, 34.57]),
    ],
)
def test_golden_figures_of_official_counting_elsewhere(systems, dev, wish, golden):
    found = points(systems["kobart"], dev.values(), wish)[:3]
    assert found == pytest.approx(golden, abs=HUNDREDTH)


def test_floors_and_sensitivities(systems, dev):
    def mean(texts):
        return points(texts, dev.values(), "official")[3]

    kobart = systems["kobart"]
    swapped = [_swap(text) for text in kobart]
    assert mean(systems["long constant"]) == pytest.approx(35.95, abs=0.01)
    assert mean(systems["other"]) == pytest.approx(25.4, abs=0.05)
    assert mean([text.replace("#", "") for text in kobart]) == pytest.approx(33.4, abs=0.05)
    assert mean(swapped) == pytest.approx(41.9, abs=0.05), "it does not see who did what"


def _swap(text):
    other = {"#Person1#": "#Person2#", "#Person2#": "#Person1#"}
    return re.sub("#Person[12]#", lambda tag: other[tag.group()], text)


class _Listed:
    def tokenize(self, text):
        return text.split("\x1f") if text else []


SCORER = rouge_scorer.RougeScorer(list(METRICS), tokenizer=_Listed())


def google(hypothesis, reference):
    found = SCORER.score("\x1f".join(reference), "\x1f".join(hypothesis))
    return [list(found[metric]) for metric in METRICS]


@pytest.mark.parametrize(
    ("system", "analyser"),
    [
        *((system, "mecab") for system in ("kobart", "solar", "old", "other", "lead3")),
        ("kobart", "char"),
        ("kobart", "space"),
    ],
)
def test_bit_identical_to_rouge_score_and_rouge_rust(systems, dev, system, analyser):
    wish = protocol.parse(f"official,tok={analyser}")
    references = list(dev.values())
    found = rouge.score_rows(systems[system], [(text,) for text in references], wish)
    ours, theirs = (load(analyser).tokens(side) for side in (systems[system], references))
    pairs = zip(ours, theirs, strict=True)
    assert np.array_equal(found, np.array([google(mine, other) for mine, other in pairs]))
    vocabulary = TokenCodes()
    numbered = [
        [" ".join(str(ord(code)) for code in text) for text in vocabulary.encode(side)]
        for side in (theirs, ours)
    ]
    rust = fast_rouge.score_batch_flat(*numbered)
    for at, metric in enumerate(METRICS):
        for part, name in enumerate(("precision", "recall", "fmeasure")):
            assert found[:, at, part].tolist() == getattr(rust, f"{metric}_{name}")


@pytest.mark.parametrize("analyser", ["mecab", "space"])
@pytest.mark.parametrize("system", ["kobart", "solar", "old", "other"])
def test_bit_identical_to_rouge_101(systems, dev, system, analyser):
    wish = protocol.parse(f"rouge101,tok={analyser}")
    references = list(dev.values())
    found = rouge.score_rows(systems[system], [(text,) for text in references], wish)
    sides = [
        [" ".join(tokens) for tokens in load(analyser).tokens(side)]
        for side in (systems[system], references)
    ]
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(10_000)  # long summaries: the package recurses once a word
    try:
        package = Rouge().get_scores(*sides)
    finally:
        sys.setrecursionlimit(limit)
    for at, name in enumerate(("rouge-1", "rouge-2", "rouge-l")):
        for part, letter in enumerate("prf"):
            assert found[:, at, part].tolist() == [row[name][letter] for row in package]


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="MeCab-ko has wheels up to Python 3.12")
def test_our_way_of_reading_mecab_gives_its_public_tokens(systems, data):
    import mecab

    dialogues = list(column(data / "contest" / "test.csv", "dialogue").values())
    texts = [*systems["kobart"], *systems["solar"], *systems["old"], *dialogues]
    public = mecab.MeCab()
    assert load("mecab").tokens(texts) == [public.morphs(text) for text in texts]


def test_english_with_three_references(data):
    """Mean and max modes against scores computed one reference at a time by rouge-score."""
    folder = data / "english_metric_only"
    ours = (folder / "bart_large_test_output.txt").read_text(encoding="utf-8").splitlines()
    lines = (folder / "dialogsum.test.3refs.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines][: len(ours)]
    theirs = [(row["summary1"], row["summary2"], row["summary3"]) for row in rows]
    cut = load("mecab").tokens
    tokens = cut(ours)
    single = np.array(
        [
            [google(mine, other) for other in cut(list(row))]
            for mine, row in zip(tokens, theirs, strict=True)
        ]
    )
    mean = rouge.score_rows(ours, theirs)
    best = rouge.score_rows(ours, theirs, protocol.parse("official-max"))
    assert np.array_equal(mean, (single[:, 0] + single[:, 1] + single[:, 2]) / 3)
    assert np.array_equal(best[:, :, 2], single[..., 2].max(axis=1))
    assert (mean[:, :, 2] <= best[:, :, 2]).all()


@pytest.mark.slow  # the golden figures above are computed in the same way
def test_the_documented_table_is_what_the_script_computes(shared):
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, root / "scripts" / "metric_table.py", "--check", "--shared", shared],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr

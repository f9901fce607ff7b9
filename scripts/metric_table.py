"""One real prediction file under every implementation and analyser, for ``docs/metrics.md``.

    python scripts/metric_table.py [--check] [--shared FOLDER]

Writes the tables between the page's markers; ``--check`` only compares and exits with 1 where
they differ. The contest's files are looked for in FOLDER, YOYAK_SHARED or ../shared.
"""

import argparse
import csv
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import fast_rouge
from korouge_score import rouge_scorer as korouge
from rouge import Rouge
from rouge_score import rouge_scorer as google

from yoyak.metrics.protocol import parse
from yoyak.metrics.rouge import corpus_mean, score_rows

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "metrics.md"
BEGIN, END = "<!-- metric_table: begin -->", "<!-- metric_table: end -->"
METRICS = ("rouge1", "rouge2", "rougeL")

ANALYSERS = (
    ("MeCab-ko morphemes", "tok=mecab"),
    ("MeCab-ko, a tag is one token", "tok=mecab,tags=atomic"),
    ("MeCab-ko, tags removed", "tok=mecab,tags=strip"),
    ("Kiwi morphemes, hashtag rule off", "tok=kiwi"),
    ("Kiwi as installed", "tok=kiwi-hashtag"),
    ("Kiwi as installed, blanks around tags", "tok=kiwi-hashtag,tags=spaced"),
    ("characters", "tok=char"),
    ("characters, tags removed", "tok=char,tags=strip"),
    ("words between blanks", "tok=space"),
    ("words, blanks around tags", "tok=space,tags=spaced"),
    ("Latin letters and digits only", "tok=ascii-forced"),
)

Points = tuple[float, float, float]


def column(path: Path) -> dict[str, str]:
    """The summaries of a file by id."""
    with path.open(encoding="utf-8", newline="") as file:
        return {row["fname"]: row["summary"] for row in csv.DictReader(file)}


def ours(texts: Sequence[str], references: Sequence[str], wish: str) -> Points:
    """The three F1 under a definition, times 100."""
    chosen = parse(wish)
    rows = score_rows(texts, [(text,) for text in references], chosen)
    r1, r2, rl = (100 * corpus_mean(rows, chosen)[:, 2]).tolist()
    return r1, r2, rl


def as_installed(texts: Sequence[str], references: Sequence[str]) -> dict[str, Points]:
    """What each package says about the raw texts when called as its page shows."""
    spaced = [[f"{text} " for text in side] for side in (texts, references)]
    return {
        "`rouge-score`, its default tokenizer": _google(google, texts, references),
        "`korouge-score`": _google(korouge, texts, references),
        "`rouge-rust`": _rust(texts, references),
        "`rouge`": _rouge(texts, references),
        "`rouge`, a blank left at the end of both texts": _rouge(*spaced),
    }


def _mean(rows: Sequence[Sequence[float]]) -> Points:
    r1, r2, rl = (100 * sum(column) / len(rows) for column in zip(*rows, strict=True))
    return r1, r2, rl


def _google(package: object, texts: Sequence[str], references: Sequence[str]) -> Points:
    scorer = package.RougeScorer(list(METRICS))  # type: ignore[attr-defined]
    found = [scorer.score(theirs, mine) for mine, theirs in zip(texts, references, strict=True)]
    return _mean([[row[metric].fmeasure for metric in METRICS] for row in found])


def _rust(texts: Sequence[str], references: Sequence[str]) -> Points:
    found = fast_rouge.score_batch(list(references), list(texts))
    return _mean([[row[metric].fmeasure for metric in METRICS] for row in found])


def _rouge(texts: Sequence[str], references: Sequence[str]) -> Points:
    found = Rouge().get_scores(list(texts), list(references))
    return _mean([[row[f"rouge-{name}"]["f"] for name in "12l"] for row in found])


def cells(points: Points) -> str:
    """Three scores and their mean as table cells."""
    return " | ".join(f"{number:.2f}" for number in (*points, sum(points) / 3))


def tables(shared: Path) -> str:
    """Both tables as Markdown."""
    folder = shared / "data"
    dev = column(folder / "contest" / "dev.csv")
    predicted = column(folder / "predictions" / "dev_pred_kobart_13gi_nlp5.csv")
    texts = [predicted[key].strip() for key in dev]
    references = list(dev.values())
    return "\n".join([*_ours_table(texts, references), "", *_packages_table(texts, references)])


def _ours_table(texts: Sequence[str], references: Sequence[str]) -> list[str]:
    rows = [
        f"| {name} | `{wish}` | {cells(ours(texts, references, f'official,{wish}'))}"
        f" | {cells(ours(texts, references, f'rouge101,{wish}'))} |"
        for name, wish in ANALYSERS
    ]
    return [
        "| tokens | `--protocol …,` | official R1 | R2 | RL | mean"
        " | rouge101 R1 | R2 | RL | mean |",
        "|---|---|---|---|---|---|---|---|---|---|",
        *rows,
    ]


def _packages_table(texts: Sequence[str], references: Sequence[str]) -> list[str]:
    found = as_installed(texts, references)
    return [
        "| package, called on the raw text | R1 | R2 | RL | mean |",
        "|---|---|---|---|---|",
        *(f"| {name} | {cells(points)} |" for name, points in found.items()),
    ]


def main() -> int:
    """Writes or checks the page; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="compare, do not write")
    default = Path(os.environ.get("YOYAK_SHARED", ROOT.parent / "shared"))
    parser.add_argument("--shared", type=Path, default=default, help="the contest's files")
    chosen = parser.parse_args()
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    fresh = f"{before}{BEGIN}\n{tables(chosen.shared)}\n{END}{after}"
    if not chosen.check:
        PAGE.write_text(fresh, encoding="utf-8")
        return 0
    if fresh != page:
        print(f"the tables of {PAGE} are not what the files give → python scripts/metric_table.py")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

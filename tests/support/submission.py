"""A small corpus of our own, its sample submission, and a system that behaves on it."""

import csv

import pytest

from yoyak.config import load
from yoyak.metrics.scorecard import evaluate
from yoyak.runs.stage_records import own_predict_inputs, record_stage, score_inputs
from yoyak.runs.workspace import Workspace
from yoyak.submission.context import gather_context
from yoyak.submission.manifest import DevScore, Member
from yoyak.submission.write import Draft
from yoyak.values import Corpus, Dialogue, Interval, Prediction, Rouge, Split, Turn

ROWS = 120
PLACES = ("서점", "우체국", "수영장", "도서관", "빵집", "미용실", "은행", "동물 병원")
THINGS = ("책", "소포", "수건", "우산", "케이크", "가위", "통장", "사료", "지갑", "모자", "장갑")
DAYS = ("월요일", "화요일", "수요일", "목요일", "금요일", "토요일", "일요일")


def dialogue(split: str, number: int) -> Dialogue:
    place, thing = PLACES[number % 8], THINGS[number % 11]
    count = number + {"train": 2000, "dev": 1000, "test": 0}[split]  # no two dialogues are alike
    return Dialogue(
        id=f"{split}_{number}",
        turns=(
            Turn(speaker="#Person1#", text=f"{DAYS[number % 7]} 오후에 {place}에 같이 갈래?"),
            Turn(speaker="#Person2#", text=f"그래, {thing} {count}개도 꼭 챙겨서 나갈게."),
        ),
        references=() if split == "test" else (summary(number),),
    )


def summary(number: int) -> str:
    place, thing = PLACES[number % 8], f"{THINGS[number % 11]} {number}개"
    if number % 10 == 9:  # one in ten has no tag, as people's summaries do
        return f"두 사람은 {place}에 {thing}를 가져가기로 합니다."
    return f"#Person1#은 #Person2#에게 {place}에 가자고 하고, #Person2#는 {thing}를 챙깁니다."


def split(name: str) -> Split:
    dialogues = tuple(dialogue(name, number) for number in range(ROWS))
    return Split(name=name, dialogues=dialogues, fingerprint=f"sha-of-{name}")


def predictions(name: str) -> tuple[Prediction, ...]:
    texts = [summary(number).replace("합니다", "정합니다") for number in range(ROWS)]
    return tuple(
        Prediction(id=f"{name}_{number}", text=text, raw=text) for number, text in enumerate(texts)
    )


@pytest.fixture(scope="session")
def corpus(tmp_path_factory) -> Corpus:
    folder = tmp_path_factory.mktemp("data")
    rows = "".join(f"{at},test_{at},여기에 요약을 적습니다.\n" for at in range(ROWS))
    (folder / "sample_submission.csv").write_bytes(f",fname,summary\n{rows}".encode())
    return Corpus(folder=str(folder), train=split("train"), dev=split("dev"), test=split("test"))


@pytest.fixture(scope="session")
def evidence(corpus):
    return gather_context(
        corpus, outputs=predictions("dev"), instructions=["다음 대화를 한국어로 요약하세요."]
    )


@pytest.fixture(scope="session")
def predicted():
    return predictions


@pytest.fixture(scope="session")
def answers() -> tuple[Prediction, ...]:
    return predictions("test")


@pytest.fixture(scope="session")
def good(evidence, answers) -> bytes:
    return evidence.csv_format.render({one.id: one.text for one in answers})


DEV = DevScore(
    rouge=Rouge(rouge1=0.52, rouge2=0.32, rougeL=0.43),
    interval=Interval(low=0.41, high=0.43),
    signature="rouge|profile:official",
    row_means=(0.42,) * 120,
)


@pytest.fixture
def draft(answers) -> Draft:
    return Draft(
        method="best",
        members=(Member(system="run-a", decode="greedy", recipe="tiny", recipe_sha256="ab"),),
        predictions=answers,
        data_sha256={"train": "1", "dev": "2", "test": "3"},
        dev=DEV,
    )


@pytest.fixture
def workspace(tmp_path) -> Workspace:
    return Workspace(tmp_path / "workspace")


@pytest.fixture
def run(workspace, corpus, predicted):
    """A finished run of ``lead`` whose predictions are the session's."""
    recipe = load.resolve("lead").recipe
    made = workspace.find_or_create(recipe, corpus, lambda: b"{}")
    for split in (corpus.dev, corpus.test):
        inputs = own_predict_inputs(made, split)
        made.begin_predictions(split.name, inputs.fingerprint)
        made.add_predictions(split.name, predicted(split.name))
        record_stage(made, f"predict-{split.name}", inputs, 1.0)
    made.write_scorecard("dev", evaluate(predicted("dev"), corpus.dev))
    record_stage(made, "score", score_inputs(made, corpus), 1.0)
    return made


@pytest.fixture
def prediction_files(corpus, tmp_path):
    """Writes a system's dev and test files; ``change`` spoils its texts."""

    def make(name, change=lambda text, row: text):
        paths = []
        for split in ("dev", "test"):
            path = tmp_path / f"{name}_{split}.csv"
            with path.open("w", encoding="utf-8", newline="") as stream:
                rows = csv.writer(stream)
                rows.writerow(["fname", "summary"])
                for row, dialogue in enumerate(corpus.dev.dialogues):
                    text = change(dialogue.references[0], row)
                    rows.writerow([f"{split}_{row}", f" {text}  "])
            paths.append(path)
        return paths

    return make

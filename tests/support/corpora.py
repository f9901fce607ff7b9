"""Small data folders in the formats of published corpora; every text is our own."""

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest


class Row(NamedTuple):
    """One dialogue: ``turns`` are (speaker, text); the names are replaced by each format's own."""

    id: str
    turns: tuple[tuple[str, str], ...]
    summary: str
    topic: str


OPENINGS = (
    "{topic}을 어디에 두었는지 기억해?", "오늘은 {topic} 때문에 정신이 하나도 없었어.",
    "혹시 {topic} 새로 사려면 얼마나 들까?", "어제 말한 {topic} 이야기 좀 더 해 줘.",
    "{topic}이 또 없어졌는데 누가 가져간 걸까?", "주말에 {topic} 가지고 같이 나갈래?",
    "선생님이 {topic}을 꼭 챙기라고 하셨어.",
)  # fmt: skip
ANSWERS = (
    "응, {place}에 있었어. 비 오기 전에 들고 왔지.",
    "글쎄, 나는 {place} 말고는 떠오르는 데가 없네.",
    "아까 {place}에서 동생이 만지고 있더라.", "걱정하지 마. {place}에 여분이 두 개나 남았어.",
    "미안, 내가 {place}에 두고 깜빡했어.",
)  # fmt: skip
CLOSINGS = (
    "그럼 {minutes}분 뒤에 만나자.", "정말 다행이다. 저녁은 내가 살게.", "좋아, 전화해서 물어볼게.",
    "너무 늦지 않게 서두르는 편이 낫겠어.", "다음에는 이름표를 붙여 놓아야지.",
    "고마워. 덕분에 한숨 돌렸다.", "그건 엄마한테 먼저 여쭤봐야 해.",
    "알았어, {minutes}층에서 기다려.",
    "사진을 찍어서 보내 주면 확인할게.", "내일 아침 회의 전까지는 꼭 필요해.",
    "그러면 버스를 타고 가자.",
)  # fmt: skip
TOPICS = (
    "우산",
    "국수",
    "열쇠",
    "버스",
    "창문",
    "달력",
    "의자",
    "사진",
    "편지",
    "화분",
    "시계",
    "지도",
)
PLACES = ("책상 위", "가게 앞", "학교 옆", "창고 안")


def rows(split: str, count: int) -> list[Row]:
    """Return ``count`` dialogues that no other split has."""
    start = {"train": 0, "dev": 40, "test": 80}[split]
    made = []
    for number in range(start, start + count):
        topic = TOPICS[number % len(TOPICS)]
        place = PLACES[(number // len(TOPICS)) % len(PLACES)]
        turns = (
            ("지수", OPENINGS[number % len(OPENINGS)].format(topic=topic)),
            ("민호", ANSWERS[number % len(ANSWERS)].format(place=place)),
            ("지수", CLOSINGS[number % len(CLOSINGS)].format(minutes=number + 3)),
        )
        summary = f"지수는 {place}에서 {number}번 {topic}을 찾고 민호와 만나기로 합니다."
        made.append(Row(f"{split}-{number:03}", turns, summary, topic))
    return made


def _dump(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1), encoding="utf-8")


def _contest_nikl(folder: Path, split: str, made: Sequence[Row]) -> None:
    codes = {"지수": "SD2000001", "민호": "SD2000002"}
    records = []
    for row in made:
        said = [{"speaker": codes[name], "utterance": text} for name, text in row.turns]
        output = row.summary.replace("지수", "SD2000001").replace("민호", "SD2000002")
        records.append({
            "id": row.id,
            "input": {"conversation": said, "subject_keyword": [row.topic]},
            "output": "" if split == "test" else output,
        })  # fmt: skip
    _dump(folder / f"{split}.json", records)


def _corpus_nikl(folder: Path, split: str, made: Sequence[Row]) -> None:
    documents = [
        {
            "id": row.id,
            "metadata": {"topic": row.topic, "speaker": [{"id": "지수"}, {"id": "민호"}]},
            "utterance": [
                {"id": f"{row.id}.{number}", "form": text, "speaker_id": name, "note": ""}
                for number, (name, text) in enumerate(row.turns)
            ],
            "SC": {"main_summary": row.summary, "speaker_summary": []},
        }
        for row in made
    ]
    _dump(
        folder / f"{split}.json", {"id": "NIKL", "metadata": {"title": "x"}, "document": documents}
    )


def _ai_hub(folder: Path, split: str, made: Sequence[Row]) -> None:
    codes = {"지수": "P01", "민호": "P02"}
    data = [
        {
            "header": {
                "dialogueInfo": {
                    "dialogueID": row.id, "numberOfParticipants": 2, "topic": row.topic,
                },
                "participantsInfo": [{"participantID": "P01", "age": "20대"}],
            },
            "body": {
                "dialogue": [
                    {"utteranceID": f"U{number}", "turnID": f"T{number}",
                     "participantID": codes[name], "utterance": text}
                    for number, (name, text) in enumerate(row.turns)
                ],
                "summary": row.summary,
            },
        }
        for row in made
    ]  # fmt: skip
    _dump(folder / f"{split}.json", {"numberOfItems": len(data), "data": data})


def _samsum(folder: Path, split: str, made: Sequence[Row]) -> None:
    records = [
        {
            "id": row.id,
            "summary": row.summary,
            "dialogue": "\r\n".join(f"{name}: {text}" for name, text in row.turns),
        }
        for row in made
    ]
    _dump(folder / f"{split}.json", records)


def _tagged(row: Row) -> str:
    tags = {"지수": "#Person1#", "민호": "#Person2#"}
    return "\n".join(f"{tags[name]}: {text}" for name, text in row.turns)


def _dialogsum(folder: Path, split: str, made: Sequence[Row]) -> None:
    path = folder / f"{split}.jsonl"
    with path.open("w", encoding="utf-8") as stream:
        for row in made:
            summary = row.summary.replace("지수", "#Person1#").replace("민호", "#Person2#")
            record = {"fname": row.id, "dialogue": _tagged(row)}
            if split == "test":
                for number in (1, 2, 3):
                    record |= {f"summary{number}": summary, f"topic{number}": row.topic}
            else:
                record |= {"summary": summary, "topic": row.topic}
            stream.write(json.dumps(record, ensure_ascii=False) + "\n")


def _own_columns(folder: Path, split: str, made: Sequence[Row]) -> None:
    (folder / "contest.toml").write_text(
        '[columns]\nid = "번호"\ndialogue = "대화"\nsummary = ["요약", "요약 B"]\n',
        encoding="utf-8",
    )
    with (folder / f"{split}.tsv").open("w", encoding="utf-8-sig", newline="") as stream:
        writer = csv.writer(stream, delimiter="\t")
        writer.writerow(("번호", "대화", "요약", "요약 B", "작성자"))
        for row in made:
            summary = row.summary.replace("지수", "#Person1#").replace("민호", "#Person2#")
            second = f"#Person2#가 {row.topic}의 자리를 알려 줍니다."
            writer.writerow((row.id, _tagged(row), summary, second, "가"))


FORMATS: dict[str, Callable[[Path, str, Sequence[Row]], None]] = {
    "nikl-contest": _contest_nikl,
    "nikl-corpus": _corpus_nikl,
    "ai-hub": _ai_hub,
    "samsum": _samsum,
    "dialogsum": _dialogsum,
    "own-columns": _own_columns,
}


def write_corpus(folder: Path, name: str, *, train: int = 12, dev: int = 4, test: int = 4) -> Path:
    """Write a data folder in the format ``name``; returns it."""
    folder.mkdir(parents=True, exist_ok=True)
    for split, count in (("train", train), ("dev", dev), ("test", test)):
        FORMATS[name](folder, split, rows(split, count))
    return folder


@pytest.fixture(params=FORMATS)
def published_corpus(request, tmp_path):
    """A data folder in each format, by the format's name."""
    return request.param, write_corpus(tmp_path / request.param, request.param)

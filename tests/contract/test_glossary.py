"""One word for one concept, in every sentence that a user reads; others of its meaning are refused.

The table is the glossary: who adds a concept adds its word here.
"""

import re
import tomllib
from pathlib import Path

import pytest

import yoyak

ROOT = Path(__file__).parents[2]
MESSAGES = Path(yoyak.__file__).parent / "messages"

KOREAN = {
    "작업 폴더": "작업공간|작업 공간|워크스페이스|실행 기록 폴더",
    "채점 기준": "채점 규약|프로토콜",
    "정답 요약": "참조 요약|기준 요약|레퍼런스",
    "베이스 모델": "기반 모델|기초 모델|백본|원래 모델",
    "컴퓨터": "기계(?!적| ?학습| ?번역)|장비|(?<!가상 )머신",
    "손실": "로스(?!트)",
    "다운로드": "내려받|내려 받",
    "학습 전 검증": "(?<!자격 )증명",
    "비교": "견주|견줍|견준",
    "반복": "되풀이",
    "분할": r"스플릿|(?<![\w{.`/-])split(?![\w}.`=-])",
    "그래디언트": "기울기|경사도",
    "에폭": "에포크",
    "학습률": "러닝 ?레이트|학습 속도율",
    "토크나이저": "토큰화기|토크나이져",
    "체크포인트": "저장점|검사점|체크 포인트",
    "초소형 모델": "장난감",
    "신뢰구간": "신뢰 구간",
    "앙상블": "블렌드|블렌딩",
    "하이퍼파라미터": "초매개변수|하이퍼 파라미터",
    "미세 조정": "파인튜닝|파인 튜닝|미세조정",
}
"""Word to the words that are not used for it, as a pattern."""

ENGLISH = {
    "submit": r"hand(?:ed|s|ing)? in\b",
    "resumed": "taken up again",
    "workspace": "work(?:ing)? folder|work space",
    "reference": "gold summar|ground truth",
    "base model": "backbone|foundation model",
    "GPU": r"graphics card|video card",
    "fix": r"\bmend(?:s|ed|ing)?\b",
    "is busy": r"\bcomputes?\b(?= ?$)|does not compute\b",
    "resume": r"\bgoes on again\b",
    "not estimated yet": "nobody knows yet",
    "per": "characters a summary|tokens a pass|seconds a summary",
    "fine-tuning": "finetuning|fine tuning",
    "tokenizer": "tokeniser",
    "checkpoint": "check point|save point",
}

DOCS_KO = [path for path in ROOT.glob("docs/**/*.ko.md") if "example" not in path.parts]
"""Recorded reports stay as they were."""

FILES = {
    "ko": [*MESSAGES.glob("ko/*.toml"), ROOT / "README.ko.md", *DOCS_KO],
    "en": [
        *MESSAGES.glob("en/*.toml"),
        ROOT / "README.md",
        *(path for path in ROOT.glob("docs/*.md") if not path.name.endswith(".ko.md")),
    ],
}


def sentences(path: Path) -> dict[str, str]:
    """Return what a user reads of a file, by key or line; code blocks are left out."""
    text = path.read_text("utf-8")
    if path.suffix == ".toml":
        return tomllib.loads(text)
    prose = re.sub(r"(?ms)^```.*?^```|^    .*?$|`[^`\n]*`|\]\([^)]*\)", "", text)
    return {str(number): line for number, line in enumerate(prose.splitlines(), 1)}


@pytest.mark.parametrize(("language", "table"), [("ko", KOREAN), ("en", ENGLISH)])
def test_every_concept_has_one_word(language, table):
    found = [
        f"{path.relative_to(ROOT)}: {key}: '{match[0]}' → {word}"
        for path in FILES[language]
        for key, said in sentences(path).items()
        for word, others in table.items()
        for match in re.finditer(others, said)
    ]
    assert found == []


@pytest.mark.parametrize("table", [KOREAN, ENGLISH])
def test_no_word_is_refused_by_the_table_itself(table):
    words = " / ".join(table)
    assert [one for one in table.values() if re.search(one, words)] == []


def test_the_words_of_the_glossary_are_in_use():
    """A word that nobody uses would hold nothing."""
    korean = "\n".join(path.read_text("utf-8") for path in MESSAGES.glob("ko/*.toml"))
    for word in ("작업 폴더", "채점 기준", "정답 요약", "베이스 모델", "손실", "다운로드"):
        assert word in korean, word

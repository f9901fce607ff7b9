"""The morpheme analysers: MeCab-ko, the stock MeCab engine with the Korean dictionary, and Kiwi."""

import hashlib
import os
import re
import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from yoyak.errors import Unavailable
from yoyak.metrics.mecab_batch import BatchTokenizer, MorphemeAnalyser, verify

_SHARED_GOLDEN = (
    ("도자기가 깨져서 새로 샀다.", "도자기 가 깨져서 새로 샀 다 ."),
    ("#Person1#은 우산을 두고 왔다고 말한다.", "# Person 1 # 은 우산 을 두 고 왔 다고 말 한다 ."),
    ("버스가 10분 늦어서 3.5km를 걸었다.", "버스 가 10 분 늦 어서 3 . 5 km 를 걸 었 다 ."),
    (
        "김 사장님께서 회의실을 예약하셨습니다.",
        "김 사장 님 께서 회의실 을 예약 하 셨 습니다 .",
    ),
)
GOLDEN_MECAB_KO = (
    *_SHARED_GOLDEN,
    ("법무 상담사에게 물어봤다.", "법무 상담 사 에게 물 어 봤 다 ."),
    ("아버지 가방에 들어가신다", "아버지 가방 에 들어가 신다"),
)
"""The last two are cut differently by the stock engine, which ignores the left-space penalty."""

GOLDEN_MECAB_STOCK = (
    *_SHARED_GOLDEN,
    ("법무 상담사에게 물어봤다.", "법무 상 담사 에게 물 어 봤 다 ."),
    ("아버지 가방에 들어가신다", "아버지 가 방 에 들어가 신다"),
)

# A third of the cost of reading lattice nodes into Python, and the same tokens.
_ONE_A_LINE = ("-F", r"%m\n", "-U", r"%m\n", "-E", r"\n")

# MeCab counts the blanks before a morpheme in 16 bits and drops the rest of the text when they
# overflow; a run of them means the same as one.
_BLANK_RUN = re.compile(r"[ \t\n\v\r]{2,}")
_LONG_TEXT = 16_000


def mecab() -> MorphemeAnalyser:
    """The analyser of the official definition.

    MeCab-ko has wheels up to Python 3.12. From 3.13 on it is the stock MeCab engine with the
    same dictionary, and its id says so; which of the two follows from the Python version alone.
    """
    return mecab_ko() if sys.version_info < (3, 13) else mecab_stock()


def mecab_ko() -> MorphemeAnalyser:
    """MeCab-ko through python-mecab-ko, verified."""
    try:
        import _mecab  # type: ignore[import-not-found]
        import mecab
        import mecab_ko_dic
    except ImportError as error:
        raise _missing("mecab", "python-mecab-ko python-mecab-ko-dic", error) from error
    folder = Path(mecab_ko_dic.dictionary_path)
    tagger = _mecab.Tagger(
        ["--rcfile", str(mecab.mecabrc_path), "--dicdir", str(folder), *_ONE_A_LINE]
    )
    identity = f"mecab-ko-{mecab.__version__}/{_dictionary_id(folder, mecab_ko_dic.__version__)}"
    analyser = BatchTokenizer(identity, _line_cutter(tagger.parse))
    verify(analyser, GOLDEN_MECAB_KO)
    return analyser


def mecab_stock() -> MorphemeAnalyser:
    """The stock MeCab engine (mecab-python3) with the dictionary of MeCab-ko, verified."""
    try:
        import MeCab
        import mecab_ko_dic
    except ImportError as error:
        raise _missing("mecab-stock", "mecab-python3 python-mecab-ko-dic", error) from error
    from importlib.metadata import version

    folder = Path(mecab_ko_dic.dictionary_path)
    tagger = MeCab.Tagger(
        rf"-r '{os.devnull}' -d '{folder}' -F '%m\n' -U '%m\n' -E '\n'",
    )
    dictionary = _dictionary_id(folder, mecab_ko_dic.__version__)
    analyser = BatchTokenizer(
        f"mecab-stock-{version('mecab-python3')}/{dictionary}", _line_cutter(tagger.parse)
    )
    verify(analyser, GOLDEN_MECAB_STOCK)
    return analyser


def _line_cutter(parse: Callable[[str], str]) -> Callable[[Sequence[str]], list[list[str]]]:
    def cut(texts: Sequence[str]) -> list[list[str]]:
        return [
            parse(text if len(text) < _LONG_TEXT else _BLANK_RUN.sub(" ", text)).split("\n")[:-2]
            for text in texts
        ]

    return cut


def _dictionary_id(folder: Path, version: str) -> str:
    return f"dic-{version}+{dictionary_fingerprint(folder / 'sys.dic')}"


def dictionary_fingerprint(path: Path) -> str:
    """Eight hexadecimal digits from a dictionary's size and 256 evenly spaced blocks of 4 KiB.

    Reading all 80 MB would take longer than the first score itself.
    """
    size = path.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with path.open("rb") as file:
        for block in range(256):
            file.seek(size * block // 256)
            digest.update(file.read(4096))
    return digest.hexdigest()[:8]


def kiwi(*, hashtags: bool) -> MorphemeAnalyser:
    """Kiwi, with its hashtag rule off unless ``hashtags``.

    The rule reads ``#Person1#은`` as ``#Person1`` and ``#은`` and swallows the particle.
    """
    try:
        import kiwipiepy
        import kiwipiepy_model  # type: ignore[import-untyped]
    except ImportError as error:
        raise _missing("kiwi", "'yoyak[kiwi]'", error) from error
    match = kiwipiepy.Match.ALL
    options = match if hashtags else match & ~kiwipiepy.Match.HASHTAG
    engine = _kiwi_engine()

    def cut(texts: Sequence[str]) -> list[list[str]]:
        found = engine.tokenize(list(texts), match_options=options)
        return [[token.form for token in tokens] for tokens in found]

    name = "kiwi-hashtag" if hashtags else "kiwi"
    identity = f"{name}-{kiwipiepy.__version__}/model-{kiwipiepy_model.__version__}"
    analyser = BatchTokenizer(identity, cut)
    tag = "#Person1 #은" if hashtags else "# Person 1 # 은"
    verify(analyser, (("#Person1#은 학교에 간다.", f"{tag} 학교 에 가 ᆫ다 ."),))
    return analyser


@cache
def _kiwi_engine() -> Any:
    import kiwipiepy

    return kiwipiepy.Kiwi(num_workers=1)  # 2 s and 500 MB: one for both ways with hashtags


def _missing(name: str, install: str, error: ImportError) -> Unavailable:
    return Unavailable(
        "metrics.analyser-missing", analyser=name, module=error.name, install=install
    )

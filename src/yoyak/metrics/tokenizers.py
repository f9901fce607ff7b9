"""Cut texts into tokens for ROUGE, under a name that says with which version of what.

``load("mecab")`` is the tokenizer of the official metric: MeCab-ko with mecab-ko-dic. There is no
fallback: a tokenizer is the one that was asked for and cuts its golden sentences as it should, or
there is no score.
"""

import hashlib
import os
import re
import sys
from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

from yoyak.errors import BadRecipe, Unavailable

_SURROGATE = re.compile("[\ud800-\udfff]")


class MorphemeAnalyser:
    """A function that cuts texts, with the name it is known by.

    ``id`` is name, version and dictionary as resolved, such as
    ``mecab-ko-1.3.7/dic-2.1.1.post2+1a2b3c4d``: equal ids promise equal tokens.
    """

    def __init__(self, identity: str, cut: Callable[[Sequence[str]], list[list[str]]]) -> None:
        self.id = identity
        self._cut = cut

    def tokens(self, texts: Sequence[str]) -> list[list[str]]:
        """Return the tokens of every text, in order; NUL is read as a blank."""
        return self._cut(legible(texts))


def legible(texts: Sequence[str]) -> Sequence[str]:
    """Replace NUL by a blank and lone surrogates by U+FFFD.

    MeCab silently stops at a NUL, and neither MeCab nor Kiwi accepts a lone surrogate.
    """
    joined = "".join(texts)
    if "\0" not in joined and not _SURROGATE.search(joined):
        return texts
    return [_SURROGATE.sub("\ufffd", text.replace("\0", " ")) for text in texts]


def verify(analyser: MorphemeAnalyser, golden: Sequence[Sequence[str]]) -> None:
    """Raise Unavailable unless ``analyser`` cuts every sentence of ``golden`` as written there.

    ``golden`` holds a sentence and then its tokens, separated by blanks.
    """
    for (sentence, expected), found in zip(
        golden, analyser.tokens([sentence for sentence, _ in golden]), strict=True
    ):
        if " ".join(found) != expected:
            raise Unavailable(
                "metrics.analyser-differs",
                analyser=analyser.id,
                sentence=sentence,
                expected=expected,
                found=" ".join(found),
            )


# --- MeCab and Kiwi ---

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
    """Return the analyser of the official definition.

    MeCab-ko has wheels up to Python 3.12. From 3.13 on it is the stock MeCab engine with the
    same dictionary, and its id says so; which of the two follows from the Python version alone.
    """
    return mecab_ko() if sys.version_info < (3, 13) else mecab_stock()


def mecab_ko() -> MorphemeAnalyser:
    """Load MeCab-ko through python-mecab-ko and verify it."""
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
    analyser = MorphemeAnalyser(identity, _one_morpheme_a_line(tagger.parse))
    verify(analyser, GOLDEN_MECAB_KO)
    return analyser


def mecab_stock() -> MorphemeAnalyser:
    """Load the stock MeCab engine (mecab-python3) with MeCab-ko's dictionary and verify it."""
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
    analyser = MorphemeAnalyser(
        f"mecab-stock-{version('mecab-python3')}/{dictionary}", _one_morpheme_a_line(tagger.parse)
    )
    verify(analyser, GOLDEN_MECAB_STOCK)
    return analyser


def _one_morpheme_a_line(parse: Callable[[str], str]) -> Callable[[Sequence[str]], list[list[str]]]:
    def cut(texts: Sequence[str]) -> list[list[str]]:
        return [
            parse(text if len(text) < _LONG_TEXT else _BLANK_RUN.sub(" ", text)).split("\n")[:-2]
            for text in texts
        ]

    return cut


def _dictionary_id(folder: Path, version: str) -> str:
    return f"dic-{version}+{dictionary_fingerprint(folder / 'sys.dic')}"


def dictionary_fingerprint(path: Path) -> str:
    """Return eight hex digits of a dictionary's size and 256 evenly spaced 4 KiB blocks.

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
    """Load Kiwi, with its hashtag rule off unless ``hashtags``.

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
    analyser = MorphemeAnalyser(identity, cut)
    tag = "#Person1 #은" if hashtags else "# Person 1 # 은"
    verify(analyser, (("#Person1#은 학교에 간다.", f"{tag} 학교 에 가 ᆫ다 ."),))
    return analyser


@cache
def _kiwi_engine() -> Any:
    import kiwipiepy

    return kiwipiepy.Kiwi(num_workers=1)  # 2 s and 500 MB: one instance for both hashtag rules


def _missing(name: str, install: str, error: ImportError) -> Unavailable:
    return Unavailable(
        "metrics.analyser-missing", analyser=name, module=error.name, install=install
    )


# --- by name ---


def _characters(texts: Sequence[str]) -> list[list[str]]:
    return [list("".join(text.split())) for text in texts]


def _words(texts: Sequence[str]) -> list[list[str]]:
    return [text.split() for text in texts]


def _ascii(texts: Sequence[str]) -> list[list[str]]:
    # rouge-score's DefaultTokenizer without stemming: what is not [a-z0-9] is lost.
    return [re.findall(r"[a-z0-9]+", text.lower()) for text in texts]


ANALYSERS: dict[str, Callable[[], MorphemeAnalyser]] = {
    "mecab": mecab,
    "mecab-stock": mecab_stock,
    "kiwi": partial(kiwi, hashtags=False),
    "kiwi-hashtag": partial(kiwi, hashtags=True),
    "char": lambda: MorphemeAnalyser("char-1", _characters),
    "space": lambda: MorphemeAnalyser("space-1", _words),
    "ascii-forced": lambda: MorphemeAnalyser("ascii-1", _ascii),
}
"""Every analyser by name. ``ascii-forced`` exists only to show what it does to Korean."""


def check_name(name: str) -> None:
    """Raise BadRecipe unless ``name`` is an analyser that may be used."""
    if name == "ascii":
        raise BadRecipe("metrics.ascii-refused")
    if name not in ANALYSERS:
        raise BadRecipe("metrics.unknown-analyser", name=name, known=", ".join(ANALYSERS))


@cache
def load(name: str = "mecab") -> MorphemeAnalyser:
    """Return the analyser called ``name``, loaded and verified once a process.

    Raises:
        BadRecipe: no analyser has this name, or it is one that drops Hangul.
        Unavailable: its library is missing, or it does not cut its golden sentences as it should.
    """
    check_name(name)
    return ANALYSERS[name]()
